/// Why a state cannot be used.
package enum StateError: Error, Equatable, CustomStringConvertible {
  /// A value that is out of the bounds of its column, or does not agree with another.
  case value(String, expected: String, found: String)
  /// A column of another length than its scope says.
  case length(column: String, expected: Int, found: Int)
  /// A table of other groups or features.
  case otherTable(expected: String, found: String)

  package var description: String {
    switch self {
    case .value(let value, let expected, let found):
      "\(value): expected \(expected), found \(found)"
    case .length(let column, let expected, let found):
      "\(column): expected \(expected) number\(expected == 1 ? "" : "s"), found \(found)"
    case .otherTable(let expected, let found):
      "state: expected \(expected), found \(found)"
    }
  }
}
