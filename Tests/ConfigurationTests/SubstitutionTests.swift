import Testing

@testable import Configuration

@Suite struct SubstitutionTests {
  private static let variables = ["NAME": "value", "N": "42", "EMPTY": "", "YAML": "{a: [1, 2]}"]

  @Test(arguments: [
    ("${NAME}", "value"), ("a-${NAME}-b", "a-value-b"), ("${N}${N}", "4242"),
    ("${NONE:-x}", "x"), ("${NONE:-}", ""), ("${EMPTY:-x}", "x"), ("${EMPTY}", ""),
    ("${NAME:-x}", "value"), ("$${NAME}", "${NAME}"), ("$$${NAME}", "$${NAME}"),
    ("$NAME", "$NAME"), ("a$", "a$"), ("$$", "$$"), ("${NONE:-a:-b}", "a:-b"),
    ("$${a}${NAME}", "${a}value"), ("${YAML}", "{a: [1, 2]}"),
  ])
  func `a reference becomes the variable's value`(text: String, value: String) throws {
    let found = try substituted(text) { Self.variables[$0] }
    #expect(found?.value ?? text == value)
  }

  @Test(arguments: [
    ("${NONE}", "the variable 'NONE' is not set"),
    ("${NAME", "expected '}' after '${'"),
    ("${}", "expected the name of a variable after '${', found ''"),
    ("${1A}", "expected the name of a variable after '${', found '1A'"),
    ("${A-B}", "expected the name of a variable after '${', found 'A-B'"),
    ("${ NAME }", "expected the name of a variable after '${', found ' NAME '"),
  ])
  func `a reference that leads nowhere is refused`(text: String, says: String) {
    let fault = #expect(throws: SubstitutionFault.self) {
      try substituted(text) { Self.variables[$0] }
    }
    #expect(fault?.message == says)
  }

  @Test func `a value has the type that its text has after substitution`() throws {
    let document = try document(
      "plain: ${N}\nquoted: \"${N}\"\nflag: ${T:-true}\nwait: ${N}ms\nword: ${NULL}\n",
      Self.variables.merging(["NULL": "null"]) { $1 })
    #expect(document.root.value("plain", .integer(in: 0...99)) == 42)
    #expect(document.root.value("quoted", .integer(in: 0...99)) == 42)
    #expect(document.root.value("flag", .bool) == true)
    #expect(document.root.value("wait", .seconds(in: 0...1)) == 0.042)
    #expect(document.root.value("word", .text) == "null")
    try document.check()
  }

  @Test func `a value never changes the structure`() throws {
    let document = try document("a: ${V}\nb: 1\n", ["V": "x\nb: 2\nc: [1]"])
    #expect(document.root.value("a", .text) == "x\nb: 2\nc: [1]")
    #expect(document.root.value("b", .text) == "1")
    try document.check()
  }

  @Test func `keys and comments are left alone`() {
    #expect(
      errors("# ${NONE}\n${NAME}: 1\n", Self.variables) == [
        "2:1: ${NAME}: unknown key; no key is known here"
      ])
  }

  @Test func `an error never tells what a variable holds`() {
    let secret = ["S": "hunter2"]
    let found = errors(
      """
      int: ${S}
      wait: ${S}
      kind: ${S}
      choice: ${S}
      path: "${S}"
      list: [a, "${S}"]
      inner: { below: "x${S}" }
      """, secret
    ) { root in
      root.value("int", .integer(in: 0...1))
      root.value("wait", .seconds(in: 0...1))
      _ = root.kind("kind", of: ["hunter1", "b"])
      root.value("choice", SettingType<Colour>.choice)
      let path = root.value("path", .text) ?? ""
      root.report("path", expected: "a path", found: "'\(path)'")
      let list = root.value("list", .texts) ?? []
      root.report("list", expected: "other names", found: list.joined())
      let below = Setting("inner.below", .text, help: "")
      let text = root.read([SettingGroup("", [below])])?[below] ?? ""
      root.report(SettingViolation(below, expected: .said("'\(text)' is bad"), found: ""))
    }
    #expect(found.count == 7)
    for line in found { #expect(!line.contains("hunter2"), "\(line)") }
    #expect(found[0] == "1:6: int: expected a whole number from 0 to 1, found '${S}'")
    #expect(found[4] == "5:7: path: expected a path, found '${S}'")
    #expect(found[6] == "7:17: inner.below: expected another value, found 'x${S}'")
  }
}
