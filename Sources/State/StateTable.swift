package import Records

// Invariants:
// - Every column has as many values as the shape of its group's scope says.
// - The columns of keys are in `keyRows`, which has a row for each of `keys`.

/// The state of a stream between two mini-batches: columns of numbers in groups.
///
/// Each column is one contiguous array, but those of keys. A handle (`RealColumn`, `CountColumn`, `KeyColumn`) is looked
/// up once by name; access by a handle looks nothing up.
package struct StateTable: Sendable, Equatable {
  let layout: StateLayout
  package let features: FeatureSchema
  /// The keys: one for each row of the groups that have a row a key.
  package internal(set) var keys = KeyNames()
  package internal(set) var keyRows: KeyRows
  /// The columns of each kind in the order of the groups. Those of keys are empty here.
  var reals: [[Double]] = []
  var counts: [[Int]] = []

  /// The state before the first batch: every column holds its initial value.
  package init(_ groups: [StateGroup], features: FeatureSchema) {
    layout = StateLayout(groups)
    self.features = features
    keyRows = KeyRows(KeyLayout(of: groups, featureCount: features.count))
    for group in groups {
      let rows = group.scope.rowCount(features: features.count, keys: 0)
      for column in group.columns {
        switch column.kind {
        case .real: reals.append(Array(repeating: column.initial, count: rows))
        case .count: counts.append(Array(repeating: Int(column.initial), count: rows))
        }
      }
    }
  }
}

/// The handle of a real column; valid in every table of the same groups.
package struct RealColumn: Sendable, Equatable {
  let index: Int
}

/// The handle of a column of counts; valid in every table of the same groups.
package struct CountColumn: Sendable, Equatable {
  let index: Int
}

/// The values of one column.
package enum StateValues: Sendable, Equatable {
  case real([Double])
  case count([Int])

  package var kind: StateColumn.Kind {
    switch self {
    case .real: .real
    case .count: .count
    }
  }

  /// The values as Doubles.
  package var doubles: [Double] {
    switch self {
    case .real(let values): values
    case .count(let values): values.map(Double.init)
    }
  }
}

extension StateTable {
  package var groups: [StateGroup] { layout.groups }

  /// The handle of a real column, which must exist.
  package func real(_ column: String, of group: String) -> RealColumn {
    guard case .real(let index) = place(of: column, in: group) else {
      preconditionFailure("no real column '\(column)' in a state group '\(group)'")
    }
    return RealColumn(index: index)
  }

  /// The handle of a column of counts, which must exist.
  package func count(_ column: String, of group: String) -> CountColumn {
    guard case .count(let index) = place(of: column, in: group) else {
      preconditionFailure("no column of counts '\(column)' in a state group '\(group)'")
    }
    return CountColumn(index: index)
  }

  /// The values of a column. Their number must not change.
  package subscript(_ column: RealColumn) -> [Double] {
    get { reals[column.index] }
    _modify { yield &reals[column.index] }
  }

  /// The values of a column. Their number must not change.
  package subscript(_ column: CountColumn) -> [Int] {
    get { counts[column.index] }
    _modify { yield &counts[column.index] }
  }

  /// Moves a column out of the table, so that several can be changed at once; `put` moves it back.
  package mutating func take(_ column: RealColumn) -> [Double] {
    var values: [Double] = []
    swap(&values, &reals[column.index])
    return values
  }

  /// Moves a column out of the table, so that several can be changed at once; `put` moves it back.
  package mutating func take(_ column: CountColumn) -> [Int] {
    var values: [Int] = []
    swap(&values, &counts[column.index])
    return values
  }

  package mutating func put(_ values: consuming [Double], in column: RealColumn) {
    reals[column.index] = values
  }

  package mutating func put(_ values: consuming [Int], in column: CountColumn) {
    counts[column.index] = values
  }

  /// Adds to one count. In the hot path this and `take` are to be preferred to `subscript`: changing a value
  /// through a subscript of another module allocates memory each time.
  package mutating func add(_ count: Int, to column: CountColumn, row: Int = 0) {
    counts[column.index][row] += count
  }

  /// Adds to each count of a column.
  package mutating func add(to column: CountColumn, _ count: (_ row: Int) -> Int) {
    // Out of the table, so that the array is checked for other owners once and not with every element.
    var values = take(column)
    var span = values.mutableSpan
    for row in span.indices { span[row] += count(row) }
    put(values, in: column)
  }

