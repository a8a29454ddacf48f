package import Records

/// Consecutive records of a batch: as many as are written at once.
package struct RecordSlice: Sendable {
  package let batch: RecordBlock
  package let records: Range<Int>
  let text: Range<Int>
  let spans: Range<Int>

  /// Whether it is the last of its batch.
  package var endsBatch: Bool { records.upperBound == batch.columns.count }

  /// The size that counts for what is written: of the text, or of the values where there is none.
  package func byteCount(_ precision: Precision) -> Int {
    batch.byteCount(ofRecords: records.count, textBytes: text.count, precision)
  }
}

extension RecordBlock {
  /// A place between two records of a batch.
  package struct Boundary: Sendable, Equatable {
    package fileprivate(set) var records = 0
    var textBytes = 0
    var spans = 0

    /// The start.
    package init() {}
  }

  /// The end of a mini-batch.
  package struct Cut: Sendable {
    package let boundary: Boundary
    /// The place in the stream just after its last record.
    package let end: StreamPosition
  }

  /// Behind the last record.
  var last: Boundary {
    var last = Boundary()
    (last.records, last.textBytes, last.spans) = (columns.count, text.count, spans.count)
    return last
  }

  /// Where the mini-batch under way starts.
  package var lastCut: Boundary { cuts.last?.boundary ?? Boundary() }

  /// Whether there is anything of a mini-batch under way.
  package var isUnderWay: Bool { lastCut != last }

  /// Says that a slice ends behind the records so far.
  package mutating func markBoundary() {
    boundaries.append(last)
  }

  /// The records between two places.
  package func slice(from start: Boundary, to end: Boundary) -> RecordSlice {
    RecordSlice(
      batch: self, records: start.records..<end.records,
      text: start.textBytes..<end.textBytes, spans: start.spans..<end.spans)
  }

  /// That of a slice between two places.
  package func byteCount(from start: Boundary, to end: Boundary, _ precision: Precision) -> Int {
    byteCount(
      ofRecords: end.records - start.records, textBytes: end.textBytes - start.textBytes, precision)
  }

  fileprivate func byteCount(ofRecords count: Int, textBytes: Int, _ precision: Precision) -> Int {
    max(textBytes, count * columns.featureCount * precision.byteCount)
  }

  /// Visits the batch in slices: up to each boundary, and what is behind the last one.
  package func forEachSlice(_ visit: (RecordSlice) -> Void) {
    var start = Boundary()
    for boundary in boundaries where boundary.records < columns.count {
      visit(slice(from: start, to: boundary))
      start = boundary
    }
    visit(slice(from: start, to: last))
  }
}
