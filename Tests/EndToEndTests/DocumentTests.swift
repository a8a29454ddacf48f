import Foundation
import TestSupport
import Testing

/// The commands of the documents, with the output that the pages show.
///
/// Tests/Documents/commands.py runs a page; with `--write` it puts the output into the page.
@Suite struct DocumentTests {
  /// The README and the pages under `docs` that have commands.
  static let pages: [String] = {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: repositoryFile("docs"))) ?? []
    let all = ["README.md"] + names.filter { $0.hasSuffix(".md") }.sorted().map { "docs/" + $0 }
    return all.filter { page in
      let text = (try? String(contentsOfFile: repositoryFile(page), encoding: .utf8)) ?? ""
      return text.contains("\n```console\n") || text.contains("\n```sh\n")
    }
  }()

  @Test(arguments: pages)
  func `the commands of a page print the page's lines`(page: String) throws {
    let script = repositoryFile("Tests/Documents/commands.py")
    let finished = try Workplace().shell(
      "python3 -B '\(script)' --evenkeel \"$EVENKEEL\" '\(repositoryFile(page))'")
    let report = String(decoding: finished.output, as: UTF8.self)
    #expect(finished.exitCode == 0, "\(report)\(finished.errors)")
    #expect(!report.hasSuffix("\n0 passed, 0 failed\n"))
  }

  @Test func `every target of make that a page names is there`() throws {
    let makefiles = try ["Makefile", "packaging/packaging.mk"].map {
      try String(contentsOfFile: repositoryFile($0), encoding: .utf8)
    }.joined()
    let others = ["CONTRIBUTING.md", "SECURITY.md", "Benchmarks/README.md", "python/README.md"]
    for page in Set(Self.pages + others) {
      let text = try String(contentsOfFile: repositoryFile(page), encoding: .utf8)
      let named = text.matches(of: #/(?:`|sudo |run by: )make ([a-z][a-z-]*)/#)
      for target in Set(named.map { String($0.output.1) }) {
        #expect(makefiles.contains("\n\(target):"), "\(page): make \(target)")
      }
    }
  }
}
