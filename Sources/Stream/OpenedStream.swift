package import Connectors
package import Dataflow
internal import Records
package import Storage

/// A stream whose source and outputs are open and stand where its newest checkpoint does; nothing is
/// read or written yet.
package struct OpenedStream {
  let configuration: StreamConfiguration
  private(set) var source: any ByteSource
  private(set) var state = InitialState()
  private(set) var output: StreamOutput
  /// The checkpoint's file; nil where there is none.
  package let checkpointPath: String?
  /// Why newer generations were passed over.
  let skipped: [StorageError]
  /// The parameters file as it was read.
  package let parametersVersion: FileStatus?

  /// - Parameters:
  ///   - directory: where checkpoints and dead letters are kept.
  ///   - takesOtherCheckpoints: whether a checkpoint of other features or settings lends what fits; that
  ///     is kept with the checkpoint, so that it holds for a later process too.
  package init(
    _ definition: StreamDefinition, directory: String, takesOtherCheckpoints: Bool,
    in fileSystem: any FileSystem, clock: Clock = .system,
    statistics: ConnectorStatistics = ConnectorStatistics()
  ) throws(StreamError) {
    let context = ConnectorContext(
      fileSystem: fileSystem, clock: clock, statistics: statistics)
    var configuration = definition.stream
    configuration.isLive = definition.source.kind.isLive
    let wanted = configuration.fittingSettings
    let store: CheckpointStore
    let found: CheckpointStore.Found?
    do {
      store = try CheckpointStore(
        directory: directory, keep: definition.checkpoint.keep,
        configuration.stateReading, in: fileSystem)
      found = try store.newest()
      state.checkpoint = found?.checkpoint
      if takesOtherCheckpoints { state.checkpoint?.adoptedBy = wanted }
      skipped = found?.skipped ?? []
      checkpointPath = found?.path
      let file = definition.parameters?.file
      parametersVersion = file.flatMap { try? fileSystem.status(of: $0) }
      state.parameters = try file.map { file throws(StorageError) in
        try ParametersFile.read(file, in: fileSystem)
      }
    } catch {
      throw StreamError(error)
    }
    if state.checkpoint?.adoptedBy == wanted { configuration.onMismatch = .matchByName }
    self.configuration = configuration
    do {
      source = try definition.source.open(context)
    } catch {
      throw error.isMissing ? .inputMissing(error) : .inputOutput(error)
    }
    do {
      output = StreamOutput(
        sink: try definition.sink.open(context),
        destination: "\(definition.sink.location.path ?? "") \(configuration.outputForm)",
        deadLetters: try Self.deadLetters(definition, in: directory, context),
        keeper: StoredCheckpoints(store: store))
      output.findDisks(state: directory)
    } catch {
      throw .outputRefused(error)
    }
    if let found { try settle(found, in: store) }
    do {
      try resume()
    } catch {
      throw .inputOutput(error)
    }
  }

  /// Whether the source gives again what comes behind the checkpoint, and nothing else.
  private var goesOn: Bool {
    state.checkpoint?.position?.finishedRuns != nil && source.progress != nil
  }

  /// Keeps what is started from as the newest checkpoint, where it is not, before anything is written
  /// behind it: with what it is lent to, the place in an output or in dead letters that it has none in,
  /// and, where newer ones were passed over for it, the places that both can still be taken back to. After
  /// that nothing tells them.
  private mutating func settle(
    _ found: CheckpointStore.Found, in store: CheckpointStore
  ) throws(StreamError) {
    guard var checkpoint = state.checkpoint else { return }
    do throws(FileError) {
      if let place = checkpoint.output, place.isIn(output.destination) {
        if !skipped.isEmpty { checkpoint.output = try output.sink.place(toResumeAt: place) }
      } else if goesOn {
        checkpoint.output = try output.sink.beginAnew()
        checkpoint.output?.destination = output.destination
      }
      if let place = checkpoint.deadLetters {
        if !skipped.isEmpty {
          checkpoint.deadLetters = try output.deadLetters?.place(toResumeAt: place)
        }
      } else if goesOn {
        checkpoint.deadLetters = output.deadLetters?.outputPosition
      }
    } catch {
      throw .inputOutput(error)
    }
    do throws(StorageError) {
      if !skipped.isEmpty {
        try store.goBack(to: found, as: checkpoint)
      } else if checkpoint != found.checkpoint {
        try store.write(checkpoint)
      }
    } catch {
      throw StreamError(error)
    }
    state.checkpoint = checkpoint
  }

  /// Lets the source go on, and the output with it, from where the checkpoint stands. A source that
  /// cannot give again what was read is no reason to take back what was written.
  private mutating func resume() throws(FileError) {
    guard goesOn, let checkpoint = state.checkpoint, let place = checkpoint.position,
      let finished = place.finishedRuns
    else { return }
    try source.resume(from: finished, run: place.run)
    state.resumption = place
    if let position = checkpoint.output { try output.sink.resume(at: position) }
    if let position = checkpoint.deadLetters { try output.deadLetters?.resume(at: position) }
  }

  private static func deadLetters(
    _ definition: StreamDefinition, in directory: String, _ context: ConnectorContext
  ) throws(FileError) -> (any ByteSink)? {
    guard definition.stream.badRecords == .deadLetter else { return nil }
    return try RotatingFileSink(
      path: directory + "/dead-letters.ndjson",
      rotation: .init(
        byteLimit: definition.deadLetters.maxBytes, keep: definition.deadLetters.keep),
      in: context.fileSystem, clock: context.clock)
  }
}
