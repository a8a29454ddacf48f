package import Configuration
package import Records

/// The options for reading records. Each format uses those that concern it.
package struct DecoderOptions: Sendable {
  /// The features to normalise; empty lets the decoder choose by the records that it looks at
  /// (`FeatureChooser`).
  package var features: [FeaturePattern] = []
  /// Columns that are no features, whatever `features` says.
  package var exclude: [FeaturePattern] = []
  /// Columns that are no features, and tell the normaliser something about each record.
  package var roles: [RoleColumn] = []
  /// Columns of Arrow with lists of numbers that are kept beside the features, if the input has them (`ArrowLists`).
  package var lists: [String] = []
  /// The width of the columns: `float32` only if both input and output are 4-byte floats.
  package var columns = Precision.float64
  /// Whether blocks keep the bytes of the records, for an output of the same format.
  package var keepsText = true
  /// Whether the output has this format.
  package var keepsFormat = true
  /// Whether the output has another format, and all columns.
  package var keepsFields = false
  package var onMissing = MissingPolicy.keep
  package var onInvalid = InvalidPolicy.reject
  /// The values of the format's own settings.
  package var settings = SettingValues()
  package var limits = DecoderLimits()
  /// The opening of the stream, if an earlier split or run has determined it.
  package var opening: StreamOpening?
  /// Whether this split begins with a header, for formats that have headers.
  package var header = HeaderPlace.expected
  /// The data of the decoder of an earlier run, at the place where this one begins.
  package var state = OpaqueBytes()
  /// The number of bytes of the split, decompressed, before that place.
  package var byteOffset = 0
  /// Reads other places of the split, as they are in its file; nil if that is not possible.
  package var elsewhere: SplitBytes?

  package init() {}

  /// The user's choice of features, as text.
  package var choiceTexts: [String] {
    features.map(\.text) + exclude.map { "!" + $0.text } + roles.map { "\($0.key)=\($0.name)" }
  }

  /// Chooses among columns by name alone: without `features`, every column that is not excluded and has no role.
  ///
  /// - Returns: indices into `names`.
  /// - Throws: if a pattern fits no name, or no column is left.
  package func select(from names: [String]) throws(FeatureError) -> [Int] {
    let excluded = try exclude.matching(names)
    let chosen =
      features.isEmpty ? Array(names.indices) : try FeaturePattern.select(features, from: names)
    let left = chosen.filter { !excluded.contains($0) && !isRole(names[$0]) }
    guard !left.isEmpty || chosen.isEmpty else { throw .noneLeft }
    return left
  }
}

/// The bytes of a split that is a file, at any place.
package struct SplitBytes: Sendable {
  package let byteCount: Int
  /// Gives so many bytes at an offset, fewer at the end of the file; nil if they cannot be read.
  package let read: @Sendable (_ offset: Int, _ count: Int) -> [UInt8]?

  package init(byteCount: Int, read: @escaping @Sendable (_ offset: Int, _ count: Int) -> [UInt8]?)
  {
    self.byteCount = byteCount
    self.read = read
  }
}

/// The bounds of a record, against hostile input.
package struct DecoderLimits: Sendable, Equatable {
  package static let recordByteRange = 1...1 << 30
  package static let fieldRange = 1...1_000_000
  package static let depthRange = 1...1024
  /// The most bytes that one record (or the header) may have.
  package var recordBytes = 16 << 20
  /// The most columns or members of a record.
  package var fields = 100_000
  /// The most bytes of a unit of several records, such as an Arrow record batch.
  package var unitBytes = 1 << 30
  /// The deepest nesting of JSON.
  package var depth = 256
  /// Whether JSON may hold NaN and infinities, as invalid values.
  package var allowsNotFinite = false
  /// Whether a string of digits in the place of a feature is a number.
  package var readsQuotedNumbers = false

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
