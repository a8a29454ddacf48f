package import Configuration
package import Records

/// A format of records: its name, its settings, its decoder and its encoder.
///
/// A new format is a folder with such a value, and one line in `BuiltInFormats.all`.
package struct RecordFormat: Sendable {
  package let name: String
  /// File-name extensions, without the dot, that mean this format.
  package let fileExtensions: [String]
  /// Its own settings, in the section under its name and as options.
  package let settings: SettingGroup
  /// The width of the numbers that it reads.
  package let precision: @Sendable (SettingValues) -> Precision
  /// The number of features, if the settings alone tell it; nil if the stream does.
  package let featureCount: @Sendable (SettingValues) -> Int?
  /// Finds the values of the stream's and the format's settings with which no stream can start;
  /// `keepsFormat` tells whether records are written in the format too.
  package let check: @Sendable (_ values: SettingValues, _ keepsFormat: Bool) -> [SettingViolation]
  /// Tells how the records end that it writes: by the settings of records that are passed on in this format,
  /// else by the number and the width of the features.
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

/// How the end of a record is found in the output of a format.
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

  /// The format of a file by its name; a `.zst` at the end does not count.
  package func ofFile(named path: String) -> RecordFormat? {
    let name = path.lowercased()
    let plain = name.hasSuffix(".zst") ? name.dropLast(4) : name[...]
    return first { $0.fileExtensions.contains { plain.hasSuffix("." + $0) } }
  }
}

/// A setting that a format cannot work with.
package struct FormatError: Error, Equatable, CustomStringConvertible {
  package let setting: any SettingDescription
  /// The fault, in full.
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
