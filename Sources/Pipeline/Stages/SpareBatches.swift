internal import Codecs
internal import Dataflow
internal import Features

/// The memory of a stream's batches that were written, which those to come take: to allocate and free it,
/// on two threads, costs half of what a small batch does, and a large one is paged in each time.
final class SpareBatches: @unchecked Sendable {
  // @unchecked because every stored variable is only touched with `lock` held.

  /// What is given back beyond is freed.
  private static let mostBytes = 32 << 20

  /// In records. Batches of less left before they were full.
  private let capacity: Int
  private let lock = Lock()
  private var batches: [RecordBatch] = []
  private var byteCount = 0
  private var isInUse = false

  init(capacity: Int) {
    self.capacity = capacity
  }

  /// An empty batch, if there is one.
  func take() -> RecordBatch? {
    let spare = lock.withLock {
      isInUse = true
      let spare = batches.popLast()
      byteCount -= spare?.byteCount ?? 0
      return spare
    }
    guard var batch = spare else { return nil }
    batch.removeRecords()
    return batch
  }

  /// Takes batches that nobody else holds; where somebody does after all, the next to fill one copies it.
  func giveBack(_ spent: [RecordBatch]) {
    lock.withLock {
      for batch in spent where isInUse && batch.features.capacity >= capacity {
        guard byteCount + batch.byteCount <= Self.mostBytes else { return }
        byteCount += batch.byteCount
        batches.append(batch)
      }
    }
  }

  /// Frees all, and what comes back until the next is taken: the stream has nothing to do.
  func free() {
    let freed = lock.withLock {
      defer { batches = [] }
      byteCount = 0
      isInUse = false
      return batches
    }
    _ = consume freed
  }
}
