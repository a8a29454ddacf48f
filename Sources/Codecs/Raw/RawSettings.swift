package import Configuration
package import Records

/// What can be set of raw rows.
package enum RawSettings {
  package static let group = SettingGroup("Raw rows", [columns, scalar])

  /// Only a decoder needs it: an encoder that writes features alone counts those.
  package static let columns = Setting(
    "columns", .integer(in: DecoderLimits.fieldRange), isRequired: true,
    option: .value("columns", "n"), effects: .outputForm, help: "Numbers in a row.")

  package static let scalar = Setting<Precision>(
    "scalar", .choice, default: .float32, option: .value("scalar", "width"), effects: .outputForm,
    help: "The width of the numbers, which are little-endian.")

  /// How many features the settings choose; nil if they are wrong, which `violations` tells.
  static func featureCount(in values: SettingValues) -> Int? {
    guard let count = values[columns], let features = values[RecordSettings.features],
      !features.isEmpty
    else { return values[columns] }
    return try? FeaturePattern.select(features, from: FeatureSchema.unnamed(count: count)).count
  }

  /// What no stream of raw rows can be started with.
  static func violations(
    in values: SettingValues, keepsFormat: Bool
  ) -> [SettingViolation] {
    // Its absence was told when the settings were read.
    guard let count = values[columns] else { return [] }
    let limit = values[RecordSettings.fields]
    guard count <= limit else {
      return [
        SettingViolation(
          columns, expected: .value("at most the \(limit) fields of a record"), found: "\(count)")
      ]
    }
    guard let features = values[RecordSettings.features], !features.isEmpty else { return [] }
    let chosen: [Int]
    do throws(FeatureError) {
      chosen = try FeaturePattern.select(features, from: FeatureSchema.unnamed(count: count))
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

  /// Why rows cannot be written in another width.
  static func passingColumns(_ width: Precision, found: Precision) -> String {
    "expected \(width.rawValue), the width of the columns that are no features and pass as they are, "
      + "found \(found.rawValue); or make every column a feature"
  }
}
