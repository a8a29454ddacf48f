import Records
import TestSupport

@testable import Codecs

/// The results of a decoder that reads a stream as the pipeline does.
///
/// A window holds the bytes that belong to no record so far. It grows by a chunk at a time.
struct FormatReading {
  /// The results that must not depend on the chunks.
  struct Outcome: Equatable {
    var opening: StreamOpening?
    var openingFault: RecordFault?
    var batches: [Batch] = []
    var rejections: [Rejection] = []
    var failure: Failure?
    var finishFault: RecordFault?
    var recordCount = 0
  }

  struct Batch: Equatable {
    /// The bits of each record's values.
    var rows: [[UInt64]]
    var text: [UInt8]
    var spans: [ValueSpan]
    var endByte: Int
    var endRecord: Int
  }

  struct Rejection: Equatable {
    var fault: RecordFault
    var record: Int
    var byteOffset: Int
    var bytes: [UInt8]
  }

  struct Failure: Equatable {
    var fault: RecordFault
    var record: Int
    var byteOffset: Int
  }

  /// A decoder that breaks its contract.
  enum Broken: Error {
    case neverOpens
    case makesNoProgress
    case leavesBytes(Int)
    case overfillsBatch
  }

  var outcome = Outcome()
  var batches: [RecordBlock] = []

  private let input: [UInt8]
  private let batchSize: Int
  private let columns: Precision
  private let nextChunk: () -> Int
  private var decoder: any RecordDecoder
  private var window: [UInt8] = []
  private var taken = 0
  private var isLast = false
  private var byteOffset = 0

  /// - Parameters:
  ///   - batchSize: the records of a full batch.
  ///   - nextChunk: gives the size of the next chunk, in bytes.
  init(
    _ format: RecordFormat, _ input: [UInt8], _ options: DecoderOptions = DecoderOptions(),
    batchSize: Int = 3, nextChunk: @escaping () -> Int
  ) throws {
    self.input = input
    self.batchSize = batchSize
    self.nextChunk = nextChunk
    columns = options.columns
    decoder = try format.makeDecoder(options)
    if try open() { try decode() }
  }

  init(
    _ format: RecordFormat, _ input: [UInt8], _ options: DecoderOptions = DecoderOptions(),
    batchSize: Int = 3, chunk: Int = .max
  ) throws {
    try self.init(format, input, options, batchSize: batchSize) { chunk }
  }

  init(csv input: String, batchSize: Int = 3, _ set: (inout DecoderOptions) -> Void = { _ in })
    throws
  {
    var options = DecoderOptions()
    set(&options)
    try self.init(.csv, Array(input.utf8), options, batchSize: batchSize)
  }

  /// Adds a chunk. A source tells that it has ended only when it is read again.
  private mutating func grow() {
    guard taken < input.count else {
      isLast = true
      return
    }
    let end = taken + min(max(1, nextChunk()), input.count - taken)
    window += input[taken..<end]
    taken = end
  }

  private mutating func open() throws -> Bool {
    while true {
      do {
        let opening = try window.withUnsafeBufferPointer { bytes throws(RecordFault) in
          try decoder.open(InputWindow(bytes: bytes, isLast: isLast))
        }
        if let opening {
          outcome.opening = opening
          byteOffset = decoder.byteCount(of: opening)
          window.removeFirst(byteOffset)
          return true
        }
      } catch {
        outcome.openingFault = error
        return false
      }
      if isLast { throw Broken.neverOpens }
      grow()
    }
  }

