import TestSupport
import Testing

@testable import Records

/// The messages of a block's records, against a list with one entry a record.
@Suite struct RecordOriginsTests {
  private static func listed(_ origins: RecordOrigins, _ count: Int) -> [MessageOrigin] {
    var list: [MessageOrigin] = []
    origins.add(0..<count, to: &list)
    return list
  }

  @Test(arguments: 0..<50)
  func `records keep their messages through every move`(round: Int) {
    var random = SeededGenerator(seed: testSeed &+ UInt64(round))
    var origins = RecordOrigins()
    var expected: [MessageOrigin] = []
    var offset = 0
    for _ in 0..<100 {
      switch Int.random(in: 0..<6, using: &random) {
      case 0...2:
        var origin = MessageOrigin(
          partition: .random(in: 0..<2, using: &random), offset: offset,
          attributes: Array(repeating: 7, count: .random(in: 0..<3, using: &random)))
        // A later part of the last message, or another message.
        if let last = expected.last, Bool.random(using: &random) {
          origin = last
          origin.part += .random(in: 1...2, using: &random)
        } else {
          offset += .random(in: 1...3, using: &random)
        }
        let count = Int.random(in: 1...4, using: &random)
        origins.append(origin, records: count)
        for _ in 0..<count {
          expected.append(origin)
          origin.part += 1
        }
      case 3:
        let count = Int.random(in: 0...expected.count, using: &random)
        origins.truncate(to: count)
        expected.removeLast(expected.count - count)
      case 4:
        let start = Int.random(in: 0...expected.count, using: &random)
        let end = Int.random(in: start...expected.count, using: &random)
        var copy = RecordOrigins()
        copy.append(origins, start..<end)
        #expect(Self.listed(copy, end - start) == Array(expected[start..<end]), "seed \(testSeed)")
        copy.append(origins, 0..<start)
        origins = copy
        expected = Array(expected[start..<end] + expected[..<start])
      default:
        guard !expected.isEmpty else { continue }
        let record = Int.random(in: 0..<expected.count, using: &random)
        #expect(origins.origin(of: record) == expected[record], "seed \(testSeed)")
      }
      #expect(Self.listed(origins, expected.count) == expected, "seed \(testSeed)")
      #expect(origins.isEmpty == expected.isEmpty)
    }
    origins.truncate(to: 0)
    #expect(origins.byteCount == 0)
    #expect(origins.origin(of: 0) == nil)
  }

  @Test func `records that are taken out or moved keep their messages`() {
    var block = RecordBlock(
      columns: FeatureColumns(featureCount: 1, capacity: 8, precision: .float64))
    for offset in 0..<6 {
      block.origins.append(MessageOrigin(partition: 0, offset: offset))
      block.columns.count += 1
      if offset == 3 { block.cut() }
    }
    var rest = RecordBlock(
      columns: FeatureColumns(featureCount: 1, capacity: 8, precision: .float64))
    block.moveTail(to: &rest)
    #expect(Self.listed(rest.origins, 2).map(\.offset) == [4, 5])
    let nothing = PayloadOffset()..<PayloadOffset()
    block.remove([RecordPart(record: 1, payload: nothing, bytes: [])])
    #expect(Self.listed(block.origins, 3).map(\.offset) == [0, 2, 3])
    block.grow(to: 16)
    #expect(Self.listed(block.compacted().origins, 3).map(\.offset) == [0, 2, 3])
    block.removeRecords()
    #expect(block.origins.isEmpty)
  }

  @Test func `a timestamp is an event time, and an absent one is told`() {
    var origin = MessageOrigin(partition: 0, offset: 0, milliseconds: 1_792_000_000_123)
    #expect(origin.eventTime == 1_792_000_000_123_000_000)
    origin.milliseconds = Int.max
    #expect(EventTime.range.contains(origin.eventTime))
    #expect(origin.eventTime > EventTime.range.upperBound - 1_000_000)
    origin.milliseconds = nil
    #expect(origin.eventTime == RoleNumbers.absentTime)
  }
}
