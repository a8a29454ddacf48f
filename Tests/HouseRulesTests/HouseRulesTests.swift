import Testing

@Suite struct HouseRulesTests {
  /// Made-up files, each breaking exactly one rule, at the line given.
  private static let canaries: [(rule: String, path: String, text: String, line: Int)] = [
    ("imports", "Sources/Codecs/A.swift", "import Records\ninternal import Storage\n", 2),
    ("imports", "Sources/Codecs/A.swift", "package import struct Storage.Checkpoint", 1),
    ("imports", "Sources/Records/A.swift", "import Foundation", 1),
    ("imports", "Sources/Unheard/A.swift", "@testable import Records", 1),
    ("wrappers", "Sources/Codecs/A.swift", "\n  internal import CZstd", 2),
    (
      "unsafe code", "Sources/Records/A.swift",
      "func f(_ p: UnsafePointer<Int>) {}", 1
    ),
    ("unsafe code", "Sources/Records/A.swift", "x.withUnsafeBytes { _ in }", 1),
    ("unsafe code", "Sources/Records/A.swift", "x\nunsafeBitCast(x, to: Int.self)", 2),
    ("forbidden words", "Tests/CodecsTests/A.swift", "let x = try! f()", 1),
    ("forbidden words", "Sources/Codecs/A.swift", "let x = y as! Int", 1),
    ("forbidden words", "Sources/Codecs/A.swift", "{ fatalError() }", 1),
    ("forbidden words", "Package.swift", "nonisolated(unsafe) var x = 1", 1),
    (
      "unchecked Sendable", "Sources/Dataflow/A.swift",
      "/// A lock.\nfinal class Lock: @unchecked Sendable {\n  // Fast.\n}", 2
    ),
    (
      "unchecked Sendable", "Sources/Dataflow/A.swift",
      "// Because of this.\n\nextension Lock: @unchecked Sendable {}", 3
    ),
    ("length", "Sources/Codecs/A.swift", String(repeating: "\n", count: lineLimit + 1), 401),
    ("length", "Benchmarks/a.py", String(repeating: "x\n", count: lineLimit) + "x", 401),
    (
      "type length", "Sources/Codecs/A.swift",
      "struct A {\n\(String(repeating: "\n", count: typeLineLimit - 1))}", 1
    ),
    (
      "stage size", "Sources/Stream/A.swift",
      "\nstruct A: Stage {\n\(String(repeating: "  let x = 1\n", count: stagePropertyLimit + 1))}",
      2
    ),
    ("language", "docs/a.md", "a\n\nWhat follows is no question.", 3),
    ("language", "Sources/Codecs/A.swift", "/// Opens it anew.", 1),
    ("file names", "Sources/Codecs/StringUtils.swift", "", 1),
    ("file names", "Tests/CodecsTests/TestHelper.swift", "", 1),
    ("file names", "Sources/Codecs/StreamManager.swift", "", 1),
    ("file names", "Benchmarks/common.py", "", 1),
    ("unfinished work", "Sources/Codecs/A.swift", "x  // TODO: y", 1),
    ("unfinished work", "Benchmarks/a.py", "\n# FIXME", 2),
    ("unfinished work", "Makefile", "# XXX", 1),
    ("machine paths", "README.md", "see\n/home/me/data", 2),
    ("machine paths", "Benchmarks/a.py", "open('/work/data')", 1),
    ("machine paths", ".ci/run", "PATH=$PATH:/opt/tool/bin", 1),
  ]

  /// Made-up files that break no rule, though they come near.
  private static let harmless: [(path: String, text: String)] = [
    ("Sources/Codecs/A.swift", "package import Records\ninternal import Glibc\n"),
    ("Sources/Codecs/Text/NumberText.swift", "internal import CNumberText\n"),
    ("Sources/Codecs/A.swift", "// try! and unsafe, as! told in a comment; fatalError too\n"),
    ("Sources/Codecs/A.swift", "/// Tells what to import Storage for.\nlet important = 1\n"),
    ("Sources/Codecs/RecordDecoder.swift", "let x: UnsafePointer<Int>\n"),
    ("Tests/CodecsTests/A.swift", "x.withUnsafeBytes { _ in }\n"),
    (
      "Sources/Dataflow/A.swift",
      "/// A lock, unchecked because\n/// a mutex guards it.\nfinal class A: @unchecked Sendable {}"
    ),
    ("Sources/Dataflow/A.swift", "final class A: @unchecked Sendable {  // because of this\n}"),
    ("Sources/Dataflow/A.swift", "final class A: @unchecked Sendable {\n  // Because of this.\n}"),
    (
      "Sources/Dataflow/A.swift",
      "final class A<S>: @unchecked Sendable\nwhere S: Stage {\n  // Because of this.\n}"
    ),
    ("Sources/Codecs/A.swift", String(repeating: "\n", count: lineLimit)),
    ("README.md", "A TODO list; https://example.org/work/, ../work/x, $HOME/opt/x\n"),
    ("docs/long.md", String(repeating: "\n", count: 1000)),
  ]

  @Test func `the source tree follows every house rule`() throws {
    let files = try SourceTree.files()
    for (name, rule) in houseRules {
      let violations = files.flatMap(rule)
      #expect(
        violations.isEmpty,
        "\(name):\n\(violations.map(\.description).joined(separator: "\n"))")
    }
  }

  @Test func `the whole tree is read`() throws {
    let paths = Set(try SourceTree.files().map(\.path))
    #expect(
      paths.isSuperset(of: [
        "Package.swift", "Makefile", ".ci/run", "Sources/Records/FeatureColumns.swift",
        "Tests/SyntheticTests/SyntheticStreamTests.swift",
      ]))
    #expect(!paths.contains { $0.hasPrefix(".build") || $0.hasPrefix(".git/") })
  }

  @Test(arguments: canaries.indices)
  func `a file that breaks a rule is caught by that rule alone`(index: Int) {
    let canary = Self.canaries[index]
    let file = SourceFile(path: canary.path, text: canary.text)
    for (name, rule) in houseRules {
      let lines = rule(file).map(\.line)
      #expect(lines == (name == canary.rule ? [canary.line] : []), "\(name) on \(canary)")
    }
  }

  @Test func `every rule has a canary`() {
    #expect(Set(Self.canaries.map(\.rule)) == Set(houseRules.map(\.name)))
  }

  @Test(arguments: harmless.indices)
  func `a file that breaks no rule passes`(index: Int) {
    let file = SourceFile(path: Self.harmless[index].path, text: Self.harmless[index].text)
    #expect(houseRules.flatMap { $0.rule(file) }.isEmpty)
  }

  @Test func `no permission stands that nothing needs`() throws {
    let files = Dictionary(
      uniqueKeysWithValues: try SourceTree.files().map { ($0.path, $0) })
    for path in filesWithUnsafeCode.keys {
      let needsIt = files[path]?.code.contains { $0.text.lowercased().contains("unsafe") }
      #expect(needsIt == true, "\(path) holds no unsafe code")
    }
    for (module, wrappers) in wrapperFiles {
      for path in wrappers {
        let imports = files[path]?.code.contains { importedModule($0.text) == module }
        #expect(imports == true, "\(path) does not import \(module)")
      }
    }
  }
}
