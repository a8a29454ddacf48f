/// A position between two records of a block, as the amount of the block before it.
package struct BlockOffset: Sendable, Comparable {
  /// The number of records before it.
  package var records: Int
  /// The part of the payload before it.
  package var payload: PayloadOffset

  /// The start of a block by default.
  package init(records: Int = 0, payload: PayloadOffset = PayloadOffset()) {
    self.records = records
    self.payload = payload
  }

  package static func < (one: BlockOffset, other: BlockOffset) -> Bool {
    (one.records, one.payload.bytes, one.payload.items)
      < (other.records, other.payload.bytes, other.payload.items)
  }
}

/// A position in a payload, in the two units of payloads.
package struct PayloadOffset: Sendable, Equatable {
  /// The number of bytes before it: of text, rows or messages.
  package var bytes: Int
  /// The number of items before it: spans of text, or messages.
  package var items: Int

  /// The start of a payload by default.
  package init(bytes: Int = 0, items: Int = 0) {
    self.bytes = bytes
    self.items = items
  }
}

extension PayloadOffset: Comparable {
  package static func < (one: PayloadOffset, other: PayloadOffset) -> Bool {
    (one.bytes, one.items) < (other.bytes, other.items)
  }
}

/// A record of a block, and its part of the payload.
package struct RecordPart: Sendable {
  /// Its index in the block.
  package var record: Int
  /// Empty if the payload has no part of a record.
  package var payload: Range<PayloadOffset>
  /// The record as it was read, with its line end; empty if it is not known any more.
  package var bytes: [UInt8]

  package init(record: Int, payload: Range<PayloadOffset>, bytes: [UInt8]) {
    self.record = record
    self.payload = payload
    self.bytes = bytes
  }
}

extension BlockOffset {
  /// The same position after the removal of records, which ascend.
  package func without(_ removed: [RecordPart]) -> BlockOffset {
    var offset = self
    for each in removed where each.record < records {
      offset.records -= 1
      offset.payload.bytes -= each.payload.upperBound.bytes - each.payload.lowerBound.bytes
      offset.payload.items -= each.payload.upperBound.items - each.payload.lowerBound.items
    }
    return offset
  }
}
