import Connectors
import Dataflow
import Records
import Storage
import Synthetic
import TestSupport

@testable import Stream

/// The stages of a stream on one thread, in an order drawn from a seed, within bounds like those of the
/// channels between them.
struct SerialStream {
  /// Everything that is not the stream's own.
  struct World {
    var clock = Scenario.clock
    /// The size of a unit.
    var unitBytes: Int
    /// Whether an operator asks for checkpoints, before the stream has begun too.
    var asksForCheckpoints = false
    /// Whether an event waits that wakes an idle source.
    var hasEvents: () -> Bool = { true }
    /// Lets time pass when nothing is left to do.
    ///
    /// - Returns: false if nothing will come any more, so that the stream may be stopped.
    var rest: () throws -> Bool = { false }
    /// Lets other programs act between two steps.
    var act: () throws -> Void = {}
    var warn: @Sendable (String) -> Void = { _ in }
  }

  /// A stream that takes more steps never ends.
  private static let mostSteps = 100_000

  let metrics: StreamMetrics
  private let world: World
  private let inbox = RequestInbox()
  private var flow: SerialFlow<FaultyIngest, OperateStage, EncodeWorker, EmitStage>
  /// Why the source can give no more. It is thrown after all outputs that came before it.
  private var failure: (any Error)?
  /// When an idle source must be looked at without an event; nil if it need not.
  private var idleUntil: Instant?
  private var random: SplitMix64

  /// - Parameters:
  ///   - gradients: those of γ and β.
  ///   - canary: the fix that is taken out.
  init(
    _ opened: OpenedStream, in world: World, seed: UInt64, gradients: GradientFeed? = nil,
    without canary: RecoveryCanary? = nil
  ) throws {
    var configuration = opened.configuration
    if canary == .badRecordsArePassedOver, configuration.badRecords == .fail {
      configuration.format = configuration.format.forgettingBadRecords
    }
    random = SplitMix64(seed: seed)
    self.world = world
    metrics = StreamMetrics(clock: world.clock)
    var cursor = opened.state.cursor
    if canary == .columnsAreForgotten { cursor?.opening = nil }
    var ingest = try IngestStage(
      IngestContext(
        configuration, cursor: cursor, gradientCursor: opened.state.checkpoint?.gradients,
        schedule: opened.schedule, metrics: metrics, inbox: inbox,
        clock: world.clock, warn: world.warn), source: opened.source, gradients: gradients)
    if canary == .splitEndsAreNotCheckpointed {
      ingest.checkpoints = CheckpointPolicy(
        opened.schedule, splitEndSeconds: .infinity, clock: world.clock)
    }
    flow = SerialFlow(
      FaultyIngest(ingest: ingest, canary: canary),
      OperateStage(
        configuration, from: opened.state, unitBytes: world.unitBytes, leastDeltaBytes: 0,
        clock: world.clock),
      try EncodeWorker(level: configuration.compressionLevel),
      EmitStage(streamName: configuration.name, opened.output, metrics: metrics))
  }

  /// Runs to the end.
  ///
  /// - Parameter stopsAfter: the number of steps after which the source is stopped.
  mutating func run(stopsAfter: Int) throws {
    var steps = 0
    var isStopped = false
    while !flow.hasEnded {
      steps += 1
      guard steps < Self.mostSteps else { throw Failure("the stream never ends") }
      if let failure, flow.isEmpty { throw failure }
      try world.act()
      switch Int.random(in: 0..<4, using: &random) {
      case 0:
        // A source without an end is stopped when all that it gave has come through.
        if flow.isQuiet, !isWoken, !isStopped { isStopped = try !world.rest() }
        stepSource(isStopped || steps > stopsAfter ? .end : .resume)
      case 1: try flow.stepMiddle()
      case 2: try flow.stepWorker(using: &random)
      default: try flow.stepSink()
      }
    }
  }

  /// Whether an idle source must be looked at again.
  private var isWoken: Bool {
    world.hasEvents() || idleUntil.map { world.clock.now() >= $0 } ?? false
  }

  private mutating func stepSource(_ signal: Signal<Nothing>) {
    guard flow.sourceMayStep, failure == nil else { return }
    if world.asksForCheckpoints, Int.random(in: 0..<50, using: &random) == 0 {
      inbox.put(StreamRequest(.checkpoint, of: "simulated") { _ in })
    } else if case .resume = signal, flow.awaiting != nil, !isWoken {
      return
    }
    do {
      try flow.stepSource(signal)
      idleUntil = flow.awaiting?.seconds.map { world.clock.now() + $0 }
    } catch {
      failure = error
    }
  }
}
