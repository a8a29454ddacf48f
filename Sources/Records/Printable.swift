/// The text with control characters written as `\u{1B}`, because they could control a terminal or look like lines of
/// a log.
///
/// - Parameter keepsLines: whether line ends stay.
package func printable(_ text: some StringProtocol, keepsLines: Bool = false) -> String {
  guard text.unicodeScalars.contains(where: isControl) else { return String(text) }
  return text.unicodeScalars.map { scalar in
    isControl(scalar) && !(keepsLines && scalar == "\n")
      ? scalar.escaped(asASCII: true) : "\(scalar)"
  }.joined()
}

/// JSON with all control characters escaped. RFC 8259 allows DEL and those from U+0080 on without escapes, but some
/// of them control a terminal. `json` is UTF-8.
package func printable(json: [UInt8]) -> [UInt8] {
  var printed: [UInt8] = []
  printed.reserveCapacity(json.count)
  var index = 0
  while index < json.count {
    let byte = json[index]
    let isPair = byte == 0xC2 && index + 1 < json.count && (0x80...0x9F).contains(json[index + 1])
    if byte == 0x7F || isPair {
      let code = isPair ? json[index + 1] : byte
      let digits = String(code, radix: 16)
      printed += Array("\\u00\(digits)".utf8)
    } else {
      printed.append(byte)
    }
    index += isPair ? 2 : 1
  }
  return printed
}

private func isControl(_ scalar: Unicode.Scalar) -> Bool {
  scalar.properties.generalCategory == .control
}
