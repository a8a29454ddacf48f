import TestSupport
import Testing

@testable import Connectors

@Suite struct SubscriberQueueTests {
  /// Takes the rest in pieces of `size` bytes.
  private func drain(_ queue: inout SubscriberQueue, by size: Int = 1) -> String {
    var taken: [UInt8] = []
    while !queue.isEmpty {
      let piece = queue.unsent.prefix(size)
      taken += piece
      queue.advance(by: piece.count)
    }
    return String(decoding: taken, as: UTF8.self)
  }

  @Test(arguments: [1, 2, 3, 100])
  func `writes come out in order after the prologue`(size: Int) {
    var queue = SubscriberQueue(prologue: bytes("head;"))
    for text in ["one;", "two;", "three;"] { #expect(queue.append(bytes(text)) == 0) }
    #expect(queue.writeCount == 4)
    #expect(drain(&queue, by: size) == "head;one;two;three;")
    #expect(queue.writeCount == 0)
  }

  @Test func `an empty write adds nothing`() {
    var queue = SubscriberQueue(prologue: [])
    #expect(queue.append([]) == 0)
    #expect(queue.isEmpty)
    #expect(queue.unsent.isEmpty)
  }

  @Test func `the oldest writes are dropped, but not one that was sent in part`() {
    let cost = 4 + SubscriberQueue.overhead
    var queue = SubscriberQueue(prologue: [], byteLimit: 2 * cost)
    #expect(queue.append(bytes("aaaa")) == 0)
    queue.advance(by: 1)
    #expect(queue.append(bytes("bbbb")) == 0)
    #expect(queue.append(bytes("cccc")) == 0)
    #expect(queue.append(bytes("dddd")) == 1)
    #expect(queue.append(bytes("eeee")) == 1)
    #expect(drain(&queue) == "aaaddddeeee")
  }

  @Test func `the prologue is never dropped`() {
    var queue = SubscriberQueue(prologue: bytes("head;"), byteLimit: 1)
    #expect(queue.append(bytes("one;")) == 0)
    #expect(queue.append(bytes("two;")) == 1)
    #expect(drain(&queue) == "head;two;")
  }

  @Test func `a write above the bound is kept alone`() {
    var queue = SubscriberQueue(prologue: bytes("head;"), byteLimit: 100)
    _ = queue.append(bytes("one;"))
    #expect(queue.append([UInt8](repeating: 65, count: 1000)) == 1)
    #expect(queue.waitingBytes == 1000 + SubscriberQueue.overhead)
    #expect(queue.append(bytes("two;")) == 1)
    #expect(drain(&queue) == "head;two;")
  }

  @Test func `a dropped write that changes the prologue is missed, one that is sent is not`() {
    let cost = 4 + SubscriberQueue.overhead
    var queue = SubscriberQueue(prologue: bytes("head;"), byteLimit: 2 * cost)
    for text in ["aaaa", "bbbb", "cccc"] { _ = queue.append(bytes(text)) }
    queue.noteChange()
    _ = queue.append(bytes("dddd"))
    #expect(!queue.lacksChange, "two others were dropped")
    #expect(drain(&queue) == "head;ccccdddd")
    // The write that is being sent is not dropped.
    _ = queue.append(bytes("eeee"))
    queue.noteChange()
    for text in ["ffff", "gggg", "hhhh", "iiii"] { _ = queue.append(bytes(text)) }
    #expect(!queue.lacksChange)
    queue.noteChange()
    for text in ["jjjj", "kkkk"] { _ = queue.append(bytes(text)) }
    #expect(queue.lacksChange)
  }

  @Test(arguments: 0..<20)
  func `whole writes come out in order, and the dropped ones are counted`(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    let limit = Int.random(in: 1...2000, using: &random)
    var queue = SubscriberQueue(prologue: bytes("head;"), byteLimit: limit)
    var (taken, written, dropped): ([UInt8], Int, Int) = ([], 0, 0)
    for _ in 0..<2000 {
      if Bool.random(using: &random) {
        let digits = String(repeating: "0", count: .random(in: 0...90, using: &random))
        dropped += queue.append(bytes("\(digits)\(written);"))
        written += 1
      } else {
        let piece = queue.unsent.prefix(Int.random(in: 0...120, using: &random))
        taken += piece
        queue.advance(by: piece.count)
      }
      #expect(queue.waitingBytes <= max(limit, 100 + SubscriberQueue.overhead), "seed \(seed)")
    }
    let parts = (String(decoding: taken, as: UTF8.self) + drain(&queue)).split(separator: ";")
    #expect(parts.first == "head", "seed \(seed)")
    let numbers = parts.dropFirst().map { Int($0) ?? -1 }
    #expect(numbers == numbers.sorted() && Set(numbers).count == numbers.count, "seed \(seed)")
    #expect(numbers.allSatisfy { (0..<written).contains($0) }, "seed \(seed)")
    #expect(numbers.count + dropped == written, "seed \(seed)")
    #expect(queue.waitingBytes == 0)
  }
}
