internal import Records

// Invariants:
// - The slices of a record batch follow one another, and together have its rows in order.
// - Only the last slice of a record batch has `endsBatch`.

/// The messages of an Arrow stream that belong to the records of a block: dictionaries, and slices of record batches.
struct ArrowPayload: Payload {
  /// Several rows of a record batch.
  struct Slice {
    var batch: ArrowBatch
    var rows: Range<Int>
    /// The index in the block of the first row.
    var record: Int
    /// Whether the rows are bad records, whose features become null.
    var isBad = false

    var endsBatch: Bool { rows.upperBound == batch.layout.records }

    /// One slice for both, if the other one follows this one, in the record batch and in the block.
    func joined(with next: Slice) -> Slice? {
      guard batch === next.batch, rows.upperBound == next.rows.lowerBound,
        record + rows.count == next.record, isBad == next.isBad
      else { return nil }
      var both = self
      both.rows = rows.lowerBound..<next.rows.upperBound
      return both
    }
  }

  /// A dictionary, as it is written.
  struct Dictionary {
    var message: [UInt8]
    /// The prologue of the stream after it.
    var prologue: [UInt8]
  }

  enum Item {
    case slice(Slice)
    case dictionary(Dictionary)

    /// The bytes of a record batch count at its first slice.
    var byteCount: Int {
      switch self {
      case .slice(let slice): slice.rows.lowerBound == 0 ? slice.batch.byteCount : 0
      case .dictionary(let dictionary): dictionary.message.count
      }
    }
  }

  private(set) var items: [Item] = []
  private(set) var byteCount = 0
  /// The records that were found bad after they had been decoded, as indices in the block. Their features become null.
  private(set) var spoiled: [Int] = []

  var end: PayloadOffset { PayloadOffset(bytes: byteCount, items: items.count) }

  mutating func append(_ item: Item) {
    items.append(item)
    byteCount += item.byteCount
  }

  mutating func append(_ other: any Payload, _ part: Range<BlockOffset>, _ move: RecordMove) {
    guard let other = other as? ArrowPayload else {
      preconditionFailure("a payload of another type")
    }
    for item in other.items[part.lowerBound.payload.items..<part.upperBound.payload.items] {
      guard case .slice(var slice) = item else {
        append(item)
        continue
      }
      slice.record += move.newRecord - move.oldRecord
      append(.slice(slice))
    }
    for record in other.spoiled
    where part.lowerBound.records <= record && record < part.upperBound.records {
      spoiled.append(record - move.oldRecord + move.newRecord)
    }
  }

  mutating func truncate(to end: PayloadOffset) {
    for case .slice(let slice) in items[end.items...] {
      spoiled.removeAll { $0 >= slice.record }
    }
    items.removeSubrange(end.items...)
    byteCount = end.bytes
  }

  mutating func removeAll() {
    items.removeAll(keepingCapacity: true)
    spoiled.removeAll()
    byteCount = 0
  }

  mutating func spoil(_ records: [Int]) -> Bool {
    spoiled = (spoiled + records).sorted()
    return true
  }

  mutating func reserve(_ end: PayloadOffset) {
    items.reserveCapacity(end.items)
  }

  func isInsideUnit(at offset: PayloadOffset) -> Bool {
    guard offset.items > 0, case .slice(let slice) = items[offset.items - 1] else { return false }
    return !slice.endsBatch
  }
}
