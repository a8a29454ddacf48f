internal import Records

extension StateTable {
  /// A column with a row for each key, or for each key and feature.
  struct KeyColumn: Sendable, Equatable {
    var kind: StateColumn.Kind
    var initial: Double
    /// Among those of its kind.
    var index: Int
    /// The number of values of a key.
    var width: Int
  }

  static func keyColumns(of groups: [StateGroup], featureCount: Int) -> [KeyColumn] {
    var found: [KeyColumn] = []
    var (real, count) = (0, 0)
    for group in groups {
      for column in group.columns {
        let index = column.kind == .real ? real : count
        if column.kind == .real { real += 1 } else { count += 1 }
        guard group.scope.hasKeys else { continue }
        found.append(
          KeyColumn(
            kind: column.kind, initial: column.initial, index: index,
            width: group.scope.hasFeatures ? featureCount : 1))
      }
    }
    return found
  }

  /// Replaces all keys; their rows hold the initial values.
  package mutating func startKeys(_ names: KeyNames) {
    keys = names
    for column in keyColumns {
      let (index, width) = (column.index, column.width)
      let count = names.count * width
      switch column.kind {
      case .real: reals[index] = Array(repeating: column.initial, count: count)
      case .count: counts[index] = Array(repeating: Int(column.initial), count: count)
      }
    }
  }

  /// Adds a key, with the initial values.
  ///
  /// - Returns: its row.
  @discardableResult
  package mutating func addKey(_ name: some Collection<UInt8>) -> Int {
    keys.append(name)
    for column in keyColumns {
      let (index, width) = (column.index, column.width)
      switch column.kind {
      case .real: reals[index].grow(by: width, column.initial)
      case .count: counts[index].grow(by: width, Int(column.initial))
      }
    }
    return keyCount - 1
  }

  /// Gives a row to another key. It holds the initial values then.
  package mutating func replaceKey(_ row: Int, with name: some Collection<UInt8>) {
    keys.replace(row, with: name)
    for column in keyColumns {
      let (index, width) = (column.index, column.width)
      for cell in row * width..<(row + 1) * width {
        switch column.kind {
        case .real: reals[index][cell] = column.initial
        case .count: counts[index][cell] = Int(column.initial)
        }
      }
    }
  }

  /// Removes a key. The last one takes its row.
  package mutating func removeKey(_ row: Int) {
    keys.remove(row)
    for column in keyColumns {
      let (index, width) = (column.index, column.width)
      switch column.kind {
      case .real: reals[index].removeRow(row, width)
      case .count: counts[index].removeRow(row, width)
      }
    }
  }

  /// The row of a key; nil if it is not known. It looks at every key.
  package func row(ofKey name: some Collection<UInt8>) -> Int? {
    (0..<keyCount).first { keys[$0].elementsEqual(name) }
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
      guard let source = known[names[row]] else { continue }
      for column in keyColumns {
        let (index, width) = (column.index, column.width)
        let (from, to) = (source * width..<(source + 1) * width, row * width..<(row + 1) * width)
        switch column.kind {
        case .real: arranged.reals[index].replaceSubrange(to, with: reals[index][from])
        case .count: arranged.counts[index].replaceSubrange(to, with: counts[index][from])
        }
      }
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

extension Array {
  /// Appends equal elements. A large array grows by an eighth, not to twice its size.
  fileprivate mutating func grow(by count: Int, _ value: Element) {
    if self.count + count > capacity, self.count > 1 << 16 {
      reserveCapacity(self.count + self.count / 8 + count)
    }
    append(contentsOf: repeatElement(value, count: count))
  }

  /// Removes a row of `width` elements. The last row takes its place.
  fileprivate mutating func removeRow(_ row: Int, _ width: Int) {
    let last = count - width
    if row * width < last {
      for offset in 0..<width { self[row * width + offset] = self[last + offset] }
    }
    removeLast(width)
  }
}
