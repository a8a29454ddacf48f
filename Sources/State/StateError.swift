/// Why a state cannot be used.
package enum StateError: Error, Equatable, CustomStringConvertible {
  /// A value that is out of the bounds of its column, or does not agree with another.
  case value(String, expected: String, found: String)
  /// A column of another length than its scope says.
  case length(column: String, expected: Int, found: Int)
  /// Tables of other groups or features, which cannot be merged.
  case otherTable(expected: String, found: String)

  package var description: String {
    switch self {
    case .value(let value, let expected, let found):
      "\(value): expected \(expected), found \(found)"
    case .length(let column, let expected, let found):
      "\(column): expected \(expected) numbers, found \(found)"
    case .otherTable(let expected, let found):
      "state to merge: expected \(expected), found \(found)"
    }
  }
}
