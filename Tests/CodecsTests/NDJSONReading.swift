import Records
import TestSupport

@testable import Codecs

/// Everything that comes of reading a stream of NDJSON, cut into windows and batches.
struct NDJSONReading: Equatable {
  struct Batch: Equatable {
    /// The values of each record; nil is missing.
    var rows: [[Double?]] = []
    var text = ""
    /// The text of each span, in order.
    var spelled: [String] = []
    /// The record and feature of each span.
    var cells: [[Int]] = []
  }

  struct Rejection: Equatable {
    var fault: RecordFault
    var text: String
  }

  var names: [String] = []
  var prologue: [UInt8] = []
  var batches: [Batch] = []
  var rejections: [Rejection] = []
  var failure: RecordFault?
  var recordCount = 0

  var rows: [[Double?]] { batches.flatMap(\.rows) }
  var text: String { batches.map(\.text).joined() }
  var spelled: [String] { batches.flatMap(\.spelled) }

  /// Reads `input` as a source would give it: `chunk` bytes more each time.
  init(
    _ input: [UInt8], _ options: DecoderOptions = DecoderOptions(), batchSize: Int = 3,
    chunk: Int = .max
  ) throws {
    var decoder = try RecordFormat.ndjson.makeDecoder(options)
    var window: [UInt8] = []
    var taken = 0
    func isLast() -> Bool { taken == input.count }
    func grow() {
      let end = min(input.count, taken + min(chunk, input.count))
      window += input[taken..<end]
      taken = end
    }
    var opening: StreamOpening?
    while true {
      opening = try window.withUnsafeBufferPointer { bytes in
        try decoder.open(InputWindow(bytes: bytes, isLast: isLast()))
      }
      if opening != nil || isLast() { break }
      grow()
    }
    guard let opening else { throw UnopenedStream() }
    names = opening.schema.names
    prologue = opening.prologue
    window.removeFirst(prologue.count)
    var batch = Self.empty(names.count, batchSize)
    while true {
      var progress = DecodeProgress()
      let outcome = window.withUnsafeBufferPointer { bytes in
        decoder.decode(
          InputWindow(bytes: bytes, isLast: isLast()), into: &batch, limit: batchSize,
          progress: &progress)
      }
      recordCount += progress.records
      let consumed = window[..<progress.consumed]
      window.removeFirst(progress.consumed)
      switch outcome {
      case .limitReached:
        batches.append(Self.batch(batch))
        batch = Self.empty(names.count, batchSize)
      case .unitEnded: continue
      case .rejected(let fault, let byteCount):
        let text = String(decoding: consumed.suffix(byteCount), as: UTF8.self)
        rejections.append(Rejection(fault: fault, text: text))
      case .failed(let fault):
        failure = fault
        batches.append(Self.batch(batch))
        return
      case .needsInput:
        guard isLast() else {
          grow()
          continue
        }
        if !window.isEmpty { throw UnreadBytes() }
        try decoder.finish()
        if batch.columns.count > 0 || !batch.text.isEmpty { batches.append(Self.batch(batch)) }
        return
      }
    }
  }

  init(
    _ input: String, _ options: DecoderOptions = DecoderOptions(), batchSize: Int = 3,
    chunk: Int = .max
  ) throws {
    try self.init(Array(input.utf8), options, batchSize: batchSize, chunk: chunk)
  }

  struct UnopenedStream: Error {}
  struct UnreadBytes: Error {}

  private static func empty(_ featureCount: Int, _ capacity: Int) -> RecordBlock {
    RecordBlock(
      columns: FeatureColumns(
        featureCount: featureCount, capacity: capacity, precision: .float64))
  }

  private static func batch(_ batch: RecordBlock) -> Batch {
    var result = Batch()
    let features = batch.columns
    for record in 0..<features.count {
      result.rows.append(
        (0..<features.featureCount).map { feature in
          let value = features[record: record, feature: feature]
          return value.isNaN ? nil : value
        })
    }
    result.text = String(decoding: batch.text, as: UTF8.self)
    var end = 0
    for span in batch.spans {
      // The invariants of RecordBlock; a test that breaks them shows it in the text.
      guard span.start >= end, span.end > span.start, span.end <= batch.text.count else {
        result.spelled.append("broken span \(span)")
        return result
      }
      end = Int(span.end)
      result.spelled.append(
        String(decoding: batch.text[Int(span.start)..<Int(span.end)], as: UTF8.self))
      result.cells.append([
        Int(span.cell) % features.capacity, Int(span.cell) / features.capacity,
      ])
    }
    return result
  }
}

/// Options that take the features of these patterns.
func ndjsonOptions(
  _ patterns: String..., onMissing: MissingPolicy = .keep, onInvalid: InvalidPolicy = .reject
) -> DecoderOptions {
  var options = DecoderOptions()
  options.features = patterns.map { FeaturePattern($0) }
  options.onMissing = onMissing
  options.onInvalid = onInvalid
  return options
}
