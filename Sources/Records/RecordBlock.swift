/// Consecutive records on their way from a decoder to an encoder: the features as columns, everything else
/// as a payload.
///
/// A block holds the end of a mini-batch, several mini-batches, the start of one, or a part of one:
/// `cuts` says which records belong together.
///
/// Invariants:
/// - `keys` and `weights`, if set, have one entry a record.
/// - `cuts` and `seams` ascend; none is beyond `end`.
package struct RecordBlock: Sendable {
  /// The end of a mini-batch.
  package struct Cut: Sendable {
    /// After its last record.
    package let end: BlockOffset
    /// Its records, those that left in earlier blocks included.
    package let records: Int
    /// The position in the stream after its last record.
    package let position: StreamPosition
  }

  package var columns: FeatureColumns
  package var payload: any Payload
  /// The row of each record in a table of states; nil if all records share one.
  package var keys: [Int32]?
  /// How much each record counts in the moments; nil if all count 1.
  package var weights: [Double]?
  /// The ends of whole mini-batches.
  package private(set) var cuts: [Cut] = []
  /// Offsets at which a large mini-batch may be divided between two units of output.
  package private(set) var seams: [BlockOffset] = []
  /// The position in the stream after the last record.
  package var position: StreamPosition
  /// Whether the records are written as they were read (`warm_up.emit: pass`).
  package var isPassedThrough = false
  /// The part that a unit of output takes; nil if it takes all.
  private var selected: Range<BlockOffset>?

  package init(
    columns: FeatureColumns, payload: any Payload = NoPayload(),
    position: StreamPosition = StreamPosition()
  ) {
    self.columns = columns
    self.payload = payload
    self.position = position
  }

  /// After the last record.
  package var end: BlockOffset { BlockOffset(records: columns.count, payload: payload.end) }

  /// All of the block.
  package var all: Range<BlockOffset> { BlockOffset()..<end }

  /// The part that is to be written: all of it, unless `selecting` chose less.
  package var selection: Range<BlockOffset> { selected ?? all }

  /// The numbers of the records in the selection.
  package var selectedRecords: Range<Int> {
    selection.lowerBound.records..<selection.upperBound.records
  }

  /// The same block, of which a unit of output takes a part.
  package func selecting(_ part: Range<BlockOffset>) -> RecordBlock {
    var block = self
    block.selected = part
    return block
  }

  /// Where the open mini-batch starts: after the last cut.
  package var tailStart: BlockOffset { cuts.last?.end ?? BlockOffset() }

  /// The records of the open mini-batch.
  package var tail: Int { columns.count - tailStart.records }

  /// Whether anything of an open mini-batch is in the block, a blank line included.
  package var hasTail: Bool { tailStart != end }

  /// About the memory that it holds, in bytes; channels are bounded by it.
  package var byteCount: Int { columns.byteCount + payload.byteCount }

  /// About the size of a part of it in the output: of its payload, or of its values if they are larger.
  package func byteCount(of part: Range<BlockOffset>, _ precision: Precision) -> Int {
    let records = part.upperBound.records - part.lowerBound.records
    return max(
      part.upperBound.payload.bytes - part.lowerBound.payload.bytes,
      records * columns.featureCount * precision.byteCount)
  }

  // MARK: Mini-batches

  /// Ends a mini-batch after the last record.
  ///
  /// - Parameter earlier: records of it that left in earlier blocks.
  package mutating func cut(earlier: Int = 0) {
    cuts.append(Cut(end: end, records: earlier + tail, position: position))
  }

  /// Lets a unit of output end after the last record.
  package mutating func markSeam() {
    seams.append(end)
  }

  /// Visits the block in parts: up to each seam, and after the last one.
  package func forEachPart(_ visit: (Range<BlockOffset>) -> Void) {
    var start = BlockOffset()
    for seam in seams where seam.records < columns.count {
      visit(start..<seam)
      start = seam
    }
    visit(start..<end)
  }

  // MARK: Moving records

  /// Appends all records of another block of the stream; there must be room.
  package mutating func append(_ other: RecordBlock) {
    append(other, other.all)
    position = other.position
  }

  private mutating func append(_ other: RecordBlock, _ part: Range<BlockOffset>) {
    let records = part.lowerBound.records..<part.upperBound.records
    if columns.count == 0 {
      keys = other.keys.map { _ in [] }
      weights = other.weights.map { _ in [] }
    }
    precondition((keys == nil) == (other.keys == nil), "records with and without keys")
    precondition((weights == nil) == (other.weights == nil), "records with and without weights")
    // An empty block takes the payload's type of the records that enter it.
    if type(of: payload) == NoPayload.self { payload = type(of: other.payload).init() }
    other.keys.map { keys?.append(contentsOf: $0[records]) }
    other.weights.map { weights?.append(contentsOf: $0[records]) }
    payload.append(
      other.payload, part,
      RecordMove(
        oldCapacity: other.columns.capacity, newCapacity: columns.capacity,
        oldRecord: records.lowerBound, newRecord: columns.count))
    columns.append(other.columns, records: records)
  }

  /// A part of the records in no more memory than they need, without cuts and seams.
  package func part(_ part: Range<BlockOffset>) -> RecordBlock {
    var copy = RecordBlock(
      columns: FeatureColumns(
        featureCount: columns.featureCount,
        capacity: part.upperBound.records - part.lowerBound.records, precision: columns.precision))
    copy.append(self, part)
    return copy
  }

  /// The same records in no more memory than they need, for a block that leaves before it is full.
  package func compacted() -> RecordBlock {
    var compact = part(all)
    compact.position = position
    (compact.cuts, compact.seams) = (cuts, seams)
    return compact
  }

  /// Moves the open mini-batch to an empty block of the stream.
  package mutating func moveTail(to other: inout RecordBlock) {
    other.append(self, tailStart..<end)
    other.position = position
    let start = tailStart
    columns.count = start.records
    payload.truncate(to: start.payload)
    keys?.removeSubrange(start.records...)
    weights?.removeSubrange(start.records...)
    if let cut = cuts.last { position = cut.position }
  }

  /// Removes all records; the memory stays for the next.
  package mutating func removeRecords() {
    columns.count = 0
    payload.removeAll()
    keys?.removeAll(keepingCapacity: true)
    weights?.removeAll(keepingCapacity: true)
    cuts.removeAll(keepingCapacity: true)
    seams.removeAll(keepingCapacity: true)
    isPassedThrough = false
    selected = nil
  }
}
