import TestSupport
import Testing

@testable import Codecs

@Suite struct ByteBufferTests {
  @Test func `bytes come out in the order in which they went in`() {
    let buffer = ByteBuffer(capacity: 1)
    #expect(buffer.count == 0)
    buffer.append([1, 2, 3])
    buffer.append(4)
    buffer.append([])
    #expect(Array(buffer.readable) == [1, 2, 3, 4])
    buffer.consume(3)
    #expect(Array(buffer.readable) == [4])
    buffer.consume(1)
    #expect(buffer.count == 0)
    buffer.append([5])
    buffer.removeAll()
    #expect(buffer.readable.isEmpty)
  }

  @Test func `reserved room counts only once it is advanced over`() {
    let buffer = ByteBuffer()
    buffer.append([1])
    let place = buffer.reserve(2)
    (place[0], place[1]) = (2, 3)
    #expect(Array(buffer.readable) == [1])
    buffer.advance(1)
    #expect(Array(buffer.readable) == [1, 2])
    #expect(buffer.room(10_000).count >= 10_000)
    #expect(Array(buffer.readable) == [1, 2])
  }

  @Test func `random changes leave what an array holds`() {
    let seed = testSeed
    var random = SeededGenerator(seed: seed)
    let buffer = ByteBuffer(capacity: 64)
    var model: [UInt8] = []
    for step in 0..<4000 {
      let count = Int.random(in: 0...(step % 100 == 0 ? 2000 : 60), using: &random)
      let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
      switch Int.random(in: 0..<8, using: &random) {
      case 0:
        buffer.append(bytes)
        model += bytes
      case 1:
        bytes.withUnsafeBufferPointer { buffer.append($0) }
        model += bytes
      case 2:
        buffer.append(7)
        model.append(7)
      case 3:
        let written = count / 2
        buffer.reserve(count).update(from: bytes, count: written)
        buffer.advance(written)
        model += bytes[..<written]
      case 4:
        let room = buffer.room(count)
        #expect(room.count >= count, "seed \(seed)")
        room.copyBytes(from: bytes)
        buffer.advance(count)
        model += bytes
      case 5 where step % 50 == 0:
        buffer.removeAll()
        model = []
      default:
        let taken = min(2 * count, model.count)
        buffer.consume(taken)
        model.removeFirst(taken)
      }
      #expect(buffer.count == model.count, "seed \(seed), step \(step)")
      guard Array(buffer.readable) == model else {
        Issue.record("seed \(seed), step \(step): the bytes differ")
        return
      }
    }
  }

  @Test func `a buffer that is filled and emptied alike does not grow`() {
    let buffer = ByteBuffer(capacity: 4096)
    let piece = [UInt8](repeating: 1, count: 1000)
    buffer.append(piece)
    for _ in 0..<10_000 {
      buffer.append(piece)
      buffer.consume(1000)
    }
    #expect(buffer.count == 1000)
    #expect(buffer.room(1).count < 4096)
  }
}
