package import Configuration
package import Records

/// A format of records: its name, how files of it are called, and how to read and write it.
///
/// A new format is one file with such a value, and one line in `BuiltInFormats.all`.
package struct RecordFormat: Sendable {
  package let name: String
  /// File-name extensions, without the dot, that mean this format.
  package let fileExtensions: [String]
  /// What can be set of it, in the section under its name and by options.
  package let settings: SettingGroup
  /// The width of the numbers that it reads.
  package let precision: @Sendable (SettingValues) -> Precision
  /// The number of features, if the settings alone tell it; nil if the stream does.
  package let featureCount: @Sendable (SettingValues) -> Int?
  /// What no stream can be started with, among the values of the stream's and the format's settings;
  /// `keepsFormat` tells whether records are written in the format too.
  package let check: @Sendable (_ values: SettingValues, _ keepsFormat: Bool) -> [SettingViolation]
  /// How records end that it writes: with the settings of the records if they are passed on in this format,
  /// else with as many features of a width.
  package let recordEnds: @Sendable (SettingValues?, _ features: Int, Precision) -> RecordEnds
  package let makeDecoder: @Sendable (DecoderOptions) throws(FormatError) -> any RecordDecoder
  package let makeEncoder: @Sendable (EncoderOptions) throws(FormatError) -> any RecordEncoder

  package init(
    name: String, fileExtensions: [String], settings: SettingGroup,
    precision: @escaping @Sendable (SettingValues) -> Precision = { _ in .float64 },
    featureCount: @escaping @Sendable (SettingValues) -> Int? = { _ in nil },
    check: @escaping @Sendable (SettingValues, Bool) -> [SettingViolation] = { _, _ in [] },
    recordEnds: @escaping @Sendable (SettingValues?, Int, Precision) -> RecordEnds,
    makeDecoder: @escaping @Sendable (DecoderOptions) throws(FormatError) -> any RecordDecoder,
    makeEncoder: @escaping @Sendable (EncoderOptions) throws(FormatError) -> any RecordEncoder
  ) {
    self.name = name
    self.fileExtensions = fileExtensions
    self.settings = settings
    self.precision = precision
    self.featureCount = featureCount
    self.check = check
    self.recordEnds = recordEnds
    self.makeDecoder = makeDecoder
    self.makeEncoder = makeEncoder
  }
}

extension RecordFormat {
  /// Everything among the values of settings with which a stream of this format would not start.
  package func violations(
    in values: SettingValues, keepsFormat: Bool
  ) -> [SettingViolation] {
    let found = check(values, keepsFormat)
    guard found.isEmpty else { return found }
    do {
      _ = try makeDecoder(DecoderOptions(values))
      return []
    } catch {
      return [SettingViolation(error.setting, expected: .said(error.message), found: "")]
    }
  }
}

/// How the end of a record is found in what a format has written.
package enum RecordEnds: Sendable, Equatable {
  /// At a line end, unless it is within quotes.
  case lines(quote: UInt8?)
  /// After so many bytes.
  case rows(byteCount: Int)
}

/// Every format that Evenkeel reads and writes.
package enum BuiltInFormats {
  package static let all: [RecordFormat] = [.csv, .ndjson, .raw]
}

extension [RecordFormat] {
  package func named(_ name: String) -> RecordFormat? {
    first { $0.name == name }
  }

  /// The format of a file by its name, a `.zst` at the end aside.
  package func ofFile(named path: String) -> RecordFormat? {
    let name = path.lowercased()
    let plain = name.hasSuffix(".zst") ? name.dropLast(4) : name[...]
    return first { $0.fileExtensions.contains { plain.hasSuffix("." + $0) } }
  }
}

/// How records are to be read; a format takes from it what concerns it.
package struct DecoderOptions: Sendable {
  /// The features to normalise; empty means every column whose first record holds a number.
  package var features: [FeaturePattern] = []
  /// The width of the columns: `float32` only where both input and output are 4-byte floats.
  package var columns = Precision.float64
  /// Whether the batch must carry the records' bytes, for an output of the same format.
  package var keepsText = true
  package var onMissing = MissingPolicy.keep
  package var onInvalid = InvalidPolicy.reject
  /// The values of the format's own settings.
  package var settings = SettingValues()
  package var limits = DecoderLimits()
  /// The opening of the stream, once another split, or an earlier run, has told it.
  package var opening: StreamOpening?
  /// Where the header of this split is, in a format that has headers.
  package var header = HeaderPlace.expected

  package init() {}
}

/// Bounds that hostile input runs into.
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

/// What happens to a missing value.
package enum MissingPolicy: String, Sendable, CaseIterable {
  /// It stays missing, spelled as it came.
  case keep
  /// It is taken as the mean: y = β.
  case impute
  /// Its record is a bad record.
  case reject
}

/// What happens to an infinity or to text that is no number.
package enum InvalidPolicy: String, Sendable, CaseIterable {
  case reject
  case missing
}

