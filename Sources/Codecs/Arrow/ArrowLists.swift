package import Records

/// The lists of numbers that the records of a block have in the columns of `DecoderOptions.lists`.
package struct ArrowLists {
  private let rows: ArrowRows

  /// - Returns: nil if the block has no records of Arrow with their rows.
  package init?(of block: RecordBlock) {
    guard let rows = block.payload as? ArrowRows else { return nil }
    self.rows = rows
  }

  /// The numbers in a column of a record, or lists of them; nil for a null, and for a column without lists. A number
  /// that is null is NaN.
  package func value(of column: String, in record: Int) -> NumberMembers.Value? {
    guard let slice = rows.slices(of: record..<record + 1).first else { return nil }
    return slice.batch.scalars.first { $0.name == column }?.numbers(slice.rows.lowerBound)
  }
}

extension DecoderOptions {
  /// The columns of `lists` that a schema has. The numbers of a fixed-size list are features, so that it is left out.
  ///
  /// - Throws: if a column has lists of another type.
  func listColumns(of schema: ArrowSchema) throws(RecordFault) -> [ArrowScalarColumn] {
    var found: [ArrowScalarColumn] = []
    for name in lists {
      let fields = schema.fields.filter { $0.name == name && $0.type.isList }
      guard fields.count <= 1 else {
        throw RecordFault(expected: "one column \(quoted(name))", found: "\(fields.count)")
      }
      guard let field = fields.first else { continue }
      guard let column = ArrowScalarColumn(lists: field, depth: 2) else {
        throw RecordFault(
          expected: "lists of Float32 or Float64 in column \(quoted(name))",
          found: Self.typeName(field))
      }
      if case .fixedList = field.type, column.elements[0].elements.isEmpty { continue }
      found.append(column)
    }
    return found
  }

  private static func typeName(_ field: ArrowField) -> String {
    if field.dictionary != nil { return "Dictionary(\(field.type.name))" }
    let elements = field.children.first.map { " of \(typeName($0))" } ?? ""
    return field.type.name + elements
  }
}

extension ArrowScalarColumn {
  /// A column of lists of numbers, or with a depth of 2 of lists of such lists; nil for another type.
  fileprivate init?(lists field: ArrowField, depth: Int) {
    guard field.dictionary == nil, let child = field.children.first, depth > 0 else { return nil }
    switch field.type {
    // Lists without elements would need no bytes, however many they are.
    case .list, .largeList, .fixedList(count: 1...): break
    default: return nil
    }
    let elements: ArrowScalarColumn
    if child.dictionary == nil, child.type == .float(bits: 32) || child.type == .float(bits: 64) {
      elements = ArrowScalarColumn(
        name: field.name, type: child.type, place: child.place, parents: [])
    } else if let lists = ArrowScalarColumn(lists: child, depth: depth - 1) {
      elements = lists
    } else {
      return nil
    }
    self.init(
      name: field.name, type: field.type, place: field.place, parents: [], elements: [elements])
  }
}
