/// A text without characters that would steer a terminal, pass for lines of a log or turn the direction of
/// writing: each is spelt as `\u{1B}` instead.
///
/// - Parameter keepsLines: whether line ends stay.
package func printable(_ text: some StringProtocol, keepsLines: Bool = false) -> String {
  guard text.unicodeScalars.contains(where: \.steersTerminals) else { return String(text) }
  return text.unicodeScalars.map { scalar in
    scalar.steersTerminals && !(keepsLines && scalar == "\n")
      ? scalar.escaped(asASCII: true) : "\(scalar)"
  }.joined()
}

/// JSON without the characters that steer a terminal and that RFC 8259 lets stand as they are. `json` is
/// UTF-8.
package func printable(json: [UInt8]) -> [UInt8] {
  let text = String(decoding: json, as: UTF8.self)
  // The line ends between members are JSON's own.
  guard text.unicodeScalars.contains(where: { $0.steersTerminals && $0 != "\n" }) else {
    return json
  }
  var printed: [UInt8] = []
  printed.reserveCapacity(json.count)
  for scalar in text.unicodeScalars {
    if scalar.steersTerminals, scalar != "\n" {
      let digits = String(scalar.value, radix: 16)
      printed += Array(("\\u" + String(repeating: "0", count: 4 - digits.count) + digits).utf8)
    } else {
      printed += Array(String(scalar).utf8)
    }
  }
  return printed
}

extension Unicode.Scalar {
  /// Whether it moves the cursor of a terminal, ends a line, or turns the direction of writing (UAX #9).
  package var steersTerminals: Bool {
    switch value {
    case 0x20...0x7E: false
    case 0x061C, 0x200E, 0x200F, 0x2028...0x202E, 0x2066...0x2069: true
    default: properties.generalCategory == .control
    }
  }
}
