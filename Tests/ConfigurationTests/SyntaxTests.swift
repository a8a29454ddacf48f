import Testing

@testable import Configuration

@Suite struct SyntaxTests {
  @Test(arguments: [
    ("a: [1, 2", "2:1: not YAML"),
    ("a: 1\n b: 2", "2:3: not YAML"),
    ("a: \"x", "1:6: not YAML"),
    ("a:\n\t- 1", "2:1: not YAML"),
    ("a: *none", "1:4: not YAML: found undefined alias"),
    ("a: 1\n---\nb: 2", "2:1: not YAML: expected a single document in the stream"),
    ("", "1:1: expected a mapping, found nothing"),
    ("# words\n", "1:1: expected a mapping, found nothing"),
    ("just text", "1:1: expected a mapping, found 'just text'"),
    ("- a\n- b", "1:1: expected a mapping, found a list"),
    ("a: 1\nb: 2\na: 3", "1:1: expected each key once in a mapping, found 'a' more than once"),
    ("1: a\n\"1\": b", "1:1: expected each key once in a mapping, found '1' more than once"),
    ("[a]: 1", "1:1: expected a name as the key"),
    ("a: b\u{7}", "1:5: not YAML: control characters are not allowed"),
  ])
  func `what is no mapping of YAML is told with its place`(text: String, says: String) {
    let found = errors(text)
    #expect(found.count == 1 && found[0].hasPrefix(says), "\(found)")
  }

  @Test func `a tag of one's own means nothing here`() {
    #expect(
      errors("a: !secret x\nb: !!str 5") { root in
        _ = root.int("a", in: 0...1, default: nil)
        _ = root.string("b")
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
      document.root.section(key)?.int("size", in: 0...9, default: nil)
    }
    #expect(size("base") == 1)
    #expect(size("own") == 9)
    #expect(size("both") == 2)
    #expect(size("same") == 1)
    #expect(document.root.canonicalText.contains("4:deep"))
  }

  @Test func `what is merged must be a mapping`() {
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
  func `an alias bomb in a key never reaches the parser`(last: String) {
    let found = errors(bomb(levels: 30, last: last))
    #expect(found.count == 1 && found[0].contains("expected keys without aliases"), "\(found)")
  }

  @Test func `globs, questions and brackets in values are no aliases`() throws {
    let text = """
      a: ["wind_*", '*', "x?", "embedding[*]", wind_*]
      b: why? because
      c: { d: "]: x" }
      """
    _ = try document(text)
    let mixed = try document("a: &x 1\nb: *x\nc: [\"*\", wind_*]\n")
    #expect(mixed.root.string("b") == "1")
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
