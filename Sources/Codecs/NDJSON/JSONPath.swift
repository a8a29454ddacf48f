internal import Records

/// The path of a feature in a JSON record: member keys from the outside in. For a value of an array of numbers, also
/// its index.
///
/// Its spelling is the feature's name: keys joined by dots, and the index in brackets, as in `engine.rpm` and
/// `embedding[3]`. A dot, a bracket `[` or a backslash in a key has a backslash before it. So every path has one
/// spelling, and no two paths have the same.
struct JSONPath: Equatable, Sendable, CustomStringConvertible {
  var keys: [String]
  var element: Int?

  init(keys: [String], element: Int? = nil) {
    self.keys = keys
    self.element = element
  }

  static func == (left: JSONPath, right: JSONPath) -> Bool {
    areSame(left.keys, right.keys) && left.element == right.element
  }

  /// All values of a vector, or the one value of another place.
  static func all(_ keys: [String], vectorLength: Int?) -> [JSONPath] {
    guard let vectorLength else { return [JSONPath(keys: keys)] }
    return (0..<vectorLength).map { JSONPath(keys: keys, element: $0) }
  }

  /// Reads the spelling of a path.
  init(parsing text: String) throws(FormatError) {
    let spelling = try Spelling(parsing: text)
    guard spelling.vectorLength == nil else {
      throw Self.error(in: text, "it spells a whole vector")
    }
    self = spelling.path
  }

  /// A path, or all values of a vector, as in `embedding[0..127]`.
  struct Spelling {
    /// The path of the value, or of the first value of the vector.
    var path: JSONPath
    /// Nil for a single value.
    var vectorLength: Int?
  }

  static func error(in text: String, _ reason: String) -> FormatError {
    FormatError(RecordSettings.features, "'\(text)' is not a JSON path: \(reason)")
  }
}

extension JSONPath.Spelling {
  init(parsing text: String) throws(FormatError) {
    var keys: [String] = []
    var key = String.UnicodeScalarView()
    var rest = text.unicodeScalars[...]
    var element: Int?
    var vectorLength: Int?
    while let scalar = rest.popFirst() {
      switch scalar {
      case "\\":
        guard let escaped = rest.popFirst(), JSONPath.isSpecial(escaped) else {
          throw JSONPath.error(in: text, "a backslash may only be before '.', '[' or '\\'")
        }
        key.append(escaped)
      case ".":
        keys.append(String(key))
        key.removeAll()
      case "[":
        (element, vectorLength) = try Self.index(String(rest), in: text)
        rest = rest.suffix(0)
      default:
        key.append(scalar)
      }
    }
    keys.append(String(key))
    self.init(path: JSONPath(keys: keys, element: element), vectorLength: vectorLength)
  }

  /// The index that ends a path, `3]`, or the first index and the length of a vector, `0..127]`.
  private static func index(
    _ text: String, in path: String
  ) throws(FormatError) -> (element: Int, vectorLength: Int?) {
    if let index = Int(text.dropLast()), index >= 0, text == "\(index)]" { return (index, nil) }
    let bounds = text.dropLast().split(separator: ".", omittingEmptySubsequences: false)
    if bounds.count == 3, let last = Int(bounds[2]), last >= 0, last < .max, text == "0..\(last)]" {
      return (0, last + 1)
    }
    throw JSONPath.error(
      in: path,
      "an index such as [0], or all of a vector such as [0..127], ends it; "
        + "'[' in a key is written '\\['")
  }
}

extension JSONPath {
  var description: String {
    var text = String.UnicodeScalarView()
    for (position, key) in keys.enumerated() {
      if position > 0 { text.append(".") }
      for scalar in key.unicodeScalars {
        if Self.isSpecial(scalar) { text.append("\\") }
        text.append(scalar)
      }
    }
    return String(text) + (element.map { "[\($0)]" } ?? "")
  }

  fileprivate static func isSpecial(_ scalar: Unicode.Scalar) -> Bool {
    scalar == "." || scalar == "[" || scalar == "\\"
  }
}
