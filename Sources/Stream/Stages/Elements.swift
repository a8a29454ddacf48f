internal import Codecs
internal import Dataflow
internal import Records

/// An item from IngestStage to OperateStage.
enum IngestedItem: Sized, Sendable {
  /// The opening of the stream. It is first, and comes again before records with other columns.
  case opened(StreamOpening)
  /// Consecutive records: whole mini-batches, several small ones together; or, without a cut, a part of the open
  /// mini-batch.
  case records(RecordBlock)
  /// The source has begun a split. Its cursor is that of its beginning.
  case begun(SplitCursor)
  /// Records that were dropped.
  case rejected([RejectedRecord])
  /// The source has no more records for now, so the gathered ones leave.
  case idle
  /// Requests of operators, in their order. All records before them belong to batches that are cut.
  case requests([StreamRequest])
  /// A checkpoint must be taken here. All records before it belong to batches that are cut.
  case barrier(Barrier)
  /// Reading has ended; a last barrier may follow. If `goesOn`, the open batch was not cut, because a later run reads
  /// its records again.
  case ended(goesOn: Bool)

  var byteCount: Int {
    switch self {
    case .opened(let opening): opening.prologue.count
    case .records(let records): records.byteCount
    case .rejected(let records): records.byteCount
    case .requests(let requests): requests.reduce(0) { $0 + $1.byteCount }
    case .begun, .idle, .barrier, .ended: 0
    }
  }
}

/// A bad record that was dropped from its stream.
package struct RejectedRecord: Sendable, CustomStringConvertible {
  /// The name of its file or connection; empty if the stream has one split.
  var split: String
  /// The number of the record, from 1.
  var record: Int
  /// The offset of its first byte in the decompressed stream; nil if it is not known any more.
  var byteOffset: Int?
  var fault: RecordFault
  /// The record with its line end; empty if no consumer needs it.
  var bytes: [UInt8]
  /// The message that it came in; nil if the stream does not keep them.
  var origin: MessageOrigin?
  /// Whether it was read well, and turned out bad when it was normalised.
  var wasRead = false

  /// Whether it stays in the output, without its features.
  package var staysInOutput: Bool { fault.staysInOutput }

  package var description: String {
    (split.isEmpty ? "" : "\(split): ") + "\(recordPlace(record, byteOffset)): \(fault)"
  }
}

extension [RejectedRecord] {
  var byteCount: Int { reduce(0) { $0 + $1.bytes.count } }
}

/// Normalised records that fill a frame, and the events and barriers that leave with them. It holds blocks
/// and their encoder first, then the bytes that an EncodeWorker made of them.
struct OutputUnit: Sized, Sendable {
  var encoder: (any RecordEncoder)?
  /// Whether a prologue comes before the records: in the first unit, and when the columns change.
  var startsStream = false
  /// The blocks whose selections are written. Empty once they are encoded.
  var blocks: [RecordBlock] = []
  var events: [StreamEvent] = []
  /// The splits that the source had begun before the records of the unit.
  var begun: [SplitCursor] = []
  /// The mini-batches that end in this unit, with their sizes and the times of their cuts.
  var cuts: [BatchCut] = []
  /// Comes after all records of the unit.
  var barrier: Barrier?

  /// The prologue as it is written, if the unit starts the stream and is encoded.
  var prologue: [UInt8]?
  /// The epilogue as it is written, if the unit starts the stream.
  var epilogue: (any Epilogue)?
  /// The prologue of files and readers that begin after the unit, if the unit changes it.
  var nextPrologue: [UInt8]?
  /// The blocks as they are written.
  var bytes: [UInt8] = []
  /// The blocks as they are written, if the encoder hands its memory over; then `bytes` is empty.
  var pieces: [[UInt8]] = []
  /// The message that each record came in, or that each of `pieces` came in; empty if the sink does not keep them.
  var origins: [MessageOrigin] = []
  /// The number of records in `bytes` or `pieces`.
  var records = 0

  /// The size of the output in bytes: about, and once it is encoded exactly.
  var byteCount = 0

  /// The size of the encoded blocks.
  var encodedByteCount: Int { pieces.reduce(bytes.count) { $0 + $1.count } }

  var isEmpty: Bool {
    blocks.isEmpty && events.isEmpty && begun.isEmpty && cuts.isEmpty && barrier == nil
      && !startsStream
  }
}

/// The end of a mini-batch.
struct BatchCut: Sendable {
  var records: Int
  /// In nanoseconds of the monotonic clock.
  var time: UInt64
}
