internal import Codecs
internal import Dataflow
internal import Records
internal import Storage
internal import Synchronization

/// What IngestStage hands to NormalizeStage.
enum IngestedItem: Sized, Sendable {
  /// What the start of the stream told, and the place before its first record, where that is not the
  /// place of an earlier run; comes first, once.
  case opened(StreamOpening, at: StreamPosition?)
  /// Consecutive records: whole mini-batches, small ones together, or, without a cut, a piece of the one
  /// under way.
  case records(RecordBlock)
  /// What was left out, and the place behind it, where no batch is under way there.
  case rejected([RejectedRecord], end: StreamPosition?)
  /// Nothing more is at hand: what was gathered is to be passed on.
  case idle
  /// Something an operator asks for; it comes from outside.
  case request(StreamRequest)
  /// The place in the input where reading ended; comes last. Where it `goesOn`, what follows the place
  /// is read again by a later run.
  case ended(StreamPosition, goesOn: Bool)

  var byteCount: Int {
    switch self {
    case .opened(let opening, _): opening.prologue.count
    case .records(let records): records.byteCount
    case .rejected(let records, _): records.byteCount
    case .idle, .request, .ended: 0
    }
  }
}

/// A command on its way to the stage that carries it out. Whatever becomes of the run, it is answered:
/// one that is dropped is refused.
final class StreamRequest: Sendable {
  let command: StreamCommand
  private let stream: String
  private let reply: @Sendable (Result<Void, CommandRefusal>) -> Void
  private let isAnswered = Atomic(false)

  /// - Parameters:
  ///   - stream: the name of the stream.
  ///   - reply: called once, when the command has taken effect or was refused.
  init(
    _ command: StreamCommand, of stream: String,
    reply: @escaping @Sendable (Result<Void, CommandRefusal>) -> Void
  ) {
    self.command = command
    self.stream = stream
    self.reply = reply
  }

  deinit {
    if !isAnswered.load(ordering: .relaxed) { reply(.failure(.notRunning(stream))) }
  }

  func answer(_ result: Result<Void, CommandRefusal>) {
    isAnswered.store(true, ordering: .relaxed)
    reply(result)
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

/// Normalised records that are worth a frame of their own, and all that leaves with them.
struct RecordUnit: Sized, Sendable {
  var encoder: (any RecordEncoder)?
  /// Whether the unit is the first, with what precedes the records.
  var startsStream = false
  /// The parts of blocks that are written: the selection of each.
  var blocks: [RecordBlock] = []
  var rejected: [RejectedRecord] = []
  /// When each mini-batch was cut, and its size; those that were passed on in pieces among them.
  var cuts: [BatchCut] = []
  /// The state after the batches, where it is to be kept.
  var checkpoint: Checkpoint?
  /// Answered when the checkpoint is kept.
  var requests: [StreamRequest] = []

  var isEmpty: Bool {
    blocks.isEmpty && rejected.isEmpty && cuts.isEmpty && checkpoint == nil && !startsStream
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
  /// What precedes the records, in the first unit.
  var prologue: [UInt8]?
  var bytes: [UInt8]
  var records = 0
  var cuts: [BatchCut] = []
  var rejected: [RejectedRecord] = []
  var checkpoint: Checkpoint?
  var requests: [StreamRequest] = []

  var byteCount: Int { (prologue?.count ?? 0) + bytes.count + rejected.byteCount }
}
