internal import Codecs
internal import Connectors
internal import Dataflow
internal import Records
internal import Storage

/// The constants of IngestStage.
struct IngestContext: Sendable {
  let configuration: StreamConfiguration
  let metrics: StreamMetrics
  let clock: Clock
  let schedule: CheckpointSchedule?
  let inbox: RequestInbox
  /// The position of an earlier run in the gradients. It stays in the checkpoints of a stream that takes none now.
  let gradientCursor: GradientCursor?
  /// Reports a problem that does not stop the stream.
  let warn: @Sendable (String) -> Void
  /// The options for reading records, without those that the start of the stream determines.
  let options: DecoderOptions
  /// The opening of an earlier run, if its form is the same. The stream then opens with it at once.
  let knownOpening: StreamOpening?
  /// The features of the checkpoint that the run starts from, if the user named none: a stream is not looked at
  /// again.
  private let knownFeatures: KnownFeatures?
  /// The last cursor of an earlier run.
  let lastCursor: SplitCursor?
  /// Whether the run starts from a checkpoint.
  let isResumed: Bool
  /// The prologue of an earlier run with another form. Splits that it opened are opened again.
  private let prologue: [UInt8]
  /// The settings on which the opening depends, as text.
  let form: String
  private let format: RecordFormat

  /// - Parameters:
  ///   - cursor: where an earlier run had come to.
  ///   - gradientCursor: where it had come to in the gradients.
  ///   - schedule: when checkpoints are taken; nil is never.
  init(
    _ configuration: StreamConfiguration, cursor: InputCursor? = nil,
    gradientCursor: GradientCursor? = nil, schedule: CheckpointSchedule? = nil,
    metrics: StreamMetrics, inbox: RequestInbox, knownFeatures: KnownFeatures? = nil, clock: Clock,
    warn: @escaping @Sendable (String) -> Void = { _ in }
  ) throws(StreamError) {
    self.configuration = configuration
    self.metrics = metrics
    self.clock = clock
    self.schedule = schedule
    self.inbox = inbox
    self.gradientCursor = gradientCursor
    self.warn = warn
    self.knownFeatures = knownFeatures
    format = configuration.format
    options = configuration.decoding
    form = configuration.inputForm
    knownOpening = cursor?.form == form ? cursor?.opening : nil
    lastCursor = cursor?.splits.last
    isResumed = cursor != nil
    prologue = knownOpening == nil ? cursor?.opening?.prologue ?? [] : []
  }

  /// - Parameters:
  ///   - file: the file of the split, if other places in it can be read.
  ///   - opening: that of the stream, once it is known.
  func makeReader(
    _ split: SplitID, at start: SplitStart, in file: (any File)? = nil,
    of opening: StreamOpening?
  ) throws(StreamError) -> SplitReader {
    // Without an opening, the stream's own prologue is read again before what follows the cursor.
    let isReopened = opening == nil && start.header == .passed
    let header = isReopened ? .expected : start.header
    do throws(FormatError) {
      return SplitReader(
        split, at: start,
        shownName: configuration.isLive || configuration.hasManyInputs ? start.name : "",
        decoder: try makeDecoder(
          header, at: DecoderStart(state: start.decoder, byteOffset: start.byteOffset, file: file),
          of: opening),
        of: format, header: header, file: file,
        knowsStream: opening != nil, endsLastLine: endsLastLine,
        decompression: configuration.decompression,
        prologue: isReopened ? prologue : [])
    } catch {
      throw .format(stream: configuration.name, error)
    }
  }

  /// The decoder of a split.
  ///
  /// - Parameters:
  ///   - opening: that of the stream, once it is known.
  func makeDecoder(
    _ header: HeaderPlace, at start: DecoderStart, of opening: StreamOpening?
  ) throws(FormatError) -> any RecordDecoder {
    var options = options
    options.opening = opening
    options.header = header
    options.state = start.state
    options.byteOffset = start.byteOffset
    options.elsewhere = start.elsewhere
    // The features of the first split are those of all others.
    if let names = opening?.schema.names ?? knownFeatures?.names {
      options.features = names.map { FeaturePattern(name: $0) }
      options.exclude = []
    }
    return try format.makeDecoder(options)
  }

  /// The opening with the choice that it follows, if the features were known before.
  func noting(_ opening: StreamOpening) -> StreamOpening {
    var noted = opening
    if let knownFeatures { noted.choice = knownFeatures.choice }
    return noted
  }

  /// The width of the columns of a stream that was opened.
  func columns(of opening: StreamOpening) -> Precision {
    guard configuration.keepsFormat else { return options.columns }
    return format.keptPrecision(opening, options.settings) ?? options.columns
  }

  /// - Throws: an error if a batch with this number of features would be too large.
  func checkBatch(of featureCount: Int) throws(StreamError) {
    guard !configuration.batch.isRecordBatch else { return }
    let cells = featureCount.multipliedReportingOverflow(by: configuration.batch.size)
    guard !cells.overflow,
      cells.partialValue <= configuration.batch.maxBytes / options.columns.byteCount
    else { throw batchTooLarge }
  }

  var batchTooLarge: StreamError {
    .configuration(
      "\(configuration.name): expected a batch of at most \(configuration.batch.maxBytes) bytes, "
        + "found a larger one: "
        + (configuration.batch.isRecordBatch
          ? "write smaller record batches, or give a batch size"
          : "lower the batch size (\(configuration.batch.size) records)"))
  }

  /// Whether the records of a later file, or of a later producer, may follow in the output. A last line without an end
  /// then gets one.
  private var endsLastLine: Bool {
    guard configuration.hasManyInputs || configuration.isLive else { return false }
    if case .lines = format.recordEnds(configuration.decoder.settings, 0, configuration.precision) {
      return true
    }
    return false
  }

  /// The stream, or the file of it that a reader reads, in messages about a record.
  func place(of reader: SplitReader) -> String {
    configuration.place(inSplit: reader.shownName)
  }

  func badInput(_ fault: InputFault) -> StreamError {
    .badInput(stream: configuration.name, fault)
  }
}

/// The place in a split at which a decoder begins.
struct DecoderStart: Sendable {
  /// The data of the decoder of an earlier run.
  var state: OpaqueBytes
  /// The number of decompressed bytes before it.
  var byteOffset: Int
  /// The file of the split, if other places in it can be read.
  var file: (any File)?

  var elsewhere: SplitBytes? {
    guard let file, let size = try? file.status().size else { return nil }
    return SplitBytes(byteCount: size) { offset, count in
      try? file.bytes(from: offset, count: count)
    }
  }
}

/// The features that a checkpoint has, for a run whose user named none.
struct KnownFeatures: Sendable, Equatable {
  var names: [String]
  var choice: FeatureChoice
}

/// The reason why a split cannot continue.
enum SplitFailure: Error {
  /// Its bytes cannot be decompressed or decoded.
  case unreadable(InputFault)
  case otherColumns(InputFault)
  /// The end of a record cannot be found. `at` is the number of bytes before it that were not taken.
  case badRecord(RecordFault, at: Int)
  /// The stream cannot continue either.
  case stream(StreamError)
}