/// How records are to be written.
package struct EncoderOptions: Sendable {
  package var schema: FeatureSchema
  /// What the decoder found before the records (a CSV header line), or nil where the input had
  /// another format and the encoder makes its own.
  package var prologue: [UInt8]?
  package var precision = Precision.float32
  /// The values of the format's own settings.
  package var settings = SettingValues()

  package init(schema: FeatureSchema, prologue: [UInt8]?) {
    self.schema = schema
    self.prologue = prologue
  }
}

/// Cuts decompressed bytes into records and reads their features.
///
/// A decoder sees the bytes through a window: it must give the same records however the stream is
/// cut into windows. The window always starts at the first byte that was not consumed.
package protocol RecordDecoder: Sendable {
  /// Reads what precedes the first record of the split and chooses the features.
  ///
  /// - Returns: nil if it must see more bytes; asked again with a longer window then. The prologue is that
  ///   of this split, and is consumed. If the options name another opening that the split does not fit,
  ///   the columns found tell, and nothing is decoded.
  mutating func open(_ window: InputWindow) throws(RecordFault) -> StreamOpening?

  /// Appends records to `block` until it holds `limit` of them, the window holds no whole record
  /// more, or a record is bad.
  ///
  /// `consumed` and `records` are counted up for every record taken, good or bad, as it is taken.
  mutating func decode(
    _ window: InputWindow, into block: inout RecordBlock, limit: Int, progress: inout DecodeProgress
  ) -> DecodeOutcome

  /// Called when the stream has ended, for checks that need all of it.
  func finish() throws(RecordFault)
}

/// The bytes of the stream that are at hand.
package struct InputWindow {
  package let bytes: UnsafeBufferPointer<UInt8>
  /// Whether the stream ends with these bytes.
  package let isLast: Bool

  package init(bytes: UnsafeBufferPointer<UInt8>, isLast: Bool) {
    self.bytes = bytes
    self.isLast = isLast
  }
}

/// How far into the window a decoder has come.
package struct DecodeProgress {
  package var consumed = 0
  /// Records taken, bad ones included; blank lines are none.
  package var records = 0
  /// Whether the last of them was one of a unit that goes on: of an Arrow record batch, of a message with
  /// many records. No checkpoint divides such a unit, and its end ends the open mini-batch if that began
  /// within it. A decoder begins a unit only when the window holds all of it.
  package var isInsideUnit = false

  package init() {}
}

/// Why a decoder stopped.
package enum DecodeOutcome {
  /// The block holds `limit` records.
  case limitReached
  /// A unit of several records has ended.
  case unitEnded
  /// No whole record is left in the window; at the end of the stream, nothing is left at all.
  case needsInput
  /// A bad record of so many bytes, already counted as consumed, line end included.
  case rejected(RecordFault, byteCount: Int)
  /// Nothing that follows can be read: the record's end is unknown or beyond a limit.
  case failed(RecordFault)
}

/// What is wrong with a record; the stream, offset and record number are added by the pipeline.
package struct RecordFault: Error, Equatable, Sendable, CustomStringConvertible {
  package var expected: String
  package var found: String
  /// Where in the window the record begins, where the start of a stream holds one that is refused.
  package var offset: Int?

  package init(expected: String, found: String) {
    self.expected = expected
    self.found = found
  }

  /// The fault as that of a record that the start of a stream holds.
  func at(_ offset: Int) -> RecordFault {
    var fault = self
    fault.offset = offset
    return fault
  }

  /// A choice of features that does not fit the stream.
  package init(_ error: FeatureError) {
    switch error {
    case .duplicateName(let name):
      self.init(expected: "feature names that differ", found: "'\(name)' twice")
    case .matchesNothing(let pattern, let nearest):
      self.init(
        expected: "a column that '\(pattern)' matches",
        found: "none" + (nearest.map { "; did you mean '\($0)'?" } ?? ""))
    }
  }

  package var description: String { "expected \(expected), found \(found)" }

  /// The start of a text from the stream, in quotes and fit for one line of a terminal.
  package static func quote(_ bytes: some Sequence<UInt8>) -> String {
    let start = Array(bytes.prefix(41))
    let text = String(decoding: start.prefix(40), as: UTF8.self).unicodeScalars.map {
      $0.properties.generalCategory == .control ? $0.escaped(asASCII: true) : String($0)
    }.joined()
    return "'\(text)\(start.count > 40 ? "…" : "")'"
  }
}

/// A setting that a format cannot work with.
package struct FormatError: Error, Equatable, CustomStringConvertible {
  package let setting: any SettingDescription
  /// What is wrong with it, in full.
  package let message: String

  package init(_ setting: any SettingDescription, _ message: String) {
    self.setting = setting
    self.message = message
  }

  package var description: String { "\(setting.key ?? ""): \(message)" }

  package static func == (left: FormatError, right: FormatError) -> Bool {
    left.setting === right.setting && left.message == right.message
  }
}

/// Writes records; a value without state, so that blocks may be encoded in parallel.
package protocol RecordEncoder: Sendable {
  /// Writes what precedes the first record.
  func encodePrologue(into output: ByteBuffer)
  /// Writes the selection of a block, features as they are in its columns, to the end of `output`.
  func encode(_ block: RecordBlock, into output: ByteBuffer)
}
