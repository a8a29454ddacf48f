/// The names of a stream's features, compared by their bytes. The position of a name is the index of the feature
/// in all code.
package struct FeatureSchema: Sendable, Equatable {
  package let names: [String]

  /// - Throws: `FeatureError.duplicateName` if two features have the same name.
  package init(_ names: [String]) throws(FeatureError) {
    var seen = Set<Name>(minimumCapacity: names.count)
    for name in names where !seen.insert(Name(name)).inserted {
      throw .duplicateName(name)
    }
    self.names = names
  }

  /// The names `f0`, `f1`, … for columns without names, as in Apache Arrow.
  package static func unnamed(count: Int) -> [String] {
    (0..<count).map { "f\($0)" }
  }

  package var count: Int { names.count }

  package static func == (left: FeatureSchema, right: FeatureSchema) -> Bool {
    areSame(left.names, right.names)
  }
}

/// A choice of features that cannot be used.
package enum FeatureError: Error, Equatable, CustomStringConvertible {
  case duplicateName(String)
  /// `names` are all that the pattern could match.
  case matchesNothing(pattern: String, nearest: String?, names: [String])
  /// Every column is excluded.
  case noneLeft

  package var description: String {
    switch self {
    case .duplicateName(let name):
      "expected feature names that differ, found \(quoted(name)) twice"
    case .matchesNothing(let pattern, _, _):
      "features: \(quoted(pattern)) matches no column" + (hint ?? "")
    case .noneLeft: "features: every column is excluded"
    }
  }

  /// The advice for columns of one name.
  package static let renaming = "rename one of them, or leave that name out of the features"

  /// The advice for a pattern that matches nothing; starts with a semicolon.
  package var hint: String? {
    guard case .matchesNothing(let pattern, let nearest?, _) = self else { return nil }
    guard areLookalikes(pattern, nearest) else { return "; did you mean \(quoted(nearest))?" }
    return "; \(quoted(nearest)) looks the same and is spelled in other bytes "
      + "(NFC and NFD of Unicode): copy the name from the input"
  }
}
