internal import Codecs
internal import Records

// Invariant: `batch` holds whole mini-batches, and behind their last cut what is at hand of the one under
// way, of which `left` records have left before.

/// The records that were read and not yet passed on.
struct Batcher: Sendable {
  /// About as many values are written at once: half a megabyte of text.
  private static let sliceValues = 64 << 10
  /// Whole batches go together up to about as many bytes of columns, or of all that they hold: to hand
  /// one over costs as much as a small one does.
  private static let columnBytesTogether = 64 << 10
  private static let bytesTogether = 256 << 10

  /// Of a mini-batch, in records.
  private let size: Int
  private let precision: Precision
  private let spare: BlockPool?
  /// Known once the stream is opened.
  var featureCount = 0
  private var batch: RecordBlock?
  /// Records of the batch under way that have left.
  private var left = 0
  /// The text and the spans of the last batch: about what the next one needs room for.
  private var likely = (textBytes: 0, spans: 0)

  init(batchSize: Int, precision: Precision, spare: BlockPool?) {
    size = batchSize
    self.precision = precision
    self.spare = spare
  }

  var byteCount: Int { batch?.byteCount ?? 0 }

  /// The records at hand of the batch under way.
  var recordsUnderWay: Int { batch.map { $0.columns.count - $0.lastCut.records } ?? 0 }

  /// Whether the batch under way has all its records.
  var isFull: Bool { recordsUnderWay + left == size }

  /// Whether records of the batch under way have left.
  var aPartHasLeft: Bool { left > 0 }

  /// Whether nothing of a batch is at hand, or has left.
  var isBetweenBatches: Bool { left == 0 && batch?.isUnderWay != true }

  /// Whether whole batches are at hand.
  var hasWhole: Bool { batch?.cuts.isEmpty == false }

  /// Whether the whole batches at hand are to go before another.
  var isWorthPassingOn: Bool {
    guard let batch else { return false }
    // A large batch, the only one that is sliced, is by itself, even behind one that is cut without records.
    return batch.columns.capacity == size
      || batch.columns.count + size > batch.columns.capacity
      || batch.byteCount >= Self.bytesTogether
  }

  /// Adds records to the batch under way: as many as `decode` takes, up to its limit.
  mutating func add<Outcome>(
    _ decode: (_ batch: inout RecordBlock, _ limit: Int) -> Outcome
  ) -> Outcome {
    var batch = self.batch.take() ?? empty()
    let limit = batch.lastCut.records + size - left
    // A large batch is written in slices, and these end where the number of records says.
    let slice = max(1, Self.sliceValues / max(1, featureCount))
    let sliceEnd = (batch.columns.count / slice + 1) * slice
    let outcome = decode(&batch, min(limit, sliceEnd))
    if batch.columns.count == sliceEnd, sliceEnd < limit { batch.markBoundary() }
    self.batch = consume batch
    return outcome
  }

  /// Cuts the batch under way, which ends at `place`.
  mutating func cut(at place: StreamPosition) {
    if batch == nil { batch = empty() }
    batch?.end = place
    batch?.cut()
    left = 0
  }

  /// The whole batches.
  mutating func takeWhole() -> RecordBlock? {
    guard var whole = batch.take() else { return nil }
    guard !whole.cuts.isEmpty else {
      batch = whole
      return nil
    }
    likely = (whole.text.count, whole.spans.count)
    if whole.isUnderWay {
      var rest = empty()
      whole.moveUnderWay(to: &rest)
      batch = rest
    } else if 2 * whole.columns.count < whole.columns.capacity {
      // The memory stays for the next.
      let compact = whole.compacted()
      whole.removeRecords()
      batch = whole
      return compact
    }
    return whole
  }

  /// What is at hand of the batch under way, which goes on; there are no others.
  mutating func takeUnderWay(endingAt place: StreamPosition) -> RecordBlock? {
    guard var batch = batch.take() else { return nil }
    defer { self.batch = batch }
    guard batch.isUnderWay else { return nil }
    batch.end = place
    let records = batch.compacted()
    batch.removeRecords()
    left += records.columns.count
    return records
  }

  /// Frees the memory that waits for batches to come: nothing is to be read.
  func freeSpare() { spare?.free() }

  private func empty() -> RecordBlock {
    let recordBytes = max(1, featureCount * precision.byteCount)
    let capacity = max(1, Self.columnBytesTogether / recordBytes / size) * size
    if let batch = spare?.take(capacity: capacity) { return batch }
    var batch = RecordBlock(
      columns: FeatureColumns(
        featureCount: featureCount, capacity: capacity, precision: precision))
    batch.reserve(likely)
    return batch
  }
}
