package import Configuration
package import Records

/// The settings of raw rows.
package enum RawSettings {
  package static let group = SettingGroup(
    "Raw rows", [columns, scalar, npy],
    rules: [.never([columns, scalar], beside: npy, is: true)])

  /// Only a decoder needs it. An encoder that writes only features counts those.
  package static let columns = Setting(
    "columns", .integer(in: DecoderLimits.fieldRange), defaultText: "required without `npy`",
    option: .value("columns", "n"), effects: .outputForm, help: "Numbers in a row.")

  package static let scalar = Setting<Precision>(
    "scalar", .choice, default: .float32, option: .value("scalar", "width"), effects: .outputForm,
    help: "The width of the numbers, which are little-endian.")

  package static let npy = Setting(
    "npy", .bool, default: false, defaultText: "`true` for a file whose name ends in `.npy`",
    option: .flag("npy"),
    help:
      "Whether the input is a NumPy file: its header tells columns and width. The output is raw rows of "
      + "the features alone.")

  /// How many features the settings choose; nil if they are wrong, which `violations` tells.
  static func featureCount(in values: SettingValues) -> Int? {
    guard let count = values[columns] else { return nil }
    return try? DecoderOptions(values).select(from: FeatureSchema.unnamed(count: count)).count
  }

  /// Checks settings with which no stream of raw rows can start.
  static func violations(
    in values: SettingValues, keepsFormat: Bool
  ) -> [SettingViolation] {
    guard !values[npy] else { return [] }
    guard let count = values[columns] else {
      return [SettingViolation(columns, expected: .value(columns.expected), found: "nothing")]
    }
    let limit = values[RecordSettings.fields]
    guard count <= limit else {
      return [
        SettingViolation(
          columns, expected: .value("at most the \(limit) fields of a record"), found: "\(count)")
      ]
    }
    let chosen: [Int]
    do throws(FeatureError) {
      chosen = try DecoderOptions(values).select(from: FeatureSchema.unnamed(count: count))
    } catch {
      let fault = "\(RecordFault(error))"
      return [SettingViolation(RecordSettings.features, expected: .said(fault), found: "")]
    }
    let (width, precision) = (values[scalar], values[RecordSettings.precision])
    guard keepsFormat, chosen.count < count, width != precision else { return [] }
    return [
      SettingViolation(
        RecordSettings.precision, expected: .said(passingColumns(width, found: precision)),
        found: "")
    ]
  }

  /// The message if rows cannot be written in another width.
  static func passingColumns(_ width: Precision, found: Precision) -> String {
    "expected \(width.rawValue), the width of the columns that are no features and pass unchanged, "
      + "found \(found.rawValue); or make every column a feature"
  }
}
