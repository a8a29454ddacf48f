/// The place of a feature in a JSON record: member keys from the outside in, and, for one value of
/// an array of numbers, its index.
///
/// Its spelling is the feature's name: keys joined by dots and the index in brackets, as in
/// `engine.rpm` and `embedding[3]`. A dot, bracket `[` or backslash that belongs to a key is
/// written with a backslash before it, so that every path has one spelling and no two the same.
struct JSONPath: Hashable, CustomStringConvertible {
  var keys: [String]
  var element: Int?

  init(keys: [String], element: Int? = nil) {
    self.keys = keys
    self.element = element
  }

  /// Reads the spelling of a path.
  init(parsing text: String) throws(FormatError) {
    var keys: [String] = []
    var key = String.UnicodeScalarView()
    var rest = text.unicodeScalars[...]
    var element: Int?
    while let scalar = rest.popFirst() {
      switch scalar {
      case "\\":
        guard let escaped = rest.popFirst(), Self.isSpecial(escaped) else {
          throw Self.error(in: text, "a backslash stands before '.', '[' or '\\' only")
        }
        key.append(escaped)
      case ".":
        keys.append(String(key))
        key.removeAll()
      case "[":
        guard rest.last == "]", let index = Int(String(rest.dropLast())),
          String(String.UnicodeScalarView(rest)) == "\(index)]", index >= 0
        else {
          throw Self.error(in: text, "an index such as [0] ends it; '[' in a key is written '\\['")
        }
        element = index
        rest = rest.suffix(0)
      default:
        key.append(scalar)
      }
    }
    keys.append(String(key))
    self.init(keys: keys, element: element)
  }

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

  private static func isSpecial(_ scalar: Unicode.Scalar) -> Bool {
    scalar == "." || scalar == "[" || scalar == "\\"
  }

  private static func error(in text: String, _ reason: String) -> FormatError {
    FormatError(RecordSettings.features, "'\(text)' is not a JSON path: \(reason)")
  }
}
