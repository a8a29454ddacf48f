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
}
