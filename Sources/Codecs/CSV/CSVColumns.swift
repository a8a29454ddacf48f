internal import Records

/// Compares the first line of a split with the columns of its stream.
enum CSVColumns {
  /// Whether two lines name the same columns in the same order. Ignores blanks around the names.
  static func areAlike(_ a: [String], _ b: [String]) -> Bool {
    a.count == b.count && zip(a, b).allSatisfy { areSame(trimmed($0), trimmed($1)) }
  }

  /// Whether a line that may be a record is a header, possibly of other columns: it contains the name of a column.
  static func isHeader(_ fields: [String], of columns: [String]) -> Bool {
    let names = Set(columns.map { Name(trimmed($0)) })
    return fields.contains { names.contains(Name(trimmed($0))) }
  }

  private static func trimmed(_ name: String) -> Substring {
    let isBlank: (Character) -> Bool = { $0 == " " || $0 == "\t" }
    var rest = name.drop(while: isBlank)
    while let last = rest.last, isBlank(last) { rest.removeLast() }
    return rest
  }
}
