import Connectors
import Dataflow
import Records
import Storage
import Synthetic
import TestSupport

@testable import Stream

/// A disk, a clock and a producer, and one process after another that reads what is produced.
final class LiveRun: @unchecked Sendable {
  // @unchecked because a simulation runs on one thread.

  /// How a process ended.
  enum End {
    /// All was read that there will ever be.
    case done
    case stopped
    case failed(any Error)
  }

  /// So many times the clock moves on before a stream is taken to have rested.
  private static let mostRests = 3

  let disk: SimulatedFileSystem
  var producer: any Producer
  private let clock = ManualClock()
  private var random: SplitMix64
  private var rests = 0
  /// The warnings of all processes.
  private(set) var told: [String] = []
  /// The keys that may come twice: they were kept in the output over a gap.
  private(set) var mayComeTwice: Set<Int> = []
  private(set) var gaps = 0
  /// Whether a process has recovered the output since it was last damaged.
  var hasRecovered = false
  /// The keys that a process took back although their files were gone.
  private(set) var wronglyTakenBack: Set<Int> = []

  init(_ scenario: LiveScenario, seed: UInt64) throws {
    random = SplitMix64(seed: seed)
    disk = try scenario.disk(seed: random.next())
    producer = scenario.makeProducer()
    if tracesSimulation { disk.trace = { print($0) } }
  }

  /// Lets the producer take a few steps while no process runs.
  func actMeanwhile(atMost count: Int) throws {
    for _ in 0..<Int.random(in: 0...count, using: &random) {
      producer.prepare()
      if !producer.needsRest { try producer.act(on: disk) }
    }
  }

  /// One process from its start to its end.
  ///
  /// - Parameters:
  ///   - hurry: how many steps the stream takes for one of the producer; nil lets the producer act only when
  ///     the stream has nothing to do.
  ///   - stopsAfter: the number of steps after which the stream is stopped.
  func live(
    _ scenario: LiveScenario, hurry: Int?, stopsAfter: Int, without canary: RecoveryCanary?
  ) -> End {
    rests = 0
    do {
      let lock = try StateDirectoryLock(Scenario.stateDirectory, in: disk)
      defer { lock.release() }
      let output = LiveOutput(scenario)
      let positions = output.positions(on: disk)
      let plan = StreamPlan(scenario.definition, directory: scenario.directory, adopts: false)
      let before = output.newestCheckpoint(on: disk)
      let keys = hasRecovered ? try output.keys(on: disk) : []
      let opened: OpenedStream
      do {
        opened = try OpenedStream(
          plan, in: ConnectorContext(fileSystem: disk, clock: clock.clock))
      } catch {
        checkTakenBack(keys, output)
        // It may have gone over a gap, and failed after that.
        if output.newestCheckpoint(on: disk) != before {
          for position in positions.values { keepOverGap(position, output) }
        }
        throw error
      }
      checkTakenBack(keys, output)
      hasRecovered = true
      told += opened.warnings
      disk.trace?("OPENED at \(described(opened.state.cursor)), \(opened.warnings)")
      if opened.source.gap != nil {
        gaps += 1
        keepOverGap(opened.checkpointPath.flatMap { positions[$0] }, output)
      }
      var stream = try SerialStream(
        opened, in: world(scenario, hurry: hurry), seed: random.next(), without: canary)
      try stream.run(stopsAfter: stopsAfter)
      return producer.isDone && stopsAfter == .max ? .done : .stopped
    } catch let error as StorageError {
      disk.trace?("FAILED \(error)")
      return .failed(StreamError(error))
    } catch {
      disk.trace?("FAILED \(error)")
      return .failed(error)
    }
  }

  /// Records that are taken back must be in a file that can be read again.
  private func checkTakenBack(_ keys: Set<Int>, _ output: LiveOutput) {
    guard let now = try? output.keys(on: disk) else { return }
    wronglyTakenBack.formUnion(
      keys.subtracting(now).subtracting(producer.ledger.contents.values.joined()))
  }

  /// The output after a position stayed, although its input may be read again.
  private func keepOverGap(_ position: OutputPosition?, _ output: LiveOutput) {
    mayComeTwice.formUnion(output.keys(on: disk, around: position).after)
    mayComeTwice.formUnion(output.rejectedKeys(on: disk))
  }

  /// Traces what the output holds, and what the newest checkpoint knows of.
  func traceEnd(of scenario: LiveScenario) {
    guard let trace = disk.trace else { return }
    let output = LiveOutput(scenario)
    let keys = (try? output.records(on: disk).map(\.key)) ?? []
    let checkpoint = output.newestCheckpoint(on: disk)
    let after = output.keys(on: disk, around: checkpoint?.output).after.sorted()
    trace(
      "STANDS isDown \(disk.isDown), output \(keys), after the checkpoint \(after), "
        + "checkpoint at \(described(checkpoint?.input))")
  }

  private func described(_ cursor: InputCursor?) -> String {
    guard let cursor else { return "no cursor" }
    let splits = cursor.splits.map {
      "\($0.split) byte \($0.byteOffset) record \($0.records) (\($0.source?.text ?? "no mark"))"
    }
    return "\(splits) after \(cursor.done?.text ?? "nothing")"
  }

  private func world(_ scenario: LiveScenario, hurry: Int?) -> SerialStream.World {
    var world = SerialStream.World(clock: clock.clock, unitBytes: scenario.unitBytes)
    world.hasEvents = { [self] in disk.hasEvents }
    world.rest = { [self] in try rest() }
    world.act = { [self] in
      producer.prepare()
      guard let hurry, !producer.needsRest, Int.random(in: 0..<hurry, using: &random) == 0 else {
        return
      }
      rests = 0
      try producer.act(on: disk)
    }
    world.warn = { [self] in
      disk.trace?("WARNS \($0)")
      told.append($0)
    }
    return world
  }

  /// Lets time pass until the stream has rested if the producer waits for that; lets it act otherwise.
  private func rest() throws -> Bool {
    producer.prepare()
    if rests < Self.mostRests, producer.needsRest || producer.isDone {
      rests += 1
      clock.advance(by: 2)
      return true
    }
    guard !producer.isDone else { return false }
    rests = 0
    try producer.act(on: disk)
    return true
  }
}
