/// A pattern of names. `*` matches any text, and `?` any character. Everything else is compared by its bytes.
package struct Glob: Sendable, Equatable {
  package let text: String

  package init(_ text: String) {
    self.text = text
  }

  /// Whether it can match other names than its own text.
  package var hasWildcard: Bool {
    text.contains { $0 == "*" || $0 == "?" }
  }

  package func matches(_ name: String) -> Bool {
    // The usual greedy match, which goes back to the last star. It is linear for real patterns.
    let pattern = Array(text)
    let name = Array(name)
    var (p, n) = (0, 0)
    var star: (pattern: Int, name: Int)?
    while n < name.count {
      if p < pattern.count, pattern[p] == "*" {
        star = (p, n)
        p += 1
      } else if p < pattern.count, pattern[p] == "?" || areSame(pattern[p], name[n]) {
        p += 1
        n += 1
      } else if let last = star {
        star = (last.pattern, last.name + 1)
        p = last.pattern + 1
        n = last.name + 1
      } else {
        return false
      }
    }
    return pattern[p...].allSatisfy { $0 == "*" }
  }

  /// Whether two characters have the same bytes.
  private func areSame(_ a: Character, _ b: Character) -> Bool {
    a == b && (a.isASCII || a.utf8.elementsEqual(b.utf8))
  }
}
