import TestSupport
import Testing

@testable import Codecs

/// The walk over the frames of a file, by their headers.
@Suite struct ZstdFrameWalkTests {
  /// The ends of the frames from `start` on, up to the first that is not whole.
  private func ends(
    _ bytes: [UInt8], from start: Int = 0, reads: ((Int, Int) -> Void)? = nil
  ) -> [Int] {
    var (ends, at): ([Int], Int) = ([], start)
    while at < bytes.count,
      let next = ZstdFrameWalk.frameEnd(
        at: at, to: bytes.count,
        read: { offset, count in
          reads?(offset, count)
          return Array(bytes[min(offset, bytes.count)...].prefix(count))
        })
    {
      ends.append(next)
      at = next
    }
    return ends
  }

  /// A frame with a header of these bytes after the magic number, and these blocks: a type, a size and contents.
  private func frame(
    _ header: [UInt8], _ blocks: [(type: Int, size: Int, bytes: [UInt8])], checksum: [UInt8] = []
  ) -> [UInt8] {
    var frame: [UInt8] = [0x28, 0xB5, 0x2F, 0xFD] + header
    for (index, block) in blocks.enumerated() {
      let number = block.size << 3 | block.type << 1 | (index == blocks.count - 1 ? 1 : 0)
      frame += (0..<3).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) } + block.bytes
    }
    return frame + checksum
  }

  @Test(arguments: [-7, 1, 19])
  func `the walk finds the end of each frame that zstd made`(level: Int) throws {
    var random = SeededGenerator(seed: testSeed)
    var (file, expected): ([UInt8], [Int]) = ([], [])
    let compressor = try ZstdCompressor(level: level)
    // Random bytes make raw blocks, equal ones make blocks of one byte, the others compressed blocks.
    for (count, mask) in [
      (0, 0xFF), (1, 0xFF), (300, 0x03), (300_000, 0xFF), (300_000, 0x00), (300_000, 0x03),
    ] as [(Int, UInt8)] {
      let bytes = (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) & mask }
      file += try bytes.withUnsafeBufferPointer { try compressor.compress($0) }
      expected.append(file.count)
      file += ZstdInput.skippable(Array(repeating: 0xFD, count: count % 7), kind: UInt8(count % 16))
      expected.append(file.count)
    }
    #expect(ends(file) == expected, "seed \(testSeed)")
    #expect(ends(file, from: expected[3]) == Array(expected[4...]))
  }

  @Test func `a frame is whole only at its last byte`() throws {
    for whole in [try ZstdInput.frame("a,b\n1,2\n"), ZstdInput.skippable([1, 2, 3])] {
      for count in 1..<whole.count { #expect(ends(Array(whole[..<count])) == []) }
      #expect(ends(whole) == [whole.count])
      #expect(ends(whole + whole.dropLast()) == [whole.count])
    }
  }

  /// RFC 8878, 3.1.1.1: a descriptor, the window unless the frame is one segment, the dictionary, and the size.
  @Test(
    arguments: [
      (0x00, 1), (0x20, 1), (0x40, 1 + 2), (0x60, 2), (0x80, 1 + 4), (0xA0, 4), (0xC0, 1 + 8),
      (0xE0, 8), (0x01, 1 + 1), (0x02, 1 + 2), (0x03, 1 + 4), (0xE3, 4 + 8), (0xC3, 1 + 4 + 8),
    ] as [(UInt8, Int)])
  func `a header has the length that its descriptor tells`(descriptor: UInt8, more: Int) {
    // The other bytes of the header are those of no block.
    let header = [descriptor] + [UInt8](repeating: 0xFF, count: more)
    let plain = frame(header, [(0, 3, [7, 8, 9]), (1, 1 << 17, [7]), (2, 0, [])])
    #expect(ends(plain + [1]) == [plain.count])
    var checked = header
    checked[0] |= 4
    let sum = frame(checked, [(0, 0, [])], checksum: [1, 2, 3, 4])
    #expect(ends(sum + [1]) == [sum.count])
    #expect(ends(sum.dropLast()) == [])
  }

  @Test func `other bytes and reserved blocks are no frame`() throws {
    for bytes in [
      [], [0x28], Array("a,b\n1,2\n3,4\n".utf8), [UInt8](repeating: 0, count: 100),
      frame([0x20, 3], [(3, 0, [])]) + [UInt8](repeating: 0, count: 9),
      // 0x184D2A4F and 0x184D2A60 are beside the numbers of skippable frames.
      [0x4F, 0x2A, 0x4D, 0x18, 0, 0, 0, 0], [0x60, 0x2A, 0x4D, 0x18, 0, 0, 0, 0],
    ] {
      #expect(ends(bytes) == [])
    }
  }

  @Test func `sizes beyond the end are not followed, and nothing large is read`() throws {
    var most = 0
    let hostile: [[UInt8]] = [
      [0x50, 0x2A, 0x4D, 0x18, 0xFF, 0xFF, 0xFF, 0xFF],
      frame([0x20, 3], [(0, (1 << 21) - 1, [1])]),
      frame([0x20, 3], [(2, (1 << 21) - 1, [1])]),
      // A block that is not the last, and another one that only the next frame could be.
      Array(frame([0x20, 3], [(0, 0, []), (0, 0, [])]).dropLast(3)),
    ]
    let good = try ZstdInput.frame("1\n")
    for bytes in hostile {
      #expect(ends(bytes) { most = max(most, $1) } == [])
      #expect(ends(good + bytes) == [good.count])
    }
    #expect(most <= 18)
  }

  @Test(arguments: 0..<50 as Range<UInt64>)
  func `mutated frames end within the bytes, and are read in a bounded number of steps`(
    seed: UInt64
  ) throws {
    var random = SeededGenerator(seed: seed)
    var file: [UInt8] = []
    for _ in 0..<4 { file += try ZstdInput.frame("a,b\n1,2\n") + ZstdInput.skippable([1, 2]) }
    for _ in 0..<5 { file[Int.random(in: file.indices, using: &random)] = random.next() }
    var steps = 0
    let ends = ends(file) { _, _ in steps += 1 }
    #expect(ends.allSatisfy { $0 <= file.count } && ends == ends.sorted(), "seed \(seed)")
    // Each step passes the header of a block, or that of a frame.
    #expect(steps <= file.count / 3 + 2 * ends.count + 1, "seed \(seed)")
  }
}
