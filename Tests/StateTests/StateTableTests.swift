import Records
import State
import Testing

/// A group of each scope, as an operator would declare them.
private let groups = [
  StateGroup("affine", scope: .feature, columns: [.real("weight", initial: 1, fileName: "weight")]),
  StateGroup(
    "bins", scope: .featureSlots(2), columns: [.count("seen"), .real("edge", initial: 0.5)]),
  StateGroup("clock", scope: .stream, columns: [.count("ticks", initial: 7)]),
  StateGroup("keys", scope: .key, columns: [.count("last")]),
  StateGroup("keyed", scope: .keyFeature, columns: [.real("mean", initial: -1)]),
]

private func table(_ features: [String] = ["a", "b", "c"]) throws -> StateTable {
  StateTable(groups, features: try FeatureSchema(features))
}

extension StateTable {
  fileprivate mutating func addKeys(_ names: String...) {
    for name in names { addKey(Array(name.utf8)[...]) }
  }

  fileprivate var keyNames: [String] {
    (0..<keyCount).map { String(decoding: keys[$0], as: UTF8.self) }
  }
}

struct StateTableTests {
  @Test func `every column starts with its initial value, in the shape of its scope`() throws {
    let table = try table()
    #expect(table[real: "weight"] == [1, 1, 1])
    #expect(table[count: "evenkeel.bins.seen"] == [0, 0, 0, 0, 0, 0])
    #expect(table[real: "evenkeel.bins.edge"] == Array(repeating: 0.5, count: 6))
    #expect(table[count: "evenkeel.clock.ticks"] == [7])
    #expect(table[count: "evenkeel.keys.last"] == [])
    #expect(table.groups.map { table.shape(of: $0) } == [[3], [2, 3], [], [0], [0, 3]])
    #expect(table["nothing"] == nil)
    #expect(throws: Never.self) { try table.validate() }
  }

  @Test func `keys are added with the initial values, replaced, and removed`() throws {
    var table = try table()
    table.addKeys("x", "y")
    let (last, mean) = ("evenkeel.keys.last", "evenkeel.keyed.mean")
    #expect(table[count: last] == [0, 0] && table[real: mean] == Array(repeating: -1, count: 6))
    table[count: last] = [4, 5]
    table[real: mean] = [1, 2, 3, 4, 5, 6]
    table.addKeys("z")
    #expect(table[count: last] == [4, 5, 0])
    #expect(table[real: mean] == [1, 2, 3, 4, 5, 6, -1, -1, -1])
    #expect(table.count(table.key("last", of: "keys"), row: 1) == 5)
    #expect(table.number(table.key("mean", of: "keyed"), row: 1, feature: 2) == 6)
    // The last one takes the row of the one that goes.
    table.removeKey(0)
    #expect(table.keyNames == ["z", "y"])
    #expect(table[count: last] == [0, 5] && table[real: mean] == [-1, -1, -1, 4, 5, 6])
    table.replaceKey(1, with: Array("w".utf8)[...])
    #expect(table.keyNames == ["z", "w"] && table[count: last] == [0, 0])
    #expect(table[real: mean] == Array(repeating: -1, count: 6))
    #expect(table.row(ofKey: Array("w".utf8)) == 1 && table.row(ofKey: Array("x".utf8)) == nil)
    #expect(table[real: "weight"] == [1, 1, 1])
    #expect(throws: Never.self) { try table.validate() }
    #expect(table.withoutKeys == (try StateTests.table()))
  }

  @Test func `the keys of another table are taken, arranged and merged by name`() throws {
    var (table, other) = (try table(), try StateTests.table())
    table.addKeys("x", "y")
    table[count: "evenkeel.keys.last"] = [1, 2]
    table[real: "evenkeel.keyed.mean"] = [1, 2, 3, 4, 5, 6]
    other.addKeys("y", "z")
    other[count: "evenkeel.keys.last"] = [10, 20]
    let arranged = table.arranged(by: other.keys)
    #expect(arranged.keyNames == ["y", "z"] && arranged[count: "evenkeel.keys.last"] == [2, 0])
    #expect(arranged[real: "evenkeel.keyed.mean"] == [4, 5, 6, -1, -1, -1])
    other[real: "evenkeel.keyed.mean"] = [4, 5, 6, -1, -1, -1]
    var merged = table
    other[real: "evenkeel.keyed.mean"] = [-1, -1, -1, -1, -1, -1]
    merged.takeKeys(from: other)
    #expect(merged.keyNames == ["y", "z"] && merged[count: "evenkeel.keys.last"] == [10, 20])
    // Counts add up; the means of `keyed` must agree, so only one side may have a key.
    var left = try StateTests.table()
    left.addKeys("x")
    left[count: "evenkeel.keys.last"] = [3]
    other[count: "evenkeel.clock.ticks"] = [0]
    try left.merge(other)
    #expect(left.keyNames == ["x", "y", "z"] && left[count: "evenkeel.keys.last"] == [3, 10, 20])
  }

