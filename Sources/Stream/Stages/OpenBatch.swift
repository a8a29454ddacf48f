internal import Codecs
internal import Dataflow
internal import Records

/// The open mini-batch: its records, the rejected ones among them, and how much of both has left.
struct OpenBatch: Sendable {
  /// The most rejected records, and approximately the most bytes of them, that wait.
  private static let mostRejected = 64
  private static let mostRejectedBytes = 256 << 10

  var records: Batcher
  /// The latest time of the cut; nil while the batch is empty.
  var cutsAt: Instant?
  private(set) var rejected: [RejectedRecord] = []
  /// The prologue of the stream after the last record taken; nil if it is that of the opening.
  var prologue: [UInt8]?
  /// Whether records have left after the last position at which a later run can resume: rejected ones after the last
  /// cut, or a batch that was cut inside a unit.
  private(set) var isAheadOfCut = false

  init(_ records: Batcher) {
    self.records = records
  }

  /// Whether everything that has left belongs to batches that are cut.
  var hasLeftWhole: Bool { !records.aPartHasLeft && !isAheadOfCut }

  /// Whether no batch is open, and no unit.
  var isBetweenUnits: Bool { records.isBetweenBatches && !records.isInsideUnit }

  mutating func leaveOut(_ record: RejectedRecord) { rejected.append(record) }

  /// Whether so many rejected records wait that they must leave before the cut.
  var isFlooded: Bool {
    rejected.count >= Self.mostRejected || rejected.byteCount >= Self.mostRejectedBytes
  }

  mutating func takeRejected() -> [RejectedRecord] {
    defer { rejected = [] }
    if !records.isBetweenBatches { isAheadOfCut = true }
    return rejected
  }

  /// Cuts the batch after its last record.
  mutating func cut(at position: StreamPosition) {
    records.cut(at: position)
    cutsAt = nil
    isAheadOfCut = records.isInsideUnit
  }
}
