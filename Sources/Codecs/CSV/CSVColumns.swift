internal import Records

/// Compares the first line of a split with the columns of its stream.
enum CSVColumns {
  /// The names with the spelling that the columns of the stream have: blanks around a name do not count. Names are
  /// compared by their bytes.
  static func spelled(_ names: [String], as columns: [String]) -> [String] {
    let spellings = Dictionary(
      columns.map { (Name(trimmed($0)), $0) }, uniquingKeysWith: { first, _ in first })
    return names.map { spellings[Name(trimmed($0))] ?? $0 }
  }

  /// Whether a line that may be a record is a header, possibly of other columns: it contains the name of a column.
  static func isHeader(_ fields: [String], of columns: [String]) -> Bool {
    let names = Set(columns.map { Name(trimmed($0)) })
    return fields.contains { names.contains(Name(trimmed($0))) }
  }

  private static func trimmed(_ name: String) -> String {
    let isBlank: (Character) -> Bool = { $0 == " " || $0 == "\t" }
    var rest = name.drop(while: isBlank)
    while let last = rest.last, isBlank(last) { rest.removeLast() }
    return String(rest)
  }
}
