/// A value in the text of JSON.
struct JSONSpan: Equatable {
  enum Kind: Equatable {
    case null
    /// A number, true or false.
    case literal
    case string
    case object
    case array
  }

  var kind: Kind
  /// Its bytes; those of a string are without the quotes.
  var range: Range<Int>
}

/// Walks the members of an object, or the elements of an array, in text that was read as JSON before.
///
/// Other text may end the walk anywhere. Nothing traps.
struct JSONWalk {
  private let text: ArraySlice<UInt8>
  private var place: Int

  /// - Parameter text: the object or array, with its brackets; white space may be around them.
  init(_ text: ArraySlice<UInt8>) {
    self.text = text
    place = text.startIndex
    skipSpace()
    place = min(place + 1, text.endIndex)
  }

  /// The next member of an object: its key without quotes, with its escapes, and its value.
  mutating func nextMember() -> (key: Range<Int>, value: JSONSpan)? {
    guard skipToNext(), let key = string() else { return nil }
    skipSpace()
    guard place < text.endIndex, text[place] == UInt8(ascii: ":") else { return nil }
    place += 1
    skipSpace()
    return value().map { (key, $0) }
  }

  /// The next element of an array.
  mutating func nextElement() -> JSONSpan? { skipToNext() ? value() : nil }

  /// Skips a comma and white space. Returns false at the closing bracket.
  private mutating func skipToNext() -> Bool {
    skipSpace()
    if place < text.endIndex, text[place] == UInt8(ascii: ",") { place += 1 }
    skipSpace()
    guard place < text.endIndex else { return false }
    return text[place] != UInt8(ascii: "}") && text[place] != UInt8(ascii: "]")
  }

  private mutating func skipSpace() {
    while place < text.endIndex, Self.isSpace(text[place]) { place += 1 }
  }

  private static func isSpace(_ byte: UInt8) -> Bool {
    byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09
  }

  private mutating func value() -> JSONSpan? {
    guard place < text.endIndex else { return nil }
    let start = place
    switch text[place] {
    case UInt8(ascii: "\""): return string().map { JSONSpan(kind: .string, range: $0) }
    case UInt8(ascii: "{"):
      return skipNested() ? JSONSpan(kind: .object, range: start..<place) : nil
    case UInt8(ascii: "["):
      return skipNested() ? JSONSpan(kind: .array, range: start..<place) : nil
    default:
      while place < text.endIndex, !Self.endsLiteral(text[place]) { place += 1 }
      guard place > start else { return nil }
      let isNull = text[start] == UInt8(ascii: "n")
      return JSONSpan(kind: isNull ? .null : .literal, range: start..<place)
    }
  }

  private static func endsLiteral(_ byte: UInt8) -> Bool {
    isSpace(byte) || byte == UInt8(ascii: ",") || byte == UInt8(ascii: "}")
      || byte == UInt8(ascii: "]")
  }

  /// The contents of the string at `place`.
  private mutating func string() -> Range<Int>? {
    guard place < text.endIndex, text[place] == UInt8(ascii: "\"") else { return nil }
    let start = place + 1
    place = start
    while place < text.endIndex {
      switch text[place] {
      case UInt8(ascii: "\""):
        place += 1
        return start..<place - 1
      case UInt8(ascii: "\\"): place += 2
      default: place += 1
      }
    }
    place = text.endIndex
    return nil
  }

  /// Skips the object or array at `place`.
  private mutating func skipNested() -> Bool {
    var depth = 0
    while place < text.endIndex {
      switch text[place] {
      case UInt8(ascii: "\""):
        guard string() != nil else { return false }
        continue
      case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
      case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
      default: break
      }
      place += 1
      if depth == 0 { return true }
    }
    return false
  }
}

