import BatchNormalization
import Codecs
import Records
import Storage
import TestSupport
import Testing

@testable import Stream

@Suite struct TransformTests {
  private func random(_ count: Int, _ seed: UInt64) -> [Double] {
    var random = SeededGenerator(seed: seed)
    return (0..<count).map { _ in random.fraction(upTo: 4096, over: 1024) }
  }

  private func expectClose(
    _ found: [Double], _ expected: [Double], within tolerance: Double, _ seed: UInt64
  ) {
    #expect(found.count == expected.count)
    for (found, expected) in zip(found, expected) {
      #expect(
        abs(found - expected) <= tolerance * max(1, abs(expected)),
        "\(found), not \(expected); seed \(seed)")
    }
  }

  @Test(arguments: [(1.8, 32.0), (1000.0, -5e6), (0.001, 0.0)])
  func `in batch mode a change of unit changes no output`(scale: Double, offset: Double) throws {
    let seed = testSeed
    let values = random(64, seed)
    let configuration = csvConfiguration {
      $0.batch.size = 16
      $0.normalization.mode = .batch
      $0.normalization.epsilon = .absolute(1e-14)
      $0.precision = .float64
    }
    let run = try SerialRun(
      configuration, csv([("a", values), ("b", values.map { scale * $0 + offset })]))
    expectClose(column(2, of: run.text), column(1, of: run.text), within: 1e-7, seed)
  }

  @Test(arguments: [NormalizationMode.batch, .running])
  func `an offset of 1e9 costs no digit of a deviation of 1`(mode: NormalizationMode) throws {
    let seed = testSeed
    // Multiples of 1/1024 near 1e9 are exact in Double and in text.
    let values = random(96, seed)
    let configuration = csvConfiguration {
      $0.batch.size = 16
      $0.normalization.mode = mode
      $0.precision = .float64
    }
    let run = try SerialRun(configuration, csv([("a", values), ("b", values.map { $0 + 1e9 })]))
    expectClose(column(2, of: run.text), column(1, of: run.text), within: 1e-6, seed)
    #expect(column(1, of: run.text).contains { abs($0) > 1 })
  }

  // 25 is more than the variance of one column, and less than that of the other.
  @Test(arguments: [nil, 25])
  func `the folded pair gives the output of a frozen run`(varianceFloor: Double?) throws {
    let directory = try TemporaryDirectory()
    let seed = testSeed
    let columns = [("a", random(40, seed)), ("b", random(40, seed &+ 1).map { 1000 + 50 * $0 })]
    let input = csv(columns)
    var configuration = csvConfiguration {
      $0.precision = .float64
      $0.normalization.varianceFloor = varianceFloor
    }
    let parameters = Parameters(features: ["b", "a"], weight: [2, -0.5], bias: [7, 0.25])
    let trained = try SerialRun(configuration, input, parameters: parameters)
    configuration.normalization.isFrozen = true
    let run = try SerialRun(configuration, input, initial: trained.checkpoint)
    let folded = try #require(BuiltInExports.named("folded"))
    try folded.write(try #require(run.checkpoint), to: directory.file("folded"))
    let file = try Safetensors(serialized: directory.read("folded"))
    let (scale, shift) = (try file.doubles("scale", count: 2), try file.doubles("shift", count: 2))
    for (feature, values) in columns.map(\.1).enumerated() {
      expectClose(
        column(feature + 1, of: run.text), values.map { scale[feature] * $0 + shift[feature] },
        within: 1e-12, seed)
    }
    #expect(run.checkpoint?.runningMean == trained.checkpoint?.runningMean)
  }

  @Test func `the identity changes only how numbers are spelled in columns of features`() throws {
    let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
    let sample = try POSIXFileSystem().contents(
      of: "/\(root)/samples/weather.csv.zst", limit: 1 << 24)
    let text = try decompressed(sample)
    var configuration = StreamConfiguration(name: "weather", format: .csv)
    let features = [
      "temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib",
    ]
    configuration.decoder.features = [
      "temp", "dewp", "humid", "wind_*", "precip", "pressure", "visib",
    ]
    .map { FeaturePattern($0) }
    configuration.normalization.isFrozen = true
    configuration.normalization.epsilon = .absolute(0)
    configuration.normalization.clip = nil
    let identity = Checkpoint(features: features, settings: ["epsilon": "0.0"])
    let run = try SerialRun(configuration, sample, initial: identity)

    let before = text.split(separator: 0x0A, omittingEmptySubsequences: false)
    let after = run.output.split(separator: 0x0A, omittingEmptySubsequences: false)
    try #require(before.count == after.count)
    #expect(before[0] == after[0])
    var respelled = 0
    for (old, new) in zip(before, after).dropFirst() where old != new {
      let oldFields = old.split(separator: 0x2C, omittingEmptySubsequences: false)
      let newFields = new.split(separator: 0x2C, omittingEmptySubsequences: false)
      try #require(oldFields.count == newFields.count)
      for (column, (old, new)) in zip(oldFields, newFields).enumerated() where old != new {
        // Columns 5 to 13 are the features.
        let number = Float(String(decoding: old, as: UTF8.self))
        let isSame = number == Float(String(decoding: new, as: UTF8.self))
        respelled += 1
        guard (5...13).contains(column), number != nil, isSame else {
          Issue.record(
            """
            column \(column): \(String(decoding: old, as: UTF8.self)) became \
            \(String(decoding: new, as: UTF8.self))
            """)
          return
        }
      }
    }
    #expect(respelled > 1000)
    #expect(run.metrics.records == before.count - 2)
  }
}
