package import Features

/// Consecutive records of a batch: as many as are written at once.
package struct RecordSlice: Sendable {
  package let batch: RecordBatch
  package let records: Range<Int>
  let text: Range<Int>
  let spans: Range<Int>

  /// The size that counts for what is written: of the text, or of the values where there is none.
  package func byteCount(_ precision: Precision) -> Int {
    max(text.count, records.count * batch.features.featureCount * precision.byteCount)
  }
}

extension RecordBatch {
  /// A place between two records of a batch.
  package struct Boundary: Sendable, Equatable {
    var records: Int
    var textBytes: Int
    var spans: Int
  }

  private var last: Boundary {
    Boundary(records: features.count, textBytes: text.count, spans: spans.count)
  }

  /// Says that a slice ends behind the records so far.
  package mutating func markBoundary() {
    boundaries.append(last)
  }

  /// The batch in slices up to each boundary, and what is behind the last one.
  package var slices: [RecordSlice] {
    var slices: [RecordSlice] = []
    slices.reserveCapacity(boundaries.count + 1)
    var start = Boundary(records: 0, textBytes: 0, spans: 0)
    func append(upTo end: Boundary) {
      slices.append(
        RecordSlice(
          batch: self, records: start.records..<end.records,
          text: start.textBytes..<end.textBytes, spans: start.spans..<end.spans))
      start = end
    }
    for boundary in boundaries where boundary.records < features.count { append(upTo: boundary) }
    append(upTo: last)
    return slices
  }
}
