import TestSupport
import Testing

@testable import Records

@Suite struct FeaturePatternTests {
  @Test(arguments: [
    ("temp", "temp"), ("", ""), ("*", ""), ("*", "anything at all"), ("**", ""), ("***", "ab"),
    ("wind_*", "wind_"), ("wind_*", "wind_speed"), ("*_speed", "wind_speed"), ("w*d", "wd"),
    ("w*d", "wild wood"), ("w?nd", "wind"), ("??", "ab"), ("*?", "a"), ("?*?", "ab"),
    ("v[*]", "v[12]"), ("a*b*c", "a-b-b-c-c"), ("*a*", "bab"), ("a.b", "a.b"), ("*", "*"),
    ("a*", "a*"), ("a?", "a?"),
  ])
  func `a pattern matches what it spells`(pattern: String, name: String) {
    #expect(FeaturePattern(pattern).matches(name))
  }

  @Test(arguments: [
    ("temp", "Temp"), ("temp", "temp "), ("temp", "tem"), ("tem", "temp"), ("", "a"), ("?", ""),
    ("?", "ab"), ("*?", ""), ("wind_*", "wind"), ("wind_*", "a wind_x"), ("*_speed", "wind_speeds"),
    ("a*b*c", "a-c-b"), ("a.b", "axb"), ("[ab]", "a"), ("a*", "*a"), ("??", "a"),
  ])
  func `a pattern matches nothing else`(pattern: String, name: String) {
    #expect(!FeaturePattern(pattern).matches(name))
  }

  @Test func `a star gives back what the rest of the pattern needs`() {
    #expect(FeaturePattern("*ab").matches("aab"))
    #expect(FeaturePattern("*aab").matches("aaaab"))
    #expect(FeaturePattern("a*ba*bb").matches("abaXbabb"))
    #expect(!FeaturePattern("a*ba*bb").matches("abaXbab"))
    #expect(FeaturePattern("*a?c*").matches("aabaxc"))
  }

  @Test func `a pattern of many stars ends soon, match or none`() {
    let pattern = FeaturePattern(String(repeating: "a*", count: 40) + "b")
    #expect(!pattern.matches(String(repeating: "a", count: 400)))
    #expect(pattern.matches(String(repeating: "a", count: 400) + "b"))
  }

  @Test func `a question mark is one character, however many bytes it has`() {
    #expect(FeaturePattern("?").matches("ü"))
    #expect(FeaturePattern("?").matches("u\u{308}"))
    #expect(FeaturePattern("?").matches("👩‍👩‍👧"))
    #expect(!FeaturePattern("?").matches("日本"))
    #expect(FeaturePattern("日?").matches("日本"))
    #expect(FeaturePattern("*本").matches("日本"))
    // Names are compared by their bytes.
    #expect(!FeaturePattern("grün").matches("gru\u{308}n"))
  }

