extension JSON {
  /// Reads a text that is one JSON value; white space may stand around it.
  init(parsing text: some Sequence<UInt8>, limits: JSONLimits = JSONLimits()) throws(ContentError) {
    var parser = JSONParser(bytes: Array(text), limits: limits)
    self = try parser.document()
  }
}

/// A parser by recursive descent, strict and bounded: no name twice in an object, no lone surrogate,
/// no invalid UTF-8, and neither more nesting nor more values than the limits say.
private struct JSONParser {
  let bytes: [UInt8]
  let limits: JSONLimits
  var offset = 0
  var values = 0

  init(bytes: [UInt8], limits: JSONLimits) {
    self.bytes = bytes
    self.limits = limits
  }

  mutating func document() throws(ContentError) -> JSON {
    let value = try value(depth: 0)
    skipWhiteSpace()
    guard offset == bytes.count else { throw malformed("the end of the text") }
    return value
  }

  private mutating func value(depth: Int) throws(ContentError) -> JSON {
    guard depth <= limits.depth else { throw malformed("at most \(limits.depth) levels") }
    values += 1
    guard values <= limits.values else { throw malformed("at most \(limits.values) values") }
    skipWhiteSpace()
    switch peek {
    case UInt8(ascii: "{"): return try object(depth: depth)
    case UInt8(ascii: "["): return try array(depth: depth)
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "-")?, (UInt8(ascii: "0")...UInt8(ascii: "9"))?: return .number(try number())
    case UInt8(ascii: "t"): return try literal("true", .bool(true))
    case UInt8(ascii: "f"): return try literal("false", .bool(false))
    case UInt8(ascii: "n"): return try literal("null", .null)
    default: throw malformed("a value")
    }
  }

  private mutating func object(depth: Int) throws(ContentError) -> JSON {
    offset += 1
    var members: [String: JSON] = [:]
    skipWhiteSpace()
    if take("}") { return .object(members) }
    repeat {
      skipWhiteSpace()
      let start = offset
      guard peek == UInt8(ascii: "\"") else { throw malformed("a name") }
      let name = try string()
      skipWhiteSpace()
      guard take(":") else { throw malformed("':'") }
      let value = try value(depth: depth + 1)
      guard members.updateValue(value, forKey: name) == nil else {
        throw .malformedJSON(
          offset: start, expected: "a name that is not there yet, found \(quoted(name)) again")
      }
      skipWhiteSpace()
    } while take(",")
    guard take("}") else { throw malformed("',' or '}'") }
    return .object(members)
  }

  private mutating func array(depth: Int) throws(ContentError) -> JSON {
    offset += 1
    var elements: [JSON] = []
    skipWhiteSpace()
    if take("]") { return .array(elements) }
    repeat {
      elements.append(try value(depth: depth + 1))
      skipWhiteSpace()
    } while take(",")
    guard take("]") else { throw malformed("',' or ']'") }
    return .array(elements)
  }

  private mutating func string() throws(ContentError) -> String {
    let start = offset
    offset += 1
    var text: [UInt8] = []
    while let byte = peek, byte != UInt8(ascii: "\"") {
      guard byte >= 0x20 else { throw malformed("no control character in a string") }
      offset += 1
      if byte == UInt8(ascii: "\\") {
        text += try escaped()
      } else {
        text.append(byte)
      }
    }
    guard take("\"") else { throw malformed("'\"'") }
    guard let string = String(validating: text, as: UTF8.self) else {
      throw .malformedJSON(offset: start, expected: "a string in UTF-8")
    }
    return string
  }

  /// What stands for the escape whose backslash was just passed.
  private mutating func escaped() throws(ContentError) -> [UInt8] {
    guard let byte = peek else { throw malformed("an escape") }
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"):
      offset += 1
      return [byte]
    case UInt8(ascii: "b"): return control(8)
    case UInt8(ascii: "f"): return control(12)
    case UInt8(ascii: "n"): return control(10)
    case UInt8(ascii: "r"): return control(13)
    case UInt8(ascii: "t"): return control(9)
    case UInt8(ascii: "u"):
      var code = UInt32(try codeUnit())
      if 0xD800..<0xDC00 ~= code {
        guard take("\\"), peek == UInt8(ascii: "u") else { throw malformed("a low surrogate") }
        let low = UInt32(try codeUnit())
        guard 0xDC00..<0xE000 ~= low else { throw malformed("a low surrogate") }
        code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
      }
      guard let scalar = Unicode.Scalar(code) else { throw malformed("a high surrogate first") }
      return Array(String(Character(scalar)).utf8)
    default: throw malformed("an escape")
    }
  }

  private mutating func control(_ byte: UInt8) -> [UInt8] {
    offset += 1
    return [byte]
  }

  /// The four hexadecimal digits after a `u`.
  private mutating func codeUnit() throws(ContentError) -> UInt16 {
    offset += 1
    var code: UInt16 = 0
    for _ in 0..<4 {
      guard let digit = peek.flatMap({ Character(Unicode.Scalar($0)).hexDigitValue }) else {
        throw malformed("four hexadecimal digits")
      }
      code = code << 4 | UInt16(digit)
      offset += 1
    }
    return code
  }

  private mutating func number() throws(ContentError) -> String {
    let start = offset
    _ = take("-")
    if !take("0") { try digits() }
    if take(".") { try digits() }
    if take("e") || take("E") {
      if !take("+") { _ = take("-") }
      try digits()
    }
    return String(decoding: bytes[start..<offset], as: UTF8.self)
  }

  private mutating func digits() throws(ContentError) {
    let start = offset
    while let byte = peek, UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte { offset += 1 }
    guard offset > start else { throw malformed("a digit") }
  }

  private mutating func literal(_ text: String, _ value: JSON) throws(ContentError) -> JSON {
    guard bytes[offset...].starts(with: text.utf8) else { throw malformed("a value") }
    offset += text.utf8.count
    return value
  }

  private var peek: UInt8? { offset < bytes.count ? bytes[offset] : nil }

  /// Passes `character` if it is next.
  private mutating func take(_ character: Unicode.Scalar) -> Bool {
    guard peek == UInt8(ascii: character) else { return false }
    offset += 1
    return true
  }

  private mutating func skipWhiteSpace() {
    while let byte = peek, [0x20, 0x09, 0x0A, 0x0D].contains(byte) { offset += 1 }
  }

  private func malformed(_ expected: String) -> ContentError {
    .malformedJSON(offset: offset, expected: expected)
  }
}
