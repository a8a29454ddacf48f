import Connectors
import Dataflow
import Storage
import Synthetic
import TestSupport

@testable import Stream

/// The stages of a stream on one thread, in an order drawn from a seed, within bounds like those of the
/// channels between them.
struct SerialStream {
  let metrics = StreamMetrics(clock: Scenario.clock)
  private let inbox = RequestInbox()
  private var flow: SerialFlow<IngestStage, OperateStage, EncodeWorker, EmitStage>
  /// Whether an operator asks for checkpoints, before the stream has begun too.
  private let asksForCheckpoints: Bool
  private var random: SplitMix64

  init(_ opened: OpenedStream, _ scenario: Scenario, seed: UInt64) throws {
    let configuration = opened.configuration
    random = SplitMix64(seed: seed)
    asksForCheckpoints = scenario.variesCadence
    flow = SerialFlow(
      try IngestStage(
        IngestContext(
          configuration, cursor: opened.state.cursor, schedule: opened.schedule, metrics: metrics,
          inbox: inbox, clock: Scenario.clock), source: opened.source),
      OperateStage(
        configuration, from: opened.state, unitBytes: scenario.unitBytes, clock: Scenario.clock),
      try EncodeWorker(level: configuration.compressionLevel),
      EmitStage(streamName: configuration.name, opened.output, metrics: metrics))
  }

  /// Runs to the end.
  ///
  /// - Parameter stopsAfter: the number of steps after which the source is stopped.
  mutating func run(stopsAfter: Int) throws {
    var steps = 0
    while !flow.hasEnded {
      steps += 1
      switch Int.random(in: 0..<4, using: &random) {
      case 0:
        if asksForCheckpoints, flow.sourceMayStep, random.once(in: 50) {
          inbox.put(StreamRequest(.checkpoint, of: "simulated") { _ in })
        }
        // A source without an end is stopped when all that it gave has come through.
        try flow.stepSource(steps > stopsAfter || flow.isQuiet ? .end : .resume)
      case 1: try flow.stepMiddle()
      case 2: try flow.stepWorker(using: &random)
      default: try flow.stepSink()
      }
    }
  }
}
