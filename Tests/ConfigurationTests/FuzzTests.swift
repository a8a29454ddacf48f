import TestSupport
import Testing

@testable import Configuration

@Suite struct FuzzTests {
  private static let text = """
    state: &s ${STATE:-/var/lib/x}   # words
    control: { listen: "127.0.0.1:9600", token: ~ }
    base: &base
      size: 256
      wait: 250ms
    streams:
      one:
        <<: *base
        features: [a, "b*", 'c''d', *s]
        text: |
          two
          lines ${A}
        fold: >-
          x
        odd: "\\u00e9\\t\\x41"
      two: *base
    ? complex
    : value
    """

  /// Pieces that mean something in YAML.
  private static let pieces = [
    "[", "]", "{", "}", ": ", "- ", "? ", "&s ", "*s", "*base", "<<: ", "\"", "'", "|", ">", "#",
    "!", "!!int ", "%", "@", "`", "\n", "\t", "  ", "---\n", "...\n", "${", "}", "$${", ",", "\\",
    "\u{FEFF}", "\0", "\r", "~", "!<a%FF>", "%YAML 1.1\n", "\\xFF", "é", "[[[[", "{{{{",
  ].map { Array($0.utf8) }

  /// Reads every key as every kind of value.
  private func readAll(_ section: ConfigurationSection) {
    for key in section.keys {
      section.value(key, .integer(in: 0...10))
      section.value(key, .text)
      section.value(key, .seconds(in: 0...10))
      section.value(key, .size(in: 0...10))
      section.value(key, .texts)
      _ = section.kind(key, of: ["csv", "one"])
      if let inner = section.section(key) { readAll(inner) }
    }
  }

  @Test(.timeLimit(.minutes(2)), arguments: 0..<4)
  func `mutated files give errors or a configuration, and never a trap`(block: Int) {
    var (read, refused) = (0, 0)
    for seed in UInt64(block * 500)..<UInt64(block * 500 + 500) {
      var random = SeededGenerator(seed: seed)
      let bytes = random.mutated(Array(Self.text.utf8), with: Self.pieces, changes: 1...4)
      do throws(ConfigurationFailure) {
        let document = try ConfigurationDocument(bytes, file: "f") { $0 == "A" ? "1" : nil }
        read += 1
        readAll(document.root)
        try document.check()
      } catch {
        refused += 1
        #expect(!error.errors.isEmpty, "seed \(seed)")
        #expect(error.errors.allSatisfy { $0.line >= 1 && $0.column >= 1 }, "seed \(seed)")
      }
    }
    #expect(read > 3 && refused > 300, "\(read) read, \(refused) refused")
  }
}
