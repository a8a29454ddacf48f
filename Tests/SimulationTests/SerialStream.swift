import Connectors
import Dataflow
import Storage
import Synthetic

@testable import Stream

/// The stages of a stream on one thread, in an order drawn from a seed, within bounds like those of the
/// channels between them.
struct SerialStream {
  private static let mostIngested = 4
  private static let mostUnits = 2
  private static let mostEncodings = 3

  /// A unit on its way through the workers, which finish in any order.
  private enum Encoding {
    case waiting(RecordUnit)
    case done(EncodedBlock)
  }

  let metrics = StreamMetrics(clock: Scenario.clock)
  private let inbox = RequestInbox()
  private var ingest: IngestStage
  private var normalize: OperateStage
  private var worker: EncodeWorker
  private var emit: EmitStage
  private var ingested: [IngestedItem] = []
  private var units: [RecordUnit] = []
  private var encodings: [Encoding] = []
  private var ingestHasEnded = false
  /// Whether the source has nothing more for now.
  private var isIdle = false
  private var normalizeHasEnded = false
  private var hasEnded = false
  private var emitWaitsForDisk = false
  /// Whether an operator asks for checkpoints, before the stream has begun too.
  private let asksForCheckpoints: Bool
  private var random: SplitMix64

  init(_ opened: OpenedStream, _ scenario: Scenario, seed: UInt64) throws {
    let configuration = opened.configuration
    random = SplitMix64(seed: seed)
    asksForCheckpoints = scenario.variesCadence
    ingest = try IngestStage(
      IngestContext(
        configuration, cursor: opened.state.cursor, schedule: opened.schedule, metrics: metrics,
        inbox: inbox, clock: Scenario.clock), source: opened.source)
    normalize = OperateStage(
      configuration, from: opened.state, unitBytes: scenario.unitBytes, clock: Scenario.clock)
    worker = try EncodeWorker(level: configuration.compressionLevel)
    emit = EmitStage(streamName: configuration.name, opened.output, metrics: metrics)
  }

  /// Runs to the end.
  ///
  /// - Parameter stopsAfter: the number of steps after which the source is stopped.
  mutating func run(stopsAfter: Int) throws {
    var steps = 0
    while !hasEnded {
      steps += 1
      switch Int.random(in: 0..<4, using: &random) {
      case 0:
        // A source without an end is stopped when all that it gave has come through.
        let isQuiet = isIdle && ingested.isEmpty && units.isEmpty && encodings.isEmpty
        try stepIngest(steps > stopsAfter || isQuiet ? .end : .resume)
      case 1: try stepNormalize()
      case 2: try stepEncode()
      default: try stepEmit()
      }
    }
  }

  private mutating func stepIngest(_ signal: Signal<Nothing>) throws {
    guard !ingestHasEnded, ingested.count < Self.mostIngested else { return }
    var items: [IngestedItem] = []
    if asksForCheckpoints, Int.random(in: 0..<50, using: &random) == 0 {
      inbox.put(StreamRequest(.checkpoint, of: "simulated") { _ in })
    }
    let progress = try ingest.step(signal) { items.append($0) }
    ingestHasEnded = progress == .finished
    if case .waits = progress { isIdle = true } else { isIdle = false }
    ingested += items
  }

  private mutating func stepNormalize() throws {
    guard !normalizeHasEnded, units.count < Self.mostUnits else { return }
    guard !ingested.isEmpty || ingestHasEnded else { return }
    let signal: Signal<IngestedItem> = ingested.isEmpty ? .end : .element(ingested.removeFirst())
    var sent: [RecordUnit] = []
    normalizeHasEnded = try normalize.step(signal) { sent.append($0) } == .finished
    units += sent
  }

  private mutating func stepEncode() throws {
    if !units.isEmpty, encodings.count < Self.mostEncodings {
      encodings.append(.waiting(units.removeFirst()))
    }
    guard let index = encodings.indices.randomElement(using: &random),
      case .waiting(let unit) = encodings[index]
    else { return }
    encodings[index] = .done(try worker.work(unit))
  }

  private mutating func stepEmit() throws {
    if emitWaitsForDisk {
      try stepEmit(.resume)
    } else if case .done(let unit) = encodings.first {
      encodings.removeFirst()
      try stepEmit(.element(unit))
    } else if normalizeHasEnded, units.isEmpty, encodings.isEmpty {
      try stepEmit(.end)
    }
  }

  private mutating func stepEmit(_ signal: Signal<EncodedBlock>) throws {
    let progress = try emit.step(signal) { _ in }
    hasEnded = progress == .finished
    emitWaitsForDisk =
      if case .waits(let awaiting) = progress { awaiting.disk != nil } else { false }
  }
}
