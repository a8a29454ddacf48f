internal import Codecs
internal import Dataflow
internal import Records

/// The mini-batch under way: its records, the rejected ones that came with them, and what of both has left.
struct OpenBatch: Sendable {
  /// The most rejected records, and about the most bytes of them, that wait to be told.
  private static let mostRejected = 64
  private static let mostRejectedBytes = 256 << 10

  var records: Batcher
  /// When the batch is cut at the latest; nil while it is empty.
  var cutsAt: Instant?
  private(set) var rejected: [RejectedRecord] = []
  /// Whether records have left that come after the last place where a later run can go on: rejected ones
  /// after the last cut, or a batch that was cut inside a unit.
  private(set) var isAheadOfCut = false

  init(_ records: Batcher) {
    self.records = records
  }

  /// Whether all that has left belongs to batches that are cut.
  var hasLeftWhole: Bool { !records.aPartHasLeft && !isAheadOfCut }

  mutating func leaveOut(_ record: RejectedRecord) { rejected.append(record) }

  /// Whether so many rejected records wait that they must not wait for the cut.
  var isFlooded: Bool {
    rejected.count >= Self.mostRejected || rejected.byteCount >= Self.mostRejectedBytes
  }

  mutating func takeRejected() -> [RejectedRecord] {
    defer { rejected = [] }
    if !records.isBetweenBatches { isAheadOfCut = true }
    return rejected
  }

  /// Cuts the batch, after its last record.
  mutating func cut(at position: StreamPosition) {
    records.cut(at: position)
    cutsAt = nil
    isAheadOfCut = records.isInsideUnit
  }
}