/// The spelling of strings in JSON.
enum JSONText {
  /// The place of an escape of half a surrogate pair, which no text of UTF-8 has; nil if there is none.
  ///
  /// - Parameter text: one line or more that were read as JSON.
  static func loneSurrogate<Text: RandomAccessCollection<UInt8>>(in text: Text) -> Range<Int>?
  where Text.Index == Int {
    var place = text.startIndex
    while let escape = text[place...].firstIndex(of: UInt8(ascii: "\\")) {
      place = min(escape + 2, text.endIndex)
      guard escape + 1 < text.endIndex, text[escape + 1] == UInt8(ascii: "u"),
        let first = unit(text, at: escape + 2)
      else { continue }
      place = escape + 6
      guard UTF16.isSurrogate(first) else { continue }
      let isPair =
        UTF16.isLeadSurrogate(first) && text[place...].starts(with: [0x5C, 0x75])
        && unit(text, at: place + 2).map(UTF16.isTrailSurrogate) == true
      guard isPair else { return escape..<place }
      place += 6
    }
    return nil
  }

  private static func unit<Text: RandomAccessCollection<UInt8>>(
    _ text: Text, at place: Int
  ) -> UInt16? where Text.Index == Int {
    place + 4 <= text.endIndex ? unit(Array(text[place..<place + 4])[...]) : nil
  }

  /// The contents of a string without its escapes. A half of a surrogate pair becomes U+FFFD.
  static func unescaped(_ content: ArraySlice<UInt8>) -> [UInt8] {
    var bytes: [UInt8] = []
    var rest = content
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "\\"), let escape = rest.popFirst() else {
        bytes.append(byte)
        continue
      }
      switch escape {
      case UInt8(ascii: "b"): bytes.append(0x08)
      case UInt8(ascii: "f"): bytes.append(0x0C)
      case UInt8(ascii: "n"): bytes.append(0x0A)
      case UInt8(ascii: "r"): bytes.append(0x0D)
      case UInt8(ascii: "t"): bytes.append(0x09)
      case UInt8(ascii: "u"): bytes += scalar(&rest)
      default: bytes.append(escape)
      }
    }
    return bytes
  }

  /// The character after `\u`, in UTF-8.
  private static func scalar(_ rest: inout ArraySlice<UInt8>) -> [UInt8] {
    let first = unit(rest)
    rest = rest.dropFirst(4)
    guard let first else { return Array("\u{FFFD}".utf8) }
    if UTF16.isLeadSurrogate(first), rest.starts(with: [UInt8(ascii: "\\"), UInt8(ascii: "u")]),
      let second = unit(rest.dropFirst(2)), UTF16.isTrailSurrogate(second)
    {
      rest = rest.dropFirst(6)
      return Array(String(decoding: [first, second], as: UTF16.self).utf8)
    }
    return Array(String(decoding: [first], as: UTF16.self).utf8)
  }

  private static func unit(_ digits: ArraySlice<UInt8>) -> UInt16? {
    digits.count < 4 ? nil : UInt16(String(decoding: digits.prefix(4), as: UTF8.self), radix: 16)
  }

  /// Appends a text as a string with its quotes. Invalid UTF-8 is repaired.
  static func append(_ text: ArraySlice<UInt8>, to output: ByteBuffer) {
    output.append(UInt8(ascii: "\""))
    if text.allSatisfy({ isPlain($0) && $0 < 0x80 }) {
      output.append(text)
    } else {
      for byte in String(decoding: text, as: UTF8.self).utf8 {
        if isPlain(byte) { output.append(byte) } else { output.append(escape(byte)) }
      }
    }
    output.append(UInt8(ascii: "\""))
  }

  private static func isPlain(_ byte: UInt8) -> Bool {
    byte >= 0x20 && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\")
  }

  private static func escape(_ byte: UInt8) -> [UInt8] {
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"): return [UInt8(ascii: "\\"), byte]
    case 0x0A: return Array("\\n".utf8)
    case 0x0D: return Array("\\r".utf8)
    case 0x09: return Array("\\t".utf8)
    default:
      let digits = String(byte, radix: 16)
      return Array("\\u00".utf8) + (byte < 16 ? [UInt8(ascii: "0")] : []) + Array(digits.utf8)
    }
  }
}
