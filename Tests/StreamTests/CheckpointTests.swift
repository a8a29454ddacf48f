import BatchNormalization
import Codecs
import Records
import State
import Storage
import TestSupport
import Testing

@testable import Stream

@Suite struct CheckpointTests {
  private func values(_ count: Int, _ seed: UInt64) -> [Double] {
    var random = SeededGenerator(seed: seed)
    return (0..<count).map { _ in random.fraction(upTo: 9999, over: 128) }
  }

  private func twoColumns(_ range: Range<Int>, _ seed: UInt64) -> [UInt8] {
    let (a, b) = (values(64, seed), values(64, seed &+ 1))
    return csv([("a", Array(a[range])), ("b", Array(b[range]))])
  }

  private static let settings: [@Sendable (inout NormalizationSettings) -> Void] = [
    { _ in },
    { $0 = NormalizationSettings(preset: .pytorch) },
    {
      $0.momentum = .cumulative
      $0.estimator = .total
    },
    { $0.momentum = .halfLifeRecords(10) },
    {
      $0.mode = .renorm
      $0.warmUp.records = 24
    },
    {
      $0.updateFirst = true
      $0.clip = 1
      $0.warmUp.emission = .pass
      $0.warmUp.records = 36
    },
  ]

  @Test(arguments: 0..<6)
  func `two halves, the second from the first's checkpoint, equal the whole`(index: Int) throws {
    let seed = testSeed
    let configuration = csvConfiguration {
      Self.settings[index](&$0.normalization)
      $0.precision = .float64
    }
    let whole = try SerialRun(configuration, twoColumns(0..<64, seed))
    let first = try SerialRun(configuration, twoColumns(0..<28, seed))
    let stored = try Checkpoint(serialized: #require(first.checkpoint).serialized())
    let second = try SerialRun(configuration, twoColumns(28..<64, seed), initial: stored)
    func numbers(_ run: SerialRun) -> [[UInt64]] {
      (1...2).map { column($0, of: run.text).map(\.bitPattern) }
    }
    let halves = zip(numbers(first), numbers(second)).map { $0 + $1 }
    #expect(halves == numbers(whole), "seed \(seed)")
    var (found, expected) = (try #require(second.checkpoint), try #require(whole.checkpoint))
    #expect(expected.batchesTracked == 16)
    // The second half is a stream of its own, and has its own positions.
    found.input = nil
    expected.input = nil
    #expect(found == expected, "seed \(seed)")
  }

  // MARK: Fit

  private func checkpoint(_ change: (inout Checkpoint) -> Void = { _ in }) throws -> Checkpoint {
    var checkpoint = try #require(SerialRun(csvConfiguration(), twoColumns(0..<8, 1)).checkpoint)
    change(&checkpoint)
    return checkpoint
  }

  private func run(
    _ initial: Checkpoint, _ change: (inout StreamConfiguration) -> Void = { _ in }
  ) throws -> SerialRun {
    try SerialRun(csvConfiguration(change), twoColumns(8..<16, 1), initial: initial)
  }

  @Test func `a checkpoint of other settings is refused with the difference`() throws {
    let error = #expect(throws: StreamError.self) {
      try run(try checkpoint()) { $0.normalization.momentum = .weight(0.5) }
    }
    #expect(error?.exitCode == 78)
    #expect(
      error?.description
        == """
        test: the checkpoint does not fit: settings: momentum: expected 0.5, found half_life 1700.0 records \
        (--on-mismatch match_by_name or reset continues)
        """)
  }

  @Test func `a checkpoint of other features is refused with their names`() throws {
    let other = try checkpoint { $0.rename(["a", "z"]) }
    let error = #expect(throws: StreamError.self) { try run(other) }
    #expect(error?.exitCode == 78)
    #expect(error?.description.contains("not in the checkpoint: 'b'") == true)
    #expect(error?.description.contains("only in the checkpoint: 'z'") == true)
  }

  @Test func `by name, features that are known go on and others start afresh`() throws {
    let other = try checkpoint { $0.rename(["z", "a"]) }
    let run = try run(other) { $0.onMismatch = .matchByName }
    let (whole, found) = (try checkpoint(), try #require(run.checkpoint))
    #expect(found.batches == [4, 2])
    #expect(found.values == [16, 8])
    #expect(found.batchesTracked == whole.batchesTracked + 2)
  }

  @Test func `a reset goes on as if there were no checkpoint`() throws {
    let other = try checkpoint { $0.rename(["a", "z"]) }
    let run = try run(other) { $0.onMismatch = .reset }
    let fresh = try SerialRun(csvConfiguration(), twoColumns(8..<16, 1))
    #expect(run.output == fresh.output)
    #expect(run.checkpoint == fresh.checkpoint)
  }

  @Test func `frozen moments need only the settings they are applied with`() throws {
    let before = try checkpoint()
    let run = try run(before) {
      $0.normalization.isFrozen = true
      $0.normalization.momentum = .weight(0.5)
    }
    var after = try #require(run.checkpoint)
    #expect(after.settings == before.settings)
    #expect(after.settings["momentum"] == "half_life 1700.0 records")
    after.input = before.input
    // Only the present values were counted.
    #expect(after.state != before.state)
    after.state[count: "evenkeel.values.present"] =
      before.state[count: "evenkeel.values.present"]
    #expect(after == before)
    #expect(throws: StreamError.self) {
      try self.run(before) {
        $0.normalization.isFrozen = true
        $0.normalization.epsilon = .absolute(0.1)
      }
    }
  }

