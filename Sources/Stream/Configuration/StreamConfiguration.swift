package import BatchNormalization
package import Codecs
package import Configuration
package import Operators
package import Records
package import Storage

/// Everything that says how one stream is read, normalised and written.
package struct StreamConfiguration: Sendable {
  /// The stream in messages.
  package var name: String
  /// The format of the input.
  package var format: RecordFormat
  package var decoder = DecoderOptions()
  package var batch = BatchOptions()
  package var normalization = NormalizationSettings()
  /// What happens to mini-batches, in the order in which the operators commit.
  package var operators = BuiltInOperators.all
  /// The settings of all operators.
  package var operatorSettings = SettingValues()
  package var badRecords = BadRecordPolicy.fail
  /// Whether the source has no end: records are passed on as they come, and batches cut by time too.
  package var isLive = false
  package var decompression = DecompressionOptions()
  /// The format of the output; nil is that of the input.
  package var outputFormat: RecordFormat?
  package var precision = Precision.float32
  /// The zstd level of the output; nil leaves it uncompressed.
  package var compressionLevel: Int?
  package var onMismatch = MismatchPolicy.fail
  package var onSchemaChange = SchemaChangePolicy.fail
  package var onBadSplit = BadSplitPolicy.fail
  /// Whether state in a checkpoint that no operator of this program declares is dropped. Otherwise the
  /// checkpoint is refused.
  package var dropsUnknownState = false

  /// A stream with the defaults of all settings.
  package init(name: String, format: RecordFormat) {
    self.name = name
    self.format = format
  }

  /// A stream with the settings that values say, once `violations` finds none in them.
  ///
  /// - Throws: if the dictionary cannot be read, or zstd cannot load it.
  package init(
    name: String, format: RecordFormat, _ values: SettingValues, from catalogue: Catalogue,
    in fileSystem: any FileSystem
  ) throws(StorageError) {
    self.init(name: name, format: format)
    outputFormat = values[catalogue.outputFormat].flatMap { catalogue.formats.named($0) }
    decoder = DecoderOptions(values)
    precision = values[RecordSettings.precision]
    badRecords = values[BadRecordSettings.onBadRecord]
    onMismatch = values[StateSettings.onMismatch]
    onSchemaChange = values[StateSettings.onSchemaChange]
    onBadSplit = values[StateSettings.onBadSplit]
    dropsUnknownState = values[StateSettings.dropsUnknown]
    compressionLevel =
      values[OutputSettings.compression] == nil ? values[OutputSettings.level] : nil
    batch.size = values[BatchSettings.size]
    batch.maxDelaySeconds = values[BatchSettings.maxDelay]
    batch.maxBytes = values[InputSettings.batchBytes]
    operators = catalogue.operators
    operatorSettings = values
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

  /// Whether records are written in the format they were read in, so that all else can pass.
  var keepsFormat: Bool { outputFormat.map { $0.name == format.name } ?? true }
}

/// How mini-batches are cut.
package struct BatchOptions: Sendable {
  /// In records.
  package static let greatestSize = 1 << 20
  /// The number of records in a batch; the last one may be shorter.
  package var size = 256
  /// Live streams: a batch is cut so long after its first record at the latest.
  package var maxDelaySeconds = 1.0
  /// The most memory that one batch may take, in bytes.
  package var maxBytes = 1 << 30

  package init() {}
}

/// How the input is decompressed.
package struct DecompressionOptions: Sendable {
  package static let windowLogRange = 10...ZstdDecompressor.greatestWindowLog
  package var codec = CodecOptions(maxWindowLog: 27)
  package static let growthRange = 1...1_000_000
  /// How many times as large as its compressed bytes a record of more than 1 MiB may be.
  package var maxGrowth = 1000
  /// The most bytes that a dictionary file may have.
  package static let greatestDictionary = 64 << 20

  package init() {}
}

/// What happens to a record that cannot be read.
package enum BadRecordPolicy: String, Sendable, CaseIterable {
  /// The stream stops.
  case fail
  /// The record is left out and counted.
  case skip
  /// The record is left out, counted, and kept in a file with the reason.
  case deadLetter = "dead_letter"
}

/// What happens to a split whose columns are not those of the stream.
package enum SchemaChangePolicy: String, Sendable, CaseIterable {
  /// The stream stops.
  case fail
  /// The split is passed over and counted as a bad record.
  case skip
  /// Its features are read by name, and the output goes on in a new file with the split's header.
  case newFile = "new_file"
}

/// What happens to a split that cannot be read any further, such as a file with a damaged frame.
package enum BadSplitPolicy: String, Sendable, CaseIterable {
  /// The stream stops.
  case fail
  /// The rest of it is passed over and counted as a bad record.
  case skip
}

/// What happens to a checkpoint that does not fit the stream.
package enum MismatchPolicy: String, Sendable, CaseIterable {
  case fail
  /// Features that it knows are taken over, others start afresh.
  case matchByName = "match_by_name"
  /// It is not used.
  case reset
}