  @Test func `a column that is taken out and put back is changed in place`() throws {
    var table = try table()
    let weight = table.real("weight", of: "affine")
    var values = table.take(weight)
    values[1] = 4
    table.put(values, in: weight)
    table[table.count("ticks", of: "clock")][0] += 1
    #expect(table[weight] == [1, 4, 1] && table[count: "evenkeel.clock.ticks"] == [8])
  }

  @Test func `features of a known name keep their rows in every scope`() throws {
    var table = try table()
    table.addKeys("x", "y")
    table[real: "weight"] = [1, 2, 3]
    table[count: "evenkeel.bins.seen"] = [1, 2, 3, 11, 12, 13]
    table[count: "evenkeel.clock.ticks"] = [9]
    table[count: "evenkeel.keys.last"] = [5, 6]
    table[real: "evenkeel.keyed.mean"] = [1, 2, 3, 11, 12, 13]
    let matched = table.matched(to: try FeatureSchema(["c", "new", "a", "d"]))
    #expect(matched.features.names == ["c", "new", "a", "d"])
    #expect(matched[real: "weight"] == [3, 1, 1, 1])
    #expect(matched[count: "evenkeel.bins.seen"] == [3, 0, 1, 0, 13, 0, 11, 0])
    #expect(matched[count: "evenkeel.clock.ticks"] == [9])
    #expect(matched[count: "evenkeel.keys.last"] == [5, 6])
    #expect(matched[real: "evenkeel.keyed.mean"] == [3, -1, 1, -1, 13, -1, 11, -1])
    #expect(throws: Never.self) { try matched.validate() }
    #expect(table.matched(to: table.features) == table)
    let none = try self.emptied(table)
    #expect(none.matched(to: table.features)[real: "weight"] == [1, 1, 1])
    #expect(none.matched(to: table.features)[count: "evenkeel.keys.last"] == [5, 6])
  }

  private func emptied(_ table: StateTable) throws -> StateTable {
    table.matched(to: try FeatureSchema([]))
  }

