internal import Features

extension RecordBatch {
  /// Takes the records of another batch of the same stream behind its own; there must be room.
  package mutating func append(_ other: RecordBatch) {
    let textShift = UInt32(text.count)
    let recordShift = features.count
    let spans = other.spans.map { span in
      let (feature, record) = Int(span.cell).quotientAndRemainder(
        dividingBy: other.features.capacity)
      return ValueSpan(
        start: span.start + textShift, end: span.end + textShift,
        cell: UInt32(feature * features.capacity + recordShift + record))
    }
    self.spans += spans
    text += other.text
    features.append(other.features)
    end = other.end
  }

  /// The same records in no more memory than they need, for a batch that leaves before it is full.
  package func compacted() -> RecordBatch {
    var compact = RecordBatch(
      features: FeatureBatch(
        featureCount: features.featureCount, capacity: features.count,
        precision: features.precision))
    compact.append(self)
    return compact
  }

  /// Lets go of all records; the memory stays for the next.
  package mutating func removeRecords() {
    features.count = 0
    text.removeAll(keepingCapacity: true)
    spans.removeAll(keepingCapacity: true)
    boundaries = []
    passesThrough = false
  }
}
