package import Configuration
package import Records

/// How records are read; a format uses the parts that concern it.
package struct DecoderOptions: Sendable {
  /// The features to normalise; empty means every column whose first record holds a number.
  package var features: [FeaturePattern] = []
  /// The width of the columns: `float32` only if both input and output are 4-byte floats.
  package var columns = Precision.float64
  /// Whether blocks carry the records' bytes, for an output of the same format.
  package var keepsText = true
  package var onMissing = MissingPolicy.keep
  package var onInvalid = InvalidPolicy.reject
  /// The values of the format's own settings.
  package var settings = SettingValues()
  package var limits = DecoderLimits()
  /// The opening of the stream, once another split, or an earlier run, has told it.
  package var opening: StreamOpening?
  /// The place of the header in this split, for a format that has headers.
  package var header = HeaderPlace.expected

  package init() {}
}

/// The bounds of a record, against hostile input.
package struct DecoderLimits: Sendable, Equatable {
  package static let recordByteRange = 1...1 << 30
  package static let fieldRange = 1...1_000_000
  package static let depthRange = 1...1024
  /// The most bytes that one record (or the header) may have.
  package var recordBytes = 16 << 20
  /// The most columns or members that a record may have.
  package var fields = 100_000
  /// The deepest that JSON may nest.
  package var depth = 256

  package init() {}
}

/// The treatment of a missing value.
package enum MissingPolicy: String, Sendable, CaseIterable {
  /// It stays missing, spelled as it was read.
  case keep
  /// It is taken as the mean: y = β.
  case impute
  /// Its record is a bad record.
  case reject
}

/// The treatment of an infinity, or of text that is no number.
package enum InvalidPolicy: String, Sendable, CaseIterable {
  /// Its record is a bad record.
  case reject
  /// It is a missing value.
  case missing
}