  @Test func `a frozen run by name records the epsilon it applied`() throws {
    let run = try run(checkpoint()) {
      $0.normalization.isFrozen = true
      $0.normalization.epsilon = .absolute(0.1)
      $0.onMismatch = .matchByName
    }
    #expect(run.checkpoint?.settings["epsilon"] == "0.1")
    #expect(run.checkpoint?.settings["momentum"] == "half_life 1700.0 records")
  }

  @Test func `a frozen run that was reset records its own settings`() throws {
    let other = try checkpoint {
      $0.rename(["a", "z"])
      $0.settings["momentum"] = "0.9"
    }
    let run = try run(other) {
      $0.normalization.isFrozen = true
      $0.onMismatch = .reset
    }
    #expect(run.checkpoint?.settings["momentum"] == "half_life 1700.0 records")
  }

  @Test func `a checkpoint from another tool fits whatever it does not name`() throws {
    var imported = Checkpoint(features: ["a", "b"])
    imported.runningMean = [5, 6]
    let run = try run(imported) {
      $0.normalization.isFrozen = true
      $0.precision = .float64
    }
    #expect(
      zip(column(1, of: run.text), values(64, 1)[8..<16]).allSatisfy {
        abs($0 - ($1 - 5) / (1 + 1e-5).squareRoot()) < 1e-12
      })
    #expect(run.checkpoint?.settings == ["clip": "100.0", "epsilon.relative": "1e-05"])
  }

  // MARK: Parameters

  @Test func `parameters are taken by name in place of those of the checkpoint`() throws {
    let parameters = Parameters(features: ["b", "a"], weight: [3, 2], bias: [1, -1])
    let configuration = csvConfiguration { $0.precision = .float64 }
    let input = twoColumns(0..<8, 1)
    let plain = try SerialRun(configuration, input)
    let before = try checkpoint { $0.weight = [100, 100] }
    let run = try SerialRun(configuration, input, parameters: parameters)
    for (feature, (weight, bias)) in [(2.0, -1.0), (3.0, 1.0)].enumerated() {
      let pairs = zip(column(feature + 1, of: plain.text), column(feature + 1, of: run.text))
      #expect(pairs.allSatisfy { abs($0 * weight + bias - $1) < 1e-12 })
    }
    #expect(run.checkpoint?.weight == [2, 3] && run.checkpoint?.bias == [-1, 1])
    let resumed = try SerialRun(configuration, input, initial: before, parameters: parameters)
    #expect(resumed.checkpoint?.weight == [2, 3])
    #expect(resumed.checkpoint?.batchesTracked == before.batchesTracked + 2)
  }

  @Test func `parameters that do not fit are refused`() throws {
    for parameters in [
      Parameters(features: ["a", "z"], weight: [1, 1], bias: [0, 0]),
      Parameters(weight: [1], bias: [0]),
    ] {
      let error = #expect(throws: StreamError.self) {
        try SerialRun(csvConfiguration(), twoColumns(0..<8, 1), parameters: parameters)
      }
      #expect(error?.exitCode == 78)
    }
  }

  @Test func `checkpoints and parameters are read from and written to files`() throws {
    let directory = try TemporaryDirectory()
    let seed = testSeed
    try directory.write("in.csv", twoColumns(0..<32, seed))
    var state = Checkpoint(features: ["a", "b"], settings: try checkpoint().settings)
    state.runningMean = [1, 2]
    state.batches = [3, 3]
    state.values = [12, 12]
    state.varianceBatches = [3, 3]
    state.varianceValues = [12, 12]
    state.batchesTracked = 3
    try CheckpointFile.write(state, to: directory.file("state"))
    // A whole checkpoint is a file of parameters too.
    var other = state
    other.weight = [4, 5]
    try CheckpointFile.write(other, to: directory.file("parameters"))
    var files = StreamFiles(input: directory.file("in.csv"), output: directory.file("out.csv"))
    files.checkpointIn = directory.file("state")
    files.checkpointOut = directory.file("state")
    files.parameters = directory.file("parameters")
    #expect(try FileRun(csvConfiguration(), files).failure == nil)
    let serial = try SerialRun(
      csvConfiguration(), twoColumns(0..<32, seed), initial: state,
      parameters: Parameters(weight: [4, 5], bias: [0, 0]))
    #expect(try directory.read("out.csv") == serial.output)
    var last = try CheckpointFile.read(directory.file("state"))
    #expect(last.cursor?.records == serial.checkpoint?.cursor?.records)
    last.input = serial.checkpoint?.input
    #expect(last == serial.checkpoint)
    #expect(serial.checkpoint?.batchesTracked == 11 && serial.checkpoint?.weight == [4, 5])
  }
}
