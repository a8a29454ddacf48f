import Testing

/// Made-up files for the rules of sizes and of language.
@Suite struct SizeAndLanguageTests {
  private func lines(_ text: String, in path: String = "Sources/Codecs/A.swift") -> [Int] {
    habits(in: SourceFile(path: path, text: text)).map(\.line)
  }

  @Test(arguments: [
    ("Sources/A/A.swift", "/// What a stage is told.\nenum Signal {}", 1),
    ("Sources/A/A.swift", "x\n  // Reads it. Where it ends, nothing follows.", 2),
    ("Sources/A/A.swift", "/// The first line,\n/// and the second. Who reads it\n/// knows.", 2),
    ("Sources/A/A.swift", "/// - Parameter x: one.\n/// - Returns: What was read.", 2),
    ("Sources/A/A.swift", "let x = 1  // Who made it.", 1),
    ("Sources/A/A.swift", "throw E(\"opened anew\")", 1),
    ("Tests/A/A.swift", "@Test func `a reader that comes behind another waits`() {}", 1),
    ("Tests/A/A.swift", "@Test func `what is read is written`() {}", 1),
    ("Sources/A/A.cpp", "// The byte behind it.", 1),
    ("Sources/A/A.swift", "/// Goes ahead of\n/// the others.", 1),
    ("docs/a.md", "# A\n\nIt runs.\nWhere it stops, it stops.", 4),
    ("docs/a.md", "- fine\n- What is not", 2),
    ("docs/a.md", "| a | it begins anew |", 1),
    ("Benchmarks/a.py", "\"\"\"Measures.\n\nWhat is measured is time.\n\"\"\"\n", 3),
    ("Benchmarks/a.py", "x = 1\n# Where it is.", 2),
    ("Makefile", "# Whatever it is.", 1),
    ("Sources/A/A.swift", "/// The size, or nil where it is not known.", 1),
    ("Sources/A/A.swift", "// A file that is empty where it has no records.", 1),
    (
      "Sources/A/A.swift", "/// Reads.\n///\n/// It \(String(repeating: "word ", count: 25))ends.",
      3
    ),
  ])
  func `a bad habit is found in its line`(path: String, text: String, line: Int) {
    #expect(lines(text, in: path) == [line])
  }

  @Test(arguments: [
    ("Sources/A/A.swift", "// What is a record? A line."),
    ("Sources/A/A.swift", "/// Tells what it reads, and where it is.\nlet whatever = 1"),
    ("Sources/A/A.swift", "let What = \"What it is\"; let anew_ = 1"),
    ("Sources/A/A.swift", "// \(String(repeating: "word ", count: 40))in a comment on a line."),
    (
      "Sources/A/A.swift",
      "/// It has \(String(repeating: "word ", count: 22))there: `a b c d` too."
    ),
    ("Sources/A/A.swift", "// A reader that is behind, or left behind, in a `behind` column."),
    ("Sources/A/A.swift", "let address = \"https://example.org\" + Where.x"),
    ("docs/a.md", "## What may be lost\n\n| Where | what |\n\n```\nWhat is code anew\n```\n"),
    ("docs/a.md", "The daemon stands behind a proxy; renewed, unaware, planless, beforehand."),
    ("Benchmarks/a.py", "where = [What(x) for x in anew_values]\n"),
  ])
  func `plain prose and code are not found`(path: String, text: String) {
    #expect(lines(text, in: path) == [])
  }

  @Test func `stored properties are told from others`() {
    let stored = [
      "  let a: Int", "  private(set) var b = 0", "  var c: () -> Void = { }", "  @State var d = 1",
      "  var e = 0 { didSet { f() } }",
    ]
    let others = [
      "  var a: Int { 1 }", "  static let b = 1", "  func c() {}", "  init() {", "  case d",
      "  private static var e = 0", "  mutating func let() {}", "  private var f: Int {",
    ]
    #expect(stored.allSatisfy { isStoredProperty(Substring($0)) })
    #expect(!others.contains { isStoredProperty(Substring($0)) })
  }

  @Test func `a type is as long as its declaration and its extensions in one file`() {
    let body = String(repeating: "  let x = 1\n", count: 148)
    let short = "struct A {\n\(body)}\n\nextension A {\n\(body)}\n"
    #expect(typesAreShort(SourceFile(path: "Sources/A/A.swift", text: short)).isEmpty)
    let long = short + "\nextension A: Sized {}\n"
    #expect(typesAreShort(SourceFile(path: "Sources/A/A.swift", text: long)).map(\.line) == [1])
  }

  @Test func `no exception stands that nothing needs`() throws {
    let files = Dictionary(uniqueKeysWithValues: try SourceTree.files().map { ($0.path, $0) })
    for path in filesToRewrite.sorted() {
      let isNeeded = files[path].map { !habits(in: $0).isEmpty } ?? false
      #expect(isNeeded, "\(path) is plain: take it from `filesToRewrite`")
    }
    for path in oversizedFiles.sorted() {
      let count = files[path]?.text.count { $0 == "\n" } ?? 0
      #expect(count > lineLimit, "\(path) is short: take it from `oversizedFiles`")
    }
    let declarations = files.values.flatMap { file in
      file.declarations.map { (file.path, $0) }
    }
    for name in oversizedTypes.sorted() {
      let counts = Dictionary(grouping: declarations.filter { $0.1.name == name }, by: \.0)
        .values.map { $0.map(\.1.lines.count).reduce(0, +) }
      #expect(counts.contains { $0 > typeLineLimit }, "\(name): take it from `oversizedTypes`")
    }
    for name in oversizedStages.sorted() {
      let isNeeded = declarations.contains {
        $0.1.name == name && $0.1.members.count(where: isStoredProperty) > stagePropertyLimit
      }
      #expect(isNeeded, "\(name): take it from `oversizedStages`")
    }
  }
}
