import Codecs
import Connectors
import Dataflow
import Records
import Storage
import TestSupport

@testable import Stream

/// What came of a stream whose stages were driven one after another on one thread.
struct SerialRun {
  var output: [UInt8] = []
  var deadLetters: [UInt8] = []
  var rejected: [RejectedRecord] = []
  var checkpoint: Checkpoint?
  /// The records of every batch, as they were cut.
  var batchSizes: [Int] = []
  /// The bytes of every encoded unit that has some.
  var unitByteCounts: [Int] = []
  let metrics = StreamMetrics()

  var text: String { String(decoding: output, as: UTF8.self) }
  var lines: [Substring] { text.split(separator: "\n", omittingEmptySubsequences: false) }

  /// Drives the stages over `input`, read at most `piece` bytes at a time.
  ///
  /// - Parameters:
  ///   - isLive: whether the source has no end of its own, and is stopped where it waits.
  ///   - stopsAfter: the number of steps of the source after which it is stopped.
  init(
    _ configuration: StreamConfiguration, _ input: [UInt8], piece: Int = .max,
    initial: Checkpoint? = nil, parameters: Parameters? = nil, isLive: Bool = false,
    stopsAfter: Int = .max
  ) throws {
    let (sink, letters) = (CollectingSink(name: "out"), CollectingSink(name: "letters"))
    var ingest = try IngestStage(
      IngestContext(
        configuration, schedule: .atEnd, metrics: metrics, inbox: RequestInbox()),
      source: PieceSource(input, piece: piece, isLive: isLive))
    var normalize = OperateStage(
      configuration, from: InitialState(checkpoint: initial, parameters: parameters))
    var worker = try EncodeWorker(level: configuration.compressionLevel)
    var emit = EmitStage(
      streamName: configuration.name, StreamOutput(sink: sink, deadLetters: letters),
      metrics: metrics)
    func pass(_ signal: Signal<IngestedItem>, to run: inout SerialRun) throws {
      var units: [RecordUnit] = []
      _ = try normalize.step(signal) { units.append($0) }
      for unit in units {
        run.rejected += unit.events.badRecords
        let encoded = try worker.work(unit)
        if !encoded.bytes.isEmpty { run.unitByteCounts.append(encoded.bytes.count) }
        if let barrier = encoded.barrier {
          run.checkpoint = barrier.checkpoint
          run.checkpoint?.input = barrier.input
        }
        _ = try emit.step(.element(encoded)) { _ in }
      }
    }
    var signal = Signal<Nothing>.resume
    var steps = 0
    while true {
      var items: [IngestedItem] = []
      let progress = try ingest.step(signal) { items.append($0) }
      for item in items {
        if case .records(let records) = item { batchSizes += records.sizes }
        try pass(.element(item), to: &self)
      }
      signal = .resume
      steps += 1
      if case .waits = progress { signal = .end }
      if steps == stopsAfter { signal = .end }
      if progress == .finished { break }
    }
    try pass(.end, to: &self)
    _ = try emit.step(.end) { _ in }
    output = sink.bytes
    deadLetters = letters.bytes
  }
}

/// Gives bytes piece by piece.
struct PieceSource: Source {
  let name = "pieces"
  let size: Int?
  let endsAnywhere = false
  private let piece: Int
  private let isLive: Bool
  private var rest: ArraySlice<UInt8>

  init(_ bytes: [UInt8], piece: Int, isLive: Bool) {
    size = isLive ? nil : bytes.count
    self.piece = piece
    self.isLive = isLive
    rest = bytes[...]
  }

  mutating func read(
    into buffer: UnsafeMutableRawBufferPointer
  ) throws(FileError) -> SourceEvent {
    guard !rest.isEmpty else { return isLive ? .idle(Awaiting(.readable(descriptor: 0))) : .end }
    let count = min(piece, buffer.count, rest.count)
    buffer.copyBytes(from: rest.prefix(count))
    rest = rest.dropFirst(count)
    return .data(0, .bytes(count))
  }

  mutating func abandon(_ split: SplitID) {}
}

/// Keeps what is written to it; used on one thread.
final class CollectingSink: ByteSink, @unchecked Sendable {
  // @unchecked because the serial driver runs on one thread.
  let name: String
  private(set) var bytes: [UInt8] = []

  init(name: String) { self.name = name }

  func begin(_ prologue: [UInt8]) throws(FileError) { bytes += prologue }
  func write(_ bytes: [UInt8]) throws(FileError) { self.bytes += bytes }
  func push() throws(FileError) -> Awaiting? { nil }
  func finish() throws(FileError) {}
}
