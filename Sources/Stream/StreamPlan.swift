internal import Codecs
package import Configuration
internal import Connectors
internal import Records
internal import Storage

/// The input and the output of a stream and the files beside them; all by path.
package struct StreamFiles: Sendable {
  /// `-` is standard input.
  package var input: String
  /// `-` is standard output.
  package var output: String
  package var checkpointIn: String?
  package var checkpointOut: String?
  /// γ and β.
  package var parameters: String?
  package var deadLetters: String?
  /// The directory of the state that lets a run go on where an earlier one was killed.
  package var resume: String?
  /// With `resume`: when checkpoints are taken.
  package var schedule = CheckpointSchedule(intervalSeconds: 10)
  /// The kinds that input and output are opened by, and the values of their options.
  package var catalogue = Catalogue.builtIn
  package var values = SettingValues()

  package init(input: String, output: String) {
    self.input = input
    self.output = output
  }
}

/// Everything that a stream is opened from, whether a command or the daemon runs it.
package struct StreamPlan: Sendable {
  /// The place of the state: the one it comes from and the one it is kept in.
  enum State: Sendable {
    /// It comes from a file, if one is given, and is kept nowhere but in a file at the end.
    case file(String?)
    case directory(StateDirectory)
  }

  /// A directory of checkpoints, from the newest of which the stream goes on.
  struct StateDirectory: Sendable {
    var path: String
    /// The checkpoints that stay.
    var keep: Int
    /// A checkpoint to start from while the directory has none.
    var initial: String?
    /// Whether a checkpoint of other features or settings is adopted: what fits of it is taken.
    var adopts = false
    /// Whether the stream is refused unless it goes on exactly where the checkpoint is.
    var isStrict = false
    /// Whether nobody holds the lock of the directory yet.
    var needsLock = false
  }

  var configuration: StreamConfiguration
  var source: SourceFactory
  var sink: SinkFactory
  /// Tells the sink's files, and what is written into them, from others.
  var destination: String
  var deadLetters: SinkFactory?
  var state: State
  /// The file of the checkpoint at the end.
  var finalCheckpoint: String?
  /// A file that is written beside the output, if no directory is.
  var filesBeside: String?
  /// γ and β.
  var parameters: String?
  /// When checkpoints are taken; nil is never.
  var schedule: CheckpointSchedule?

  /// A stream of the daemon.
  ///
  /// - Parameters:
  ///   - directory: where checkpoints and dead letters are kept.
  ///   - adopts: whether a checkpoint of other features or settings is adopted, as after a reload. That is
  ///     kept with the checkpoint, so that it holds for a later process too.
  package init(_ definition: StreamDefinition, directory: String, adopts: Bool) {
    configuration = definition.stream
    configuration.isLive = definition.source.kind.isLive
    source = definition.source.open
    sink = definition.sink.open
    destination = "\(definition.sink.location.path ?? "") \(configuration.outputForm)"
    if configuration.badRecords == .deadLetter {
      let options = definition.deadLetters
      deadLetters = { context throws(FileError) in
        try RotatingFileSink(
          path: directory + "/dead-letters.ndjson",
          rotation: .init(byteLimit: options.maxBytes, keep: options.keep),
          in: context.fileSystem, clock: context.clock)
      }
    }
    state = .directory(
      StateDirectory(path: directory, keep: definition.checkpoint.keep, adopts: adopts))
    parameters = definition.parameters?.file
    schedule = definition.checkpoint.schedule
  }

  /// A run of `evenkeel normalize`.
  package init(_ configuration: StreamConfiguration, _ files: StreamFiles) {
    self.configuration = configuration
    destination = configuration.outputForm
    source = files.catalogue.sources.factory(files.input, files.values)
    finalCheckpoint = files.checkpointOut
    parameters = files.parameters
    if let directory = files.resume {
      sink = Self.resumableFile(files.output)
      deadLetters = files.deadLetters.map { Self.resumableFile($0) }
      state = .directory(
        StateDirectory(
          path: directory, keep: 2, initial: files.checkpointIn, isStrict: true, needsLock: true))
      schedule = files.schedule
    } else {
      sink = files.catalogue.sinks.factory(files.output, files.values)
      deadLetters = files.deadLetters.map { files.catalogue.sinks.factory($0) }
      state = .file(files.checkpointIn)
      filesBeside = files.checkpointOut ?? files.deadLetters
      schedule = files.checkpointOut == nil ? nil : .atEnd
    }
  }

  private static func resumableFile(_ path: String) -> SinkFactory {
    { context in ResumableFileSink(path, in: context.fileSystem) }
  }
}
