/// The names of a stream's features. The position of a name is the index of the feature in all code.
package struct FeatureSchema: Sendable, Equatable {
  package let names: [String]

  /// - Throws: `FeatureError.duplicateName` if two features have the same name.
  package init(_ names: [String]) throws(FeatureError) {
    var seen = Set<String>(minimumCapacity: names.count)
    for name in names where !seen.insert(name).inserted {
      throw .duplicateName(name)
    }
    self.names = names
  }

  /// The names `f0`, `f1`, … for columns without names, as in Apache Arrow.
  package static func unnamed(count: Int) -> [String] {
    (0..<count).map { "f\($0)" }
  }

  package var count: Int { names.count }
}

/// A choice of features that cannot be used.
package enum FeatureError: Error, Equatable, CustomStringConvertible {
  case duplicateName(String)
  case matchesNothing(pattern: String, nearest: String?)

  package var description: String {
    switch self {
    case .duplicateName(let name):
      "expected feature names that differ, found '\(name)' twice"
    case .matchesNothing(let pattern, let nearest):
      "features: '\(pattern)' matches no column" + (nearest.map { "; did you mean '\($0)'?" } ?? "")
    }
  }
}