  private func place(of column: String, in group: String) -> StateLayout.Place? {
    guard let index = layout.index(ofGroup: group),
      let position = groups[index].columns.firstIndex(where: { $0.name == column })
    else { return nil }
    return layout.places[index][position]
  }
}

// MARK: Columns by name, for files and messages

extension StateTable {
  package func group(_ name: String) -> StateGroup? { groups.first { $0.name == name } }

  /// The number of keys.
  package var keyCount: Int { keys.count }

  /// The sizes of the dimensions of a group's columns.
  package func shape(of group: StateGroup) -> [Int] {
    group.scope.shape(features: features.count, keys: keyCount)
  }

  /// The values of a column by its name in files; nil if there is no such column.
  ///
  /// A column of keys is put together from all rows.
  package subscript(fileName: String) -> StateValues? {
    get {
      switch layout.place(ofFileName: fileName) {
      case .real(let index): .real(reals[index])
      case .count(let index): .count(counts[index])
      case .key(let index): keyRows.values(index)
      case nil: nil
      }
    }
    set {
      switch (layout.place(ofFileName: fileName), newValue) {
      case (.real(let index), .real(let values)): reals[index] = values
      case (.count(let index), .count(let values)): counts[index] = values
      case (.key(let index), .some(let values)) where values.kind == keyRows.kind(of: index):
        keyRows.setValues(index, to: values)
      default: preconditionFailure("no state column '\(fileName)' of this kind")
      }
    }
  }

  /// The real column of that name in files, which must exist.
  package subscript(real fileName: String) -> [Double] {
    get {
      guard case .real(let values) = self[fileName] else {
        preconditionFailure("no real state column '\(fileName)'")
      }
      return values
    }
    set { self[fileName] = .real(newValue) }
  }

  /// The column of counts of that name in files, which must exist.
  package subscript(count fileName: String) -> [Int] {
    get {
      guard case .count(let values) = self[fileName] else {
        preconditionFailure("no state column of counts '\(fileName)'")
      }
      return values
    }
    set { self[fileName] = .count(newValue) }
  }

  /// The number of values of each column of a group.
  func rowCount(ofGroup index: Int) -> Int {
    layout.groups[index].scope.rowCount(features: features.count, keys: keyCount)
  }

  /// The rows of a group without their values, which name a row in an error.
  func blankRows(ofGroup index: Int) -> StateRows {
    StateRows(
      group: groups[index], features: features.names, count: rowCount(ofGroup: index), table: self,
      reals: [], counts: [])
  }

  /// The rows of a group, apart from the table.
  func rows(ofGroup index: Int) -> StateRows {
    var rows = blankRows(ofGroup: index)
    for place in layout.places[index] {
      switch place {
      case .real(let index): rows.append(.real(reals[index]))
      case .count(let index): rows.append(.count(counts[index]))
      case .key(let index): rows.append(keyRows.values(index))
      }
    }
    return rows
  }

  mutating func replace(_ rows: StateRows) {
    for (index, column) in rows.group.columns.enumerated() {
      switch column.kind {
      case .real: self[real: column.fileName] = rows.reals[index]
      case .count: self[count: column.fileName] = rows.counts[index]
      }
    }
  }

  /// The groups that a file must hold, with their columns: all but the optional ones that nothing has changed.
  package var writtenGroups: [StateGroup] {
    groups.filter { group in !group.isOptional || group.columns.contains(where: hasChanged) }
      .map { group in group.keeping { !$0.isOptional || hasChanged($0) } }
  }

  /// Whether a column has other values than the initial ones.
  private func hasChanged(_ column: StateColumn) -> Bool {
    layout.place(ofFileName: column.fileName).map { hasChanged(column, at: $0) } ?? false
  }

  private func hasChanged(_ column: StateColumn, at place: StateLayout.Place) -> Bool {
    switch place {
    case .real(let index): reals[index].contains { $0 != column.initial }
    case .count(let index): counts[index].contains { $0 != Int(column.initial) }
    case .key(let index): !keyRows.isInitial(index)
    }
  }

  /// Gives the columns of some groups their initial values. Columns that have them are left alone.
  ///
  /// - Parameter names: groups without keys.
  package mutating func reset(groups names: [String]) {
    for name in names {
      guard let index = layout.index(ofGroup: name) else { continue }
      for (column, place) in zip(groups[index].columns, layout.places[index])
      where hasChanged(column, at: place) {
        let initial = column.initial
        switch place {
        case .real(let index): reals[index] = reals[index].map { _ in initial }
        case .count(let index): counts[index] = counts[index].map { _ in Int(initial) }
        case .key: break
        }
      }
    }
  }
}
