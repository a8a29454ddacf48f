/// The place of a record in its stream, for messages about it.
package struct RecordPlace: Sendable, Equatable {
  /// The name of its file or connection; empty if the stream has one split.
  package var split: String
  /// Its number in the split, from 1.
  package var record: Int
  /// The offset of its first byte in the decompressed split, or of the unit that it is in; nil if it is not known.
  package var byteOffset: Int?

  package init(split: String = "", record: Int, byteOffset: Int? = nil) {
    self.split = split
    self.record = record
    self.byteOffset = byteOffset
  }
}

// Invariants:
// - The starts of `marks` ascend, and no two have the same number of records.
// - Records from one mark to the next follow one another in their split, and so do their bytes in the payload, if the
//   mark counts them.

/// The places of a block's records. Records that were dropped between two of them leave no gap in the block, so their
/// numbers cannot be counted back from the end.
struct RecordPlaces: Sendable {
  private struct Mark: Sendable {
    var start: BlockOffset
    var place: RecordPlace
    /// Whether the bytes of the payload are those of the split. If not, all records have one offset, or none.
    var countsBytes: Bool
  }

  private var marks: [Mark] = []

  /// Notes the place of the records from an offset on.
  mutating func note(_ place: RecordPlace, from start: BlockOffset, countsBytes: Bool) {
    if let last = marks.last {
      if last.countsBytes == countsBytes, self.place(at: start) == place { return }
      if last.start.records == start.records { marks.removeLast() }
    }
    marks.append(Mark(start: start, place: place, countsBytes: countsBytes))
  }

  /// The place of the record at an offset; nil if none was noted.
  func place(at offset: BlockOffset) -> RecordPlace? {
    marks.last { $0.start.records <= offset.records }.map { Self.place(at: offset, after: $0) }
  }

  /// The place of a record of which the offset in the payload is not known.
  func place(ofRecord record: Int) -> RecordPlace? {
    guard let mark = marks.last(where: { $0.start.records <= record }) else { return nil }
    var place = mark.place
    place.record += record - mark.start.records
    if mark.countsBytes { place.byteOffset = nil }
    return place
  }

  private static func place(at offset: BlockOffset, after mark: Mark) -> RecordPlace {
    var place = mark.place
    place.record += offset.records - mark.start.records
    if mark.countsBytes {
      place.byteOffset? += offset.payload.bytes - mark.start.payload.bytes
    }
    return place
  }

  /// Appends the places of a part of another block, which begins here at `end`.
  mutating func append(_ other: RecordPlaces, _ part: Range<BlockOffset>, at end: BlockOffset) {
    guard let first = other.marks.lastIndex(where: { $0.start.records <= part.lowerBound.records })
    else { return }
    for mark in other.marks[first...] where mark.start.records < part.upperBound.records {
      let start = max(mark.start, part.lowerBound)
      note(
        Self.place(at: start, after: mark),
        from: BlockOffset(
          records: end.records + start.records - part.lowerBound.records,
          payload: PayloadOffset(
            bytes: end.payload.bytes + start.payload.bytes - part.lowerBound.payload.bytes,
            items: end.payload.items + start.payload.items - part.lowerBound.payload.items)),
        countsBytes: mark.countsBytes)
    }
  }

  /// Removes the places of the records from an index on.
  mutating func truncate(to count: Int) {
    while let last = marks.last, last.start.records >= count { marks.removeLast() }
  }

  mutating func removeAll() { marks.removeAll(keepingCapacity: true) }
}
