/// Which rows of an earlier table the keys of a table replace.
///
/// The rows are by number, so that the table that both make has its keys in the order of the stream.
package struct KeyDelta: Sendable, Equatable {
  /// The row of each key of the table, in ascending order.
  package var rows: [Int]
  /// The number of keys after the change.
  package var count: Int

  package init(rows: [Int], count: Int) { (self.rows, self.count) = (rows, count) }
}

extension StateTable {
  /// The number of keys that changed since `startChanges`; nil if all may have.
  package var changedKeyCount: Int? { keyRows.changes?.count }

  /// The memory of the numbers of all keys, in bytes.
  package var keyByteCount: Int { keyRows.byteCount }

  /// Notes from now on which keys change.
  package mutating func startChanges() { keyRows.startChanges() }

  /// The same state with only those keys that changed since `startChanges`; nil if all may have.
  package var changes: (state: StateTable, delta: KeyDelta)? {
    guard let rows = keyRows.changes?.rows else { return nil }
    var changed = self
    changed.keys = keys.keeping(rows)
    changed.keyRows = keyRows.keeping(rows)
    return (changed, KeyDelta(rows: rows.map { Int($0) }, count: keyCount))
  }

  /// Goes on from this state to a later one, which has only the keys that changed.
  ///
  /// - Throws: `StateError` if the later state has other groups or features, or rows that cannot be those of the delta.
  package mutating func apply(_ later: StateTable, _ delta: KeyDelta) throws(StateError) {
    guard later.groups == groups, later.features == features else {
      throw .otherTable(
        expected: "the groups and features of the state before", found: "others")
    }
    let isAscending = zip(delta.rows, delta.rows.dropFirst()).allSatisfy { $0 < $1 }
    let added = max(0, delta.count - keyCount)
    guard later.keyCount == delta.rows.count, isAscending, delta.rows.first ?? 0 >= 0,
      delta.rows.last ?? -1 < delta.count,
      // A new row has no earlier numbers.
      delta.rows.suffix(added).first.map({ $0 == keyCount }) ?? (added == 0)
    else {
      throw .otherTable(
        expected: "rows in order, with all new ones from \(keyCount) to \(delta.count)",
        found: "\(delta.rows.count) rows")
    }
    var joined = later
    (joined.keys, joined.keyRows) = (keys, keyRows)
    while joined.keyCount > delta.count { joined.removeKey(joined.keyCount - 1) }
    for (index, row) in delta.rows.enumerated() {
      if row == joined.keyCount {
        joined.addKey(later.keys[index])
      } else if joined.keys[row] != later.keys[index] {
        joined.replaceKey(row, with: later.keys[index])
      }
      joined.keyRows.copy(index, of: later.keyRows, to: row)
    }
    self = joined
  }
}
