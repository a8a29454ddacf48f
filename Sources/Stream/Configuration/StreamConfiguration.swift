package import BatchNormalization
package import Codecs
package import Records

/// Everything that says how one stream is read, normalised and written; the same names as in the
/// configuration file and on the command line.
package struct StreamConfiguration: Sendable {
  /// The stream in messages.
  package var name: String
  /// The name of the input's format, one of `BuiltInFormats.all`.
  package var format: String
  package var decoder = DecoderOptions()
  package var batch = BatchOptions()
  package var normalization = NormalizationSettings()
  package var badRecords = BadRecordPolicy.fail
  /// Whether the source has no end: records are passed on as they come, and batches cut by time too.
  package var isLive = false
  package var decompression = DecompressionOptions()
  /// The name of the output's format; nil is that of the input.
  package var outputFormat: String?
  package var precision = Precision.float32
  /// The zstd level of the output; nil leaves it uncompressed.
  package var compressionLevel: Int?
  package var onMismatch = MismatchPolicy.fail

  package init(name: String, format: String) {
    self.name = name
    self.format = format
  }

  /// Checks what can be checked before a byte is read.
  ///
  /// - Throws: `StreamError.configuration` for the first of `violations`.
  package func validate() throws(StreamError) {
    if let first = violations().first { throw .configuration(first.description) }
  }

  /// Whether records are written in the format they were read in, so that all else can pass.
  var keepsFormat: Bool { outputFormat == nil || outputFormat == format }
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
  /// Frames with a window of more than 2^maxWindowLog bytes are refused.
  package var maxWindowLog = 27
  package static let growthRange = 1...1_000_000
  /// How many times as large as its compressed bytes a record of more than 1 MiB may be.
  package var maxGrowth = 1000
  package var dictionary: [UInt8]?

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

/// What happens to a checkpoint that does not fit the stream.
package enum MismatchPolicy: String, Sendable, CaseIterable {
  case fail
  /// Features that it knows are taken over, others start afresh.
  case matchByName = "match_by_name"
  /// It is not used.
  case reset
}
