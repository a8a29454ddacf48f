internal import Dataflow
internal import Records
internal import Synchronization

/// Keeps the memory of a stream's written blocks for later ones. To allocate a small block on one thread and free it
/// on another takes as long as to normalise it. The pages of a large one would have to be mapped each time.
final class BlockPool: @unchecked Sendable {
  // @unchecked because every stored variable is only touched with `lock` held.

  /// The most memory in the pools of all streams. A block beyond it is freed.
  private static let mostBytes = 32 << 20
  private static let heldBytes = Atomic(0)

  private let lock = Lock()
  /// The capacity of the requested blocks, in records. Blocks with another capacity left before they were full.
  private var capacity = 0
  private var blocks: [RecordBlock] = []
  private var byteCount = 0 {
    didSet { Self.heldBytes.add(byteCount - oldValue, ordering: .relaxed) }
  }
  private var isInUse = false

  deinit { Self.heldBytes.subtract(byteCount, ordering: .relaxed) }

  /// An empty block with room for `capacity` records, if there is one. Blocks with another capacity are freed: most
  /// streams ask for one alone.
  func take(capacity: Int) -> RecordBlock? {
    var others: [RecordBlock] = []
    var spare: RecordBlock? = lock.withLock {
      isInUse = true
      self.capacity = capacity
      while let block = blocks.popLast() {
        byteCount -= block.byteCount
        if block.columns.capacity == capacity { return block }
        others.append(block)
      }
      return nil
    }
    spare?.removeRecords()
    return spare
  }

  /// Takes blocks that were written and have no other owner. If one has another owner, the next user copies it.
  func giveBack(_ spent: consuming [RecordBlock]) {
    lock.withLock {
      guard isInUse else { return }
      // Moved, not copied: the reference counts left the cache long ago.
      while let block = spent.popLast() {
        let size = block.byteCount
        guard block.columns.capacity == capacity, block.selection.upperBound == block.end else {
          continue
        }
        // Added before the comparison, because other streams give blocks back at the same time.
        byteCount += size
        guard Self.heldBytes.load(ordering: .relaxed) <= Self.mostBytes else {
          byteCount -= size
          continue
        }
        blocks.append(block)
      }
    }
  }

  /// Frees all blocks, and those that come back before the next `take`, because the stream is idle.
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
