/// The differences between a table and an earlier one, which must cost little in a large table.
extension StateTable {
  /// The indices of the groups with a column that differs from that of an earlier table with the same groups.
  ///
  /// A column that nobody has touched since shares its memory with the earlier one. Then its values are not compared,
  /// however many there are.
  func groupsChanged(since earlier: StateTable) -> [Int] {
    layout.places.indices.filter { group in
      layout.places[group].contains { place in
        switch place {
        case .real(let index): reals[index] != earlier.reals[index]
        case .count(let index): counts[index] != earlier.counts[index]
        case .key(let index): !keyRows.isEqual(index, earlier.keyRows)
        }
      }
    }
  }

  /// Lets go of the values of some groups, in a copy that is only shown. A change of the original then copies none of
  /// them.
  ///
  /// - Parameter names: groups without keys. The copy cannot be used as a state any more.
  package mutating func letGo(groups names: [String]) {
    for name in names {
      for place in layout.index(ofGroup: name).map({ layout.places[$0] }) ?? [] {
        switch place {
        case .real(let index): reals[index] = []
        case .count(let index): counts[index] = []
        case .key: break
        }
      }
    }
  }
}
