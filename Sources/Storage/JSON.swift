/// A JSON value (RFC 8259).
///
/// Foundation's decoder is not used because it lets a name stand twice in an object, and passes
/// 64-bit integers through Double; both matter in the header of a tensor file.
enum JSON: Equatable {
  case null
  case bool(Bool)
  /// The number as it is spelled, so that integers stay exact.
  case number(String)
  case string(String)
  case array([JSON])
  case object([String: JSON])

  /// The value as an error message calls it.
  var summary: String {
    switch self {
    case .null: "null"
    case .bool(let value): "\(value)"
    case .number(let text): text.count > 32 ? "a number of \(text.count) digits" : text
    case .string(let text): quoted(text)
    case .array(let elements): "an array of \(elements.count)"
    case .object: "an object"
    }
  }

  var string: String? { if case .string(let text) = self { text } else { nil } }
  var array: [JSON]? { if case .array(let elements) = self { elements } else { nil } }
  var object: [String: JSON]? { if case .object(let members) = self { members } else { nil } }
  /// The exact value of a number without fraction or exponent that fits.
  var integer: Int? { if case .number(let text) = self { Int(text) } else { nil } }
  /// The nearest Double, unless it is infinite.
  var double: Double? {
    guard case .number(let text) = self, let value = Double(text), value.isFinite else {
      return nil
    }
    return value
  }

  /// A map of strings to strings.
  var strings: [String: String]? {
    guard let object else { return nil }
    var strings: [String: String] = [:]
    for (key, value) in object {
      guard let text = value.string else { return nil }
      strings[key] = text
    }
    return strings
  }

  /// `text` as a JSON string, in quotes; only what must be is escaped, as Rust's serde_json does.
  static func quote(_ text: String) -> String {
    var quoted = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": quoted += "\\\""
      case "\\": quoted += "\\\\"
      case "\u{8}": quoted += "\\b"
      case "\u{c}": quoted += "\\f"
      case "\n": quoted += "\\n"
      case "\r": quoted += "\\r"
      case "\t": quoted += "\\t"
      case ..<" ":
        quoted += scalar.value < 16 ? "\\u000" : "\\u00"
        quoted += String(scalar.value, radix: 16)
      default: quoted.unicodeScalars.append(scalar)
      }
    }
    return quoted + "\""
  }

  static func encode(_ strings: [String]) -> String {
    "[" + strings.map(quote).joined(separator: ",") + "]"
  }

  /// A map of strings as an object, sorted by name so that equal maps give equal bytes.
  static func encode(_ strings: [String: String]) -> String {
    encode(members: strings.sorted { $0.key < $1.key }.map { ($0.key, quote($0.value)) })
  }

  /// An object of values that are encoded already, in the order given.
  static func encode(members: [(name: String, value: String)]) -> String {
    "{" + members.map { quote($0.name) + ":" + $0.value }.joined(separator: ",") + "}"
  }
}

/// Bounds that hostile JSON runs into.
struct JSONLimits {
  /// The deepest that arrays and objects may nest.
  var depth = 16
  /// The most values, each number, string, array, … counted.
  var values = 4_000_000
}
