internal import Records

extension StateTable {
  /// The handle of a column of keys, which must exist.
  package func key(_ column: String, of group: String) -> KeyColumn {
    guard let found = self.group(group)?.column(column),
      case .key(let index) = layout.place(ofFileName: found.fileName)
    else { preconditionFailure("no column of keys '\(column)' in a state group '\(group)'") }
    return KeyColumn(index: index)
  }

  /// The real number of a key, of a feature if the column has features.
  package func number(_ column: KeyColumn, row: Int, feature: Int = 0) -> Double {
    keyRows.number(column.index, row: row, feature: feature)
  }

  /// The count of a key.
  package func count(_ column: KeyColumn, row: Int) -> Int {
    KeyLayout.count(of: keyRows.number(column.index, row: row))
  }

  /// The values of a column of one key, by its name in files; nil if there is no such column.
  package func values(_ fileName: String, ofKey row: Int) -> StateValues? {
    guard case .key(let index) = layout.place(ofFileName: fileName) else { return nil }
    return keyRows.values(index, of: row..<row + 1)
  }

  /// Replaces the values of a column of one key, which must exist.
  package mutating func setValues(_ fileName: String, ofKey row: Int, to values: StateValues) {
    guard case .key(let index) = layout.place(ofFileName: fileName) else {
      preconditionFailure("no column of keys '\(fileName)'")
    }
    keyRows.setValues(index, of: row..<row + 1, to: values)
  }

  /// The one value of each key of a shared column; nil if the column is not shared, or if features of a key differ.
  package func sharedValues(_ fileName: String) -> [Double]? {
    guard case .key(let index) = layout.place(ofFileName: fileName) else { return nil }
    return keyRows.sharedValues(index)
  }

  /// Replaces all keys; their rows hold the initial values.
  package mutating func startKeys(_ names: KeyNames) {
    keys = names
    keyRows.start(names.count)
  }

  /// Adds a key, with the initial values.
  ///
  /// - Returns: its row.
  @discardableResult
  package mutating func addKey(_ name: ArraySlice<UInt8>) -> Int {
    keys.append(name)
    keyRows.append()
    return keyCount - 1
  }

  /// Gives a row to another key. It holds the initial values then.
  package mutating func replaceKey(_ row: Int, with name: ArraySlice<UInt8>) {
    keys.replace(row, with: name)
    keyRows.reset(row)
  }

  /// Removes a key. The last one takes its row.
  package mutating func removeKey(_ row: Int) {
    keys.remove(row)
    keyRows.remove(row)
  }

  /// Writes copies of rows that `KeyRows.copy` made.
  ///
  /// - Parameter written: the number of each copy among the copies, and its row.
  package mutating func replaceKeyRows(
    _ written: [(number: Int, row: Int)], by numbers: [Double], isSpread: Bool
  ) {
    keyRows.replace(written, by: numbers, isSpread: isSpread)
  }

  /// The row of a key; nil if it is not known. It looks at every key.
  package func row(ofKey name: [UInt8]) -> Int? {
    (0..<keyCount).first { keys[$0] == name[...] }
  }

  /// The same state with the keys in another order. Those that it lacks have the initial values, and those that the
  /// order lacks are left out.
  package func arranged(by names: KeyNames) -> StateTable {
    guard names != keys else { return self }
    var known: [ArraySlice<UInt8>: Int] = [:]
    for row in 0..<keyCount { known[keys[row]] = row }
    var arranged = self
    arranged.startKeys(names)
    for row in 0..<names.count {
      if let source = known[names[row]] { arranged.keyRows.copy(source, of: keyRows, to: row) }
    }
    return arranged
  }

  /// The same state without keys. A copy of it costs nothing later, when the keys change.
  package var withoutKeys: StateTable {
    guard keyCount > 0 else { return self }
    var rest = self
    rest.startKeys(KeyNames())
    return rest
  }

  /// Takes the keys of a table with the same groups, with their values of the features that both have.
  package mutating func takeKeys(from other: StateTable) {
    if other.features == features, other.keyRows.layout == keyRows.layout {
      (keys, keyRows) = (other.keys, other.keyRows)
      keyRows.forgetChanges()
      return
    }
    startKeys(other.keys)
    take(groups: groups.filter(\.scope.hasKeys).map(\.name), from: other)
  }
}

extension StateTable {
  /// Adds the keys of another table that are not known.
  mutating func addKeys(of other: StateTable) {
    var known = Set((0..<keyCount).map { keys[$0] })
    for row in 0..<other.keyCount where known.insert(other.keys[row]).inserted {
      addKey(other.keys[row])
    }
  }
}

extension KeyRows {
  func kind(of index: Int) -> StateColumn.Kind { layout.columns[index].column.kind }
}
