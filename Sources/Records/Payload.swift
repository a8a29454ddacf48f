/// Everything of a block's records that is no feature: the text that they were read from, raw rows,
/// messages.
///
/// A decoder fills it, and an encoder of the same format reads it. The stages between them only move
/// parts of it: they know its offsets, never its contents. They call it once a block.
package protocol Payload: Sendable {
  /// An empty one.
  init()
  /// The end of its contents.
  var end: PayloadOffset { get }
  /// The memory of its contents, in bytes.
  var byteCount: Int { get }

  /// Appends a part of another payload of the same type.
  ///
  /// - Parameters:
  ///   - part: offsets in `other`.
  ///   - move: where the records of that part were, and where they are now.
  mutating func append(_ other: any Payload, _ part: Range<BlockOffset>, _ move: RecordMove)
  /// Removes what follows an offset.
  mutating func truncate(to end: PayloadOffset)
  /// Removes the contents, and keeps the memory for the next.
  mutating func removeAll()
  /// Makes room for contents up to an offset.
  mutating func reserve(_ end: PayloadOffset)
}

/// Records that move from one block's columns to the end of another's: cells of those columns are
/// numbered `feature · capacity + record`.
package struct RecordMove: Sendable {
  /// The capacities of the columns that they leave and enter.
  package var oldCapacity: Int
  package var newCapacity: Int
  /// The number of the first of them, there and here.
  package var oldRecord: Int
  package var newRecord: Int

  /// The number of a cell after the move.
  package func cell(_ cell: Int) -> Int {
    let (feature, record) = cell.quotientAndRemainder(dividingBy: oldCapacity)
    return feature * newCapacity + record - oldRecord + newRecord
  }
}

/// The payload of records that are features alone.
package struct NoPayload: Payload {
  package init() {}

  package var end: PayloadOffset { PayloadOffset() }
  package var byteCount: Int { 0 }
  package mutating func append(
    _ other: any Payload, _ part: Range<BlockOffset>, _ move: RecordMove
  ) {}
  package mutating func truncate(to end: PayloadOffset) {}
  package mutating func removeAll() {}
  package mutating func reserve(_ end: PayloadOffset) {}
}

extension Payload {
  /// The payload, if it is of a type.
  ///
  /// `self as? Kind` would say the same, in some thousand instructions: more than a small block costs.
  package func typed<Kind: Payload>(_ kind: Kind.Type) -> Kind? {
    // Two values of one type have the same memory.
    Self.self == kind ? unsafeBitCast(self, to: kind) : nil
  }
}

extension RecordBlock {
  /// Takes the payload out, so that it has one owner while it grows; `payload` is to be set again.
  ///
  /// - Returns: an empty one if the block has none of the type.
  package mutating func takePayload<Kind: Payload>(_ kind: Kind.Type) -> Kind {
    guard let taken = payload.typed(kind) else { return Kind() }
    payload = NoPayload()
    return taken
  }
}
