import State
import TestSupport
import Testing

/// Keys by name and by use, against a dictionary and an array.
struct KeyIndexTests {
  @Test(arguments: UInt64(1)...4)
  func `an index finds what a dictionary finds`(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    var index = KeyIndex()
    var names: [Int: [UInt8]] = [:]
    var rows: [[UInt8]: Int] = [:]
    func hash(_ name: [UInt8]) -> UInt64 {
      // Some collide.
      name.count % 3 == 0 ? 7 : KeyIndex.hash(of: name[...])
    }
    for _ in 0..<2000 {
      let name = (0..<Int.random(in: 1...4, using: &random)).map { _ in
        UInt8.random(in: 0...5, using: &random)
      }
      let found = index.row(hash(name)) { names[$0] == name }
      #expect(found == rows[name])
      if let found {
        index.remove(hash(name), row: found)
        names[found] = nil
        rows[name] = nil
      } else {
        let row = (0...names.count).first { names[$0] == nil } ?? names.count
        index.insert(hash(name), row: row)
        names[row] = name
        rows[name] = row
      }
      #expect(index.count == rows.count)
    }
    for (name, row) in rows {
      index.move(hash(name), from: row, to: row + 5000)
      #expect(index.row(hash(name)) { $0 == row + 5000 } == row + 5000)
    }
    index.removeAll()
    #expect(index.count == 0 && index.row(7) { _ in true } == nil)
  }

  @Test(arguments: UInt64(1)...4)
  func `an order lists rows as an array does`(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    var order = KeyOrder()
    var rows: [Int] = []
    for _ in 0..<500 {
      let row = Int.random(in: 0..<20, using: &random)
      if rows.contains(row) {
        order.remove(row)
        rows.removeAll { $0 == row }
      }
      switch Int.random(in: 0..<4, using: &random) {
      case 0: break
      case 1 where !rows.isEmpty:
        let place = Int.random(in: 0..<rows.count, using: &random)
        order.move(from: rows[place], to: row)
        rows[place] = row
      default:
        order.append(row)
        rows.append(row)
      }
      #expect(order.oldest == rows.first)
    }
    for row in rows {
      #expect(order.oldest == row)
      order.remove(row)
    }
    #expect(order.oldest == nil)
  }
}
