internal import Connectors
internal import Records
internal import Storage

/// The newest checkpoint of a stream, and the place of the later ones.
struct RestoredState {
  /// The checkpoint to start from.
  private(set) var checkpoint: Checkpoint?
  /// The newest checkpoint of an earlier run; nil if there is none.
  private(set) var found: CheckpointStore.Found?
  /// The checkpoints in a directory.
  private(set) var kept: StoredCheckpoints?
  /// The checkpoints in a topic.
  private(set) var topic: TopicCheckpoints?
  /// The lock of the directory, if the run takes it.
  private(set) var lock: StateDirectoryLock?
  /// The place at which an earlier run without a checkpoint began.
  private var start: InputCursor?

  init(_ plan: StreamPlan, in context: ConnectorContext) throws(StreamError) {
    do throws(StorageError) {
      switch plan.state {
      case .file(let path):
        checkpoint = try path.map { path throws(StorageError) in
          try CheckpointFile.read(path, plan.configuration.stateReading, in: context.fileSystem)
        }
      case .directory(let directory): try read(directory, plan, in: context.fileSystem)
      case .topic: break
      }
    } catch {
      throw StreamError(error)
    }
    if case .topic(let place) = plan.state { try read(place, plan, in: context) }
  }

  private mutating func read(
    _ directory: StreamPlan.StateDirectory, _ plan: StreamPlan, in fileSystem: any FileSystem
  ) throws(StorageError) {
    let reading = plan.configuration.stateReading
    if directory.needsLock {
      lock = try StateDirectoryLock(directory.path, in: fileSystem)
    }
    let store = try CheckpointStore(
      directory: directory.path, keep: directory.keep, reading, in: fileSystem)
    found = try store.newest()
    checkpoint = found?.checkpoint
    // The files that were begun are open too, at their beginnings.
    checkpoint?.input?.splits += found?.begun ?? []
    if found == nil, let initial = directory.initial {
      checkpoint = try CheckpointFile.read(initial, reading, in: fileSystem)
    }
    kept = StoredCheckpoints(
      store: store,
      list: try DoneList(
        in: directory.path, at: found?.checkpoint.input?.doneList, keep: directory.keep,
        of: fileSystem))
  }

  private mutating func read(
    _ place: TopicState, _ plan: StreamPlan, in context: ConnectorContext
  ) throws(StreamError) {
    if plan.deadLetters != nil {
      do throws(FileError) {
        try context.fileSystem.createDirectoriesDurably(place.directory)
      } catch {
        throw .outputRefused(error)
      }
    }
    var claimed = try TopicCheckpoints(place, of: plan.configuration.name, in: context)
    let restored = try claimed.restore(plan.configuration.stateReading)
    topic = claimed
    found = restored.found
    checkpoint = found?.checkpoint
    start = restored.start.map { InputCursor(done: $0) }
  }

  /// The cursor at which the source is opened.
  var cursor: InputCursor? { found == nil ? start : checkpoint?.input }

  /// Stores the place at which the source begins, if nothing tells it yet and the state is in a topic.
  mutating func begin(_ source: any Source) throws(StreamError) {
    guard found == nil, start == nil, let done = source.done else { return }
    try topic?.begin(at: done)
  }

  /// Stores the checkpoints of the run.
  ///
  /// - Parameter final: stores the last one in a file of its own too.
  func keeper(and final: FinalCheckpoint?) -> (any CheckpointKeeper)? {
    if var kept {
      kept.final = final
      return kept
    }
    if let topic { return topic }
    return final
  }
}
