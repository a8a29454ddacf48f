import Testing

@testable import Configuration

@Suite struct ValueTests {
  @Test func `values of every kind are read with their units`() throws {
    let document = try document(
      """
      text: "a b"
      plain: 12
      yes: true
      count: 7
      ratio: 1.0e-5
      wait: 250ms
      size: 64KiB
      colour: infra_red
      list: [a, "", 3]
      one: alone
      inner: { deep: 1 }
      nothing:
      """)
    let root = document.root
    #expect(root.string("text") == "a b")
    #expect(root.string("plain") == "12")
    #expect(root.bool("yes", default: false))
    #expect(root.int("count", in: 1...9, default: nil) == 7)
    #expect(root.double("ratio", expected: "a number", default: nil) { _ in true } == 1e-5)
    #expect(root.seconds("wait", in: 0...10, default: nil) == 0.25)
    #expect(root.bytes("size", in: 0...1 << 20, default: nil) == 65_536)
    #expect(root.choice("colour", default: Colour.red) == .infraRed)
    #expect(root.strings("list", default: nil) == ["a", "", "3"])
    #expect(root.strings("one", default: nil) == ["alone"])
    #expect(root.section("inner")?.int("deep", in: 0...1, default: nil) == 1)
    #expect(root.section("nothing")?.keys == [])
    try document.check()
  }

