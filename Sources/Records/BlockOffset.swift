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
