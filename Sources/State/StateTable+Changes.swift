/// The differences between a table and an earlier one, which must cost little in a large table.
extension StateTable {
  /// The groups with a column that differs from that of an earlier table with the same groups.
  ///
  /// A column that nobody has touched since shares its memory with the earlier one. Then its values are not compared,
  /// however many there are.
  func groupsChanged(since earlier: StateTable) -> [StateGroup] {
    // Counted along, and not found by name: a gradient asks this, of which there are thousands a second.
    var (real, count, key) = (0, 0, 0)
    return groups.filter { group in
      let hasKeys = group.scope.hasKeys
      var isOther = false
      for column in group.columns {
        switch column.kind {
        case .real:
          if !hasKeys, !isOther { isOther = reals[real] != earlier.reals[real] }
          real += 1
        case .count:
          if !hasKeys, !isOther { isOther = counts[count] != earlier.counts[count] }
          count += 1
        }
        guard hasKeys else { continue }
        if !isOther { isOther = !keyRows.isEqual(key, earlier.keyRows) }
        key += 1
      }
      return isOther
    }
  }

  /// Lets go of the values of some groups, in a copy that is only shown. A change of the original then copies none of
  /// them.
  ///
  /// - Parameter names: groups without keys. The copy cannot be used as a state any more.
  package mutating func letGo(groups names: [String]) {
    for group in groups where names.contains(group.name) {
      for place in places(of: group) {
        switch place {
        case .real(let index): reals[index] = []
        case .count(let index): counts[index] = []
        case .key: break
        }
      }
    }
  }
}
