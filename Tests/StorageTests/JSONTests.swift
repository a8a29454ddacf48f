import Testing

@testable import Storage

struct JSONTests {
  @Test func `every kind of value is read`() throws {
    let text = #" {"a": [null, true, false, -0.5e+3, 9223372036854775807, "x"], "": {} } "#
    #expect(
      try JSON(parsing: text.utf8)
        == .object([
          "a": .array([
            .null, .bool(true), .bool(false), .number("-0.5e+3"), .number("9223372036854775807"),
            .string("x"),
          ]), "": .object([:]),
        ]))
  }

  @Test(arguments: [
    (#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"), (#""\u0041\u00e9\u20AC""#, "Aé€"),
    (#""\ud83d\ude00 😀""#, "😀 😀"), (#""""#, ""), (#""\u0000""#, "\0"),
  ])
  func `strings are unescaped`(text: String, value: String) throws {
    #expect(try JSON(parsing: text.utf8) == .string(value))
  }

  @Test func `a quoted string is read back as it was`() throws {
    let text =
      String(String.UnicodeScalarView((0..<0x300).compactMap(Unicode.Scalar.init))) + "😀\r\n"
    #expect(try JSON(parsing: JSON.quote(text).utf8) == .string(text))
    #expect(JSON.quote("a\"/\\\n\u{1f}é") == #""a\"/\\\n\u001fé""#)
  }

  @Test(arguments: [
    ("", 0, "a value"), ("{", 1, "a name"), ("{\"a\" 1}", 5, "':'"), ("{\"a\":1,}", 7, "a name"),
    ("[1,]", 3, "a value"), ("[1 2]", 3, "',' or ']'"), ("{\"a\":1", 6, "',' or '}'"),
    ("tru", 0, "a value"), ("01", 1, "the end of the text"), ("-", 1, "a digit"),
    ("1.", 2, "a digit"), ("1e", 2, "a digit"), (".5", 0, "a value"), ("+1", 0, "a value"),
    ("NaN", 0, "a value"), ("\"a", 2, "'\"'"), ("\"\n\"", 1, "no control character in a string"),
    (#""\x""#, 2, "an escape"), (#""\u12"#, 5, "four hexadecimal digits"),
    (#""\ud83d""#, 7, "a low surrogate"), (#""\ude00""#, 7, "a high surrogate first"),
    (#""\ud83d\u0041""#, 13, "a low surrogate"), ("1 1", 2, "the end of the text"),
    (#"{"a":1,"a":2}"#, 7, "a name that is not there yet, found 'a' again"),
    (#"{"a":1,"\u0061":2}"#, 7, "a name that is not there yet, found 'a' again"),
  ])
  func `malformed text is refused with its offset`(text: String, offset: Int, expected: String) {
    #expect(throws: ContentError.malformedJSON(offset: offset, expected: expected)) {
      _ = try JSON(parsing: text.utf8)
    }
  }

  @Test func `bytes that are no UTF-8 are refused`() {
    for bytes in [[0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xE2, 0x82]] as [[UInt8]] {
      #expect(throws: ContentError.malformedJSON(offset: 0, expected: "a string in UTF-8")) {
        _ = try JSON(parsing: [0x22] + bytes + [0x22])
      }
    }
  }

  @Test func `depth and number of values are bounded`() {
    let deep = String(repeating: "[", count: 1_000_000)
    #expect(message { try JSON(parsing: deep.utf8) }.contains("at most 16 levels"))
    let limits = JSONLimits(depth: 16, values: 3)
    #expect(message { try JSON(parsing: "[1,2]".utf8, limits: limits) } == "no error")
    #expect(
      message { try JSON(parsing: "[1,2,3]".utf8, limits: limits) }.contains("at most 3 values"))
  }

  @Test func `integers stay exact and numbers too large are none`() {
    #expect(JSON.number("9007199254740993").integer == 9_007_199_254_740_993)
    #expect(JSON.number("9223372036854775808").integer == nil)
    #expect(JSON.number("1.0").integer == nil)
    #expect(JSON.number("1e999").double == nil)
    #expect(JSON.number("5e-324").double == .leastNonzeroMagnitude)
  }
}
