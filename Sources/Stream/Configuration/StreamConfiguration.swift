package import BatchNormalization
package import Codecs
package import Configuration
package import Operators
package import Records
package import Storage

/// All settings that determine how one stream is read, normalised and written.
package struct StreamConfiguration: Sendable {
  /// The name of the stream in messages.
  package var name: String
  /// The format of the input.
  package var format: RecordFormat
  package var decoder = DecoderOptions()
  package var batch = BatchOptions()
  package var normalization = NormalizationSettings()
  /// The operators on mini-batches, in the order in which they commit.
  package var operators = BuiltInOperators.all
  /// The settings of all operators.
  package var operatorSettings = SettingValues()
  /// Called after each cut, with the last batch.
  package var onCut: (@Sendable (OperatorView) -> Void)?
  /// A checkpoint that operators compare the stream with.
  package var referenceFile: String?
  /// The moments that the normalisation has as a prior.
  package private(set) var prior: PriorFile?
  package var badRecords = BadRecordPolicy.fail
  /// Whether the source has no end. Records then leave as they come.
  package var isLive = false
  /// Whether batches are also cut by time.
  package var cutsByTime = false
  /// Whether blocks carry the messages that their records came in.
  package var keepsMessages = false
  /// Whether the timestamps of messages are the event times of their records.
  package var usesMessageTimes = false
  /// Whether the source is several files, which messages name.
  package var hasManyInputs = false
  package var decompression = DecompressionOptions()
  /// The most input that it reads in a second.
  package var rate = RateLimits()
  /// The format of the output; nil for the format of the input.
  package var outputFormat: RecordFormat?
  package var precision = Precision.float32
  /// Whether blocks carry the versions that normalise their records, because the output tells them.
  package var stampsVersions: Bool { decoder.settings[RecordSettings.stamp] != nil }
  /// The zstd level of the output; nil leaves it uncompressed.
  package var compressionLevel: Int?
  package var onMismatch = MismatchPolicy.fail
  package var onSchemaChange = SchemaChangePolicy.fail
  package var onBadSplit = BadSplitPolicy.fail
  /// Whether to drop state of a checkpoint that no operator of this program declares. Otherwise such a checkpoint is
  /// refused.
  package var dropsUnknownState = false

  /// A stream with the defaults of all settings.
  package init(name: String, format: RecordFormat) {
    self.name = name
    self.format = format
  }

  /// A stream with the given settings. `violations` must have found no error in them.
  ///
  /// - Throws: an error if the dictionary cannot be read, or if zstd cannot load it.
  package init(
    name: String, format: RecordFormat, _ values: SettingValues, from catalogue: Catalogue,
    in fileSystem: any FileSystem
  ) throws(StorageError) {
    self.init(name: name, format: format)
    outputFormat = values[catalogue.outputFormat].flatMap { catalogue.formats.named($0) }
    decoder = DecoderOptions(values)
    decoder.roles = NormalizeSettings.roles(values)
    usesMessageTimes = NormalizeSettings.usesMessageTimes(values)
    keepsMessages = usesMessageTimes
    precision = values[RecordSettings.precision]
    badRecords = values[BadRecordSettings.onBadRecord]
    onMismatch = values[StateSettings.onMismatch]
    onSchemaChange = values[StateSettings.onSchemaChange]
    onBadSplit = values[StateSettings.onBadSplit]
    dropsUnknownState = values[StateSettings.dropsUnknown]
    switch values[BatchSettings.size] {
    case .records(let count): batch.size = count
    case .recordBatch: batch.isRecordBatch = true
    }
    batch.maxDelaySeconds = values[BatchSettings.maxDelay]
    batch.maxBytes = values[InputSettings.batchBytes]
    decoder.limits.unitBytes = batch.maxBytes
    rate = RateLimits(
      bytes: values[InputSettings.rateBytes], records: values[InputSettings.rateRecords])
    operators = catalogue.operators
    operatorSettings = values
    if WatchDrift.isOn(values) { referenceFile = values[DriftSettings.referenceFile] }
    normalization = NormalizationSettings(values)
    normalization.minBatchSize =
      values[BatchSettings.minSize] ?? min(normalization.minBatchSize, batch.size)
    normalization.imputesMissing = decoder.onMissing == .impute
    decompression.codec.maxWindowLog = values[InputSettings.window]
    decompression.maxGrowth = values[InputSettings.growth]
    decompression.codec.dictionary = try values[InputSettings.dictionary].map {
      (path) throws(StorageError) in
      let bytes = try fileSystem.contents(of: path, limit: DecompressionOptions.greatestDictionary)
      let maxWindowLog = decompression.codec.maxWindowLog
      guard
        (try? ZstdDecompressor(CodecOptions(maxWindowLog: maxWindowLog, dictionary: bytes))) != nil
      else {
        throw .content(
          path: path,
          .unexpected(part: "dictionary", expected: "one that zstd can load", found: "another"))
      }
      return bytes
    }
  }

  /// Reads the file of the prior, if the settings have one.
  ///
  /// - Throws: an error if the file cannot be read.
  package mutating func readPrior(in fileSystem: any FileSystem) throws(StorageError) {
    guard normalization.prior != nil, let path = operatorSettings[NormalizeSettings.priorCheckpoint]
    else { return }
    let file = try PriorFile(path, dropsUnknownState: dropsUnknownState, in: fileSystem)
    normalization.prior?.identity = file.identity
    prior = file
  }

  /// Whether records have event times.
  var hasEventTimes: Bool {
    usesMessageTimes
      || decoder.roles.contains { if case .time = $0.role { true } else { false } }
  }

  /// Whether γ and β are learned.
  package var learns: Bool { LearnAffine.isOn(operatorSettings) }

  /// The stream in messages about a record, with the file or the connection that the record came in.
  ///
  /// - Parameter split: its name; empty if the stream has no others.
  func place(inSplit split: String) -> String {
    if split.isEmpty { return name }
    return isLive ? "\(name): \(split)" : split
  }

  /// The effects of an alarm of drift; none if drift is not watched for.
  package var driftActions: [DriftAction] {
    WatchDrift.isOn(operatorSettings) ? operatorSettings[DriftSettings.actions] : []
  }

  /// The address that gets alarms of drift.
  package var driftWebhook: WebhookAddress? {
    driftActions.contains(.webhook) ? operatorSettings[DriftSettings.webhook] : nil
  }

  /// Whether the output has the format of the input, so that the payload can be kept.
  var keepsFormat: Bool { outputFormat.map { $0.name == format.name } ?? true }

  /// Whether the features keep the width that they have in the input, as those of a format with a schema do.
  package var keepsWidths: Bool { keepsFormat && format.hasSchema }

  /// Whether blocks keep the text of records, for an output of the same format or of one that writes their fields.
  var keepsText: Bool { keepsFormat || keepsFields }

  /// Whether the output has another format, and all columns of the input that this format can have.
  package var keepsFields: Bool {
    guard !keepsFormat, let outputFormat else { return false }
    return format.fields != nil && outputFormat.writesFields
      || format.scalars != nil && outputFormat.writesScalars
  }
}

