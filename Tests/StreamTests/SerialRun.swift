import Codecs
import Connectors
import Dataflow
import Records
import Storage
import TestSupport

@testable import Stream

/// The results of a stream whose stages take turns on one thread.
struct SerialRun {
  var output: [UInt8] = []
  var deadLetters: [UInt8] = []
  var rejected: [RejectedRecord] = []
  var checkpoint: Checkpoint?
  /// The number of records of each batch.
  var batchSizes: [Int] = []
  /// The sizes of the encoded units that are not empty, in bytes.
  var unitByteCounts: [Int] = []
  let metrics = StreamMetrics()

  var text: String { String(decoding: output, as: UTF8.self) }
  var lines: [Substring] { text.split(separator: "\n", omittingEmptySubsequences: false) }

  /// Drives the stages over `input`, read at most `piece` bytes at a time.
  ///
  /// - Parameters:
  ///   - isLive: whether the source has no end. The run stops it when it waits.
  ///   - taps: the clients that look at the records.
  ///   - gradients: those of γ and β.
  ///   - clock: the time, which stands still by default.
  ///   - stopsAfter: the number of steps of the source after which the run stops it.
  init(
    _ configuration: StreamConfiguration, _ input: [UInt8], piece: Int = .max,
    initial: Checkpoint? = nil, parameters: Parameters? = nil, isLive: Bool = false,
    taps: StreamTaps? = nil, gradients: GradientFeed? = nil, clock: ManualClock = ManualClock(),
    stopsAfter: Int = .max, warn: @escaping @Sendable (String) -> Void = { _ in }
  ) throws {
    let (sink, letters) = (CollectingSink(name: "out"), CollectingSink(name: "letters"))
    var flow = SerialFlow(
      try IngestStage(
        // The time stands still, so that no segment or checkpoint is due because the machine is slow.
        IngestContext(
          configuration, schedule: .atEnd, metrics: metrics, inbox: RequestInbox(),
          clock: clock.clock, warn: warn),
        source: PieceSource(input, piece: piece, isLive: isLive), gradients: gradients),
      OperateStage(
        configuration, from: InitialState(checkpoint: initial, parameters: parameters), taps: taps,
        clock: clock.clock),
      try EncodeWorker(level: configuration.compressionLevel),
      EmitStage(
        streamName: configuration.name, StreamOutput(sink: sink, deadLetters: letters),
        metrics: metrics))
    var random = SeededGenerator(seed: 1)
    var steps = 0
    while !flow.hasEnded {
      let isStopped = steps >= stopsAfter || flow.isQuiet
      if flow.sourceMayStep { steps += 1 }
      for case .records(let records) in try flow.stepSource(isStopped ? .end : .resume) {
        batchSizes += records.sizes
      }
      for unit in try flow.stepMiddle() { rejected += unit.events.badRecords }
      if let encoded = try flow.stepWorker(using: &random) {
        if encoded.encodedByteCount > 0 { unitByteCounts.append(encoded.encodedByteCount) }
        if let barrier = encoded.barrier {
          checkpoint = barrier.checkpoint
          checkpoint?.input = barrier.input
          checkpoint?.gradients = barrier.gradients
        }
      }
      try flow.stepSink()
    }
    output = sink.bytes
    deadLetters = letters.bytes
  }
}

/// A source of bytes that come in pieces.
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

/// A sink that keeps the bytes; used on one thread.
final class CollectingSink: ByteSink, @unchecked Sendable {
  // @unchecked because the serial driver runs on one thread.
  let name: String
  private(set) var bytes: [UInt8] = []

  init(name: String) { self.name = name }

  func begin(_ prologue: [UInt8], endingWith epilogue: (any Epilogue)?) throws(FileError) {
    bytes += prologue
  }
  func write(_ bytes: [UInt8]) throws(FileError) { self.bytes += bytes }
  func push() throws(FileError) -> Awaiting? { nil }
  func finish() throws(FileError) {}
}
