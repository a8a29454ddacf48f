/// Consecutive records on their way from a decoder to an encoder: the features as columns, everything else as a
/// payload.
///
/// A block contains the end of a mini-batch, several mini-batches, the start of one, or a part of one. `cuts` tells
/// which records belong together.
///
/// Invariant: `cuts` and `seams` ascend, and none is after `end`.
package struct RecordBlock: Sendable {
  /// The end of a mini-batch.
  package struct Cut: Sendable {
    /// The position after its last record.
    package let end: BlockOffset
    /// The number of its records, with those in earlier blocks.
    package let records: Int
    /// The position in the stream after its last record.
    package let position: StreamPosition
  }

  package var columns: FeatureColumns
  package var payload: any Payload
  /// The messages that the records came in; empty if the stream does not keep them.
  package var origins = RecordOrigins()
  /// The places of the records in their splits.
  private var places = RecordPlaces()
  /// The ends of whole mini-batches.
  package private(set) var cuts: [Cut] = []
  /// Offsets at which a large mini-batch may be divided into two units of output.
  package private(set) var seams: [BlockOffset] = []
  /// The position in the stream after the last record.
  package var position: StreamPosition
  /// The features that are not normalised (`warm_up.emit`); nil if all are.
  package var unnormalized: UnnormalizedFeatures?
  /// The versions that normalised the records; empty if the output does not tell them. They stay with the block, and
  /// do not follow records that move to another one.
  package internal(set) var versionMarks: [VersionMark] = []
  /// The part that a unit of output writes; nil for all.
  private var selected: Range<BlockOffset>?

  package init(
    columns: FeatureColumns, payload: any Payload = NoPayload(),
    position: StreamPosition = StreamPosition()
  ) {
    self.columns = columns
    self.payload = payload
    self.position = position
  }

  /// The position after the last record.
  package var end: BlockOffset { BlockOffset(records: columns.count, payload: payload.end) }

  /// All of the block.
  package var all: Range<BlockOffset> { BlockOffset()..<end }

  /// The part to write: the whole block, unless `selecting` chose a part.
  package var selection: Range<BlockOffset> { selected ?? all }

  /// The indices of the selected records.
  package var selectedRecords: Range<Int> {
    selection.lowerBound.records..<selection.upperBound.records
  }

  /// The same block, with a part selected for a unit of output.
  package func selecting(_ part: Range<BlockOffset>) -> RecordBlock {
    var block = self
    block.selected = part
    return block
  }

  /// The start of the open mini-batch: the last cut, or the start of the block.
  package var tailStart: BlockOffset { cuts.last?.end ?? BlockOffset() }

  /// The records of the open mini-batch.
  package var tail: Int { columns.count - tailStart.records }

  /// Whether the block contains anything of an open mini-batch, even only a blank line.
  package var hasTail: Bool { tailStart != end }

  /// The approximate memory of the block, in bytes. Channels are bounded by it.
  package var byteCount: Int { columns.byteCount + payload.byteCount + origins.byteCount }

  /// The approximate size of a part in the output, in bytes: that of its payload, or that of its values if larger.
  package func byteCount(of part: Range<BlockOffset>, _ precision: Precision) -> Int {
    let records = part.upperBound.records - part.lowerBound.records
    return max(
      part.upperBound.payload.bytes - part.lowerBound.payload.bytes,
      records * columns.featureCount * precision.byteCount)
  }

  // MARK: Mini-batches

  /// Ends a mini-batch after the last record.
  ///
  /// - Parameter earlier: the number of its records in earlier blocks.
  package mutating func cut(earlier: Int = 0) {
    cuts.append(Cut(end: end, records: earlier + tail, position: position))
  }

  /// Allows a unit of output to end after the last record.
  package mutating func markSeam() {
    seams.append(end)
  }

  /// Visits the parts of the block: up to each seam, and after the last one.
  package func forEachPart(_ visit: (Range<BlockOffset>) -> Void) {
    var start = BlockOffset()
    for seam in seams where seam.records < columns.count {
      visit(start..<seam)
      start = seam
    }
    visit(start..<end)
  }

  // MARK: Places

  /// Notes the place of the records from an offset on.
  ///
  /// - Parameter countsBytes: whether the bytes of the payload from there on are those of the split.
  package mutating func notePlace(
    _ place: RecordPlace, from start: BlockOffset, countsBytes: Bool
  ) {
    places.note(place, from: start, countsBytes: countsBytes)
  }

  /// The place of a record in its split.
  ///
  /// - Parameter part: its part of the payload, if the payload has one; tells its offset.
  package func place(of record: Int, _ part: RecordPart? = nil) -> RecordPlace {
    let place =
      if let part, !part.payload.isEmpty {
        places.place(at: BlockOffset(records: record, payload: part.payload.lowerBound))
      } else {
        places.place(ofRecord: record)
      }
    return place ?? RecordPlace(record: record + 1)
  }

  // MARK: Moving records

  /// Appends all records of another block of the stream. There must be room.
  package mutating func append(_ other: RecordBlock) {
    append(other, other.all)
    position = other.position
  }

  private mutating func append(_ other: RecordBlock, _ part: Range<BlockOffset>) {
    let records = part.lowerBound.records..<part.upperBound.records
    // An empty block gets the payload type of its first records.
    if type(of: payload) == NoPayload.self { payload = type(of: other.payload).init() }
    places.append(other.places, part, at: end)
    payload.append(
      other.payload, part,
      RecordMove(
        oldCapacity: other.columns.capacity, newCapacity: columns.capacity,
        oldRecord: records.lowerBound, newRecord: columns.count))
    origins.append(other.origins, records)
    columns.append(other.columns, records: records)
  }

  /// A copy of some records, in no more memory than they need, without cuts and seams.
  package func part(_ part: Range<BlockOffset>) -> RecordBlock {
    var copy = RecordBlock(
      columns: FeatureColumns(
        featureCount: columns.featureCount,
        capacity: part.upperBound.records - part.lowerBound.records, precision: columns.precision))
    copy.append(self, part)
    return copy
  }

  /// A copy of all records, in no more memory than they need. For a block that leaves before it is full.
  package func compacted() -> RecordBlock {
    var compact = part(all)
    compact.position = position
    (compact.cuts, compact.seams) = (cuts, seams)
    return compact
  }

  /// Removes records from wherever they are. Those after them keep their batches.
  ///
  /// - Parameter removed: the records and their parts of the payload; they ascend.
  package mutating func remove(_ removed: [RecordPart]) {
    var rest = RecordBlock(
      columns: FeatureColumns(
        featureCount: columns.featureCount, capacity: columns.capacity,
        precision: columns.precision), payload: type(of: payload).init(), position: position)
    var start = BlockOffset()
    for each in removed {
      rest.append(
        self, start..<BlockOffset(records: each.record, payload: each.payload.lowerBound))
      start = BlockOffset(records: each.record + 1, payload: each.payload.upperBound)
    }
    rest.append(self, start..<end)
    rest.cuts = cuts.map { cut in
      let end = cut.end.without(removed)
      return Cut(
        end: end, records: cut.records - (cut.end.records - end.records), position: cut.position)
    }
    rest.seams = seams.map { $0.without(removed) }
    // Only records that are not normalised yet are removed, which are after the marks.
    rest.versionMarks = versionMarks
    self = rest
  }

  /// Moves the open mini-batch to an empty block of the stream.
  package mutating func moveTail(to other: inout RecordBlock) {
    other.append(self, tailStart..<end)
    other.position = position
    let start = tailStart
    columns.count = start.records
    payload.truncate(to: start.payload)
    origins.truncate(to: start.records)
    places.truncate(to: start.records)
    if let cut = cuts.last { position = cut.position }
  }

  /// Makes room for more records, which costs a copy of those that are here.
  package mutating func grow(to capacity: Int) {
    var larger = RecordBlock(
      columns: FeatureColumns(
        featureCount: columns.featureCount, capacity: capacity, precision: columns.precision),
      payload: type(of: payload).init())
    larger.append(self, all)
    larger.position = position
    (larger.cuts, larger.seams) = (cuts, seams)
    self = larger
  }

  /// Removes all records. Keeps the memory for the next ones.
  package mutating func removeRecords() {
    columns.count = 0
    payload.removeAll()
    origins.removeAll()
    places.removeAll()
    cuts.removeAll(keepingCapacity: true)
    seams.removeAll(keepingCapacity: true)
    unnormalized = nil
    versionMarks.removeAll(keepingCapacity: true)
    selected = nil
  }
}