  @Test func `any mix of stars and letters matches as plain recursion says`() {
    var random = SeededGenerator()
    func text(_ letters: [Character], atMost count: Int) -> [Character] {
      (0..<Int.random(in: 0...count, using: &random)).map { _ in
        letters[Int.random(in: letters.indices, using: &random)]
      }
    }
    func matches(_ pattern: ArraySlice<Character>, _ name: ArraySlice<Character>) -> Bool {
      guard let first = pattern.first else { return name.isEmpty }
      if first == "*" {
        return matches(pattern.dropFirst(), name)
          || (!name.isEmpty && matches(pattern, name.dropFirst()))
      }
      guard let letter = name.first, first == "?" || first == letter else { return false }
      return matches(pattern.dropFirst(), name.dropFirst())
    }
    var matchCount = 0
    for _ in 0..<3000 {
      let pattern = text(["a", "b", "*", "?"], atMost: 6)
      let name = text(["a", "b"], atMost: 7)
      let expected = matches(pattern[...], name[...])
      matchCount += expected ? 1 : 0
      #expect(
        FeaturePattern(String(pattern)).matches(String(name)) == expected,
        "seed \(random.seed): \(String(pattern)) on \(String(name))")
    }
    #expect(matchCount > 100, "seed \(random.seed)")
  }

  @Test func `only stars and question marks make a glob`() {
    #expect(FeaturePattern("wind_*").isGlob)
    #expect(FeaturePattern("w?nd").isGlob)
    #expect(!FeaturePattern("v[0].x-y+z").isGlob)
  }

  // MARK: Selection

  private static let names = ["time", "wind_speed", "temp", "wind_gust", "temp"]

  private func select(_ patterns: String...) throws(FeatureError) -> [Int] {
    try FeaturePattern.select(patterns.map { FeaturePattern($0) }, from: Self.names)
  }

  @Test func `columns come in the order of the patterns, then of the names, each once`() throws {
    #expect(try select("temp", "wind_*") == [2, 4, 1, 3])
    #expect(try select("wind_gust", "*") == [3, 0, 1, 2, 4])
    #expect(try select("wind_*", "wind_speed", "*_speed", "wind_*") == [1, 3])
    #expect(try select() == [])
  }

  @Test func `a pattern that fits no name is refused with the nearest one`() {
    #expect(throws: FeatureError.matchesNothing(pattern: "tmp", nearest: "temp", names: Self.names))
    {
      try select("time", "tmp")
    }
    #expect(
      throws: FeatureError.matchesNothing(
        pattern: "Wind_speed", nearest: "wind_speed", names: Self.names)
    ) {
      try select("Wind_speed")
    }
    #expect(
      throws: FeatureError.matchesNothing(pattern: "pressure", nearest: nil, names: Self.names)
    ) {
      try select("pressure")
    }
    #expect(throws: FeatureError.matchesNothing(pattern: "x*", nearest: nil, names: Self.names)) {
      try select("x*")
    }
    #expect(throws: FeatureError.matchesNothing(pattern: "", nearest: nil, names: [])) {
      try FeaturePattern.select([FeaturePattern("")], from: [])
    }
  }

  @Test func `thousands of names choose among thousands of columns at once`() throws {
    let names = FeatureSchema.unnamed(count: 20_000)
    let patterns = names.reversed().map { FeaturePattern($0) }
    let start = threadSeconds()
    #expect(try FeaturePattern.select(patterns, from: names) == names.indices.reversed())
    // To compare each pattern with each name would be 4 · 10^8 comparisons, which take minutes.
    #expect(threadSeconds() - start < 20)
  }
}

@Suite struct NearestNameTests {
  @Test(arguments: [
    ("temperture", "temperature"), ("humdiity", "humidity"), ("TEMPERATURE", "temperature"),
    ("presure", "pressure"), ("pressures", "pressure"),
  ])
  func `the nearest name is the one with the fewest changes`(word: String, name: String) {
    #expect(nearestName(to: word, in: ["pressure", "humidity", "temperature"]) == name)
  }

  @Test func `a name that differs in more than a third is not near`() {
    #expect(nearestName(to: "humid", in: ["temperature", "pressure"]) == nil)
    #expect(nearestName(to: "abcdef", in: ["abcdxy"]) == "abcdxy")
    #expect(nearestName(to: "abcdef", in: ["abcxyz"]) == nil)
    #expect(nearestName(to: "temp", in: []) == nil)
    #expect(nearestName(to: "tmep", in: ["temp"]) == "temp")
    #expect(nearestName(to: "abcdef", in: ["bacdfe"]) == "bacdfe")
  }

  @Test func `names of one or two letters are other names and not misspelt`() {
    #expect(nearestName(to: "c", in: ["a", "b"]) == nil)
    #expect(nearestName(to: "ab", in: ["ac"]) == nil)
    #expect(nearestName(to: "B", in: ["a", "b"]) == "b")
  }

  @Test func `another number is another column and not a misspelt one`() {
    let names = ["sensor11", "sensor12"]
    #expect(throws: FeatureError.matchesNothing(pattern: "sensor13", nearest: nil, names: names)) {
      try FeaturePattern.select([FeaturePattern("sensor13")], from: names)
    }
    #expect(
      throws: FeatureError.matchesNothing(pattern: "senor12", nearest: "sensor12", names: names)
    ) { try FeaturePattern.select([FeaturePattern("senor12")], from: names) }
  }

  @Test func `of two names as near, the first is taken`() {
    #expect(nearestName(to: "wind", in: ["wine", "wing", "wind_speed"]) == "wine")
    #expect(nearestName(to: "wind", in: ["wine", "wind"]) == "wind")
  }
}
