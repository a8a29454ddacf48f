internal import Dataflow
internal import Records
internal import Storage

/// Stores checkpoints.
protocol CheckpointKeeper: Sendable {
  /// Whether it takes checkpoints that have only what changed.
  var takesDeltas: Bool { get }
  /// Stores the state after all output that was passed on.
  ///
  /// - Parameter changes: the changes of the list of done splits since the last call.
  /// - Returns: the number of bytes written; 0 if the state is written at the end.
  mutating func keep(
    _ checkpoint: Checkpoint, _ changes: DoneChanges
  ) throws(StorageError) -> Int
  /// Waits until the last checkpoint is stored. No later output is written before.
  ///
  /// - Returns: nil if it is; otherwise what to wait for before the next call.
  mutating func settle() throws(StreamError) -> Awaiting?
  /// Records splits that the source has begun, before any output of them is written.
  mutating func add(_ begun: [SplitCursor]) throws(StorageError)
  /// Does the steps that may fail before the output gets its name.
  mutating func prepare() throws(StorageError)
  /// Makes the last state durable. Call it after the output is complete.
  mutating func finish() throws(StorageError)
}

extension CheckpointKeeper {
  var takesDeltas: Bool { true }
  mutating func settle() throws(StreamError) -> Awaiting? { nil }
}

/// Stores the last state in one file, which appears after the output.
struct FinalCheckpoint: CheckpointKeeper {
  private let file: AtomicFile
  /// A whole one.
  private var last: Checkpoint?

  init(_ file: AtomicFile) {
    self.file = file
  }

  mutating func keep(
    _ checkpoint: Checkpoint, _ changes: DoneChanges
  ) throws(StorageError) -> Int {
    guard checkpoint.delta != nil, let earlier = last.take() else {
      last = checkpoint
      return 0
    }
    do throws(ContentError) {
      last = try checkpoint.joined(to: earlier)
    } catch {
      throw .content(path: file.path, error)
    }
    return 0
  }

  mutating func add(_ begun: [SplitCursor]) {}

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

/// Stores every state at once as the next generation of a store, after the list of done splits. Optionally stores
/// the last state in a separate file too.
struct StoredCheckpoints: CheckpointKeeper {
  let store: CheckpointStore
  var list: DoneList
  var final: FinalCheckpoint?
  /// The splits that were begun after the newest checkpoint; nil if there are none.
  private var begun: BegunSplits?
  /// The checksum of the newest checkpoint that this run has written.
  private var newest: String?

  init(store: CheckpointStore, list: DoneList) {
    (self.store, self.list) = (store, list)
  }

  mutating func keep(
    _ checkpoint: Checkpoint, _ changes: DoneChanges
  ) throws(StorageError) -> Int {
    var checkpoint = checkpoint
    checkpoint.input?.doneList = try list.commit(changes)
    let written = try store.write(checkpoint, after: newest)
    newest = written.checksum
    begun = nil
    list.prune()
    _ = try final?.keep(checkpoint, changes)
    return store.byteCount(of: written.path)
  }

  mutating func add(_ splits: [SplitCursor]) throws(StorageError) {
    if begun == nil { begun = try store.makeBegunSplits() }
    do throws(FileError) {
      try begun?.add(splits)
    } catch {
      throw .file(error)
    }
  }

  mutating func prepare() throws(StorageError) { try final?.prepare() }
  mutating func finish() throws(StorageError) { try final?.finish() }
}
