package import Configuration
internal import Records

/// The settings of CSV.
package enum CSVSettings {
  package static let group = SettingGroup("CSV", [header, delimiter, missingTokens])

  package static let header = Setting(
    "header", .bool, default: true,
    option: .flag(
      "no-header", means: "false",
      help: "The first line is a record. The columns are called `f0`, `f1`, …."),
    effects: .outputForm,
    help: "Whether the first line names the columns. Otherwise they are called `f0`, `f1`, ….")

  package static let delimiter = Setting(
    "delimiter", delimiterType, default: UInt8(ascii: ","), option: .value("delimiter", "c"),
    effects: .outputForm,
    help: "One ASCII character that cannot be part of a number. `\\t` is the tab character.")

  package static let missingTokens = Setting(
    "missing_tokens", .texts, default: ["NA"], option: .value("missing-tokens", "list"),
    optionType: .commaSeparated,
    help: "Texts that mean a missing value, besides the empty field and NaN.")

  private static let delimiterType = SettingType<UInt8>(
    expected: "one ASCII character",
    text: { $0 == 0x09 ? "\\t" : String(UnicodeScalar($0)) },
    parse: { (text) throws(SettingRefusal) in
      let bytes = Array((text == "\\t" ? "\t" : text).utf8)
      guard let only = bytes.first, bytes.count == 1 else {
        throw SettingRefusal(found: RecordFault.quote(text.utf8))
      }
      guard isDelimiter(only) else {
        throw SettingRefusal(expected: "a delimiter that cannot be part of a number")
      }
      return only
    })

  /// Whether a byte can separate fields: it is not part of a number, a quote or a line end.
  static func isDelimiter(_ byte: UInt8) -> Bool {
    let isPlain = (0x20...0x7E).contains(byte) || byte == 0x09
    let character = Character(UnicodeScalar(byte))
    return isPlain && !character.isLetter && !character.isNumber && !"\"+-.".contains(character)
  }
}
