/// Everything in a block's records that is no feature: the text of the records, raw rows, or messages.
///
/// A decoder fills it, and an encoder of the same format reads it. The stages between them only move parts of it:
/// they know its offsets, but not its contents. They call it once for each block.
package protocol Payload: Sendable {
  /// An empty payload.
  init()
  /// The end of its contents.
  var end: PayloadOffset { get }
  /// The memory of its contents, in bytes.
  var byteCount: Int { get }

  /// Appends a part of another payload of the same type.
  ///
  /// - Parameters:
  ///   - part: offsets in `other`.
  ///   - move: the positions of the records in that part before and after.
  mutating func append(_ other: any Payload, _ part: Range<BlockOffset>, _ move: RecordMove)
  /// Removes the contents after an offset.
  mutating func truncate(to end: PayloadOffset)
  /// Removes the contents. Keeps the memory for the next ones.
  mutating func removeAll()
  /// Makes room for contents up to an offset.
  mutating func reserve(_ end: PayloadOffset)
  /// Whether an offset, which is not within a record, is within a unit that the output writes as a whole.
  func isInsideUnit(at offset: PayloadOffset) -> Bool
  /// Notes that records are bad, if they must stay in the output. Their features are then missing there.
  ///
  /// - Parameter records: their indices in the block; they ascend.
  /// - Returns: false if bad records are taken out instead.
  mutating func spoil(_ records: [Int]) -> Bool
}

extension Payload {
  package func isInsideUnit(at offset: PayloadOffset) -> Bool { false }
  package mutating func spoil(_ records: [Int]) -> Bool { false }
}

/// Records that move from one block's columns to the end of another's. The cells of columns have the numbers `feature
/// · capacity + record`.
package struct RecordMove: Sendable {
  /// The capacity of the old and the new columns.
  package var oldCapacity: Int
  package var newCapacity: Int
  /// The index of the first record in the old and the new columns.
  package var oldRecord: Int
  package var newRecord: Int

  /// The number of a cell after the move.
  package func cell(_ cell: Int) -> Int {
    let (feature, record) = cell.quotientAndRemainder(dividingBy: oldCapacity)
    return feature * newCapacity + record - oldRecord + newRecord
  }
}

/// The payload of records that only have features.
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

extension RecordBlock {
  /// Takes the payload out, so that it has one owner while it grows. The caller must set `payload` again.
  ///
  /// - Returns: an empty payload if the block has none of this type.
  package mutating func takePayload<Kind: Payload>(_ kind: Kind.Type) -> Kind {
    guard let taken = payload as? Kind else { return Kind() }
    payload = NoPayload()
    return taken
  }
}
