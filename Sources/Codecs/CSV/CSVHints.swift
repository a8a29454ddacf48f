internal import Configuration
internal import Records

/// Guesses, for an error, the settings that a file of CSV needs. Nothing is read by them.
struct CSVHints {
  private let delimiter: UInt8
  private let decimal: UInt8
  private let comment: UInt8?

  init(_ settings: SettingValues) {
    delimiter = settings[CSVSettings.delimiter]
    decimal = settings[CSVSettings.decimal]
    comment = settings[CSVSettings.comment]
  }

  /// The advice for a file whose first lines do not fit; nil if nothing in them tells what they need.
  ///
  /// - Parameters:
  ///   - header: the line of the names.
  ///   - record: the line after it; empty if there is none.
  func advice(header: some Collection<UInt8>, record: some Collection<UInt8>) -> String? {
    if comment == nil, let first = header.first, first == UInt8(ascii: "#") || first == 0x25 {
      return "--comment '\(Character(UnicodeScalar(first)))' passes lines that start with it"
    }
    if !header.contains(delimiter), let other = otherDelimiter(header, record) {
      let isDecimalComma =
        other != UInt8(ascii: ",") && decimal == UInt8(ascii: ".")
        && hasDecimalComma(record, other)
      return "--delimiter \(Self.spelled(other))" + (isDecimalComma ? " --decimal ','" : "")
        + " fits the first lines"
    }
    if decimal == UInt8(ascii: "."), delimiter != UInt8(ascii: ","),
      hasDecimalComma(record, delimiter)
    {
      return "--decimal ',' reads numbers such as 1,5"
    }
    // A title has no delimiter, as the header after it does.
    return !header.contains(delimiter) && record.contains(delimiter)
      ? "--skip-rows 1 passes a line before the header" : nil
  }

  /// The advice for a record with too few or too many fields; nil if there is none.
  func advice(record: some Collection<UInt8>) -> String? {
    comment == nil && record.first == UInt8(ascii: "#")
      ? "--comment '#' passes lines that start with it" : nil
  }

  /// The advice for a field that is no number; nil if there is none.
  func advice(value: some Collection<UInt8>) -> String? {
    if let advice = advice(record: value) { return advice }
    return decimal == UInt8(ascii: ".") && isDecimalComma(value)
      ? "--decimal ',' reads numbers such as 1,5" : nil
  }

  /// A delimiter that stands in both lines equally often.
  private func otherDelimiter(
    _ header: some Collection<UInt8>, _ record: some Collection<UInt8>
  ) -> UInt8? {
    [UInt8(ascii: ";"), 0x09, UInt8(ascii: "|"), UInt8(ascii: ",")].first { other in
      let count = header.count { $0 == other }
      return other != delimiter && count > 0
        && (record.isEmpty || record.count { $0 == other } == count)
    }
  }

  private func hasDecimalComma(_ record: some Collection<UInt8>, _ delimiter: UInt8) -> Bool {
    record.split(separator: delimiter).contains { isDecimalComma($0) }
  }

  /// Whether a field is a number with a comma before its fraction.
  private func isDecimalComma(_ field: some Collection<UInt8>) -> Bool {
    let digits = field.drop { $0 == 0x20 || $0 == 0x2D || $0 == 0x22 }
      .prefix { $0 != 0x20 && $0 != 0x22 && $0 != 0x0D }
    return digits.count { $0 == UInt8(ascii: ",") } == 1
      && digits.allSatisfy { $0 == UInt8(ascii: ",") || (0x30...0x39).contains($0) }
      && digits.first != UInt8(ascii: ",")
  }

  private static func spelled(_ byte: UInt8) -> String {
    byte == 0x09 ? "'\\t'" : "'\(Character(UnicodeScalar(byte)))'"
  }
}

extension RecordFault {
  /// The same fault, with advice for the user.
  func advising(_ advice: String?) -> RecordFault {
    guard let advice else { return self }
    var fault = self
    fault.found += "; \(advice)"
    return fault
  }
}
