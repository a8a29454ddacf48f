internal import Records

/// Names the columns of a schema, so that each can be chosen.
///
/// A column has its own name. A child of a struct has a path, `struct.child`. In a path, a name has `\` before each `.`,
/// `[` and `\`, as in paths of JSON. So has the name of a column that is spelled like such a path.
enum ArrowNames {
  /// The name of a struct's child.
  static func child(_ name: String, of path: String) -> String { path + "." + escaped(name) }

  /// The names of the top-level columns. Those of structs are the starts of paths.
  static func columns(of schema: ArrowSchema) -> [String] {
    var taken = Set<Name>()
    for field in schema.fields where field.hasPaths {
      addPaths(below: field, escaped(field.name), to: &taken)
    }
    return schema.fields.map { field in
      let isTaken = !taken.isEmpty && taken.contains(Name(field.name))
      return field.hasPaths || isTaken ? escaped(field.name) : field.name
    }
  }

  private static func addPaths(
    below field: ArrowField, _ path: String, to taken: inout Set<Name>
  ) {
    for child in field.children {
      let path = self.child(child.name, of: path)
      if child.hasPaths {
        addPaths(below: child, path, to: &taken)
      } else {
        taken.insert(Name(path))
      }
    }
  }

  private static func escaped(_ name: String) -> String {
    var text = String.UnicodeScalarView()
    for scalar in name.unicodeScalars {
      if scalar == "." || scalar == "[" || scalar == "\\" { text.append("\\") }
      text.append(scalar)
    }
    return String(text)
  }
}

extension ArrowField {
  /// Whether its children have paths.
  fileprivate var hasPaths: Bool { dictionary == nil && type == .structure && !children.isEmpty }
}