  @Test func `absent values have their defaults, and those without are reported`() throws {
    let document = try document("a: 1")
    let root = document.root
    #expect(root.string("s", default: "x") == "x")
    #expect(root.optionalString("o") == nil)
    #expect(root.int("i", in: 0...5, default: 3) == 3)
    #expect(root.optionalInt("oi", in: 0...5) == nil)
    #expect(root.optionalDouble("od", expected: "") { _ in true } == nil)
    #expect(root.optionalSeconds("os", in: 0...1) == nil)
    #expect(root.optionalBytes("ob", in: 0...1) == nil)
    #expect(root.optionalBool("b") == nil)
    #expect(root.optionalChoice("c", of: Colour.self) == nil)
    #expect(root.strings("l", default: ["d"]) == ["d"])
    #expect(root.section("sec") == nil)
    #expect(root.sectionOrDefaults("dd").int("x", in: 0...9, default: 4) == 4)
    _ = root.int("a", in: 0...1, default: nil)
    try document.check()
    _ = root.string("required")
    let failure = #expect(throws: ConfigurationFailure.self) { try document.check() }
    #expect(
      failure?.errors.map(\.description) == ["f.yaml:1:1: required: expected text, found nothing"])
  }

  @Test(arguments: [
    ("250ms", 0.25), ("10s", 10), ("1.5s", 1.5), ("5m", 300), ("2h", 7200), ("7d", 604_800),
    ("10 s", 10), ("50us", 5e-5),
  ])
  func `a duration is a number with a unit`(text: String, seconds: Double) {
    #expect(parseSeconds(text) == seconds)
  }

  @Test(arguments: ["", "s", "5", "-5s", "+5s", "1e3s", "5 minutes", "1h30m", ".5s", "5S", "1..5s"])
  func `what is no duration is refused`(text: String) {
    #expect(parseSeconds(text) == nil)
  }

  @Test(arguments: [
    ("512B", 512), ("64KiB", 65_536), ("1MiB", 1 << 20), ("1.5GiB", 3 << 29), ("2TiB", 2 << 40),
    ("1kB", 1000), ("3MB", 3_000_000), ("0B", 0),
  ])
  func `a size is a number with a unit`(text: String, bytes: Int) {
    #expect(parseBytes(text) == bytes)
  }

  @Test(arguments: ["", "1", "GiB", "-1B", "1K", "1kib", "99999999999999TiB", "0x10B", "1 Gi B"])
  func `what is no size is refused`(text: String) {
    #expect(parseBytes(text) == nil)
  }

  @Test(arguments: [
    ("k: abc", "1:4: k: expected a whole number from 1 to 9, found 'abc'"),
    ("k: 10", "1:4: k: expected a whole number from 1 to 9, found '10'"),
    ("k: 1.0", "1:4: k: expected a whole number from 1 to 9, found '1.0'"),
    (
      "k: \"5\"",
      "1:4: k: expected a whole number from 1 to 9, found the text '5'; leave out the quotes"
    ),
    ("k: [5]", "1:1: k: expected a whole number from 1 to 9, found a list"),
    ("k: {a: 5}", "1:1: k: expected a whole number from 1 to 9, found a mapping"),
    ("k:", "1:1: k: expected a whole number from 1 to 9, found nothing"),
    ("k: ~", "1:1: k: expected a whole number from 1 to 9, found nothing"),
    (
      "k: 99999999999999999999",
      "1:4: k: expected a whole number from 1 to 9, found '99999999999999999999'"
    ),
  ])
  func `a whole number of the wrong kind is told with what was found`(text: String, says: String) {
    #expect(errors(text) { _ = $0.int("k", in: 1...9, default: 2) } == [says])
  }

  @Test func `hints tell what was meant`() {
    #expect(
      errors("k: 10") { _ = $0.seconds("k", in: 0...60, default: 1) } == [
        "1:4: k: expected a duration such as 10s, from 0ms to 1m, found '10'; "
          + "add a unit: ms, s, m, h or d"
      ])
    #expect(
      errors("k: 10") { _ = $0.bytes("k", in: 0...1024, default: 1) } == [
        "1:4: k: expected a size such as 64MiB, from 0B to 1KiB, found '10'; "
          + "add a unit: B, KiB, MiB or GiB"
      ])
    #expect(
      errors("k: gren") { _ = $0.choice("k", default: Colour.red) } == [
        "1:4: k: expected one of red, green, infra_red, found 'gren'; did you mean 'green'?"
      ])
    #expect(
      errors("sise: 3") { _ = $0.int("size", in: 1...9, default: 2) } == [
        "1:1: sise: unknown key; did you mean 'size'?"
      ])
    #expect(
      errors("other: 3") { _ = $0.int("size", in: 1...9, default: 2) } == [
        "1:1: other: unknown key; known here: size"
      ])
    #expect(
      errors("k: yes") { _ = $0.bool("k", default: true) } == [
        "1:4: k: expected true or false, found 'yes'"
      ])
  }

  @Test func `exactly one kind is chosen, by a mapping or by its name alone`() throws {
    let names = ["unix", "tcp", "stdin"]
    for text in ["k: stdin", "k: { stdin: }", "k: { stdin: {} }", "k:\n  stdin:\n"] {
      let document = try document(text)
      let chosen = try #require(document.root.kind("k", of: names), "\(text)")
      #expect(chosen.name == "stdin")
      #expect(chosen.section.path == "k.stdin")
      try document.check()
    }
    let expected = "expected exactly one of unix, tcp, stdin"
    for (text, says) in [
      ("k: { unix: {}, tcp: {} }", ["1:1: k: \(expected), found unix and tcp"]),
      ("k: {}", ["1:1: k: \(expected), found nothing"]),
      ("k: { unx: {} }", ["1:6: k.unx: unknown key; did you mean 'unix'?"]),
      ("k: stdn", ["1:4: k: \(expected), found 'stdn'; did you mean 'stdin'?"]),
      ("k: [unix]", ["1:1: k: \(expected), found a list"]),
      ("{}", ["1:1: k: \(expected), found nothing"]),
    ] {
      #expect(errors(text) { _ = $0.kind("k", of: names) } == says)
    }
  }

  @Test func `every error is told, in the order of the file`() {
    let found = errors("c: x\nb: 5\na:\n  d: [1]\n  e: 1\n") { root in
      _ = root.int("c", in: 0...1, default: 0)
      _ = root.section("a")?.string("d")
      _ = root.string("z")
    }
    #expect(
      found == [
        "1:1: z: expected text, found nothing",
        "1:4: c: expected a whole number from 0 to 1, found 'x'",
        "2:1: b: unknown key; did you mean 'a'?",
        "4:3: a.d: expected text, found a list",
        "5:3: a.e: unknown key; did you mean 'd'?",
      ])
  }

  @Test func `the canonical text is the same for what means the same`() throws {
    func canonical(_ text: String, _ variables: [String: String] = [:]) throws -> String {
      try document(text, variables).root.canonicalText
    }
    let text = try canonical("a: 1\nb: { c: [x, y], d: \"q\" }\n")
    #expect(try canonical("# words\nb:\n  d: 'q'\n  c:\n    - x\n    - y\na: 1\n") == text)
    #expect(try canonical("a: ${N}\nb: { c: [x, y], d: \"q\" }", ["N": "1"]) == text)
    #expect(try canonical("a: &x 1\nb: { c: [x, y], d: \"q\" }\n") == text)
    for other in [
      "a: 2\nb: { c: [x, y], d: \"q\" }", "a: 1\nb: { c: [y, x], d: \"q\" }",
      "a: 1\nb: { c: [\"x,y\"], d: \"q\" }", "a: 1\nb: { c: [x, y] }", "a: 1\nb: { c: [x, y], d: }",
    ] {
      #expect(try canonical(other) != text, "\(other)")
    }
  }
}
