package import Records

/// The text of records, with the bytes that spell each feature's value. An encoder of the same format copies the text
/// and writes the new values in place of the old ones.
///
/// Invariants:
/// - `spans` ascend and do not overlap. Each is the range of the bytes that spell one value.
/// - A value without a span (an absent JSON key) is NaN.
package struct SplicedText: Payload {
  /// The bytes of the records, line ends included, one after another.
  package var bytes: [UInt8] = []
  package var spans: [ValueSpan] = []

  package init() {}

  package var end: PayloadOffset { PayloadOffset(bytes: bytes.count, items: spans.count) }
  package var byteCount: Int { bytes.count + spans.count * ValueSpan.byteCount }

  package mutating func append(
    _ other: any Payload, _ part: Range<BlockOffset>, _ move: RecordMove
  ) {
    guard let other = other as? SplicedText else {
      preconditionFailure("a payload of another type")
    }
    let (start, end) = (part.lowerBound.payload, part.upperBound.payload)
    let shift = UInt32(truncatingIfNeeded: bytes.count - start.bytes)
    spans += other.spans[start.items..<end.items].map { span in
      ValueSpan(
        start: span.start &+ shift, end: span.end &+ shift,
        cell: UInt32(move.cell(Int(span.cell))))
    }
    bytes += other.bytes[start.bytes..<end.bytes]
  }

  package mutating func truncate(to end: PayloadOffset) {
    bytes.removeSubrange(end.bytes...)
    spans.removeSubrange(end.items...)
  }

  package mutating func removeAll() {
    bytes.removeAll(keepingCapacity: true)
    spans.removeAll(keepingCapacity: true)
  }

  package mutating func reserve(_ end: PayloadOffset) {
    bytes.reserveCapacity(end.bytes)
    spans.reserveCapacity(end.items)
  }
}

/// The bytes of a text that spell one feature's value.
///
/// It has the layout of `TextSpan` in CNumberText, which the number functions read and write.
package struct ValueSpan: Sendable, Equatable {
  static let byteCount = MemoryLayout<ValueSpan>.stride

  /// The first byte.
  package var start: UInt32
  /// After the last byte.
  package var end: UInt32
  /// The cell of the value in the block's columns: feature · capacity + record.
  package var cell: UInt32

  package init(start: UInt32, end: UInt32, cell: UInt32) {
    self.start = start
    self.end = end
    self.cell = cell
  }
}

extension RecordBlock {
  /// Finds records of text.
  ///
  /// - Parameters:
  ///   - records: indices of records; they ascend.
  ///   - isRecord: whether a piece of the text is a record; gets it, and whether it has the span of a value.
  ///   - next: the first record of the text, or what else is between records, from an offset on; nil at the end.
  func textParts(
    of records: [Int], isRecord: (_ piece: ArraySlice<UInt8>, _ hasSpan: Bool) -> Bool,
    next: (_ text: [UInt8], _ start: Int) -> Range<Int>?
  ) -> [RecordPart]? {
    guard let text = payload as? SplicedText else {
      // The text is not kept for an output of another format.
      let none = PayloadOffset()..<PayloadOffset()
      return records.map { RecordPart(record: $0, payload: none, bytes: []) }
    }
    var parts: [RecordPart] = []
    var (first, span, place) = (0, 0, 0..<0)
    /// The number of records up to and with the one at `place`.
    var count = 0
    for record in records {
      while count <= record {
        guard let found = next(text.bytes, place.upperBound) else { return nil }
        place = found
        first = span
        while span < text.spans.count, text.spans[span].start < place.upperBound { span += 1 }
        if isRecord(text.bytes[place], span > first) { count += 1 }
      }
      parts.append(
        RecordPart(
          record: record,
          payload: PayloadOffset(
            bytes: place.lowerBound, items: first)..<PayloadOffset(
              bytes: place.upperBound, items: span), bytes: Array(text.bytes[place])))
    }
    return parts
  }
}
