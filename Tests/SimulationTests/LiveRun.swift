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
      let kept = try output.keysAfterCheckpoint(on: disk)
      let plan = StreamPlan(scenario.definition, directory: scenario.directory, adopts: false)
      let before = output.newestCheckpoint(on: disk)
      let opened: OpenedStream
      do {
        opened = try OpenedStream(
          plan, in: ConnectorContext(fileSystem: disk, clock: clock.clock))
      } catch {
        // It may have gone over a gap, and failed after that.
        if output.newestCheckpoint(on: disk) != before { mayComeTwice.formUnion(kept) }
        throw error
      }
      told += opened.warnings
      disk.trace?("opened at \(String(describing: opened.state.cursor)), \(opened.warnings)")
      if opened.source.gap != nil {
        gaps += 1
        mayComeTwice.formUnion(kept)
      }
      var stream = try SerialStream(
        opened, in: world(scenario, hurry: hurry), seed: random.next(), without: canary)
      try stream.run(stopsAfter: stopsAfter)
      return producer.isDone && stopsAfter == .max ? .done : .stopped
    } catch let error as StorageError {
      return .failed(StreamError(error))
    } catch {
      return .failed(error)
    }
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
    world.warn = { [self] in told.append($0) }
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
