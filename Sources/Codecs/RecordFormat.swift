package import Configuration
package import Records

/// A format of records: its name, its settings, its decoder and its encoder.
///
/// A new format is a folder with such a value, and one line in `BuiltInFormats.all`.
package struct RecordFormat: Sendable {
  package let name: String
  /// The file-name extensions of this format, without the dot.
  package let fileExtensions: [String]
  /// Further extensions, which files of other formats may have too.
  package let vagueExtensions: [String]
  /// Its own settings, in the section with its name and as options.
  package let settings: SettingGroup
  /// Whether its records are text, in UTF-8.
  package let isText: Bool
  /// Sets what the name of a file tells of settings that the user did not set; `extension` is without the dot.
  package let suggest: @Sendable (_ extension: String, FileRole, inout SettingValues) -> Void
  /// The width of the numbers that it reads.
  package let precision: @Sendable (SettingValues) -> Precision
  /// The width of columns that lose nothing, for an output of the same format that keeps the widths of its features;
  /// nil for the usual one.
  package let keptPrecision: @Sendable (StreamOpening, SettingValues) -> Precision?
  /// The number of features, if the settings determine it; nil if the stream does.
  package let featureCount: @Sendable (SettingValues) -> Int?
  /// Finds the settings of the stream and of the format with which no stream can start. `keepsFormat` tells whether
  /// the output has this format too.
  package let check: @Sendable (_ values: SettingValues, _ keepsFormat: Bool) -> [SettingViolation]
  /// The form in which written records end. Records that keep their format have settings. For others, the number and
  /// the width of the features determine it.
  package let recordEnds: @Sendable (SettingValues?, _ features: Int, Precision) -> RecordEnds
  /// Divides the text of its records into fields; nil if it has no columns.
  package let fields: (@Sendable (StreamOpening, SettingValues) -> any TextFields)?
  /// Whether its encoder writes all columns of formats that have `fields`. Otherwise only the features.
  package let writesFields: Bool
  /// Reads the columns of its records that have an obvious text; nil if its records have no typed columns.
  package let scalars: (@Sendable (StreamOpening, SettingValues) -> (any ScalarFields)?)?
  /// Whether its encoder writes the columns of formats that have `scalars`. Otherwise only the features.
  package let writesScalars: Bool
  /// Whether its records come in record batches, which can be mini-batches.
  package let hasRecordBatches: Bool
  /// Whether its stream begins with a schema, and can have no other. The name of an output file tells such a format.
  package let hasSchema: Bool
  /// The setting by which an output lists places in its file, so that it must be a file without compression around
  /// it; nil if it does not.
  package let needsFile: @Sendable (SettingValues) -> (any SettingDescription)?
  /// The settings of an output that not every format has, and this one has.
  package let outputOptions: [any SettingDescription]
  /// Finds those among them that do not fit an output of this format from input of another.
  package let checkOutput: @Sendable (SettingValues, _ input: RecordFormat) -> [SettingViolation]
  package let makeDecoder: @Sendable (DecoderOptions) throws(FormatError) -> any RecordDecoder
  package let makeEncoder: @Sendable (EncoderOptions) throws(FormatError) -> any RecordEncoder

  package init(
    name: String, fileExtensions: [String], vagueExtensions: [String] = [],
    settings: SettingGroup, isText: Bool = true,
    suggest: @escaping @Sendable (String, FileRole, inout SettingValues) -> Void = { _, _, _ in },
    precision: @escaping @Sendable (SettingValues) -> Precision = { _ in .float64 },
    keptPrecision: @escaping @Sendable (StreamOpening, SettingValues) -> Precision? = { _, _ in nil
    },
    featureCount: @escaping @Sendable (SettingValues) -> Int? = { _ in nil },
    check: @escaping @Sendable (SettingValues, Bool) -> [SettingViolation] = { _, _ in [] },
    recordEnds: @escaping @Sendable (SettingValues?, Int, Precision) -> RecordEnds,
    fields: (@Sendable (StreamOpening, SettingValues) -> any TextFields)? = nil,
    writesFields: Bool = false,
    scalars: (@Sendable (StreamOpening, SettingValues) -> (any ScalarFields)?)? = nil,
    writesScalars: Bool = false, hasRecordBatches: Bool = false, hasSchema: Bool = false,
    needsFile: @escaping @Sendable (SettingValues) -> (any SettingDescription)? = { _ in nil },
    outputOptions: [any SettingDescription] = [],
    checkOutput: @escaping @Sendable (SettingValues, RecordFormat) -> [SettingViolation] = { _, _ in
      []
    },
    makeDecoder: @escaping @Sendable (DecoderOptions) throws(FormatError) -> any RecordDecoder,
    makeEncoder: @escaping @Sendable (EncoderOptions) throws(FormatError) -> any RecordEncoder
  ) {
    self.name = name
    self.fileExtensions = fileExtensions
    self.vagueExtensions = vagueExtensions
    self.settings = settings
    self.isText = isText
    self.suggest = suggest
    self.precision = precision
    self.keptPrecision = keptPrecision
    self.featureCount = featureCount
    self.check = check
    self.recordEnds = recordEnds
    self.fields = fields
    self.writesFields = writesFields
    self.scalars = scalars
    self.writesScalars = writesScalars
    self.hasRecordBatches = hasRecordBatches
    self.hasSchema = hasSchema
    self.needsFile = needsFile
    self.outputOptions = outputOptions
    self.checkOutput = checkOutput
    self.makeDecoder = makeDecoder
    self.makeEncoder = makeEncoder
  }
}

extension RecordFormat {
  /// All settings with which a stream of this format cannot start.
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

/// All formats of Evenkeel.
package enum BuiltInFormats {
  package static let all: [RecordFormat] = [.csv, .ndjson, .raw, .arrow]
}

extension [RecordFormat] {
  package func named(_ name: String) -> RecordFormat? {
    first { $0.name == name }
  }

  /// The format of a file by its name, without the final extension of a codec.
  package func ofFile(named path: String) -> RecordFormat? {
    fileExtension(of: path).flatMap { found in
      first { ($0.fileExtensions + $0.vagueExtensions).contains(found) }
    }
  }

  /// The only format that a file of this name can have.
  package func certain(ofFileNamed path: String) -> RecordFormat? {
    fileExtension(of: path).flatMap { found in first { $0.fileExtensions.contains(found) } }
  }
}

/// The use of a file whose name is looked at.
package enum FileRole: Sendable {
  case input
  case output
}

extension RecordFormat {
  /// Sets what the name of a file tells of settings that the user did not set.
  package func suggest(by path: String, _ role: FileRole, _ values: inout SettingValues) {
    guard let found = fileExtension(of: path), fileExtensions.contains(found) else { return }
    suggest(found, role, &values)
  }
}

/// Extensions of compressed files that are not read. The error names their kind by their content.
private let foreignExtensions = ["xz", "bz2", "zip", "br"]

/// The extension of a file's name in small letters, without the dot; that of a compression after it does not count.
private func fileExtension(of path: String) -> String? {
  let name = path.lowercased().split(separator: "/").last ?? ""
  var parts = name.split(separator: ".")
  let codecs = BuiltInCodecs.all.map { $0.fileExtension } + foreignExtensions
  if let last = parts.last, codecs.contains(String(last)) { parts.removeLast() }
  return parts.count > 1 ? parts.last.map(String.init) : nil
}

/// A setting that a format cannot work with.
package struct FormatError: Error, Equatable, CustomStringConvertible {
  package let setting: any SettingDescription
  /// The complete message.
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
