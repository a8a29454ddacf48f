internal import Records

// Invariants:
// - `block` holds whole mini-batches, then the records of the open one, of which `left` left earlier.
// - `held` says what `block` holds.

/// Gathers decoded records into mini-batches of `size` records, and these into blocks.
///
/// The number of records decides where a mini-batch ends, unless the caller cuts it. A unit that must not be
/// divided (an Arrow record batch, a message of many records) ends the mini-batch that it leaves open if that
/// has `size` records or began within the unit: then no record of it waits for other units.
struct Batcher: Sendable {
  /// About as many values are written at once: half a megabyte of text.
  private static let valuesBetweenSeams = 64 << 10
  /// Mini-batches go together up to about as many bytes of columns, or of all that they hold: to hand over a
  /// block costs as much as a small mini-batch does.
  private static let columnBytesTogether = 64 << 10
  private static let bytesTogether = 256 << 10

  /// The contents of a block in numbers: to look into it would copy it.
  private struct Contents {
    var records = 0
    var capacity = 0
    var cuts = 0
    var tail = 0
    var hasTail = false
    var byteCount = 0

    init() {}

    /// - Parameter block: not changed; as `inout` it is not copied either.
    init(of block: inout RecordBlock) {
      records = block.columns.count
      capacity = block.columns.capacity
      cuts = block.cuts.count
      tail = block.tail
      hasTail = block.hasTail
      byteCount = block.byteCount
    }
  }

  /// Of a mini-batch, in records.
  private let size: Int
  private let precision: Precision
  private let pool: BlockPool?
  /// Known once the stream is opened.
  var featureCount = 0
  private var block: RecordBlock?
  private var held = Contents()
  /// Records of the open mini-batch that left in earlier blocks.
  private var left = 0
  /// Whether the last records came from a unit that goes on.
  var isInsideUnit = false
  private var wasCutInsideUnit = false
  /// The payload of the last block: the next one needs room for about as much.
  private var likely: (type: any Payload.Type, end: PayloadOffset) = (
    NoPayload.self, PayloadOffset()
  )

  init(batchSize: Int, precision: Precision, pool: BlockPool?) {
    size = batchSize
    self.precision = precision
    self.pool = pool
  }

  var byteCount: Int { held.byteCount }

  /// The records of the open mini-batch that have not left.
  var tail: Int { held.tail }

  /// Whether the open mini-batch has all its records.
  var isFull: Bool { held.tail + left >= size }

  /// Whether records of the open mini-batch have left.
  var aPartHasLeft: Bool { left > 0 }

  /// Whether no mini-batch is open.
  var isBetweenBatches: Bool { left == 0 && !held.hasTail }

  /// Whether whole mini-batches are held.
  var hasWhole: Bool { held.cuts > 0 }

  /// Whether the whole mini-batches are to leave before another is added.
  var isWorthPassingOn: Bool {
    // A large mini-batch, the only kind that has seams, is alone in its block, even if the one before was cut
    // without records.
    held.capacity == size || held.records + size > held.capacity
      || held.byteCount >= Self.bytesTogether
  }

  /// Adds records to the open mini-batch: as many as `decode` takes, up to its limit.
  mutating func add<Outcome>(
    _ decode: (_ block: inout RecordBlock, _ limit: Int) -> Outcome
  ) -> Outcome {
    var block = self.block.take() ?? empty()
    let limit = block.tailStart.records + size - left
    let interval = max(1, Self.valuesBetweenSeams / max(1, featureCount))
    let seam = (block.columns.count / interval + 1) * interval
    let outcome = decode(&block, min(limit, seam))
    if block.columns.count == seam, seam < limit { block.markSeam() }
    held = Contents(of: &block)
    self.block = consume block
    return outcome
  }

  /// Ends the unit that the last records came from.
  ///
  /// - Returns: whether the open mini-batch is to be cut.
  mutating func endUnit() -> Bool {
    defer { wasCutInsideUnit = false }
    isInsideUnit = false
    return !isBetweenBatches && (isFull || wasCutInsideUnit)
  }

  /// Cuts the open mini-batch, which ends at a position in the stream.
  mutating func cut(at position: StreamPosition) {
    if case nil = block {
      var block = empty()
      held = Contents(of: &block)
      self.block = consume block
    }
    block?.position = position
    block?.cut(earlier: left)
    held.cuts += 1
    held.tail = 0
    held.hasTail = false
    left = 0
    wasCutInsideUnit = isInsideUnit
  }

  /// Takes the whole mini-batches.
  mutating func takeWhole() -> RecordBlock? {
    guard held.cuts > 0, var whole = block.take() else { return nil }
    likely = (type(of: whole.payload), whole.payload.end)
    if whole.hasTail {
      var rest = empty()
      whole.moveTail(to: &rest)
      held = Contents(of: &rest)
      block = consume rest
    } else if 2 * whole.columns.count < whole.columns.capacity {
      // The memory stays for the next.
      let compact = whole.compacted()
      whole.removeRecords()
      held = Contents(of: &whole)
      block = consume whole
      return compact
    } else {
      held = Contents()
    }
    return whole
  }

  /// Takes the records of the open mini-batch, which goes on; there are no whole ones.
  mutating func takeTail(endingAt position: StreamPosition) -> RecordBlock? {
    guard held.hasTail, var block = self.block.take() else { return nil }
    block.position = position
    let records = block.compacted()
    block.removeRecords()
    left += records.columns.count
    held = Contents(of: &block)
    self.block = block
    return records
  }

  /// Frees the memory that waits for blocks to come: nothing is to be read.
  func freePool() { pool?.free() }

  private func empty() -> RecordBlock {
    let recordBytes = max(1, featureCount * precision.byteCount)
    let capacity = max(1, Self.columnBytesTogether / recordBytes / size) * size
    if let block = pool?.take(capacity: capacity) { return block }
    var payload = likely.type.init()
    let (bytes, items) = (likely.end.bytes, likely.end.items)
    payload.reserve(PayloadOffset(bytes: bytes + bytes / 8, items: items + items / 8))
    return RecordBlock(
      columns: FeatureColumns(
        featureCount: featureCount, capacity: capacity, precision: precision),
      payload: payload)
  }
}
