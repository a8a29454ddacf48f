internal import Records
internal import Storage

/// Where checkpoints are kept.
protocol CheckpointKeeper: Sendable {
  /// Takes the state after all that was passed on.
  ///
  /// - Parameter changes: what changed since the last one of the splits that are done.
  /// - Returns: the bytes that were written; 0 if the state is written at the end.
  mutating func keep(
    _ checkpoint: Checkpoint, _ changes: DoneChanges
  ) throws(StorageError) -> Int
  /// Does what may fail before the output has its name.
  mutating func prepare() throws(StorageError)
  /// Makes the last state durable, after the output.
  mutating func finish() throws(StorageError)
}

/// Keeps the last state in one file, which appears after the output has.
struct FinalCheckpoint: CheckpointKeeper {
  private let file: AtomicFile
  private var last: Checkpoint?

  init(_ file: AtomicFile) {
    self.file = file
  }

  mutating func keep(_ checkpoint: Checkpoint, _ changes: DoneChanges) -> Int {
    last = checkpoint
    return 0
  }

  mutating func prepare() throws(StorageError) {
    guard let last else { return }
    let bytes: [UInt8]
    do throws(ContentError) {
      bytes = try last.serialized()
    } catch {
      throw .content(path: file.path, error)
    }
    do throws(FileError) {
      try file.write(bytes)
    } catch {
      throw .file(error)
    }
  }

  mutating func finish() throws(StorageError) {
    guard last != nil else { return }
    do throws(FileError) {
      try file.commit()
    } catch {
      throw .file(error)
    }
  }
}

/// Keeps every state as the next generation of a store, at once, after the list of the splits that are
/// done; and the last one in a file of its own too if that is wanted.
struct StoredCheckpoints: CheckpointKeeper {
  let store: CheckpointStore
  var list: DoneList
  var final: FinalCheckpoint?

  mutating func keep(
    _ checkpoint: Checkpoint, _ changes: DoneChanges
  ) throws(StorageError) -> Int {
    var checkpoint = checkpoint
    checkpoint.input?.doneList = try list.commit(changes)
    let path = try store.write(checkpoint)
    list.prune()
    _ = final?.keep(checkpoint, changes)
    return store.byteCount(of: path)
  }

  mutating func prepare() throws(StorageError) { try final?.prepare() }
  mutating func finish() throws(StorageError) { try final?.finish() }
}
