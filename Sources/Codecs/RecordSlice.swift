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
    var start = Boundary(records: 0, textBytes: 0, spans: 0)
    for boundary in boundaries.filter({ $0.records < features.count }) + [last] {
      slices.append(
        RecordSlice(
          batch: self, records: start.records..<boundary.records,
          text: start.textBytes..<boundary.textBytes, spans: start.spans..<boundary.spans))
      start = boundary
    }
    return slices
  }
}
