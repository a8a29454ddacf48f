internal import Records

/// Columns that belong together, declared once by their owner.
///
/// Checkpoint, interchange, matching by name, merging and status are loops over groups and columns.
/// No other place lists the columns of a group.
package struct StateGroup: Sendable {
  /// Checks relations between the columns. The bounds of each column hold already.
  package typealias Validation = @Sendable (_ rows: StateRows) throws(StateError) -> Void
  /// Merges the rows of another table into `rows`, row by row.
  package typealias Merge =
    @Sendable (
      _ rows: inout StateRows, _ other: StateRows
    ) throws(StateError) -> Void

  package let name: String
  package let scope: StateScope
  package let columns: [StateColumn]
  /// Whether files leave the group out while all of its columns hold their initial values.
  package let isOptional: Bool
  let validation: Validation?
  let merge: Merge

  /// - Parameters:
  ///   - isOptional: whether files leave the group out while it holds its initial values.
  ///   - validate: what must hold between columns; nothing by default.
  ///   - merge: how the state of two streams becomes one. Several columns may be needed at once, as in
  ///     Chan's formula. By default counts add up and real columns must agree.
  package init(
    _ name: String, scope: StateScope, columns: [StateColumn], isOptional: Bool = false,
    validate: Validation? = nil,
    merge: @escaping Merge = StateGroup.addCounts
  ) {
    self.name = name
    self.scope = scope
    self.columns = columns.map { column in
      var column = column
      if column.fileName.isEmpty { column.fileName = "evenkeel.\(name).\(column.name)" }
      return column
    }
    self.isOptional = isOptional
    validation = validate
    self.merge = merge
  }

  /// Adds counts up; refuses real columns that differ.
  @Sendable package static func addCounts(
    _ rows: inout StateRows, _ other: StateRows
  ) throws(StateError) {
    for column in rows.group.columns {
      switch column.kind {
      case .count: rows.add(count: column.name, of: other)
      case .real:
        let (values, others) = (rows[real: column.name], other[real: column.name])
        for row in values.indices where values[row] != others[row] {
          throw .value(
            rows.label(of: column, row: row), expected: "\(values[row])",
            found: "\(others[row])")
        }
      }
    }
  }

  package func column(_ name: String) -> StateColumn? { columns.first { $0.name == name } }

  /// The same group with some of its columns.
  func keeping(_ isKept: (StateColumn) -> Bool) -> StateGroup {
    guard !columns.allSatisfy(isKept) else { return self }
    return StateGroup(
      name, scope: scope, columns: columns.filter(isKept), isOptional: isOptional,
      validate: validation, merge: merge)
  }
}

extension StateGroup: Equatable {
  /// Two groups are equal if they hold the same columns of the same scope; functions cannot be compared.
  package static func == (left: StateGroup, right: StateGroup) -> Bool {
    left.name == right.name && left.scope == right.scope && left.columns == right.columns
  }
}

/// The rows of one group, apart from their table, for validation and merging.
package struct StateRows: Sendable {
  package let group: StateGroup
  package let features: [String]
  /// The number of rows.
  package let count: Int
  /// The table that the rows are of, for a group whose rows depend on another one.
  package let table: StateTable
  /// In the order of the group's columns; a column of the other kind is empty.
  var reals: [[Double]]
  var counts: [[Int]]

  /// Adds the next column of the group.
  mutating func append(_ values: StateValues) {
    switch values {
    case .real(let values):
      reals.append(values)
      counts.append([])
    case .count(let values):
      reals.append([])
      counts.append(values)
    }
  }

  /// A real column by its name in the group, which must exist.
  package subscript(real name: String) -> [Double] {
    get { reals[position(of: name, .real)] }
    set { reals[position(of: name, .real)] = newValue }
  }

  /// A column of counts by its name in the group, which must exist.
  package subscript(count name: String) -> [Int] {
    get { counts[position(of: name, .count)] }
    set { counts[position(of: name, .count)] = newValue }
  }

  /// Adds a column of counts of the same rows elsewhere.
  package mutating func add(count name: String, of other: StateRows) {
    let others = other[count: name]
    for row in others.indices { self[count: name][row] += others[row] }
  }

  /// Gives a column its initial values.
  package mutating func reset(_ name: String) {
    for (position, column) in group.columns.enumerated() where column.name == name {
      switch column.kind {
      case .real: reals[position] = Array(repeating: column.initial, count: count)
      case .count: counts[position] = Array(repeating: Int(column.initial), count: count)
      }
    }
  }

  /// Gives all columns their initial values.
  package mutating func reset() {
    for column in group.columns { reset(column.name) }
  }

  /// The name of a value for an error message: `running_mean of feature 'temp'`.
  package func label(of column: StateColumn, row: Int) -> String {
    guard group.scope.hasFeatures else {
      return group.scope == .stream ? column.fileName : "\(column.fileName)[\(row)]"
    }
    let feature = "feature \(quoted(features[row % features.count]))"
    return row < features.count && group.scope == .feature
      ? "\(column.fileName) of \(feature)"
      : "\(column.fileName)[\(row / features.count)] of \(feature)"
  }

  /// The same, for a column by its name in the group.
  package func label(of name: String, row: Int) -> String {
    group.column(name).map { label(of: $0, row: row) } ?? name
  }

  private func position(of name: String, _ kind: StateColumn.Kind) -> Int {
    guard
      let position = group.columns.firstIndex(where: { $0.name == name && $0.kind == kind })
    else { preconditionFailure("no \(kind) column '\(name)' in state group '\(group.name)'") }
    return position
  }
}
