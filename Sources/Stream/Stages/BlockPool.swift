internal import Dataflow
internal import Records
internal import Synchronization

/// The memory of a stream's blocks that were written, for those to come. To allocate and free a small one
/// on two threads costs as much as to normalise it, and a large one would be paged in each time.
final class BlockPool: @unchecked Sendable {
  // @unchecked because every stored variable is only touched with `lock` held.

  /// In the pools of all streams together; a block that is given back beyond it is freed.
  private static let mostBytes = 32 << 20
  private static let heldBytes = Atomic(0)

  private let lock = Lock()
  /// Of the blocks asked for, in records; blocks of another capacity left before they were full.
  private var capacity = 0
  private var blocks: [RecordBlock] = []
  private var byteCount = 0 {
    didSet { Self.heldBytes.add(byteCount - oldValue, ordering: .relaxed) }
  }
  private var isInUse = false

  deinit { Self.heldBytes.subtract(byteCount, ordering: .relaxed) }

  /// An empty block with room for `capacity` records, if there is one; each call asks for the same.
  func take(capacity: Int) -> RecordBlock? {
    var spare: RecordBlock? = lock.withLock {
      isInUse = true
      self.capacity = capacity
      guard let block = blocks.popLast() else { return nil }
      byteCount -= block.byteCount
      return block
    }
    spare?.removeRecords()
    return spare
  }

  /// Takes blocks that nobody else holds: those of which the last part was written. If somebody holds one
  /// after all, the next to fill it copies it.
  func giveBack(_ spent: consuming [RecordBlock]) {
    lock.withLock {
      guard isInUse else { return }
      // Moved, not copied: the counts of owners have left the cache long ago.
      while let block = spent.popLast() {
        let size = block.byteCount
        guard block.columns.capacity == capacity, block.selection.upperBound == block.end else {
          continue
        }
        // Counted before it is looked at: other streams give back meanwhile.
        byteCount += size
        guard Self.heldBytes.load(ordering: .relaxed) <= Self.mostBytes else {
          byteCount -= size
          continue
        }
        blocks.append(block)
      }
    }
  }

  /// Frees all blocks, and those that come back before the next `take`: the stream has nothing to do.
  func free() {
    let freed = lock.withLock {
      defer { blocks = [] }
      byteCount = 0
      isInUse = false
      return blocks
    }
    _ = consume freed
  }
}
