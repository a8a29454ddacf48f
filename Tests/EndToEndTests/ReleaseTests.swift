import Foundation
import TestSupport
import Testing

/// Agreements that a release needs.
@Suite struct ReleaseTests {
  /// The version, from the only place that defines it.
  private static func version() throws -> String {
    let path = repositoryFile("Sources/evenkeel/Version.swift")
    let text = try String(contentsOfFile: path, encoding: .utf8)
    return try String(#require(text.firstMatch(of: #/"([^"]+)"/#)).output.1)
  }

  /// The output of a command of the shell, run in the repository.
  private func said(_ command: String) throws -> String {
    let finished = try Workplace().shell("cd '\(repositoryFile("."))' && \(command)")
    #expect(finished.exitCode == 0, "\(finished.errors)")
    return String(decoding: finished.output, as: UTF8.self)
  }

  @Test func `the program, the packages and the documents have the version of Version.swift`()
    throws
  {
    let version = try Self.version()
    #expect(version.wholeMatch(of: #/[0-9]+\.[0-9]+\.[0-9]+/#) != nil)
    #expect(try said("\"$EVENKEEL\" --version") == version + "\n")
    // The Debian package, the image and the bill of materials get it from make, the wheel from its backend.
    #expect(try said("make -s --eval 'version: ; @echo $(VERSION)' version") == version + "\n")
    let backend =
      "import sys; sys.path.insert(0, 'python/backend'); import evenkeel_build as b; print(b.version())"
    #expect(try said("python3 -B -c \"\(backend)\"") == version + "\n")
    let docs = try FileManager.default.contentsOfDirectory(atPath: repositoryFile("docs"))
    for page in ["README.md", "python/README.md"]
      + docs.filter({ $0.hasSuffix(".md") }).map({ "docs/" + $0 })
    {
      let text = try String(contentsOfFile: repositoryFile(page), encoding: .utf8)
      for found in text.matches(of: #/evenkeel[ _-]v?([0-9]+\.[0-9]+\.[0-9]+)/#) {
        #expect(found.output.1 == version, "\(page): \(found.output.0)")
      }
    }
    // The newest release of the changelog, if there is one, is not after this version.
    let changes = try String(contentsOfFile: repositoryFile("CHANGELOG.md"), encoding: .utf8)
    if let newest = changes.firstMatch(of: #/\n## \[([0-9.]+)\]/#) {
      #expect(newest.output.1 == version)
    }
  }

  @Test func `the check of a release runs every kind of check`() throws {
    let checks = try said("make -s --eval 'checks: ; @echo $(RELEASE_CHECKS)' checks")
    let found = Set(checks.split(whereSeparator: \.isWhitespace).map(String.init))
    let needed: Set = [
      "lint", "test", "sanitize", "simulate", "fuzz", "crash", "chaos", "flood", "parity",
      "arrow-interop", "promise-check", "documents", "python-page", "test-python", "recipes",
      "wheel-check", "deb-check", "image-check", "sbom", "systemd-check", "bare-check",
      "reproducible", "bench",
    ]
    #expect(needed.subtracting(found).isEmpty)
  }

  @Test func `a missed target of a benchmark fails the check of a release, and no other run`()
    throws
  {
    for (measured, isOutOfReach, isStrict, code) in [
      ("0.9", false, true, 0), ("1.1", false, true, 1), ("1.1", false, false, 0),
      ("1.1", true, true, 0),
    ] {
      let (reach, strict) = (isOutOfReach ? "True" : "False", isStrict ? "True" : "False")
      let verdict = "v.Verdict('time', 1, [\(measured)], is_out_of_reach=\(reach))"
      let program =
        "import sys; sys.path.insert(0, 'Benchmarks'); import verdicts as v; "
        + "v.conclude([\(verdict)], \(strict))"
      let finished = try Workplace().shell(
        "cd '\(repositoryFile("."))' && python3 -B -c \"\(program)\"")
      #expect(finished.exitCode == code)
      #expect(finished.errors.contains("missed: time") == (code == 1))
    }
    let targets = ["run.py", "arrow.py", "kernels.py", "growth.py"]
    let commands = try said("MAKEFLAGS= make -n release-check RELEASE_CHECKS=bench").replacing(
      "\\\n", with: "")
    let others = try said("MAKEFLAGS= make -n bench")
    for target in targets {
      let command = try #require(
        commands.split(separator: "\n").first { $0.contains("Benchmarks/\(target)") })
      #expect(command.contains("--strict"))
    }
    #expect(!others.contains("--strict"))
  }
}
