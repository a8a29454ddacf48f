import Records
import TestSupport
import Testing

@testable import State

/// The rows of keys, against dictionaries of plain arrays.
struct KeyRowsTests {
  private static let groups = [
    StateGroup("keys", scope: .key, columns: [.count("last"), .real("seen", initial: 2)]),
    StateGroup(
      "keyed", scope: .keyFeature,
      columns: [.real("weight", initial: 0, isShared: true), .real("mean", initial: -1)]),
  ]

  private struct Plain: Equatable {
    var last = 0
    var weight = [0.0, 0, 0]
    var mean = [-1.0, -1, -1]
  }

  private static func made() throws -> StateTable {
    StateTable(groups, features: try FeatureSchema(["a", "b", "c"]))
  }

  private static func isEqual(_ table: StateTable, _ plain: [(name: String, row: Plain)]) -> Bool {
    table.keyCount == plain.count
      && (0..<plain.count).allSatisfy {
        String(decoding: table.keys[$0], as: UTF8.self) == plain[$0].name
      }
      && table[count: "evenkeel.keys.last"] == plain.map(\.row.last)
      && table[real: "evenkeel.keyed.weight"] == plain.flatMap(\.row.weight)
      && table[real: "evenkeel.keyed.mean"] == plain.flatMap(\.row.mean)
  }

  /// The numbers of a row in the spread form, or in the other one.
  private static func numbers(_ plain: Plain, isSpread: Bool) -> [Double] {
    [KeyLayout.number(ofCount: plain.last), 2] + (isSpread ? plain.weight : [plain.weight[0]])
      + plain.mean
  }

  @Test(arguments: UInt64(1)...6)
  func `rows are what plain arrays are, whatever their forms`(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    var table = try Self.made()
    var plain: [(name: String, row: Plain)] = []
    var isShared = true
    for step in 0..<600 {
      switch Int.random(in: 0..<10, using: &random) {
      case 0 where !plain.isEmpty:
        let row = Int.random(in: 0..<plain.count, using: &random)
        table.removeKey(row)
        plain[row] = plain[plain.count - 1]
        plain.removeLast()
      case 1 where !plain.isEmpty:
        let row = Int.random(in: 0..<plain.count, using: &random)
        table.replaceKey(row, with: Array("r\(step)".utf8)[...])
        plain[row] = ("r\(step)", Plain())
      case 2, 3, 4, 5:
        table.addKey(Array("k\(step)".utf8)[...])
        plain.append(("k\(step)", Plain()))
      default:
        // Copies of some rows change, and are written back.
        guard !plain.isEmpty else { continue }
        let rows = Set((0..<5).map { _ in Int.random(in: 0..<plain.count, using: &random) })
          .sorted()
        let isUneven = seed % 2 == 0 && random.once(in: 4)
        let asked = rows.map { Int32($0) } + [-1]
        let isSpread = isUneven || table.keyRows.hasSpread(among: asked)
        var copies: [Double] = []
        table.keyRows.copy(asked, to: &copies, isSpread: isSpread)
        #expect(
          copies
            == rows.flatMap { Self.numbers(plain[$0].row, isSpread: isSpread) }
            + Self.numbers(Plain(), isSpread: isSpread))
        for row in rows {
          plain[row].row.last = step
          plain[row].row.weight = Array(repeating: Double(step), count: 3)
          plain[row].row.mean = [1, 2, Double(step)]
        }
        if isUneven {
          plain[rows[0]].row.weight[1] += 1
          isShared = false
        }
        table.replaceKeyRows(
          rows.enumerated().map { (number: $0, row: $1) },
          by: rows.flatMap { Self.numbers(plain[$0].row, isSpread: isSpread) }, isSpread: isSpread)
      }
    }
    #expect(Self.isEqual(table, plain))
    #expect(isShared == (table.sharedValues("evenkeel.keyed.weight") != nil))
    // Set as a file sets them, the same numbers are the same state.
    var read = try Self.made()
    read.startKeys(table.keys)
    for name in ["keys.last", "keyed.weight", "keyed.mean"] {
      read["evenkeel.\(name)"] = table["evenkeel.\(name)"]
    }
    if let shared = table.sharedValues("evenkeel.keyed.weight") {
      read["evenkeel.keyed.weight"] = .real(shared)
    }
    #expect(read == table && Self.isEqual(read, plain))
    for row in 0..<plain.count {
      #expect(read.values("evenkeel.keyed.mean", ofKey: row) == .real(plain[row].row.mean))
    }
  }

  @Test func `equal weights of features are kept once`() throws {
    var table = try Self.made()
    for name in ["x", "y"] { table.addKey(Array(name.utf8)[...]) }
    #expect(table.keyRows.layout.stride(isSpread: false) == 6)
    #expect(table.keyRows.layout.stride(isSpread: true) == 8)
    table[real: "evenkeel.keyed.weight"] = [3, 3, 3, 4, 4, 4]
    #expect(table.sharedValues("evenkeel.keyed.weight") == [3, 4])
    #expect(table.sharedValues("evenkeel.keyed.mean") == nil)
    table[real: "evenkeel.keyed.weight"] = [3, 3, 3, 4, 5, 4]
    #expect(table.sharedValues("evenkeel.keyed.weight") == nil)
    #expect(table[real: "evenkeel.keyed.weight"] == [3, 3, 3, 4, 5, 4])
  }
}
