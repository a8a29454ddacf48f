/// A value of the file with the place where it stands; aliases followed, variables substituted.
struct ConfigurationNode {
  enum Content {
    case scalar(Scalar)
    case list([ConfigurationNode])
    case mapping([Entry])
    /// What is wrong with it has been reported; errors about the value it lacks would mislead.
    case unusable
  }

  struct Scalar {
    /// The text that counts.
    var text: String
    /// The text as it stands in the file, which alone may be shown: a variable may hold a secret.
    var written: String
    /// Whether the text stands without quotes.
    var isPlain: Bool

    var isSubstituted = false

    /// Whether this is YAML's null; text that a variable gave never is.
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

  /// Whether the value, or one within it, came from a variable.
  var isSubstituted: Bool {
    switch content {
    case .scalar(let scalar): scalar.isSubstituted
    case .list(let elements): elements.contains(where: \.isSubstituted)
    case .mapping(let entries): entries.contains(where: \.value.isSubstituted)
    case .unusable: false
    }
  }

  /// The value in the words of an error, as it is written in the file.
  var described: String {
    switch content {
    case .scalar(let scalar) where scalar.isNull: "nothing"
    case .scalar(let scalar): quoted(scalar.written)
    case .list: "a list"
    case .mapping: "a mapping"
    case .unusable: "nothing of use"
    }
  }

}

/// The start of a text from the file, in quotes and fit for one line of a terminal.
func quoted(_ text: String) -> String {
  let start = text.unicodeScalars.prefix(61)
  let shown = start.prefix(60).map {
    $0.properties.generalCategory == .control ? $0.escaped(asASCII: true) : String($0)
  }.joined()
  return "'\(shown)\(start.count > 60 ? "…" : "")'"
}
