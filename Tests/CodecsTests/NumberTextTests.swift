import TestSupport
import Testing

@testable import Codecs

struct NumberTextTests {
  private func parse(_ text: String) -> (value: Double, rest: String)? {
    let bytes = Array(text.utf8)
    return bytes.withUnsafeBufferPointer { buffer -> (value: Double, rest: String)? in
      guard let start = buffer.baseAddress else { return nil }
      let end = start + buffer.count
      guard let number = NumberText.parse(start, end) else { return nil }
      let rest = UnsafeBufferPointer(start: number.end, count: end - number.end)
      return (number.value, String(decoding: rest, as: UTF8.self))
    }
  }

  private func format(_ value: some FormattableNumber) -> String {
    let output = ByteBuffer()
    value.appendText(to: output)
    return String(decoding: output.readable, as: UTF8.self)
  }

  @Test(arguments: [
    ("1", 1.0), ("+1", 1.0), ("-0.5", -0.5), ("1e3", 1000.0), ("1E-3", 0.001), (".5", 0.5),
    ("5.", 5.0), ("007", 7.0), ("9007199254740993", 9_007_199_254_740_992.0),
    ("123456789012345678901234567890", 123_456_789_012_345_678_901_234_567_890.0),
    ("2.2250738585072011e-308", Double(bitPattern: 0x000F_FFFF_FFFF_FFFF)),
    ("5e-324", Double.leastNonzeroMagnitude),
    ("1e-400", 0.0), ("1e400", Double.infinity), ("-1e400", -Double.infinity),
    ("inf", Double.infinity), ("-Infinity", -Double.infinity),
    ("1.7976931348623157e308", Double.greatestFiniteMagnitude),
  ])
  func `text is read to the nearest number`(text: String, value: Double) throws {
    let number = try #require(parse(text))
    #expect(number.value == value)
    #expect(number.rest.isEmpty)
  }

  @Test func `a number ends at the first byte that does not belong to it`() throws {
    #expect(try #require(parse("1.5,2")).rest == ",2")
    #expect(try #require(parse("0x10")).rest == "x10")
    #expect(try #require(parse("1e+")).rest == "e+")
    #expect(try #require(parse("NaN ")).rest == " ")
    #expect(try #require(parse("nan")).value.isNaN)
  }

  @Test(arguments: ["x", "+", "-", "+-1", "--1", " 1", "e5", ".", "NA"])
  func `text that does not begin with a number is refused`(text: String) {
    #expect(parse(text) == nil)
  }

  @Test func `numbers are read as Swift reads them, and the text of a number reads back as it`()
    throws
  {
    let seed = testSeed
    var generator = SeededGenerator(seed: seed)
    for _ in 0..<20_000 {
      let double = Double(bitPattern: generator.next())
      guard double.isFinite else { continue }
      let swiftText = double.description
      #expect(parse(swiftText)?.value == Double(swiftText), "seed \(seed): \(swiftText)")
      let text = format(double)
      #expect(Double(text)?.bitPattern == double.bitPattern, "seed \(seed): \(text)")
      // Up to 2^53 the digits are exact, because an exponent would not be shorter.
      guard double.magnitude < 0x1p53 else { continue }
      #expect(significantDigits(text) == significantDigits(swiftText), "seed \(seed): \(text)")
    }
    for _ in 0..<20_000 {
      let float = Float(bitPattern: UInt32(truncatingIfNeeded: generator.next()))
      guard float.isFinite else { continue }
      let text = format(float)
      #expect(Float(text)?.bitPattern == float.bitPattern, "seed \(seed): \(text)")
      guard float.magnitude < 0x1p24 else { continue }
      #expect(
        significantDigits(text) == significantDigits(float.description), "seed \(seed): \(text)")
    }
  }

  @Test func `subnormal numbers are read and written exactly`() {
    let seed = testSeed
    var generator = SeededGenerator(seed: seed)
    for _ in 0..<5_000 {
      let double = Double(bitPattern: generator.next() & 0x000F_FFFF_FFFF_FFFF)
      #expect(parse(double.description)?.value == double, "seed \(seed): \(double)")
      #expect(parse(format(double))?.value == double, "seed \(seed): \(double)")
    }
    #expect(format(Float.leastNonzeroMagnitude) == "1e-45")
  }

  @Test func `a number is written without anything before or after it`() {
    let output = ByteBuffer()
    output.append(Array("x=".utf8))
    Float(0.1).appendText(to: output)
    (-2.5).appendText(to: output)
    #expect(String(decoding: output.readable, as: UTF8.self) == "x=0.1-2.5")
  }

  /// The digits of the value, in either notation.
  private func significantDigits(_ text: String) -> String {
    let mantissa = text.split { $0 == "e" || $0 == "E" }.first ?? ""
    var digits = mantissa.filter(\.isNumber).drop { $0 == "0" }
    while digits.last == "0" { digits.removeLast() }
    return String(digits)
  }
}
