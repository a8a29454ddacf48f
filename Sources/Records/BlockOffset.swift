/// A place between two records of a block: how much of the block precedes it.
package struct BlockOffset: Sendable, Comparable {
  /// Records before it.
  package var records: Int
  /// The part of the payload before it.
  package var payload: PayloadOffset

  /// The start of a block, unless told otherwise.
  package init(records: Int = 0, payload: PayloadOffset = PayloadOffset()) {
    self.records = records
    self.payload = payload
  }

  package static func < (one: BlockOffset, other: BlockOffset) -> Bool {
    (one.records, one.payload.bytes, one.payload.items)
      < (other.records, other.payload.bytes, other.payload.items)
  }
}

/// A place in a payload, in the two units that payloads count in.
package struct PayloadOffset: Sendable, Equatable {
  /// Bytes before it: of text, of rows, of messages.
  package var bytes: Int
  /// Items before it: spans of text, messages.
  package var items: Int

  /// The start of a payload, unless told otherwise.
  package init(bytes: Int = 0, items: Int = 0) {
    self.bytes = bytes
    self.items = items
  }
}