  @Test func `other groups take over the columns that both have`() throws {
    var table = try table()
    table[real: "weight"] = [1, 2, 3]
    table[count: "evenkeel.clock.ticks"] = [9]
    let other = [
      groups[2],
      StateGroup(
        "affine", scope: .feature,
        columns: [
          .real("bias", initial: 8), .real("weight", initial: 1, fileName: "weight"),
        ]),
      StateGroup("bins", scope: .featureSlots(1), columns: [.count("seen")]),
    ]
    table[count: "evenkeel.bins.seen"] = [1, 2, 3, 4, 5, 6]
    let regrouped = table.regrouped(to: other)
    #expect(regrouped.groups == other)
    #expect(
      regrouped[real: "weight"] == [1, 2, 3] && regrouped[count: "evenkeel.clock.ticks"] == [9])
    #expect(regrouped[real: "evenkeel.affine.bias"] == [8, 8, 8])
    // Slots that are gone may have had another meaning.
    #expect(regrouped[count: "evenkeel.bins.seen"] == [0, 0, 0])
    #expect(table.regrouped(to: groups) == table)
  }

  @Test func `slots that were added start with the initial values`() throws {
    var table = try table()
    table[count: "evenkeel.bins.seen"] = [1, 2, 3, 4, 5, 6]
    table[real: "evenkeel.bins.edge"] = [1, 2, 3, 4, 5, 6]
    let more = StateGroup(
      "bins", scope: .featureSlots(3), columns: [.count("seen"), .real("edge", initial: 0.5)])
    let regrouped = table.regrouped(to: [more])
    #expect(regrouped[count: "evenkeel.bins.seen"] == [1, 2, 3, 4, 5, 6, 0, 0, 0])
    #expect(regrouped[real: "evenkeel.bins.edge"] == [1, 2, 3, 4, 5, 6, 0.5, 0.5, 0.5])
  }

  @Test func `lent columns are changed in place, and shared ones are copied first`() throws {
    var table = try table()
    let (weight, seen) = (table.real("weight", of: "affine"), table.count("seen", of: "bins"))
    let (before, shared) = (Array(repeating: 1.0, count: 3), table)
    table.lend(ColumnSet([weight], [table.count("ticks", of: "clock"), seen])) { columns in
      columns.reals[0][2] = 9
      columns.counts[0][0] += 1
      columns.counts[1][5] = columns.counts[0][0]
    }
    #expect(table[weight] == [1, 1, 9] && table[seen] == [0, 0, 0, 0, 0, 8])
    #expect(shared[weight] == before && shared[seen] == Array(repeating: 0, count: 6))
  }

  @Test func `a reset gives groups their initial values and leaves the others`() throws {
    var table = try table()
    table[real: "weight"] = [1, 2, 3]
    table[count: "evenkeel.clock.ticks"] = [9]
    table.reset(groups: ["clock"])
    #expect(table[count: "evenkeel.clock.ticks"] == [7] && table[real: "weight"] == [1, 2, 3])
  }

  @Test func `only groups that have changed are checked since an earlier table`() throws {
    var earlier = try table()
    earlier.addKeys("x", "y")
    earlier[real: "evenkeel.keyed.mean"] = [.nan, 2, 3, 4, 5, 6]
    #expect(throws: StateError.self) { try earlier.validate() }
    var table = earlier
    table[real: "weight"] = [1, 2, 3]
    // Equal numbers in another place are no change either.
    table[count: "evenkeel.keys.last"] = [0, 0]
    #expect(throws: Never.self) { try table.validate(since: earlier) }
    table[real: "weight"] = [1, 2, .infinity]
    #expect(
      throws: StateError.value(
        "weight of feature 'c'", expected: "a finite number", found: "inf")
    ) { try table.validate(since: earlier) }
    table[real: "weight"] = [1, 2, 3]
    table[real: "evenkeel.keyed.mean"][5] = 7
    #expect(throws: StateError.self) { try table.validate(since: earlier) }
  }

  @Test func `values out of bounds are named by column, slot and feature`() throws {
    func message(_ change: (inout StateTable) -> Void) throws -> String {
      var table = try table()
      table.addKeys("x", "y")
      change(&table)
      do throws(StateError) {
        try table.validate()
        return "valid"
      } catch {
        return error.description
      }
    }
    #expect(
      try message { $0[real: "weight"][1] = .nan }
        == "weight of feature 'b': expected a finite number, found nan")
    #expect(
      try message { $0[count: "evenkeel.bins.seen"][4] = -1 }
        == "evenkeel.bins.seen[1] of feature 'b': expected 0 to 2^53, found -1")
    #expect(
      try message { $0[count: "evenkeel.clock.ticks"][0] = .max }
        == "evenkeel.clock.ticks: expected 0 to 2^53, found 9223372036854775807")
    #expect(
      try message { $0[count: "evenkeel.keys.last"][1] = -5 }
        == "evenkeel.keys.last[1]: expected 0 to 2^53, found -5")
    #expect(
      try message { $0[real: "evenkeel.keyed.mean"][3] = .infinity }
        == "evenkeel.keyed.mean[1] of feature 'a': expected a finite number, found inf")
    #expect(
      try message { $0[real: "weight"] = [1] } == "weight: expected 3 numbers, found 1")
  }

  @Test func `merging adds counts, asks for equal numbers, and changes nothing when refused`()
    throws
  {
    var table = try table()
    var other = table
    other[count: "evenkeel.bins.seen"] = [1, 2, 3, 4, 5, 6]
    try table.merge(other)
    #expect(table[count: "evenkeel.bins.seen"] == [1, 2, 3, 4, 5, 6])
    #expect(table[count: "evenkeel.clock.ticks"] == [14])
    let before = table
    other[real: "evenkeel.bins.edge"][4] = 0.25
    #expect(
      throws: StateError.value(
        "evenkeel.bins.edge[1] of feature 'b'", expected: "0.5", found: "0.25")
    ) { try table.merge(other) }
    other = before
    other[count: "evenkeel.clock.ticks"] = [1 << 53]
    #expect(throws: StateError.self) { try table.merge(other) }
    #expect(throws: StateError.self) { try table.merge(self.emptied(before)) }
    #expect(throws: StateError.self) { try table.merge(before.regrouped(to: [groups[0]])) }
    #expect(table == before)
  }

  @Test func `a group merges and validates by its own rules, over several columns`() throws {
    let mean = StateGroup(
      "mean", scope: .feature, columns: [.real("sum", initial: 0), .count("n")],
      validate: { rows throws(StateError) in
        for row in 0..<rows.count where rows[count: "n"][row] == 0 && rows[real: "sum"][row] != 0 {
          throw .value(rows.label(of: "sum", row: row), expected: "0 without values", found: "more")
        }
      },
      merge: { rows, other throws(StateError) in
        for row in 0..<rows.count { rows[real: "sum"][row] += other[real: "sum"][row] }
        rows.add(count: "n", of: other)
      })
    var table = StateTable([mean], features: try FeatureSchema(["a", "b"]))
    table[real: "evenkeel.mean.sum"] = [2, 3]
    #expect(
      throws: StateError.value(
        "evenkeel.mean.sum of feature 'a'", expected: "0 without values", found: "more")
    ) { try table.validate() }
    table[count: "evenkeel.mean.n"] = [1, 1]
    try table.merge(table)
    #expect(
      table[real: "evenkeel.mean.sum"] == [4, 6] && table[count: "evenkeel.mean.n"] == [2, 2])
  }

  @Test func `the text of a scope is read back, and other texts are none`() {
    for scope in [
      StateScope.stream, .streamSlots(3), .feature, .featureSlots(12), .key, .keyFeature,
    ] {
      #expect(StateScope(text: scope.text) == scope)
    }
    for text in [
      "", "feature*", "feature*0", "feature*-1", "features", "key*2", "stream*", "stream*0", "*2",
      "feature*2*2",
    ] {
      #expect(StateScope(text: text) == nil, "\(text)")
    }
  }
}
