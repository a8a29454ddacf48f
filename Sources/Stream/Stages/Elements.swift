internal import Codecs
internal import Dataflow
internal import Records

/// What IngestStage hands to OperateStage.
enum IngestedItem: Sized, Sendable {
  /// The opening of the stream; comes first, and again before records with other columns.
  case opened(StreamOpening)
  /// Consecutive records: whole mini-batches, small ones together, or, without a cut, a piece of the one
  /// under way.
  case records(RecordBlock)
  /// Records that were left out.
  case rejected([RejectedRecord])
  /// Nothing more is at hand: what was gathered is to be passed on.
  case idle
  /// Something an operator asks for; all records before it belong to batches that are cut.
  case request(StreamRequest)
  /// A checkpoint is to be taken here: all records before it belong to batches that are cut.
  case barrier(Barrier)
  /// Reading has ended; a last barrier may follow. If it `goesOn`, the batch under way was not cut: a later
  /// run reads its records again.
  case ended(goesOn: Bool)

  var byteCount: Int {
    switch self {
    case .opened(let opening): opening.prologue.count
    case .records(let records): records.byteCount
    case .rejected(let records): records.byteCount
    case .idle, .request, .barrier, .ended: 0
    }
  }
}

/// A bad record that was left out of its stream.
package struct RejectedRecord: Sendable {
  /// Counted from 1.
  var record: Int
  /// The offset of its first byte in the decompressed stream.
  var byteOffset: Int
  var fault: RecordFault
  /// The record as it came, line end included; empty where nobody will look at it.
  var bytes: [UInt8]
}

extension [RejectedRecord] {
  var byteCount: Int { reduce(0) { $0 + $1.bytes.count } }
}

/// Normalised records that are worth a frame of their own, and all that leaves with them.
struct RecordUnit: Sized, Sendable {
  var encoder: (any RecordEncoder)?
  /// Whether a prologue precedes the records: in the first unit, and where the columns change.
  var startsStream = false
  /// The parts of blocks that are written: the selection of each.
  var blocks: [RecordBlock] = []
  var events: [StreamEvent] = []
  /// When each mini-batch was cut, and its size; those that were passed on in pieces among them.
  var cuts: [BatchCut] = []
  /// Stands after all the records.
  var barrier: Barrier?

  var isEmpty: Bool {
    blocks.isEmpty && events.isEmpty && cuts.isEmpty && barrier == nil && !startsStream
  }

  /// The size of what is to be written.
  var byteCount = 0
}

/// The end of a mini-batch.
struct BatchCut: Sendable {
  var records: Int
  /// In nanoseconds of the monotonic clock.
  var time: UInt64
}

/// The bytes of a unit as they are written, and all that leaves with them.
struct EncodedBlock: Sized, Sendable {
  /// What precedes the records, in the first unit and where the columns change.
  var prologue: [UInt8]?
  var bytes: [UInt8]
  var records = 0
  var cuts: [BatchCut] = []
  var events: [StreamEvent] = []
  var barrier: Barrier?

  var byteCount: Int { (prologue?.count ?? 0) + bytes.count + events.byteCount }
}
