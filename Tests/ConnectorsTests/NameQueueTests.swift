import TestSupport
import Testing

@testable import Connectors

/// The names of files that wait.
@Suite struct NameQueueTests {
  private func drained(_ queue: NameQueue) -> [String] {
    var (queue, names) = (queue, [String]())
    while let name = queue.popFirst() { names.append(name) }
    #expect(queue.isEmpty && queue.count == 0 && queue.popFirst() == nil)
    return names
  }

  @Test func `names come in their order, however they were added`() {
    var queue = NameQueue(["c", "a", "e"])
    for name in ["d", "b", "f", "a"] { queue.insert(name) }
    #expect(queue.count == 6)
    #expect(drained(queue) == ["a", "b", "c", "d", "e", "f"])
    #expect(drained(NameQueue()) == [])
  }

  @Test func `a name before those that were taken comes next`() {
    var queue = NameQueue(["b", "c"])
    #expect(queue.popFirst() == "b")
    queue.insert("a")
    queue.insert("b")
    #expect(drained(queue) == ["a", "b", "c"])
  }

  @Test func `names that come and go do not pile up`() {
    var queue = NameQueue(["z"])
    for number in 0..<10_000 {
      queue.insert("\(number)")
      queue.remove("\(number)")
    }
    #expect(queue.slotCount < 100)
    #expect(drained(queue) == ["z"])
  }

  @Test func `a name that was removed and came again comes once`() {
    var queue = NameQueue(["b"])
    queue.insert("a")
    queue.remove("a")
    queue.insert("a")
    #expect(queue.count == 2)
    #expect(drained(queue) == ["a", "b"])
  }

  @Test func `removing a name takes no other`() {
    // The first, the last, one in between, a late one, one that was taken, and one that never came.
    for removed in ["b", "h", "d", "c", "a", "x"] {
      var queue = NameQueue(["a", "b", "d", "f", "h"])
      #expect(queue.popFirst() == "a")
      queue.insert("c")
      queue.remove(removed)
      #expect(drained(queue) == ["b", "c", "d", "f", "h"].filter { $0 != removed }, "\(removed)")
    }
  }

  @Test(arguments: 0..<20 as Range<UInt64>)
  func `it is a sorted set, whatever happens`(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    let size = Int.random(in: 1...2000, using: &random)
    func name() -> String { "\(Int.random(in: 0..<size, using: &random))" }
    var expected = Set((0..<Int.random(in: 0...size, using: &random)).map { _ in name() })
    var queue = NameQueue(Array(expected))
    for _ in 0..<3000 {
      switch Int.random(in: 0..<5, using: &random) {
      case 0:
        let first = expected.min()
        #expect(queue.popFirst() == first, "seed \(seed)")
        if let first { expected.remove(first) }
      case 1:
        let gone = name()
        queue.remove(gone)
        expected.remove(gone)
      default:
        let new = name()
        queue.insert(new)
        expected.insert(new)
      }
      #expect(queue.count == expected.count, "seed \(seed)")
    }
    #expect(drained(queue) == expected.sorted(), "seed \(seed)")
  }
}
