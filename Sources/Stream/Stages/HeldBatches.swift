internal import Records

/// The batches that operators hold until the running moments can be used.
struct HeldBatches: Sendable {
  /// The most records to hold.
  static let mostRecords = 1 << 20
  /// The most memory for them, in bytes.
  static let mostBytes = 256 << 20

  private var batches: [RecordBlock] = []
  /// Their approximate memory, in bytes.
  private(set) var byteCount = 0
  /// A barrier that came while batches were held. The next barrier takes it over.
  var barrier: Barrier?

  var isEmpty: Bool { batches.isEmpty }

  mutating func append(_ batch: consuming RecordBlock) {
    byteCount += batch.byteCount
    batches.append(batch)
  }

  /// Takes all batches out, in order.
  mutating func takeAll() -> [RecordBlock] {
    defer { (batches, byteCount) = ([], 0) }
    return batches
  }

  /// Merges the waiting barrier into a later one.
  mutating func merge(into later: inout Barrier) {
    if let earlier = barrier.take() { later.replace(earlier) }
  }
}
