package import Records

/// Consecutive records on their way through the pipeline, a mini-batch most often: the numbers as
/// columns, and the bytes they were read from, so that all that is not a feature can be passed on byte
/// for byte.
///
/// Invariants:
/// - `spans` ascend and do not overlap; each names the bytes of `text` that spell one value.
/// - A value with no span (an absent JSON key) is NaN.
/// - `text` is empty where the output has another format than the input.
/// - `cuts` and `boundaries` ascend.
package struct RecordBlock: Sendable {
  package var columns: FeatureColumns
  /// The records' own bytes, line ends included, one after another.
  package var text: [UInt8]
  package var spans: [ValueSpan]
  /// Where slices end before the batch does.
  package var boundaries: [Boundary] = []
  /// The ends of the mini-batches that are whole; what is behind the last is of one under way.
  package internal(set) var cuts: [Cut] = []
  /// The place in the stream just after the last record.
  package var end: StreamPosition
  /// Whether the records are to be written as they were read (`warm_up.emit: pass`).
  package var passesThrough = false

  package init(columns: FeatureColumns, end: StreamPosition = StreamPosition()) {
    self.columns = columns
    self.text = []
    self.spans = []
    self.end = end
  }

  /// Says that a mini-batch ends behind the records so far.
  package mutating func cut() {
    cuts.append(Cut(boundary: last, end: end))
  }

  /// Makes room for about so much text and so many spans, and an eighth more.
  package mutating func reserve(_ likely: (textBytes: Int, spans: Int)) {
    text.reserveCapacity(likely.textBytes + likely.textBytes / 8)
    spans.reserveCapacity(likely.spans + likely.spans / 8)
  }

  /// About the memory it holds, in bytes; what channels are bounded by.
  package var byteCount: Int {
    columns.byteCount + text.count + spans.count * ValueSpan.byteCount
  }
}

/// The bytes of a batch's text that spell one feature value.
///
/// It has the layout of `TextSpan` in CNumberText, which the number functions read and write.
package struct ValueSpan: Sendable, Equatable {
  static let byteCount = MemoryLayout<ValueSpan>.stride

  /// The first byte, in the batch's text.
  package var start: UInt32
  /// Just after the last byte.
  package var end: UInt32
  /// Where the value stands in the batch's columns: feature · capacity + record.
  package var cell: UInt32

  package init(start: UInt32, end: UInt32, cell: UInt32) {
    self.start = start
    self.end = end
    self.cell = cell
  }
}
