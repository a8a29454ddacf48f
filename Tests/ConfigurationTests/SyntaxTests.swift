import Testing

@testable import Configuration

@Suite struct SyntaxTests {
  @Test(arguments: [
    ("a: [1, 2", "2:1: not YAML"),
    ("a: 1\n b: 2", "2:3: not YAML"),
    ("a: \"x", "1:6: not YAML"),
    ("a: 1\n---\nb: 2", "2:1: not YAML: expected a single document in the stream"),
    ("", "1:1: expected a mapping, found nothing"),
    ("# words\n", "1:1: expected a mapping, found nothing"),
    ("just text", "1:1: expected a mapping, found 'just text'"),
    ("- a\n- b", "1:1: expected a mapping, found a list"),
    ("[a]: 1", "1:1: expected a name as the key"),
    ("a: b\u{7}", "1:5: not YAML: control characters are not allowed"),
  ])
  func `a text that is not a mapping is refused with its place`(text: String, says: String) {
    let found = errors(text)
    #expect(found.count == 1 && found[0].hasPrefix(says), "\(found)")
  }

  @Test func `a key that is given twice is told at its second place`() {
    let found = errors("a: 1\nb: 2\n\"a\": 3") { root in
      root.value("a", .integer(in: 0...9))
      root.value("b", .integer(in: 0...9))
    }
    #expect(found == ["3:1: a: expected the key once, found it again"])
  }

  @Test(arguments: [
    ("a: *", "1:5: found '*' without quotes, which starts an alias; put quotes around"),
    ("a: *wind_*\n", "1:10: found '*' without quotes"),
    ("a: [x, *_y]\n", "1:8: found '*' without quotes"),
    ("a:\n  - *\n", "2:6: found '*' without quotes"),
    ("a: *none\n", "1:4: found '*' without quotes"),
    ("a:\n\tb: 1\n", "2:1: expected spaces, found a tab; YAML is indented with spaces"),
    ("a:\n  b: 1\n\tc: 2\n", "3:1: expected spaces, found a tab"),
  ])
  func `a star without quotes and a tab are told in plain words`(text: String, says: String) {
    let found = errors(text)
    #expect(found.count == 1 && found[0].hasPrefix(says), "\(found)")
  }

  @Test func `a byte order mark is no part of the file`() throws {
    let document = try ConfigurationDocument(
      [0xEF, 0xBB, 0xBF] + Array("a: 1\n".utf8), file: "f"
    ) { _ in nil }
    #expect(document.root.value("a", .integer(in: 0...9)) == 1)
    try document.check()
  }

  @Test func `keys for anchors are allowed at the top alone`() {
    var merged: Int?
    let found = errors("x-shared: &s { b: 1 }\na: { <<: *s, x-c: 2 }\n") { root in
      merged = root.value("a.b", .integer(in: 0...9))
    }
    #expect(merged == 1)
    #expect(found == ["2:14: a.x-c: unknown key; known here: b"])
  }

  @Test func `a tag of one's own means nothing here`() {
    #expect(
      errors("a: !secret x\nb: !!str 5") { root in
        root.value("a", .integer(in: 0...1))
        root.value("b", .text)
      } == ["1:4: a: expected no tag, found '!secret'"])
  }

  @Test func `bytes that are no UTF-8 are told with their place`() {
    let failure = #expect(throws: ConfigurationFailure.self) {
      try ConfigurationDocument(Array("a: ü\nb: ".utf8) + [0xFF, 0x0A], file: "f") { _ in nil }
    }
    #expect(failure?.description == "f:2:4: expected UTF-8")
  }

  @Test func `a file beyond the greatest size is refused`() throws {
    let comment = Array("#".utf8) + Array(repeating: UInt8(ascii: "x"), count: 1 << 20)
    let failure = #expect(throws: ConfigurationFailure.self) {
      try ConfigurationDocument(comment, file: "f") { _ in nil }
    }
    #expect(failure?.description == "f:1:1: expected at most 1048576 bytes, found 1048577")
  }

  @Test func `aliases and merged mappings stand for what they name`() throws {
    let document = try document(
      """
      base: &base { size: 1, deep: { x: 1 } }
      more: &more { size: 2, wait: 3s }
      own: { <<: *base, size: 9 }
      both: { <<: [*more, *base] }
      same: *base
      """)
    func size(_ key: String) -> Int? {
      document.root.value("\(key).size", .integer(in: 0...9))
    }
    #expect(size("base") == 1)
    #expect(size("own") == 9)
    #expect(size("both") == 2)
    #expect(size("same") == 1)
    #expect(document.root.value("same.deep.x", .integer(in: 0...9)) == 1)
  }

  @Test func `only a mapping can be merged`() {
    #expect(errors("<<: 5") == ["1:5: expected a mapping to merge, found '5'"])
  }

  /// Aliases of aliases, each level nine times the one before.
  private func bomb(levels: Int, last: String) -> String {
    var text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
    for level in 1...levels {
      let aliases = Array(repeating: "*a\(level - 1)", count: 9).joined(separator: ", ")
      text += "a\(level): &a\(level) [\(aliases)]\n"
    }
    return text + last
  }

  @Test(.timeLimit(.minutes(1)))
  func `an alias bomb is refused at once`() {
    let found = errors(bomb(levels: 30, last: ""))
    #expect(found.contains { $0.contains("expected at most 100000 values, aliases followed") })
  }

  @Test(
    .timeLimit(.minutes(1)),
    arguments: [
      "? *a30\n: 1\n", "*a30 : 1\n", "[*a30]: 1\n", "k: {[*a30]: 1}\n", "k: {? *a30 : 1}\n",
      "k: {?[*a30] : 1}\n", "&b [*a30]\t: 1\n", "k: { {a: *a30}: 1 }\n", "- ? *a30\n",
      "k: {*a30 : 1, *a30 : 2}\n", "? [*a30]\n? [*a30]\n", "k: [*a30 : 1, [*a30] : 2]\n",
    ])
  func `an alias bomb in a key is refused at once`(last: String) {
    let found = errors(bomb(levels: 30, last: last))
    #expect(!found.isEmpty && found.count < 100)
  }

  @Test func `globs, questions and brackets in values are no aliases`() throws {
    let text = """
      a: ["wind_*", '*', "x?", "embedding[*]", wind_*]
      b: why? because
      c: { d: "]: x" }
      """
    _ = try document(text)
    let mixed = try document("a: &x 1\nb: *x\nc: [\"*\", wind_*]\n")
    #expect(mixed.root.value("b", .text) == "1")
  }

  @Test(arguments: [
    String(repeating: "[", count: 100_000), String(repeating: "{a: ", count: 100_000),
    String(repeating: "- ", count: 100_000), String(repeating: "[", count: 900),
    "a: " + String(repeating: "[", count: 900) + String(repeating: "]", count: 900),
    "a: " + String(repeating: "[", count: 40) + String(repeating: "]", count: 40),
  ])
  func `deep nesting is refused without a crash`(text: String) {
    #expect(!errors(text).isEmpty)
  }
}
