internal import Connectors
internal import Records
internal import Storage

/// What a run of `evenkeel normalize` is put together from.
struct StreamParts {
  var source: any ByteSource
  var state: InitialState
  var output: StreamOutput
  var checkpoints: CheckpointSchedule?
  var stateLock: StateDirectoryLock?
  /// Why newer generations of the state were passed over.
  var skipped: [StorageError] = []

  /// A run from the beginning to the end.
  init(
    _ files: StreamFiles, _ state: InitialState, in fileSystem: any FileSystem
  ) throws(StreamError) {
    let context = ConnectorContext(fileSystem: fileSystem)
    do {
      source = try files.catalogue.sources.open(files.input, files.values, in: context)
    } catch {
      throw error.isMissing ? .inputMissing(error) : .inputOutput(error)
    }
    self.state = state
    do {
      output = StreamOutput(
        sink: try files.catalogue.sinks.open(files.output, files.values, in: context),
        deadLetters: try files.deadLetters.map { path throws(FileError) in
          try BuiltInSinks.all.open(path, in: context)
        }, keeper: try Self.finalCheckpoint(files, in: fileSystem))
      output.findDisks(state: files.checkpointOut ?? files.deadLetters)
    } catch {
      throw .outputRefused(error)
    }
    checkpoints = files.checkpointOut == nil ? nil : .atEnd
  }

  /// A run that goes on where an earlier one with the same state directory was killed.
  init(
    resuming directory: String, _ files: StreamFiles, _ state: InitialState,
    _ configuration: StreamConfiguration, in fileSystem: any FileSystem
  ) throws(StreamError) {
    let store: CheckpointStore
    let found: CheckpointStore.Found?
    var state = state
    do {
      stateLock = try StateDirectoryLock(directory, in: fileSystem)
      store = try CheckpointStore(
        directory: directory, keep: 2, configuration.stateReading, in: fileSystem)
      found = try store.newest()
    } catch {
      throw StreamError(error)
    }
    if let found { state.checkpoint = found.checkpoint }
    // A run that was complete opens no stream, which would look at the features too.
    try state.checkpoint?.checkSettings(configuration)
    var file: FileSource
    do {
      file = try FileSource(fileSystem.open(files.input, for: .reading), isRemembered: true)
    } catch {
      throw error.isMissing ? .inputMissing(error) : .inputOutput(error)
    }
    guard file.progress != nil, let mark = file.mark(ofRun: 0) else {
      throw .configuration("\(files.input): --resume needs a file, which can be read again")
    }
    // That of a checkpoint from elsewhere is a place in another input.
    let place = found?.checkpoint.position
    if let place, place.run != mark, place.finishedRuns != [mark] {
      throw .configuration(
        "\(directory): expected the state of \(files.input), found that of another input")
    }
    guard found?.checkpoint.output?.isIn(configuration.outputForm) ?? true else {
      throw .configuration(
        "\(directory): expected the format, compression and precision that the output began with, "
          + "found others")
    }
    if let found, !found.skipped.isEmpty {
      skipped = found.skipped
      do {
        try store.goBack(to: found, as: found.checkpoint)
      } catch {
        throw StreamError(error)
      }
    }
    do {
      var sink = ResumableFileSink(files.output, in: fileSystem)
      var letters = files.deadLetters.map { ResumableFileSink($0, in: fileSystem) }
      if let place, let position = found?.checkpoint.output {
        file.resume(from: place.finishedRuns ?? [], run: place.run)
        state.resumption = place
        try sink.resume(at: position)
        if let position = found?.checkpoint.deadLetters { try letters?.resume(at: position) }
      }
      // They have no start that the stream would give them.
      try letters?.begin([])
      output = StreamOutput(
        sink: sink, destination: configuration.outputForm, deadLetters: letters,
        keeper: StoredCheckpoints(
          store: store, final: try Self.finalCheckpoint(files, in: fileSystem)))
      output.findDisks(state: directory)
    } catch {
      throw .outputRefused(error)
    }
    source = file
    self.state = state
    checkpoints = files.schedule
  }

  private static func finalCheckpoint(
    _ files: StreamFiles, in fileSystem: any FileSystem
  ) throws(FileError) -> FinalCheckpoint? {
    try files.checkpointOut.map { path throws(FileError) in
      FinalCheckpoint(try AtomicFile(replacing: path, in: fileSystem))
    }
  }
}
