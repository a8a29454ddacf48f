internal import Records

// Invariants:
// - `block` contains whole mini-batches, then the records of the open one, of which `left` records left earlier.
// - `held` describes the contents of `block`.

/// Gathers decoded records into mini-batches of `size` records, and mini-batches into blocks.
///
/// The number of records decides where a mini-batch ends, unless the caller cuts it. Some units must not be divided:
/// an Arrow record batch, or a message with many records. The end of such a unit also ends the open mini-batch, if
/// that has `size` records or began within the unit. So no record of the unit waits for other units. If each unit is a
/// mini-batch, its end alone ends the mini-batch, and the columns grow with it.
struct Batcher: Sendable {
  /// The approximate number of values that are written at once: half a megabyte of text.
  private static let valuesBetweenSeams = 64 << 10
  /// Mini-batches share a block up to about these bytes of columns, and up to about these bytes in all. Passing a
  /// block on costs as much as a small mini-batch.
  private static let columnBytesTogether = 64 << 10
  private static let bytesTogether = 256 << 10

  /// The contents of a block in numbers. Looking into the block would copy it.
  private struct Contents {
    var records = 0
    var capacity = 0
    var cuts = 0
    var tail = 0
    var hasTail = false
    var byteCount = 0

    init() {}

    /// - Parameter block: not changed. It is `inout` so that it is not copied.
    init(of block: inout RecordBlock) {
      records = block.columns.count
      capacity = block.columns.capacity
      cuts = block.cuts.count
      tail = block.tail
      hasTail = block.hasTail
      byteCount = block.byteCount
    }
  }

  /// The number of records in a mini-batch.
  private let size: Int
  /// Whether each unit is a mini-batch.
  private let isPerUnit: Bool
  /// The most bytes of a block's columns, if they grow.
  private let mostBytes: Int
  /// The width of the columns. Known after the stream was opened.
  var precision: Precision
  private let pool: BlockPool?
  /// Known after the stream was opened.
  var featureCount = 0
  private var block: RecordBlock?
  private var held = Contents()
  /// The number of records of the open mini-batch that left in earlier blocks.
  private var left = 0
  /// Whether the last records came from a unit that continues.
  var isInsideUnit = false
  private var wasCutInsideUnit = false
  /// The payload of the last block. The next one probably needs as much room.
  private var likely: (type: any Payload.Type, end: PayloadOffset) = (
    NoPayload.self, PayloadOffset()
  )

  /// The number of records in the last block that left, if the columns grow.
  private var likelyRecords = 0

  init(_ options: BatchOptions, precision: Precision, pool: BlockPool?) {
    size = options.size
    isPerUnit = options.isRecordBatch
    mostBytes = options.maxBytes
    self.precision = precision
    self.pool = pool
  }

  var byteCount: Int { held.byteCount }

  /// The number of records of the open mini-batch that have not left.
  var tail: Int { held.tail }

  /// Whether the open mini-batch is complete.
  var isFull: Bool { !isPerUnit && held.tail + left >= size }

  /// Whether another record needs more memory than a batch may take.
  var isTooLarge: Bool {
    isPerUnit && held.capacity > 0 && held.records == held.capacity
      && grownCapacity <= held.capacity
  }

  /// The capacity of columns that grow.
  private var grownCapacity: Int {
    min(2 * held.capacity, mostBytes / recordBytes)
  }

  private var recordBytes: Int { max(1, featureCount * precision.byteCount) }

  /// Whether records of the open mini-batch have left.
  var aPartHasLeft: Bool { left > 0 }

  /// Whether no mini-batch is open.
  var isBetweenBatches: Bool { left == 0 && !held.hasTail }

  /// Whether the open mini-batch has bytes and no record, such as blank lines. They leave with the next record or with
  /// a cut: if they left alone, no cursor would tell.
  var isBlank: Bool { held.hasTail && held.tail == 0 && left == 0 }

  /// Whether whole mini-batches are held.
  var hasWhole: Bool { held.cuts > 0 }

  /// Whether the whole mini-batches should leave before another is added.
  var isWorthPassingOn: Bool {
    if isPerUnit { return 2 * held.records > held.capacity || held.byteCount >= Self.bytesTogether }
    // A large mini-batch, the only kind with seams, is alone in its block, even if the one before was cut without
    // records.
    return held.capacity == size || held.records + size > held.capacity
      || held.byteCount >= Self.bytesTogether
  }

  /// Adds records to the open mini-batch: as many as `decode` takes, at most its limit.
  ///
  /// - Parameter most: the greatest number of records to add.
  mutating func add<Outcome>(
    atMost most: Int = .max,
    _ decode: (_ block: inout RecordBlock, _ limit: Int) -> Outcome
  ) -> Outcome {
    var block = self.block.take() ?? empty()
    if isPerUnit, held.records == held.capacity, held.capacity > 0 { block.grow(to: grownCapacity) }
    let room = isPerUnit ? block.columns.capacity : block.tailStart.records + size - left
    let limit = min(most, room - block.columns.count) + block.columns.count
    let interval = max(1, Self.valuesBetweenSeams / max(1, featureCount))
    let seam = (block.columns.count / interval + 1) * interval
    let outcome = decode(&block, min(limit, seam))
    if block.columns.count == seam, seam < limit, !block.payload.isInsideUnit(at: block.payload.end)
    {
      block.markSeam()
    }
    held = Contents(of: &block)
    self.block = consume block
    return outcome
  }

  /// Ends the unit of the last records.
  ///
  /// - Returns: whether the open mini-batch must be cut.
  mutating func endUnit() -> Bool {
    defer { wasCutInsideUnit = false }
    isInsideUnit = false
    return !isBetweenBatches && (isPerUnit || isFull || wasCutInsideUnit)
  }

  /// Cuts the open mini-batch at a position in the stream.
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

  /// Takes the whole mini-batches out.
  mutating func takeWhole() -> RecordBlock? {
    guard held.cuts > 0, var whole = block.take() else { return nil }
    likely = (type(of: whole.payload), whole.payload.end)
    likelyRecords = whole.columns.count
    if whole.hasTail {
      var rest = empty()
      whole.moveTail(to: &rest)
      held = Contents(of: &rest)
      block = consume rest
    } else if 2 * whole.columns.count < whole.columns.capacity {
      // Keeps the memory for the next block.
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

  /// Takes the records of the open mini-batch, which continues. There must be no whole ones.
  mutating func takeTail(endingAt position: StreamPosition) -> RecordBlock? {
    guard held.hasTail, !isBlank, var block = self.block.take() else { return nil }
    block.position = position
    let records = block.compacted()
    block.removeRecords()
    left += records.columns.count
    held = Contents(of: &block)
    self.block = block
    return records
  }

  /// Frees the memory for later blocks, because there is nothing to read.
  func freePool() { pool?.free() }

  private func empty() -> RecordBlock {
    let together = Self.columnBytesTogether / recordBytes
    let capacity = isPerUnit ? max(1, together, likelyRecords) : max(1, together / size) * size
    if let block = pool?.take(capacity: capacity), block.columns.precision == precision {
      return block
    }
    var payload = likely.type.init()
    let (bytes, items) = (likely.end.bytes, likely.end.items)
    payload.reserve(PayloadOffset(bytes: bytes + bytes / 8, items: items + items / 8))
    return RecordBlock(
      columns: FeatureColumns(
        featureCount: featureCount, capacity: capacity, precision: precision),
      payload: payload)
  }
}
