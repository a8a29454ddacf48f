internal import Codecs
internal import Dataflow
internal import Records
internal import Synchronization

/// The memory of a stream's batches that were written, which those to come take: small ones cost as much to
/// allocate and free, on two threads, as to normalise, and a large one would be paged in each time.
final class BlockPool: @unchecked Sendable {
  // @unchecked because every stored variable is only touched with `lock` held.

  /// Of all streams; what is given back beyond is freed.
  private static let mostBytes = 32 << 20
  private static let heldBytes = Atomic(0)

  private let lock = Lock()
  /// Of the batches asked for, in records; others left before they were full.
  private var capacity = 0
  private var slices: [RecordSlice] = []
  private var byteCount = 0 {
    didSet { Self.heldBytes.add(byteCount - oldValue, ordering: .relaxed) }
  }
  private var isInUse = false

  deinit { Self.heldBytes.subtract(byteCount, ordering: .relaxed) }

  /// An empty batch with room for so many records, if there is one; all are asked for alike.
  func take(capacity: Int) -> RecordBlock? {
    var spare: RecordBlock? = lock.withLock {
      isInUse = true
      self.capacity = capacity
      guard let batch = slices.popLast()?.batch else { return nil }
      byteCount -= batch.byteCount
      return batch
    }
    spare?.removeRecords()
    return spare
  }

  /// Takes batches, each with its last slice, that nobody else holds; where somebody does after all, the
  /// next to fill one copies it.
  func giveBack(_ spent: consuming [RecordSlice]) {
    lock.withLock {
      guard isInUse else { return }
      // Moved, not copied: the counts of owners have left the cache long ago.
      while let slice = spent.popLast() {
        let size = slice.batch.byteCount
        guard slice.endsBatch, slice.batch.columns.capacity == capacity else { continue }
        // Counted before it is looked at: other streams give back meanwhile.
        byteCount += size
        guard Self.heldBytes.load(ordering: .relaxed) <= Self.mostBytes else {
          byteCount -= size
          continue
        }
        slices.append(slice)
      }
    }
  }

  /// Frees all, and what comes back until the next is taken: the stream has nothing to do.
  func free() {
    let freed = lock.withLock {
      defer { slices = [] }
      byteCount = 0
      isInUse = false
      return slices
    }
    _ = consume freed
  }
}
