import Foundation
import Glibc
import Records
import Storage
import TestSupport
import Testing

/// The real daemon, killed at random moments, gives the results of a run that was not killed.
@Suite(.serialized) struct KillTests {
  static let scenarios = [
    Scenario(source: .file, kills: 3),
    Scenario(source: .file, format: "ndjson", isCompressed: false, badRecords: "skip", kills: 2),
    Scenario(source: .file, rotates: true, kills: 3),
    Scenario(source: .directory, kills: 2),
    Scenario(source: .directory, isCompressed: false, rotates: true, kills: 2),
    Scenario(source: .follow, isCompressed: false, kills: 3),
    Scenario(source: .follow, rotates: true, kills: 2),
    Scenario(source: .file, rows: .fewKeys, kills: 2),
    Scenario(source: .file, isCompressed: false, rows: .manyKeys, kills: 4),
    Scenario(source: .file, rows: .classes, kills: 2),
    Scenario(source: .sequence, isCompressed: false, kills: 3),
    Scenario(source: .sequence, rotates: true, kills: 2),
    Scenario(source: .kafka, format: "ndjson", isCompressed: false, kills: 3),
  ]

  @Test(.timeLimit(.minutes(10)), arguments: scenarios)
  func `a killed daemon resumes, and its results are those of an undisturbed run`(
    _ scenario: Scenario
  ) throws {
    let place = try Workplace()
    var random = SeededGenerator()
    var input = try ScenarioInput(scenario, in: place)
    let kills = scenario.kills * (runsFullDose ? 10 : 1)
    try place.write(
      "killed.yaml",
      scenario.configuration(output: scenario.output, state: "state", brokers: input.brokers).utf8)
    try place.write(
      "whole.yaml",
      scenario.configuration(
        output: scenario.reference, state: "reference", brokers: input.brokers
      ).utf8)

    let hint = "\(scenario.testDescription), seed \(testSeed), \(kills) kills"
    var spanMicroseconds = 500_000.0
    if scenario.source == .file {
      // The input is complete, so the time of a run can be measured.
      let began = ContinuousClock.now
      try finish("whole.yaml", scenario.reference, input.outputLines, in: place, hint)
      spanMicroseconds = span(of: began.duration(to: .now), for: kills)
    }
    var takenBack = 0
    for _ in 0..<kills {
      let began = ContinuousClock.now
      let running = try place.start([binary, "run", "--config", "killed.yaml"], input: nil)
      let moment = UInt64.random(in: 20_000...UInt64(spanMicroseconds), using: &random)
      while began.duration(to: .now) < .microseconds(Int64(moment)) {
        _ = try input.grow(using: &random)
        usleep(10_000)
      }
      running.signal(SIGKILL)
      #expect(try running.wait().exitCode == 128 + SIGKILL, "seed \(testSeed)")
      if hasBytesAfterCheckpoint(scenario, in: place) { takenBack += 1 }
      // Without a checkpoint the next run gets more time, so that not every start is in vain.
      if !hasCheckpoint(in: place) { spanMicroseconds *= 1.5 }
    }
    while try input.grow(using: &random) {}
    try finish("killed.yaml", scenario.output, input.outputLines, in: place, hint)
    if scenario.source != .file {
      try finish("whole.yaml", scenario.reference, input.outputLines, in: place, hint)
    }
    print("\(hint), \(takenBack) of them with output after the checkpoint")

    let killed = try Delivery(of: scenario.output, state: "state", in: place)
    let whole = try Delivery(of: scenario.reference, state: "reference", in: place)
    #expect(whole.text.lineCount == input.outputLines, "\(hint)")
    #expect(whole.deadLetters.isEmpty == (scenario.badRecords != "dead_letter"), "\(hint)")
    try killed.expectEqual(to: whole, output: scenario.output, in: place, hint)
    if scenario.rows == .manyKeys {
      let names = try FileManager.default.contentsOfDirectory(atPath: place.path("reference/s"))
      #expect(names.contains { $0.contains(".delta.") }, "\(hint): \(names)")
    }
    if scenario.rotates {
      #expect(Delivery.files(of: scenario.output, in: place).count > 2, "\(hint)")
    }
  }

