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
    #expect(root.value("text", .text) == "a b")
    #expect(root.value("plain", .text) == "12")
    #expect(root.value("yes", .bool) == true)
    #expect(root.value("count", .integer(in: 1...9)) == 7)
    #expect(root.value("ratio", .positive) == 1e-5)
    #expect(root.value("wait", .seconds(in: 0...10)) == 0.25)
    #expect(root.value("size", .size(in: 0...1 << 20)) == 65_536)
    #expect(root.value("colour", SettingType<Colour>.choice) == .infraRed)
    #expect(root.value("list", .texts) == ["a", "", "3"])
    #expect(root.value("one", .texts) == ["alone"])
    #expect(root.value("inner.deep", .integer(in: 0...1)) == 1)
    #expect(root.section("nothing")?.keys == [])
    try document.check()
  }

  @Test func `absent values are nil, and those that must be given are reported`() throws {
    let document = try document("a: 1")
    let root = document.root
    #expect(root.value("s", .text) == nil)
    #expect(root.value("dd.x", .integer(in: 0...9)) == nil)
    #expect(root.section("sec") == nil)
    root.value("a", .integer(in: 0...1))
    try document.check()
    root.required("required", .text)
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
  func `a text that is not a duration is refused`(text: String) {
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
  func `a text that is not a size is refused`(text: String) {
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
    #expect(errors(text) { $0.value("k", .integer(in: 1...9)) } == [says])
  }

  @Test func `hints tell what was meant`() {
    #expect(
      errors("k: 10") { $0.value("k", .seconds(in: 0...60)) } == [
        "1:4: k: expected a duration such as 10s, from 0ms to 1m, found '10'; "
          + "add a unit: ms, s, m, h or d"
      ])
    #expect(
      errors("k: 10") { $0.value("k", .size(in: 0...1024)) } == [
        "1:4: k: expected a size such as 64MiB, from 0B to 1KiB, found '10'; "
          + "add a unit: B, KiB, MiB or GiB"
      ])
    #expect(
      errors("k: gren") { $0.value("k", SettingType<Colour>.choice) } == [
        "1:4: k: expected one of red, green, infra_red, found 'gren'; did you mean 'green'?"
      ])
    #expect(
      errors("sise: 3") { $0.value("size", .integer(in: 1...9)) } == [
        "1:1: sise: unknown key; did you mean 'size'?"
      ])
    #expect(
      errors("other: 3") { $0.value("size", .integer(in: 1...9)) } == [
        "1:1: other: unknown key; known here: size"
      ])
    #expect(
      errors("k: yes") { $0.value("k", .bool) } == [
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
      root.value("c", .integer(in: 0...1))
      root.value("a.d", .text)
      root.required("z", .text)
    }
    #expect(
      found == [
        "1:1: z: expected text, found nothing",
        "1:4: c: expected a whole number from 0 to 1, found 'x'",
        "2:1: b: unknown key; known here: a, c, z",
        "4:3: a.d: expected text, found a list",
        "5:3: a.e: unknown key; known here: d",
      ])
  }
}
