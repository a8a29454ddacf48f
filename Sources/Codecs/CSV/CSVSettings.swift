package import Configuration
internal import Records

/// The settings of CSV.
package enum CSVSettings {
  package static let group = SettingGroup(
    "CSV", [header, delimiter, decimal, missingTokens, comment, skipRows],
    rules: [
      SettingRule { values in
        guard values[decimal] == values[delimiter] else { return [] }
        return [
          SettingViolation(
            decimal, expected: .value("another character than the delimiter"),
            found: "'\(mark(values[decimal]))'")
        ]
      },
      SettingRule { values in
        guard let start = values[comment], start == values[delimiter] else { return [] }
        return [
          SettingViolation(
            comment, expected: .value("another character than the delimiter"),
            found: "'\(mark(start))'")
        ]
      },
    ])

  package static let header = Setting(
    "header", .bool, default: true,
    option: .flag(
      "no-header", means: "false",
      help: "The first line is a record. The columns are called `f0`, `f1`, …."),
    effects: .outputForm,
    help: "Whether the first line names the columns. Otherwise they are called `f0`, `f1`, ….")

  package static let delimiter = Setting(
    "delimiter", delimiterType, default: UInt8(ascii: ","),
    defaultText: "`,`; a tab for a file whose name ends in `.tsv` or `.tab`",
    option: .value("delimiter", "c"), effects: [.outputForm, .writing],
    help: "One ASCII character that cannot be part of a number. `\\t` is the tab character.")

  package static let decimal = Setting(
    "decimal", decimalType, default: UInt8(ascii: "."), option: .value("decimal", "c"),
    effects: [.outputForm, .writing],
    help: "The character before the fraction of a number, `.` or `,`, in the output too.")

  package static let missingTokens = Setting(
    "missing_tokens", .texts,
    default: ["NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "None", "\\N"],
    option: .value("missing-tokens", "list"), optionType: .commaSeparated,
    help: "Texts that mean a missing value, besides the empty field and NaN.")

  package static let comment = Setting(
    "comment", commentType, option: .value("comment", "c"),
    help: "Lines that start with this character are no records and pass as they are.")

  package static let skipRows = Setting(
    "skip_rows", .integer(in: 0...1_000_000), default: 0, option: .value("skip-rows", "n"),
    help: "So many lines before the header are no records and pass as they are.")

  private static let delimiterType = SettingType<UInt8>(
    expected: "one ASCII character", text: mark,
    parse: { (text) throws(SettingRefusal) in
      let only = try byte(text)
      guard isDelimiter(only) else {
        throw SettingRefusal(expected: "a delimiter that cannot be part of a number")
      }
      return only
    })

  private static let decimalType = SettingType<UInt8>(
    expected: "one of '.', ','", words: [".", ","], text: mark,
    parse: { (text) throws(SettingRefusal) in
      let only = try byte(text)
      guard only == UInt8(ascii: ".") || only == UInt8(ascii: ",") else { throw SettingRefusal() }
      return only
    })

  private static let commentType = SettingType<UInt8>(
    expected: "one ASCII character", text: mark,
    parse: { (text) throws(SettingRefusal) in
      let only = try byte(text)
      guard isDelimiter(only), only != UInt8(ascii: " "), only != UInt8(ascii: "\t") else {
        throw SettingRefusal(expected: "a character that no record starts with, such as '#'")
      }
      return only
    })

  private static func mark(_ byte: UInt8) -> String {
    byte == 0x09 ? "\\t" : String(UnicodeScalar(byte))
  }

  private static func byte(_ text: String) throws(SettingRefusal) -> UInt8 {
    let bytes = Array((text == "\\t" ? "\t" : text).utf8)
    guard let only = bytes.first, bytes.count == 1 else {
      throw SettingRefusal(found: RecordFault.quote(text.utf8))
    }
    return only
  }

  /// Whether a byte can separate fields: it is not part of a number, a quote or a line end.
  static func isDelimiter(_ byte: UInt8) -> Bool {
    let isPlain = (0x20...0x7E).contains(byte) || byte == 0x09
    let character = Character(UnicodeScalar(byte))
    return isPlain && !character.isLetter && !character.isNumber && !"\"+-.".contains(character)
  }
}