  private mutating func decode() throws {
    var batch = emptyBatch()
    while true {
      var progress = DecodeProgress()
      let decoded = window.withUnsafeBufferPointer { bytes in
        decoder.decode(
          InputWindow(bytes: bytes, isLast: isLast), into: &batch, limit: batchSize,
          progress: &progress)
      }
      outcome.recordCount += progress.records
      let consumed = window[..<progress.consumed]
      byteOffset += progress.consumed
      window.removeFirst(progress.consumed)
      if batch.columns.count > batchSize { throw Broken.overfillsBatch }
      switch decoded {
      case .limitReached:
        if batch.columns.count < batchSize { throw Broken.makesNoProgress }
        take(batch)
        batch = emptyBatch()
      case .unitEnded: continue
      case .rejected(let fault, let byteCount):
        // The bytes of a unit are consumed with its last record.
        let isWithinUnit = byteCount == 0 && progress.isInsideUnit
        guard isWithinUnit || 1...consumed.count ~= byteCount else { throw Broken.makesNoProgress }
        outcome.rejections.append(
          Rejection(
            fault: fault, record: outcome.recordCount, byteOffset: byteOffset - byteCount,
            bytes: Array(consumed.suffix(byteCount))))
      case .failed(let fault):
        outcome.failure = Failure(
          fault: fault, record: outcome.recordCount + 1, byteOffset: byteOffset)
        take(batch)
        return
      case .needsInput:
        guard isLast else {
          grow()
          continue
        }
        if !window.isEmpty { throw Broken.leavesBytes(window.count) }
        do throws(RecordFault) { try decoder.finish() } catch { outcome.finishFault = error }
        if batch.columns.count > 0 || !batch.text.isEmpty { take(batch) }
        return
      }
    }
  }

  private func emptyBatch() -> RecordBlock {
    RecordBlock(
      columns: FeatureColumns(
        featureCount: outcome.opening?.schema.count ?? 0, capacity: batchSize, precision: columns))
  }

  private mutating func take(_ batch: RecordBlock) {
    batches.append(batch)
    outcome.batches.append(
      Batch(
        rows: rows(of: batch).map { $0.map(\.bitPattern) }, text: batch.text, spans: batch.spans,
        endByte: byteOffset, endRecord: outcome.recordCount))
  }

  private func rows(of batch: RecordBlock) -> [[Double]] {
    let features = batch.columns
    return (0..<features.count).map { record in
      (0..<features.featureCount).map { features[record: record, feature: $0] }
    }
  }

  // MARK: Results

  var names: [String]? { outcome.opening?.schema.names }

  /// The values of each record; nil is missing.
  var rows: [[Double?]] {
    batches.flatMap { rows(of: $0) }.map { $0.map { $0.isNaN ? nil : $0 } }
  }

  var text: String { String(decoding: batches.flatMap(\.text), as: UTF8.self) }

  /// The text of each span.
  var spelled: [String] {
    batches.flatMap { batch in
      batch.spans.map {
        String(decoding: batch.text[Int($0.start)..<Int($0.end)], as: UTF8.self)
      }
    }
  }

  var faults: [String] { outcome.rejections.map(\.fault.description) }

  /// Which invariant the batches break, or nil.
  var unsoundness: String? {
    for batch in batches {
      let features = batch.columns
      var end = 0
      var cells = Set<UInt32>()
      for span in batch.spans {
        let (feature, record) = Int(span.cell).quotientAndRemainder(dividingBy: features.capacity)
        guard span.start >= end, span.end >= span.start, span.end <= batch.text.count else {
          return "\(span) after \(end) in \(batch.text.count) bytes of text"
        }
        guard feature < features.featureCount, record < features.count,
          cells.insert(span.cell).inserted
        else { return "\(span) names a wrong cell" }
        end = Int(span.end)
      }
      for record in 0..<features.count {
        for feature in 0..<features.featureCount
        where features[record: record, feature: feature].isInfinite {
          return "an infinity in record \(record)"
        }
      }
    }
    return nil
  }

  /// Changes each value and encodes the batches.
  func encoded(
    _ format: RecordFormat, _ options: EncoderOptions, _ change: (Double) -> Double = { $0 }
  ) throws -> [UInt8] {
    let encoder = try format.makeEncoder(options)
    let output = ByteBuffer()
    encoder.encodePrologue(into: output)
    for var batch in batches {
      switch batch.columns.precision {
      case .float32: batch.columns.withFloat32Columns { $0 = $0.map { Float(change(Double($0))) } }
      case .float64: batch.columns.withFloat64Columns { $0 = $0.map { change($0) } }
      }
      encoder.encode(batch, into: output)
    }
    return Array(output.readable)
  }

  /// The options of an encoder that writes the records as they were read.
  func encoderOptions(_ precision: Precision) throws -> EncoderOptions {
    var options = EncoderOptions(
      schema: try outcome.opening?.schema ?? FeatureSchema([]),
      prologue: outcome.opening?.prologue ?? [])
    options.columns = outcome.opening?.columns ?? []
    options.precision = precision
    return options
  }
}
