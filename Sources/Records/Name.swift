/// A name that is compared by its bytes.
///
/// For Swift's `String`, é is equal to e with an accent after it (Unicode's canonical equivalence). Names of
/// columns are equal only if their bytes are, so sets and dictionaries of names have this key.
package struct Name: Hashable, Comparable, Sendable {
  package let text: String

  package init(_ text: String) {
    self.text = text
  }

  package static func == (left: Name, right: Name) -> Bool {
    areSame(left.text, right.text)
  }

  package static func < (left: Name, right: Name) -> Bool {
    left.text.utf8.lexicographicallyPrecedes(right.text.utf8)
  }

  package func hash(into hasher: inout Hasher) {
    for byte in text.utf8 { hasher.combine(byte) }
  }
}

/// Whether two names have the same bytes.
package func areSame(_ a: String, _ b: String) -> Bool {
  a.utf8.elementsEqual(b.utf8)
}

/// Whether two lists hold the same names, byte for byte, in the same order.
package func areSame(_ a: [String], _ b: [String]) -> Bool {
  a.count == b.count && a.indices.allSatisfy { areSame(a[$0], b[$0]) }
}

/// Whether two names have other bytes and look the same, as NFC and NFD of one text do.
package func areLookalikes(_ a: String, _ b: String) -> Bool {
  a == b && !areSame(a, b)
}

extension [String] {
  /// The names as keys of a set or a dictionary.
  package var asNames: [Name] { map { Name($0) } }
}

extension String {
  /// The name that bytes spell. A byte that is no UTF-8, as in a file in Latin-1, is spelled `\xE9`, so that
  /// names that differ stay different.
  package init(name bytes: [UInt8]) {
    if let valid = String(validating: bytes, as: UTF8.self) {
      self = valid
      return
    }
    self = ""
    var parser = Unicode.UTF8.ForwardParser()
    var rest = bytes.makeIterator()
    var offset = 0
    while true {
      switch parser.parseScalar(from: &rest) {
      case .valid(let scalar):
        unicodeScalars.append(Unicode.UTF8.decode(scalar))
        offset += scalar.count
      case .error(let length):
        for byte in bytes[offset..<offset + length] {
          append("\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true))
        }
        offset += length
      case .emptyInput: return
      }
    }
  }
}
