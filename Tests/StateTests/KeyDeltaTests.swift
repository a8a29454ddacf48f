import Records
import TestSupport
import Testing

@testable import State

/// The keys that changed, joined to the state before, against the whole state.
struct KeyDeltaTests {
  private static let groups = [
    StateGroup("clock", scope: .stream, columns: [.count("ticks")]),
    StateGroup("keys", scope: .key, columns: [.count("last")]),
    StateGroup(
      "keyed", scope: .keyFeature,
      columns: [.real("weight", initial: 0, isShared: true), .real("mean", initial: -1)]),
  ]

  private static func made() throws -> StateTable {
    StateTable(groups, features: try FeatureSchema(["a", "b"]))
  }

  @Test(arguments: UInt64(1)...8)
  func `a state joined from all its changes is the whole state`(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    var table = try Self.made()
    #expect(table.changedKeyCount == nil && table.changes == nil)
    table.startChanges()
    var joined = table
    var greatest = 0
    for step in 0..<60 {
      for _ in 0..<Int.random(in: 0...40, using: &random) {
        let row = table.keyCount == 0 ? 0 : Int.random(in: 0..<table.keyCount, using: &random)
        switch Int.random(in: 0..<8, using: &random) {
        case 0, 1, 2: table.addKey(Array("k\(random.next() % 1000)-\(step)".utf8)[...])
        case 3 where table.keyCount > 0: table.removeKey(row)
        case 4 where table.keyCount > 0: table.replaceKey(row, with: Array("r\(step)".utf8)[...])
        case 5 where table.keyCount > 0:
          let isSpread = table.keyRows.hasSpread(among: [Int32(row)]) || random.once(in: 9)
          var numbers: [Double] = []
          table.keyRows.copy([Int32(row)], to: &numbers, isSpread: isSpread)
          numbers[1] += Double(step)
          numbers[numbers.count - 1] = Double(step)
          table.replaceKeyRows([(0, row)], by: numbers, isSpread: isSpread)
        default: break
        }
      }
      table[count: "evenkeel.clock.ticks"] = [step]
      greatest = max(greatest, table.keyCount)
      let (changed, delta) = try #require(table.changes)
      #expect(changed.keyCount == table.changedKeyCount && delta.count == table.keyCount)
      try changed.validate()
      try joined.apply(changed, delta)
      #expect(joined == table, "step \(step)")
      table.startChanges()
      #expect(table.changedKeyCount == 0)
    }
    #expect(greatest > 64, "one block is too few")
    table.startKeys(KeyNames())
    #expect(table.changes == nil)
  }

  @Test func `a key that is changed alone is the only one in the changes`() throws {
    var table = try Self.made()
    for name in ["x", "y", "z"] { table.addKey(Array(name.utf8)[...]) }
    table.startChanges()
    table.setValues("evenkeel.keyed.mean", ofKey: 1, to: .real([5, 6]))
    let (changed, delta) = try #require(table.changes)
    #expect(delta == KeyDelta(rows: [1], count: 3))
    #expect(changed.keys[0].elementsEqual("y".utf8))
    #expect(changed[real: "evenkeel.keyed.mean"] == [5, 6])
  }

  @Test func `rows that cannot be those of a delta are refused, and change nothing`() throws {
    var table = try Self.made()
    for name in ["x", "y"] { table.addKey(Array(name.utf8)[...]) }
    var later = try Self.made()
    for name in ["y", "z"] { later.addKey(Array(name.utf8)[...]) }
    let before = table
    for delta in [
      KeyDelta(rows: [1], count: 2), KeyDelta(rows: [1, 0], count: 2),
      KeyDelta(rows: [1, 1], count: 2), KeyDelta(rows: [-1, 1], count: 2),
      KeyDelta(rows: [1, 2], count: 2), KeyDelta(rows: [1, 3], count: 4),
      KeyDelta(rows: [0, 1], count: 3),
    ] {
      #expect(throws: StateError.self, "\(delta)") { try table.apply(later, delta) }
      #expect(table == before)
    }
    #expect(throws: Never.self) { try table.apply(later, KeyDelta(rows: [1, 2], count: 3)) }
    #expect(table.keyCount == 3)
  }
}