  @Test(.timeLimit(.minutes(10)))
  func `a killed daemon learns γ and β as an undisturbed one`() throws {
    let place = try Workplace()
    var random = SeededGenerator()
    let scenario = Scenario(source: .file, kills: 4)
    let input = try ScenarioInput(scenario, in: place)
    // A step after every third batch. With each batch and each step the state version rises by one.
    let (features, steps) = (4, 30)
    let lines = (1...steps).map { step in
      func numbers() -> String {
        (0..<features).map { _ in "\(Double.random(in: -1...1, using: &random))" }
          .joined(separator: ",")
      }
      return
        #"{"version":\#(4 * (step - 1)),"weight_grad":[\#(numbers())],"bias_grad":[\#(numbers())],"#
        + #""after_batch":\#(3 * step)}"# + "\n"
    }
    try place.write("gradients.ndjson", lines.joined().utf8)
    func configuration(_ output: String, _ state: String) -> String {
      scenario.configuration(output: output, state: state) + """
            normalize: { mode: running }
            parameters:
              learn: { optimizer: adam, learning_rate: 0.01, gradients: gradients.ndjson }

        """
    }
    try place.write("killed.yaml", configuration(scenario.output, "state").utf8)
    try place.write("whole.yaml", configuration(scenario.reference, "reference").utf8)
    let began = ContinuousClock.now
    let kills = scenario.kills * (runsFullDose ? 10 : 1)
    let hint = "learning, seed \(testSeed), \(kills) kills"
    try finish("whole.yaml", scenario.reference, input.outputLines, in: place, hint)
    let spanMicroseconds = span(of: began.duration(to: .now), for: kills)
    for _ in 0..<kills {
      let running = try place.start([binary, "run", "--config", "killed.yaml"], input: nil)
      usleep(.random(in: 20_000...UInt32(spanMicroseconds), using: &random))
      running.signal(SIGKILL)
      #expect(try running.wait().exitCode == 128 + SIGKILL, "\(hint)")
    }
    try finish("killed.yaml", scenario.output, input.outputLines, in: place, hint)
    let killed = try Delivery(of: scenario.output, state: "state", in: place)
    let whole = try Delivery(of: scenario.reference, state: "reference", in: place)
    let shown = try place.shell("$EVENKEEL inspect \"$(ls reference/s/*.safetensors | tail -n 1)\"")
    #expect(
      String(decoding: shown.output, as: UTF8.self).contains("learned in \(steps) steps"),
      "\(shown)")
    #expect(whole.checkpoint.gradients?.input.records == steps, "\(hint)")
    try killed.expectEqual(to: whole, output: scenario.output, in: place, hint)
  }

  @Test(.timeLimit(.minutes(10)))
  func `a killed normalize resumes, and its results are those of an undisturbed run`() throws {
    let place = try Workplace()
    var random = SeededGenerator()
    let scenario = Scenario(source: .file, kills: 3)
    let input = try ScenarioInput(scenario, in: place)
    func command(_ name: String) -> [String] {
      [
        binary, "normalize", "in.zst", "--format", "csv", "--features", "f*", "--batch-size", "64",
        "--on-bad-record", "dead_letter", "--dead-letters", "\(name).dead",
        "--checkpoint-every", "30", "--resume", "\(name).state", "-o", "\(name).csv.zst",
      ]
    }
    let began = ContinuousClock.now
    let whole = try place.start(command("whole"), input: nil).wait()
    #expect(whole.exitCode == 0, "\(whole.errors)")
    let kills = scenario.kills * (runsFullDose ? 10 : 1)
    let spanMicroseconds = span(of: began.duration(to: .now), for: kills)
    let hint = "normalize --resume, seed \(testSeed), \(kills) kills"
    var met = 0
    for _ in 0..<kills {
      let running = try place.start(command("killed"), input: nil)
      usleep(.random(in: 20_000...UInt32(spanMicroseconds), using: &random))
      running.signal(SIGKILL)
      if try running.wait().exitCode == 128 + SIGKILL { met += 1 }
      // An output has its name only when it is whole.
      let output = try Delivery.text(of: "killed.csv.zst", in: place)
      #expect(output.isEmpty || output.lineCount == input.outputLines, "\(hint)")
    }
    let last = try place.start(command("killed"), input: nil).wait()
    #expect(last.exitCode == 0, "\(hint)\n\(last.errors)")
    // One run more changes nothing.
    #expect(try place.start(command("killed"), input: nil).wait().exitCode == 0, "\(hint)")
    print("\(hint), \(met) of them before the end")
    let (killed, expected) = try (delivery("killed", in: place), delivery("whole", in: place))
    #expect(expected.text.lineCount == input.outputLines)
    #expect(!expected.deadLetters.isEmpty)
    try killed.expectEqual(to: expected, output: "killed.csv.zst", in: place, hint)
  }

  /// The longest time to a kill, in µs, so that the kills spread over all of the work.
  private func span(of work: Duration, for kills: Int) -> Double {
    // A process needs some time to start.
    100_000 + 2e6 * (work / .seconds(1)) / Double(kills + 1)
  }

  private func delivery(_ name: String, in place: Workplace) throws -> Delivery {
    try Delivery(
      of: "\(name).csv.zst", deadLetters: "\(name).dead", checkpoints: "\(name).state", in: place)
  }

  /// Runs a stream until its output is whole, and stops the daemon.
  private func finish(
    _ configuration: String, _ output: String, _ lines: Int, in place: Workplace, _ hint: String
  ) throws {
    let running = try place.start([binary, "run", "--config", configuration], input: nil)
    let isWhole = try eventually {
      usleep(100_000)
      // Until the stream runs, the output may hold text of the killed run.
      let log = try String(contentsOfFile: running.errors, encoding: .utf8)
      return try log.contains("stream runs")
        && Delivery.text(of: output, in: place).lineCount >= lines
    }
    running.signal(SIGTERM)
    let finished = try running.wait()
    #expect(isWhole, "\(hint)\n\(finished.errors)")
    #expect(finished.exitCode == 0, "\(hint)\n\(finished.errors)")
  }

  private func hasCheckpoint(in place: Workplace) -> Bool {
    (try? CheckpointStore.newest(in: place.path("state/s"), of: POSIXFileSystem())) != nil
  }

  /// Whether the output has bytes after the position of the newest checkpoint.
  private func hasBytesAfterCheckpoint(_ scenario: Scenario, in place: Workplace) -> Bool {
    let found = try? CheckpointStore.newest(in: place.path("state/s"), of: POSIXFileSystem())
    let known = found?.checkpoint.output
    let files = Delivery.files(of: scenario.output, in: place)
    let size = (try? place.read(scenario.output).count) ?? 0
    return size > known?.byteCount ?? 0 || files.count - 1 > known?.sequence ?? 0
  }
}
