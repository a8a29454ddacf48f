/// The features of a stream by name; the position of a name is the feature's index everywhere.
package struct FeatureSchema: Sendable, Equatable {
  package let names: [String]

  /// - Throws: `FeatureError.duplicateName` when two features share a name.
  package init(_ names: [String]) throws(FeatureError) {
    var seen = Set<String>(minimumCapacity: names.count)
    for name in names where !seen.insert(name).inserted {
      throw .duplicateName(name)
    }
    self.names = names
  }

  /// The names `f0`, `f1`, … that columns without names get, as Apache Arrow gives them.
  package static func unnamed(count: Int) -> [String] {
    (0..<count).map { "f\($0)" }
  }

  package var count: Int { names.count }
}

/// What can be wrong with the choice of features.
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
