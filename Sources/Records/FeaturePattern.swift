/// Selects features by name. `*` matches any text, and `?` any character.
package struct FeaturePattern: Sendable, Equatable {
  private let glob: Glob
  private let isName: Bool

  package init(_ text: String) {
    glob = Glob(text)
    isName = false
  }

  /// The one column of that name, whatever characters are in it.
  package init(name: String) {
    glob = Glob(name)
    isName = true
  }

  package var text: String { glob.text }

  /// Whether the pattern can match other names than its own text.
  package var isGlob: Bool { !isName && glob.hasWildcard }

  package func matches(_ name: String) -> Bool { isName ? areSame(text, name) : glob.matches(name) }

  /// Selects columns in the order of `patterns`. The columns of one pattern are in the order of `names`. Each column
  /// is selected once.
  ///
  /// - Returns: indices into `names`.
  /// - Throws: `FeatureError.matchesNothing` for a pattern that matches no name.
  package static func select(
    _ patterns: [FeaturePattern], from names: [String]
  ) throws(FeatureError) -> [Int] {
    var chosen: [Int] = []
    var taken = Set<Int>()
    // Looks names up in a dictionary, because the patterns may name thousands of columns one by one.
    let columns = Dictionary(grouping: names.indices) { Name(names[$0]) }
    for pattern in patterns {
      let fitting =
        pattern.isGlob
        ? names.indices.filter { pattern.matches(names[$0]) } : columns[Name(pattern.text)] ?? []
      guard !fitting.isEmpty else {
        // Of numbered columns, another number is another column and not a misspelt one.
        let digits = pattern.text.filter(\.isNumber)
        let alike = names.filter { $0.filter(\.isNumber) == digits }
        throw .matchesNothing(
          pattern: pattern.text, nearest: nearestName(to: pattern.text, in: alike), names: names)
      }
      chosen += fitting.filter { taken.insert($0).inserted }
    }
    return chosen
  }
}

extension [FeaturePattern] {
  /// The columns that some pattern matches, as indices into `names`.
  ///
  /// - Throws: `FeatureError.matchesNothing` for a pattern that fits no name.
  package func matching(_ names: [String]) throws(FeatureError) -> Set<Int> {
    isEmpty ? [] : Set(try FeaturePattern.select(self, from: names))
  }

  package func matches(_ name: String) -> Bool { contains { $0.matches(name) } }
}

/// The name in `names` that a misspelt `word` most likely means, if one is near enough.
///
/// Near means a distance of at most a third of the word's length.
package func nearestName(to word: String, in names: some Sequence<String>) -> String? {
  let limit = word.count / 3
  var best: (name: String, distance: Int)?
  for name in names where abs(name.count - word.count) <= limit {
    let distance = editDistance(Array(word.lowercased()), Array(name.lowercased()))
    if distance <= limit, distance < best?.distance ?? .max {
      best = (name, distance)
    }
  }
  return best?.name
}

/// The optimal string alignment distance: Levenshtein's, with two neighbours swapped counting as one.
private func editDistance(_ a: [Character], _ b: [Character]) -> Int {
  var beforeLast: [Int] = []
  var last = Array(0...b.count)
  for i in a.indices {
    var row = [i + 1]
    for j in b.indices {
      var distance = min(last[j] + (a[i] == b[j] ? 0 : 1), last[j + 1] + 1, row[j] + 1)
      if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] {
        distance = min(distance, beforeLast[j - 1] + 1)
      }
      row.append(distance)
    }
    (beforeLast, last) = (last, row)
  }
  return last[b.count]
}