/// The limits of a mini-batch.
package struct BatchOptions: Sendable {
  /// The greatest value of `size`.
  package static let greatestSize = 1 << 20
  /// The number of records in a batch; the last one may be shorter.
  package var size = 256
  /// Whether each record batch of the input is a batch, however many records it has. `size` has no meaning then.
  package var isRecordBatch = false
  /// If batches are cut by time, the most seconds between the first record of a batch and its cut.
  package var maxDelaySeconds = 1.0
  /// The most memory of one batch, in bytes.
  package var maxBytes = 1 << 30

  package init() {}
}

/// The limits and the dictionary for decompressing the input.
package struct DecompressionOptions: Sendable {
  package static let windowLogRange = 10...ZstdDecompressor.greatestWindowLog
  package var codec = CodecOptions(maxWindowLog: 27)
  package static let growthRange = 1...1_000_000
  /// The greatest ratio of a record above 1 MiB to its compressed bytes.
  package var maxGrowth = 1000
  /// The greatest size of a dictionary file, in bytes.
  package static let greatestDictionary = 64 << 20

  package init() {}
}

/// The action on a record that cannot be read.
package enum BadRecordPolicy: String, Sendable, CaseIterable {
  /// The stream stops.
  case fail
  /// The record is dropped and counted.
  case skip
  /// The record is dropped, counted, and kept in a file with the reason.
  case deadLetter = "dead_letter"
}

/// The action on a split whose columns differ from those of the stream.
package enum SchemaChangePolicy: String, Sendable, CaseIterable {
  /// The stream stops.
  case fail
  /// The split is skipped and counted as a bad record.
  case skip
  /// The features are matched by name. The output continues in a new file with the header of the split.
  case newFile = "new_file"
}

/// The action on a split that cannot be read to its end, such as a file with a damaged frame.
package enum BadSplitPolicy: String, Sendable, CaseIterable {
  /// The stream stops.
  case fail
  /// The rest of the split is skipped and counted as a bad record.
  case skip
}

/// The action on a checkpoint that does not fit the stream.
package enum MismatchPolicy: String, Sendable, CaseIterable {
  case fail
  /// Features of the checkpoint keep their state. Other features start with their initial state.
  case matchByName = "match_by_name"
  /// The checkpoint is ignored.
  case reset
}
