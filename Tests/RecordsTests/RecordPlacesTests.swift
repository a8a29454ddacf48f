import Testing

@testable import Records

/// The places of records, which stay with them when they move.
@Suite struct RecordPlacesTests {
  /// A block of rows of 10 bytes. Between the third and the fourth, two records of 5 bytes were dropped.
  private func block() -> RecordBlock {
    var block = RecordBlock(
      columns: FeatureColumns(featureCount: 1, capacity: 8, precision: .float64), payload: Rows())
    take(3, RecordPlace(split: "a", record: 11, byteOffset: 100), &block)
    take(2, RecordPlace(split: "a", record: 16, byteOffset: 140), &block)
    block.cut()
    take(2, RecordPlace(split: "b", record: 1, byteOffset: 0), &block)
    return block
  }

  private func take(_ count: Int, _ place: RecordPlace, _ block: inout RecordBlock) {
    let start = block.end
    var rows = block.takePayload(Rows.self)
    rows.count += count
    block.payload = rows
    block.columns.count += count
    block.notePlace(place, from: start, countsBytes: true)
  }

  private func place(_ record: Int, of block: RecordBlock) -> RecordPlace {
    let rows = Rows(count: record).end..<Rows(count: record + 1).end
    return block.place(of: record, RecordPart(record: record, payload: rows, bytes: []))
  }

  @Test func `records after a gap and of another split have their own places`() {
    let block = block()
    let found = (0..<7).map { place($0, of: block) }
    #expect(found.map(\.split) == ["a", "a", "a", "a", "a", "b", "b"])
    #expect(found.map(\.record) == [11, 12, 13, 16, 17, 1, 2])
    #expect(found.map(\.byteOffset) == [100, 110, 120, 140, 150, 0, 10])
    #expect(block.place(of: 4) == RecordPlace(split: "a", record: 17))
  }

  @Test func `records that move, and those around one that is taken out, keep their places`() {
    var block = block()
    var rest = RecordBlock(
      columns: FeatureColumns(featureCount: 1, capacity: 4, precision: .float64))
    block.moveTail(to: &rest)
    #expect((0..<2).map { place($0, of: rest).record } == [1, 2])
    let removed = [1, 4].map { record in
      RecordPart(
        record: record, payload: Rows(count: record).end..<Rows(count: record + 1).end, bytes: [])
    }
    block.remove(removed)
    let found = (0..<3).map { place($0, of: block) }
    #expect(found.map(\.record) == [11, 13, 16])
    #expect(found.map(\.byteOffset) == [100, 120, 140])
    let part = block.part(
      BlockOffset(
        records: 1, payload: Rows(count: 1).end)..<BlockOffset(
          records: 3, payload: Rows(count: 3).end))
    #expect((0..<2).map { place($0, of: part).record } == [13, 16])
    #expect(place(0, of: block.compacted()) == found[0])
    block.removeRecords()
    #expect(block.place(of: 0) == RecordPlace(record: 1))
  }
}

/// A payload of rows of 10 bytes.
private struct Rows: Payload {
  var count = 0

  init() {}
  init(count: Int) { self.count = count }

  var end: PayloadOffset { PayloadOffset(bytes: 10 * count, items: 0) }
  var byteCount: Int { end.bytes }
  mutating func append(
    _ other: any Payload, _ part: Range<BlockOffset>, _ move: RecordMove
  ) { count += part.upperBound.records - part.lowerBound.records }
  mutating func truncate(to end: PayloadOffset) { count = end.bytes / 10 }
  mutating func removeAll() { count = 0 }
  mutating func reserve(_ end: PayloadOffset) {}
}
