internal import Codecs
internal import Dataflow
internal import Features
internal import Storage

/// What IngestStage hands to NormalizeStage.
enum IngestedItem: Sized, Sendable {
  /// What the start of the stream told; comes first, once.
  case opened(StreamOpening)
  case batch(RecordBatch)
  case rejected([RejectedRecord])
  /// The place in the input where reading ended; comes last, if the start was known.
  case ended(StreamPosition)

  var byteCount: Int {
    switch self {
    case .opened(let opening): opening.prologue.count
    case .batch(let batch): batch.byteCount
    case .rejected(let records): records.byteCount
    case .ended: 0
    }
  }
}

/// A bad record that was left out of its stream.
struct RejectedRecord: Sendable {
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

/// What NormalizeStage hands to the encoders: enough batches to be worth a frame of their own.
struct NormalizedUnit: Sized, Sendable {
  var encoder: (any RecordEncoder)?
  /// Whether the unit is the first, with what precedes the records.
  var startsStream = false
  var batches: [RecordBatch] = []
  var rejected: [RejectedRecord] = []
  /// The state after the batches, where it is to be kept.
  var checkpoint: Checkpoint?

  var byteCount: Int { batches.reduce(rejected.byteCount) { $0 + $1.byteCount } }
}

/// What the encoders hand to EmitStage: the bytes of a unit, and what goes with them.
struct EncodedUnit: Sized, Sendable {
  var bytes: [UInt8]
  var records = 0
  var batches = 0
  var rejected: [RejectedRecord] = []
  var checkpoint: Checkpoint?

  var byteCount: Int { bytes.count + rejected.byteCount }
}
