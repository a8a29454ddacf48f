import Testing

@testable import Records

/// Names are compared by their bytes, and shown without what steers a terminal.
@Suite struct NameTests {
  private let composed = "caf\u{E9}"
  private let decomposed = "cafe\u{301}"

  @Test func `texts that Unicode takes for equal are two names`() throws {
    #expect(composed == decomposed)
    #expect(Name(composed) != Name(decomposed))
    #expect(Set([composed, decomposed].asNames).count == 2)
    #expect(!areSame([composed], [decomposed]) && areSame([composed], [composed]))
    #expect(areLookalikes(composed, decomposed) && !areLookalikes(composed, composed))
    let schema = try FeatureSchema([composed, decomposed])
    #expect(schema.count == 2)
    #expect(try schema != FeatureSchema([decomposed, composed]))
  }

  @Test func `patterns choose by bytes, and tell of a name that looks the same`() throws {
    let columns = [composed, decomposed]
    #expect(try FeaturePattern.select([FeaturePattern(decomposed)], from: columns) == [1])
    #expect(try FeaturePattern.select([FeaturePattern("caf?")], from: columns) == [0, 1])
    #expect(try FeaturePattern.select([FeaturePattern(decomposed + "*")], from: columns) == [1])
    let error = #expect(throws: FeatureError.self) {
      try FeaturePattern.select([FeaturePattern(decomposed)], from: [composed, "b"])
    }
    #expect(error?.description.contains("NFC and NFD") == true)
  }

  @Test func `the opening of a stream has columns by bytes`() throws {
    func opening(_ name: String) throws -> StreamOpening {
      StreamOpening(schema: try FeatureSchema(["a"]), columns: ["a", name], prologue: [])
    }
    #expect(try opening(composed) != opening(decomposed))
    #expect(try opening(composed) == opening(composed))
  }

  @Test(
    arguments: [
      ([0x61, 0xE9], "a\\xE9"), ([0x61, 0xE8, 0x62], "a\\xE8b"), ([0xFF, 0x05], "\\xFF\u{5}"),
      ([0xC3, 0xA9], "\u{E9}"), ([0xC3], "\\xC3"), ([0xE2, 0x82, 0x61], "\\xE2\\x82a"), ([], ""),
    ] as [([UInt8], String)])
  func `bytes that are no UTF-8 are spelled out in a name`(bytes: [UInt8], name: String) {
    #expect(Array(String(name: bytes).utf8) == Array(name.utf8))
  }

  @Test(arguments: [
    ("a\u{1B}[31m", "a\\u{1B}[31m"), ("a\u{202E}b", "a\\u{202E}b"), ("a\nb", "a\\nb"),
    ("a\u{2028}b", "a\\u{2028}b"), ("\u{9B}x", "\\u{009B}x"), ("ünï 😀", "ünï 😀"),
  ])
  func `characters that steer a terminal are spelled out`(text: String, shown: String) {
    #expect(printable(text) == shown)
    #expect(quoted(text) == "'\(shown)'")
  }

  @Test func `JSON has no such character either`() {
    let json = "{\n\"a\":\"\u{7F}\u{9B}\u{202E}é\"}"
    #expect(
      String(decoding: printable(json: Array(json.utf8)), as: UTF8.self)
        == "{\n\"a\":\"\\u007f\\u009b\\u202eé\"}")
  }
}
