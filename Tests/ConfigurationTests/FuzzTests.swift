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

  /// Bytes and pieces that mean something in YAML.
  private static let pieces = [
    "[", "]", "{", "}", ": ", "- ", "? ", "&s ", "*s", "*base", "<<: ", "\"", "'", "|", ">", "#",
    "!", "!!int ", "%", "@", "`", "\n", "\t", "  ", "---\n", "...\n", "${", "}", "$${", ",", "\\",
    "\u{FEFF}", "\0", "\r", "~", "!<a%FF>", "%YAML 1.1\n", "\\xFF", "é", "[[[[", "{{{{",
  ].map { Array($0.utf8) }

  /// SplitMix64, so that a failure's seed makes the same run again.
  private struct Generator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
      state &+= 0x9E37_79B9_7F4A_7C15
      var z = state
      z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
      z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
      return z ^ (z >> 31)
    }
  }

  private func mutated(_ random: inout Generator) -> [UInt8] {
    var bytes = Array(Self.text.utf8)
    for _ in 0..<Int.random(in: 1...6, using: &random) {
      let place = Int.random(in: 0...bytes.count, using: &random)
      let end = min(bytes.count, place + Int.random(in: 0...12, using: &random))
      switch Int.random(in: 0..<5, using: &random) {
      case 0: bytes.removeSubrange(place..<end)
      case 1: bytes.insert(UInt8.random(in: 0...255, using: &random), at: place)
      case 2 where place < bytes.count:
        bytes[place] ^= 1 << UInt8.random(in: 0...7, using: &random)
      case 3: bytes.insert(contentsOf: bytes[place..<end], at: place)
      default:
        bytes.insert(contentsOf: Self.pieces.randomElement(using: &random) ?? [], at: place)
      }
    }
    return bytes
  }

  /// Asks for whatever is there, as every kind of value.
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

  @Test(.timeLimit(.minutes(2)), arguments: 0..<20)
  func `mutated files give errors or a configuration, and never a trap`(block: Int) {
    for seed in UInt64(block * 100)..<UInt64(block * 100 + 100) {
      var random = Generator(state: seed)
      let bytes = mutated(&random)
      do throws(ConfigurationFailure) {
        let document = try ConfigurationDocument(bytes, file: "f") { $0 == "A" ? "1" : nil }
        readAll(document.root)
        try document.check()
      } catch {
        #expect(!error.errors.isEmpty, "seed \(seed)")
        #expect(error.errors.allSatisfy { $0.line >= 1 && $0.column >= 1 }, "seed \(seed)")
      }
    }
  }
}
