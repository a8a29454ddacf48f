internal import Codecs
package import Configuration
internal import Connectors
internal import Records
internal import Storage

/// The input and the output of a stream and the files beside them, by path.
package struct StreamFiles: Sendable {
  /// `-` is standard input.
  package var input: String
  /// Files that follow the input, as parts of the same stream.
  package var moreInputs: [String] = []
  /// `-` is standard output.
  package var output: String
  /// Whether the output is dropped.
  package var discardsOutput = false
  package var checkpointIn: String?
  package var checkpointOut: String?
  /// γ and β.
  package var parameters: String?
  package var deadLetters: String?
  /// The state directory of a run that can be resumed.
  package var resume: String?
  /// With `resume`: the times of checkpoints.
  package var schedule = CheckpointSchedule(intervalSeconds: 10)
  /// The kinds with which input and output are opened, and the values of their options.
  package var catalogue = Catalogue.builtIn
  package var values = SettingValues()

  package init(input: String, output: String) {
    self.input = input
    self.output = output
  }
}

/// Everything with which a stream is opened, by a command or by the daemon.
package struct StreamPlan: Sendable {
  /// The source and the destination of the state.
  enum State: Sendable {
    /// It comes from a file, if one is given, and is only stored in a file at the end.
    case file(String?)
    case directory(StateDirectory)
    case topic(TopicState)
  }

  /// A directory of checkpoints. The stream resumes from the newest.
  struct StateDirectory: Sendable {
    var path: String
    /// How many checkpoints are kept.
    var keep: Int
    /// A checkpoint to start from while the directory has none.
    var initial: String?
    /// Whether the stream adopts the fitting part of a checkpoint with other features or settings.
    var adopts = false
    /// Whether to refuse the stream unless it resumes exactly at the checkpoint.
    var isStrict = false
    /// Whether to lock the directory, because no caller holds the lock.
    var needsLock = false
  }

  var configuration: StreamConfiguration
  var source: SourceFactory
  var sink: SinkFactory
  /// Identifies the files and the form of the sink.
  var destination: String
  var deadLetters: SinkFactory?
  /// Opens the topic of dead letters; nil if they go to a file, or if there are none.
  var letterTopic: LetterFactory?
  var state: State
  /// The file of the checkpoint at the end.
  var finalCheckpoint: String?
  /// A file that is written beside the output, if there is no directory.
  var filesBeside: String?
  /// γ and β.
  var parameters: String?
  /// The source of gradients of γ and β.
  var gradients: GradientInput?
  /// The times of checkpoints; nil for none.
  var schedule: CheckpointSchedule?

  /// A stream of the daemon.
  ///
  /// - Parameters:
  ///   - directory: the directory of checkpoints and dead letters.
  ///   - adopts: whether the stream adopts a checkpoint with other features or settings, as after a reload. The
  ///     checkpoint records this, so that a later process does the same.
  ///   - part: the partition to process, if the state of each is in a topic.
  package init(
    _ definition: StreamDefinition, directory: String, adopts: Bool,
    part: StreamPart? = nil
  ) {
    configuration = definition.stream
    configuration.isLive = definition.source.kind.isLive
    configuration.cutsByTime = configuration.isLive
    source = definition.source.open
    sink = definition.sink.open
    // A column that is a feature no more means something else from there on.
    let choice = configuration.keepsFormat ? configuration.decoder.choiceTexts : []
    destination = ([definition.sink.location.path ?? "", configuration.outputForm] + choice)
      .joined(separator: " ")
    letterTopic = definition.letterTopic
    if configuration.badRecords == .deadLetter, letterTopic == nil {
      let options = definition.deadLetters
      deadLetters = { context throws(FileError) in
        try RotatingFileSink(
          path: directory + "/dead-letters.ndjson",
          rotation: .init(byteLimit: options.maxBytes, keep: options.keep),
          in: context.fileSystem, clock: context.clock)
      }
    }
    if let part, let topic = definition.partitions {
      source = topic.source(of: part.partition)
      state = .topic(
        TopicState(
          partition: TopicPartition(topic: topic.topic, number: part.partition),
          owner: part.owner, adopts: adopts, directory: directory,
          peers: part.peers?.reading(for: part.partition)
        ) { context throws(FileError) in
          try topic.log(of: part.partition, in: part.member, context: context)
        })
    } else {
      state = .directory(
        StateDirectory(path: directory, keep: definition.checkpoint.keep, adopts: adopts))
    }
    parameters = definition.parameters?.file
    // One partition learns for all.
    if part == nil || part?.partition == PeerStates.learningPartition {
      gradients = GradientInput(definition)
    }
    schedule = definition.checkpoint.schedule
  }

  /// A run of `evenkeel normalize`.
  package init(_ configuration: StreamConfiguration, _ files: StreamFiles) {
    self.configuration = configuration
    destination = configuration.outputForm
    source =
      files.moreInputs.isEmpty
      ? files.catalogue.sources.factory(files.input, files.values)
      : FilesSource.factory([files.input] + files.moreInputs)
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
      let discarding: SinkFactory = { _ throws(FileError) in DiscardingSink() }
      sink =
        files.discardsOutput
        ? discarding : files.catalogue.sinks.factory(files.output, files.values)
      deadLetters = files.deadLetters.map { files.catalogue.sinks.factory($0) }
      state = .file(files.checkpointIn)
      filesBeside = files.checkpointOut ?? files.deadLetters
      schedule = files.checkpointOut == nil ? nil : .atEnd
    }
  }

  private static func resumableFile(_ path: String) -> SinkFactory {
    { context throws(FileError) in try ResumableFileSink(path, in: context.fileSystem) }
  }
}
