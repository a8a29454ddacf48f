internal import Records

/// A value of the file and its position, with aliases resolved and variables substituted.
struct ConfigurationNode {
  enum Content {
    case scalar(Scalar)
    case list([ConfigurationNode])
    case mapping([Entry])
    /// A fault of the value was already reported. Further errors about it would mislead.
    case unusable
  }

  struct Scalar {
    /// The text after substitution.
    var text: String
    /// The text in the file. Errors show only this one, because a variable may hold a secret.
    var written: String
    /// Whether the text is without quotes in the file.
    var isPlain: Bool

    var isSubstituted = false

    /// Whether this is YAML's null. The text of a variable never is.
    var isNull: Bool {
      isPlain && !isSubstituted && ["", "~", "null", "Null", "NULL"].contains(text)
    }
  }

  struct Entry {
    var key: String
    var mark: SourceMark
    var value: ConfigurationNode
  }

  var content: Content
  var mark: SourceMark

  /// Whether the value, or a part of it, came from a variable.
  var isSubstituted: Bool {
    switch content {
    case .scalar(let scalar): scalar.isSubstituted
    case .list(let elements): elements.contains(where: \.isSubstituted)
    case .mapping(let entries): entries.contains(where: \.value.isSubstituted)
    case .unusable: false
    }
  }

  /// The value as an error shows it: the text in the file.
  var described: String {
    switch content {
    case .scalar(let scalar) where scalar.isNull: "nothing"
    case .scalar(let scalar): quoted(scalar.written)
    case .list: "a list"
    case .mapping: "a mapping"
    case .unusable: "nothing that can be used"
    }
  }

}

/// The start of a text from the file, in quotes, with control characters escaped.
func quoted(_ text: String) -> String {
  let start = text.unicodeScalars.prefix(61)
  let shown = start.prefix(60).map {
    $0.steersTerminals ? $0.escaped(asASCII: true) : String($0)
  }.joined()
  return "'\(shown)\(start.count > 60 ? "…" : "")'"
}
