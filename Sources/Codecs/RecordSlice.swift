package import Features

/// Consecutive records of a batch: as many as are written at once.
package struct RecordSlice: Sendable {
  package let batch: RecordBatch
  package let records: Range<Int>
  let text: Range<Int>
  let spans: Range<Int>

  /// Whether it is the last of its batch.
  package var endsBatch: Bool { records.upperBound == batch.features.count }

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

  /// Visits the batch in slices: up to each boundary, and what is behind the last one.
  package func forEachSlice(_ visit: (RecordSlice) -> Void) {
    var start = Boundary(records: 0, textBytes: 0, spans: 0)
    func visitSlice(upTo end: Boundary) {
      visit(
        RecordSlice(
          batch: self, records: start.records..<end.records,
          text: start.textBytes..<end.textBytes, spans: start.spans..<end.spans))
      start = end
    }
    for boundary in boundaries where boundary.records < features.count {
      visitSlice(upTo: boundary)
    }
    visitSlice(upTo: last)
  }
}
