internal import Records

extension RecordBlock {
  /// Takes the records of another batch of the same stream behind its own; there must be room.
  package mutating func append(_ other: RecordBlock) {
    append(other, from: Boundary(), to: other.last)
    end = other.end
  }

  private mutating func append(_ other: RecordBlock, from start: Boundary, to end: Boundary) {
    let textShift = UInt32(truncatingIfNeeded: text.count - start.textBytes)
    let recordShift = columns.count - start.records
    let spans = other.spans[start.spans..<end.spans].map { span in
      let (feature, record) = Int(span.cell).quotientAndRemainder(
        dividingBy: other.columns.capacity)
      return ValueSpan(
        start: span.start &+ textShift, end: span.end &+ textShift,
        cell: UInt32(feature * columns.capacity + recordShift + record))
    }
    self.spans += spans
    text += other.text[start.textBytes..<end.textBytes]
    columns.append(other.columns, records: start.records..<end.records)
  }

  /// The records between two places in no more memory than they need, without cuts.
  package func part(from start: Boundary, to end: Boundary) -> RecordBlock {
    var part = RecordBlock(
      columns: FeatureColumns(
        featureCount: columns.featureCount, capacity: end.records - start.records,
        precision: columns.precision))
    part.append(self, from: start, to: end)
    return part
  }

  /// The same records in no more memory than they need, for a batch that leaves before it is full.
  package func compacted() -> RecordBlock {
    var compact = part(from: Boundary(), to: last)
    compact.end = end
    (compact.cuts, compact.boundaries) = (cuts, boundaries)
    return compact
  }

  /// Moves what is behind the last cut to an empty batch of the same stream.
  package mutating func moveUnderWay(to other: inout RecordBlock) {
    other.append(self, from: lastCut, to: last)
    other.end = end
    columns.count = lastCut.records
    text.removeSubrange(lastCut.textBytes...)
    spans.removeSubrange(lastCut.spans...)
    if let cut = cuts.last { end = cut.end }
  }

  /// Lets go of all records; the memory stays for the next.
  package mutating func removeRecords() {
    columns.count = 0
    text.removeAll(keepingCapacity: true)
    spans.removeAll(keepingCapacity: true)
    boundaries = []
    cuts.removeAll(keepingCapacity: true)
    passesThrough = false
  }
}
