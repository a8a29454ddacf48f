internal import BatchNormalization
internal import Codecs
package import Connectors
internal import Records
package import Storage

/// A stream after it was opened: its source, outputs and newest checkpoint. Nothing was read yet.
///
/// The rule of recovery: output is taken back only if its input will certainly be read again. Otherwise output and
/// state stay; the output is cut to its last whole frame or record, and a warning tells how much may be lost.
package struct OpenedStream: Sendable {
  private(set) package var configuration: StreamConfiguration
  let schedule: CheckpointSchedule?
  let source: any Source
  /// The gradients of γ and β that are read beside the records.
  let gradients: GradientFeed?
  private(set) var state = InitialState()
  private(set) var output: StreamOutput
  /// The features of the checkpoint, if the stream is to have them.
  private(set) var knownFeatures: KnownFeatures?
  /// The lock of the state directory, held as long as the stream.
  private(set) var stateLock: StateDirectoryLock?
  /// The file of the checkpoint; nil if there is none.
  private(set) package var checkpointPath: String?
  /// Problems that do not stop the stream.
  private(set) package var warnings: [String] = []
  /// The status of the parameters file when it was read.
  private(set) package var parametersVersion: FileStatus?

  package init(_ plan: StreamPlan, in context: ConnectorContext) throws(StreamError) {
    configuration = plan.configuration
    schedule = plan.schedule
    var restored = try RestoredState(plan, in: context)
    let found = restored.found
    state.checkpoint = restored.checkpoint
    if case .topic(let place) = plan.state {
      state.peers = place.peers
      state.control = StreamControl(
        over: configuration.normalization, made: found?.checkpoint.control ?? [:])
      configuration.normalization = state.control?.settings ?? configuration.normalization
    }
    stateLock = restored.lock
    let fileSystem = context.fileSystem
    do throws(StorageError) {
      parametersVersion = plan.parameters.flatMap { try? fileSystem.status(of: $0) }
      state.reference = try configuration.referenceFile.map { file throws(StorageError) in
        try CheckpointFile.read(file, .ofOperators, in: fileSystem).state
      }
      state.parameters = try plan.parameters.map { file throws(StorageError) in
        try ParametersFile.read(file, in: fileSystem)
      }
    } catch {
      throw StreamError(error)
    }
    checkpointPath = found?.path
    warnings = found?.skipped.map { "skipped a damaged checkpoint: \($0)" } ?? []
    if state.checkpoint == nil, state.parameters == nil, configuration.normalization.isFrozen,
      configuration.normalization.mode != .batch, configuration.normalization.prior == nil
    {
      warnings.append(
        "the moments are frozen, and no checkpoint gives them: mean 0 and variance 1 are applied, so that "
          + "values hardly change; a command takes moments by --checkpoint-in, a stream learns them after the "
          + "update thaw")
    }
    let isStrict = plan.isStrict
    if isStrict {
      // A completed run opens no input, so it would not check the settings later.
      try state.checkpoint?.checkSettings(configuration)
    } else if let adopts = plan.adopts {
      let wanted = configuration.fittingSettings
      if adopts { state.checkpoint?.adoptedBy = wanted }
      if state.checkpoint?.adoptedBy == wanted { configuration.onMismatch = .matchByName }
    }
    knownFeatures = configuration.knownFeatures(of: state.checkpoint)
    source = try Self.openSource(
      plan, restored.cursor, restored.kept?.list.hashes ?? [], context)
    do throws(FileError) {
      let cursor = found == nil ? nil : state.checkpoint?.gradients
      gradients = try plan.gradients.map { input throws(FileError) in
        try GradientFeed(input, at: cursor, in: context)
      }
    } catch {
      throw .inputOutput(error)
    }
    if let gradients, let gap = gradients.gap {
      guard !gradients.isChangedInPlace else {
        throw .inputChanged(stream: configuration.name, "gradients: \(gap)")
      }
      warnings.append("gradients: \(gap)")
    }
    if source.isChangedInPlace, let gap = source.gap {
      throw .inputChanged(stream: configuration.name, gap)
    }
    if case .directory(let directory) = plan.state, directory.isStrict {
      try Self.checkStrictly(plan, directory.path, source, found?.checkpoint)
    }
    try restored.begin(source)
    do throws(FileError) {
      var sinkContext = context
      sinkContext.recordEnds = configuration.writtenEnds
      sinkContext.transactions = restored.topic?.transactions
      var letterContext = context
      letterContext.transactions = sinkContext.transactions
      if configuration.keepsMessages {
        letterContext.sourcePartitions = source.partitionCount
        if !configuration.mixesMessages { sinkContext.sourcePartitions = source.partitionCount }
      }
      output = StreamOutput(
        sink: try plan.sink(sinkContext), destination: plan.destination,
        deadLetters: try plan.deadLetters.map { open throws(FileError) in try open(context) },
        letterTopic: try plan.letterTopic.map { open throws(FileError) in
          try open(letterContext)
        })
      let final = try plan.finalCheckpoint.map { path throws(FileError) in
        FinalCheckpoint(try AtomicFile(replacing: path, in: fileSystem))
      }
      output.keeper = restored.keeper(and: final)
      if restored.topic != nil {
        // A kill may have left a part of a line, and a state in a topic does not tell the last whole one.
        _ = try output.deadLetters?.trim(
          after: OutputPosition(byteCount: 0, sequence: 0), wholeEnd: wholeLineEnd)
      }
      output.findDisks(state: plan.statePath)
    } catch {
      throw .outputRefused(error)
    }
    if let found { try recover(from: found, in: restored.kept?.store) }
    do throws(FileError) {
      if found == nil { try completeOldOutput() }
      // Dead letters have no prologue.
      if isStrict { try output.deadLetters?.begin([]) }
    } catch {
      throw .outputRefused(error)
    }
  }

  private static func openSource(
    _ plan: StreamPlan, _ cursor: InputCursor?, _ doneSplits: Set<UInt64>,
    _ connector: ConnectorContext
  ) throws(StreamError) -> any Source {
    var context = SourceContext(connector, cursor: cursor)
    context.connector.recordEnds = plan.configuration.readEnds
    context.connector.keepsMessages = plan.configuration.keepsMessages
    context.doneSplits = doneSplits
    let options = plan.configuration.decompression.codec
    context.isCompressed = { bytes in InputDecompressor.begins(bytes) }
    context.decompressedStart = { bytes in InputDecompressor.start(of: bytes, options) }
    do throws(FileError) {
      return try plan.source(context)
    } catch {
      throw error.isMissing ? .inputMissing(error) : .inputOutput(error)
    }
  }

  /// Refuses a run that cannot resume exactly where an earlier run was killed.
  private static func checkStrictly(
    _ plan: StreamPlan, _ directory: String, _ source: any Source, _ checkpoint: Checkpoint?
  ) throws(StreamError) {
    guard source.done != nil else {
      throw .configuration("\(source.name): --resume needs a file, which can be read again")
    }
    if let gap = source.gap {
      let input = source.name.split(separator: "/").last.map(String.init)
      guard checkpoint?.input?.splits.first?.split == input else {
        throw .configuration(
          "\(directory): expected the state of \(source.name), found that of another input")
      }
      throw .inputChanged(stream: plan.configuration.name, gap)
    }
    guard checkpoint?.outputs[.output]?.isIn(plan.destination) ?? true else {
      throw .configuration(
        "\(directory): expected the format, columns, compression, precision, stamp and dictionaries that the "
          + "output began with, found others; give these options again, or remove the directory to begin again"
      )
    }
  }

  // MARK: Recovery

  /// Brings the outputs to the positions of the checkpoint, or to positions at which they can continue. If these
  /// differ from the checkpoint, saves them as the newest checkpoint before anything else is written.
  ///
  /// - Parameter store: nil if the checkpoints are in a topic, which has no positions in outputs.
  private mutating func recover(
    from found: CheckpointStore.Found, in store: CheckpointStore?
  ) throws(StreamError) {
    guard var checkpoint = state.checkpoint else { return }
    do throws(FileError) {
      if source.done != nil, checkpoint.input?.isReplayable == true {
        state.cursor = checkpoint.input
        if let gap = source.gap {
          try keepOutputs(of: &checkpoint, because: gap)
        } else {
          try findOutputs(of: &checkpoint, isFallback: !found.skipped.isEmpty)
        }
      } else {
        try trimOutput(of: checkpoint)
      }
    } catch {
      throw .inputOutput(error)
    }
    do throws(StorageError) {
      if !found.skipped.isEmpty {
        try store?.goBack(to: found, as: checkpoint)
      } else if checkpoint != found.checkpoint {
        try store?.write(checkpoint)
      }
    } catch {
      throw StreamError(error)
    }
    state.checkpoint = checkpoint
    guard state.cursor != nil else { return }
    do throws(FileError) {
      // The checkpoint is saved, so the output after it may be removed now.
      if let position = checkpoint.outputs[.output] { try output.sink.resume(at: position) }
      if let position = checkpoint.outputs[.deadLetters] {
        try output.deadLetters?.resume(at: position)
      }
    } catch {
      // Only the run of a command locks its directory itself.
      guard stateLock != nil, error.isMissing else { throw .inputOutput(error) }
      throw .configuration(
        "--resume: expected the output that the run began, found no part of it: \(error); give the names that "
          + "the run began with, or another directory")
    }
  }

  /// Finds the output positions to resume at. An output of another destination starts as a new one. With an older
  /// checkpoint as a fallback, a file that was removed as too old is not resumed.
  private mutating func findOutputs(
    of checkpoint: inout Checkpoint, isFallback: Bool
  ) throws(FileError) {
    if let position = checkpoint.outputs[.output], position.isIn(output.destination) {
      if isFallback {
        checkpoint.outputs[.output] = try output.sink.position(toResumeAt: position)
      }
    } else {
      checkpoint.outputs[.output] = try startNewOutput()
      checkpoint.outputs[.output]?.destination = output.destination
    }
    if let position = checkpoint.outputs[.deadLetters] {
      if isFallback {
        checkpoint.outputs[.deadLetters] = try output.deadLetters?.position(toResumeAt: position)
      }
    } else {
      checkpoint.outputs[.deadLetters] = output.deadLetters?.outputPosition
    }
  }

  /// Keeps the output that was written after the checkpoint, because its input cannot be read again.
  private mutating func keepOutputs(
    of checkpoint: inout Checkpoint, because gap: String
  ) throws(FileError) {
    var kept = 0
    let wholeEnd = configuration.wholeOutputEnd(featureCount: checkpoint.features.count)
    if let position = checkpoint.outputs[.output], position.isIn(output.destination) {
      let end = try output.sink.trim(after: position, wholeEnd: wholeEnd)
      kept = max(0, (end?.byteCount ?? 0) - position.byteCount)
      checkpoint.outputs[.output] = end
      if end == nil { checkpoint.outputs[.output] = try startNewOutput() }
    } else {
      checkpoint.outputs[.output] = try startNewOutput()
    }
    checkpoint.outputs[.output]?.destination = output.destination
    if let position = checkpoint.outputs[.deadLetters] {
      checkpoint.outputs[.deadLetters] = try output.deadLetters?.trim(
        after: position, wholeEnd: wholeLineEnd)
    }
    checkpoint.input?.splits = try source.openCursors()
    checkpoint.input?.done = source.done
    state.cursor = checkpoint.input
    warnings.append(
      "\(gap). Records that were read after the checkpoint and not written are lost; the output stays, with "
        + "\(kept) bytes that the state does not know of")
  }

  /// Removes an incomplete last write from the output. For a source that can never be read again.
  private mutating func trimOutput(of checkpoint: Checkpoint) throws(FileError) {
    if let position = checkpoint.outputs[.output], position.isIn(output.destination),
      let end = try output.sink.trim(
        after: position,
        wholeEnd: configuration.wholeOutputEnd(featureCount: checkpoint.features.count))
    {
      // The stream goes on with the file if its columns are the same.
      try output.sink.resume(at: end)
    } else {
      try completeOldOutput()
    }
  }

  private mutating func startNewOutput() throws(FileError) -> OutputPosition? {
    try completeOldOutput()
    return try output.sink.startNewOutput()
  }

  /// Completes the file of a run that was killed, since no record goes into it any more.
  private mutating func completeOldOutput() throws(FileError) {
    guard let removed = try output.sink.completeOldOutput(missingArrowEnd) else { return }
    warnings.append(
      "\(output.sink.name): the run that wrote it was killed: it got its end after the last whole record batch, "
        + "with \(removed) bytes after that removed, and gets its final name when the next file begins"
    )
  }
}

extension StreamPlan {
  /// The directory or file of checkpoints and dead letters.
  fileprivate var statePath: String? {
    switch state {
    case .file: filesBeside
    case .directory(let directory): directory.path
    case .topic(let place): deadLetters == nil ? nil : place.directory
    }
  }

  /// Whether the stream adopts a checkpoint with other features or settings; nil if the state is in a file.
  fileprivate var adopts: Bool? {
    switch state {
    case .file: nil
    case .directory(let directory): directory.adopts
    case .topic(let place): place.adopts
    }
  }

  fileprivate var isStrict: Bool {
    if case .directory(let directory) = state { directory.isStrict } else { false }
  }
}

extension Source {
  /// The cursors of the splits that the source resumes.
  fileprivate func openCursors() throws(FileError) -> [SplitCursor] {
    var cursors: [SplitCursor] = []
    for split in openSplits {
      let start = start(of: split)
      var cursor = SplitCursor(
        split: start.name, container: start.container, byteOffset: start.byteOffset,
        records: start.records, decoder: start.decoder)
      cursor.source = try mark(of: split, at: cursor.sourceOffset)
      cursors.append(cursor)
    }
    return cursors
  }
}
