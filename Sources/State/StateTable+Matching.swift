package import Records

extension StateTable {
  /// Checks the length of every column, the bounds of every value, and what each group asks of its
  /// columns.
  ///
  /// - Throws: `StateError` for the first that does not hold.
  package func validate() throws(StateError) { try validate(Array(groups.indices)) }

  /// Checks the same, but only for the groups that have changed since an earlier table, which was valid. So a small
  /// change costs little in a large table.
  ///
  /// - Parameter earlier: a table of the same groups and features.
  package func validate(since earlier: StateTable) throws(StateError) {
    try validate(groupsChanged(since: earlier))
  }

  private func validate(_ groups: [Int]) throws(StateError) {
    for index in groups {
      for (column, place) in layout.places[index].enumerated() {
        // In place: a copy of the columns of keys would be as large as the table.
        try validate(place, column, ofGroup: index)
      }
      guard let validation = self.groups[index].validation else { continue }
      try validation(rows(ofGroup: index))
    }
  }

  private func validate(
    _ place: StateLayout.Place, _ column: Int, ofGroup group: Int
  ) throws(StateError) {
    // The column itself only for an error, since a gradient comes here thousands of times a second.
    let bounds = layout.groups[group].columns[column].bounds
    let invalid: (row: Int, found: String)?
    switch place {
    case .real(let index):
      try expectRows(reals[index].count, column, ofGroup: group)
      let row = reals[index].firstIndex { !bounds.contains($0) }
      invalid = row.map { ($0, "\(reals[index][$0])") }
    case .count(let index):
      try expectRows(counts[index].count, column, ofGroup: group)
      // As integers: a Double could round a count that is too high to one that is not.
      let bounds = Int(bounds.lowerBound)...Int(bounds.upperBound)
      let row = counts[index].firstIndex { !bounds.contains($0) }
      invalid = row.map { ($0, "\(counts[index][$0])") }
    case .key(let index): invalid = keyRows.firstInvalid(index)
    }
    guard let invalid else { return }
    let column = groups[group].columns[column]
    throw .value(
      blankRows(ofGroup: group).label(of: column, row: invalid.row), expected: column.expectation,
      found: invalid.found)
  }

  private func expectRows(
    _ found: Int, _ column: Int, ofGroup group: Int
  ) throws(StateError) {
    let expected = rowCount(ofGroup: group)
    guard found == expected else {
      throw .length(
        column: groups[group].columns[column].fileName, expected: expected, found: found)
    }
  }

  /// The state for other features. A feature of a known name keeps its values, the others start with
  /// the initial ones.
  package func matched(to schema: FeatureSchema) -> StateTable {
    var matched = StateTable(groups, features: schema)
    matched.startKeys(keys)
    matched.take(groups: groups.map(\.name), from: self)
    return matched
  }

  /// Whether a feature of another table has a name of this one.
  package func sharesFeatures(with other: StateTable) -> Bool {
    !Set(features.names.map { Name($0) }).isDisjoint(with: other.features.names.map { Name($0) })
  }

  /// Takes the values of some groups from a table with the same groups. A feature that the other table lacks keeps its
  /// values.
  package mutating func take(groups names: [String], from other: StateTable) {
    let indices = Dictionary(
      uniqueKeysWithValues: other.features.names.enumerated().map { (Name($1), $0) })
    let sources = features.names.map { indices[Name($0)] }
    func taken<Value>(_ values: [Value], over own: [Value], _ group: StateGroup) -> [Value] {
      let (width, otherWidth) =
        group.scope.hasFeatures ? (features.count, other.features.count) : (1, 1)
      // Other keys have other rows.
      guard own.count / max(1, width) == values.count / max(1, otherWidth) else { return own }
      guard group.scope.hasFeatures else { return values }
      return own.indices.map { index in
        let (row, feature) = index.quotientAndRemainder(dividingBy: width)
        return sources[feature].map { values[row * otherWidth + $0] } ?? own[index]
      }
    }
    for group in groups where names.contains(group.name) {
      for column in group.columns {
        let file = column.fileName
        switch other[file] {
        case .real(let values): self[real: file] = taken(values, over: self[real: file], group)
        case .count(let values): self[count: file] = taken(values, over: self[count: file], group)
        case nil: break
        }
      }
    }
  }

  /// The state with other groups: columns that both have keep their values, the others start with the
  /// initial ones. So do slots that the groups have beyond those of the state.
  package func regrouped(to groups: [StateGroup]) -> StateTable {
    guard groups != self.groups else { return self }
    var regrouped = StateTable(groups, features: features)
    let keepsKeys = groups.contains { group in
      group.scope.hasKeys && self.group(group.name)?.scope == group.scope
    }
    if keepsKeys { regrouped.startKeys(keys) }
    for group in groups {
      guard let earlier = self.group(group.name)?.scope, group.scope.extends(earlier) else {
        continue
      }
      let isSame = earlier == group.scope
      for column in group.columns {
        let file = column.fileName
        switch (column.kind, self[file]) {
        case (.real, .real(let values)):
          regrouped[real: file] =
            isSame ? values : values + regrouped[real: file].dropFirst(values.count)
        case (.count, .count(let values)):
          regrouped[count: file] =
            isSame ? values : values + regrouped[count: file].dropFirst(values.count)
        default: break
        }
      }
    }
    return regrouped
  }

  /// Merges the state of another stream with the same groups and features, as each group says.
  ///
  /// A key that only one of them has keeps its state.
  ///
  /// - Throws: `StateError`; nothing is changed then.
  package mutating func merge(_ other: StateTable) throws(StateError) {
    guard groups == other.groups else {
      throw .otherTable(
        expected: "groups \(groups.map(\.name).joined(separator: ", "))",
        found: other.groups.map(\.name).joined(separator: ", "))
    }
    guard features == other.features else {
      throw .otherTable(
        expected: "the same \(features.count) features",
        found: "\(other.features.count) features")
    }
    var merged = self
    merged.addKeys(of: other)
    let (own, others) = (merged, other.arranged(by: merged.keys))
    for index in groups.indices {
      var rows = own.rows(ofGroup: index)
      try groups[index].merge(&rows, others.rows(ofGroup: index))
      merged.replace(rows)
    }
    try merged.validate()
    self = merged
  }
}
