/// A JSON object of which the members are whole numbers, arrays of numbers, and arrays of such arrays.
///
/// It is read in a fraction of the time that a general reader takes. A text with anything else in it is left to the general
/// reader, which also tells what is wrong.
package struct NumberMembers {
  package enum Value: Equatable {
    case whole(Int)
    /// Null is NaN.
    case numbers([Double])
    case rows([[Double]])
  }

  /// In the order of the text. No two have one name.
  package private(set) var members: [(name: String, value: Value)] = []

  /// Reads a whole text; nil if it has another form.
  package init?(_ text: [UInt8]) {
    let isRead = text.withUnsafeBufferPointer { bytes in
      var reader = Reader(bytes)
      return read(&reader)
    }
    guard isRead else { return nil }
  }

  private mutating func read(_ reader: inout Reader) -> Bool {
    guard reader.take(UInt8(ascii: "{")), !reader.take(UInt8(ascii: "}")) else { return false }
    repeat {
      guard let name = reader.name(), !members.contains(where: { $0.name == name }),
        reader.take(UInt8(ascii: ":")), let value = reader.value()
      else { return false }
      members.append((name, value))
    } while reader.take(UInt8(ascii: ","))
    return reader.take(UInt8(ascii: "}")) && reader.isAtEnd()
  }
}

// Invariant: everything before `place` has been read.

/// Reads the parts of the text one after another. A method that returns nil may have read a part.
private struct Reader {
  /// The most digits of a whole number, so that a Double has it exactly.
  private static let mostDigits = 15

  private let end: UnsafePointer<UInt8>?
  private var place: UnsafePointer<UInt8>?

  init(_ bytes: UnsafeBufferPointer<UInt8>) {
    place = bytes.baseAddress
    end = bytes.baseAddress.map { $0 + bytes.count }
  }

  /// The next byte, which stays; nil at the end.
  private var next: UInt8? {
    guard let place, place != end else { return nil }
    return place.pointee
  }

  private mutating func pass() { place = place.map { $0 + 1 } }

  private mutating func skipBlanks() {
    while let byte = next, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { pass() }
  }

  /// Takes a byte after blanks, if it is the next one.
  mutating func take(_ byte: UInt8) -> Bool {
    skipBlanks()
    guard next == byte else { return false }
    pass()
    return true
  }

  mutating func isAtEnd() -> Bool {
    skipBlanks()
    return next == nil
  }

  /// A name of small letters and underscores.
  mutating func name() -> String? {
    guard take(UInt8(ascii: "\"")), let start = place else { return nil }
    while let byte = next, UInt8(ascii: "a")...UInt8(ascii: "z") ~= byte || byte == 0x5F { pass() }
    guard let stop = place, stop != start, next == UInt8(ascii: "\"") else { return nil }
    pass()
    return String(
      decoding: UnsafeBufferPointer(start: start, count: stop - start), as: UTF8.self)
  }

  mutating func value() -> NumberMembers.Value? {
    guard take(UInt8(ascii: "[")) else { return whole().map { .whole($0) } }
    skipBlanks()
    guard next == UInt8(ascii: "[") else { return numbers().map { .numbers($0) } }
    var rows: [[Double]] = []
    repeat {
      guard take(UInt8(ascii: "[")), let row = numbers() else { return nil }
      rows.append(row)
    } while take(UInt8(ascii: ","))
    return take(UInt8(ascii: "]")) ? .rows(rows) : nil
  }

  /// The numbers after the bracket that begins an array, with the bracket that ends it.
  private mutating func numbers() -> [Double]? {
    var numbers: [Double] = []
    if take(UInt8(ascii: "]")) { return numbers }
    repeat {
      skipBlanks()
      guard let number = number() else { return nil }
      numbers.append(number)
    } while take(UInt8(ascii: ","))
    return take(UInt8(ascii: "]")) ? numbers : nil
  }

  /// A whole number without fraction and exponent.
  private mutating func whole() -> Int? {
    skipBlanks()
    let isNegative = takeMinus()
    let isZero = next == UInt8(ascii: "0")
    var (value, digits) = (0, 0)
    while let byte = next, let digit = Self.digit(byte) {
      (value, digits) = (10 * value + digit, digits + 1)
      guard digits <= Self.mostDigits else { return nil }
      pass()
    }
    guard digits == 1 || digits > 1 && !isZero, next != UInt8(ascii: "."), !isExponent
    else { return nil }
    return isNegative ? -value : value
  }

  /// A number as JSON spells it (RFC 8259, 6), or null, which is NaN.
  private mutating func number() -> Double? {
    guard let start = place, let end else { return nil }
    if next == UInt8(ascii: "n") { return null() ? .nan : nil }
    _ = takeMinus()
    let isZero = next == UInt8(ascii: "0")
    let (whole, wholeHasValue) = takeDigits()
    guard whole == 1 || whole > 1 && !isZero else { return nil }
    var hasValue = wholeHasValue
    if next == UInt8(ascii: ".") {
      pass()
      let (fraction, fractionHasValue) = takeDigits()
      guard fraction > 0 else { return nil }
      hasValue = hasValue || fractionHasValue
    }
    if isExponent {
      pass()
      if next == UInt8(ascii: "+") || next == UInt8(ascii: "-") { pass() }
      guard takeDigits().count > 0 else { return nil }
    }
    // Those beyond the range of a Double are left to the general reader.
    guard let (value, stop) = NumberText.parse(start, end), stop == place,
      value.isNormal || value == 0 && !hasValue
    else { return nil }
    return value
  }

  private var isExponent: Bool { next == UInt8(ascii: "e") || next == UInt8(ascii: "E") }

  private mutating func null() -> Bool {
    for byte in "null".utf8 {
      guard next == byte else { return false }
      pass()
    }
    return true
  }

  private mutating func takeMinus() -> Bool {
    guard next == UInt8(ascii: "-") else { return false }
    pass()
    return true
  }

  /// Takes digits, and tells whether one of them is not 0.
  private mutating func takeDigits() -> (count: Int, haveValue: Bool) {
    var (count, haveValue) = (0, false)
    while let byte = next, let digit = Self.digit(byte) {
      count += 1
      if digit != 0 { haveValue = true }
      pass()
    }
    return (count, haveValue)
  }

  private static func digit(_ byte: UInt8) -> Int? {
    let digit = byte &- UInt8(ascii: "0")
    return digit < 10 ? Int(digit) : nil
  }
}
