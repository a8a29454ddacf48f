internal import Codecs
internal import Connectors
internal import Dataflow
internal import Features
internal import Storage
internal import Synchronization

// Invariants:
// - `window` holds the decompressed bytes of which no record was taken; they start at `byteOffset`.
// - Batches are cut by the number of records alone, never by how the bytes came.

/// Reads a source, decompresses it, cuts it into records and these into mini-batches.
struct IngestStage: Stage {
  /// About as much is decompressed at once.
  private static let windowBytes = 256 << 10
  private static let readBytes = 128 << 10
  /// The most records, and about the most bytes of them, that are left out before that is told.
  private static let mostRejected = 64
  private static let mostRejectedBytes = 256 << 10

  private let configuration: StreamConfiguration
  private let metrics: StreamMetrics
  /// The width of the columns: 4-byte floats that stay so are never widened.
  private let columns: Precision
  private var source: any ByteSource
  private var decompressor: InputDecompressor
  private var decoder: any RecordDecoder
  private let compressed = ByteBuffer(capacity: readBytes)
  private let window = ByteBuffer(capacity: windowBytes)
  private var needsBytes = true
  private var isStopping = false
  private var sourceHasEnded = false
  private var windowIsLast = false
  private var opening: StreamOpening?
  private var batch: RecordBatch?
  private var rejected: [RejectedRecord] = []
  private var rejectedBytes = 0
  private var records = 0
  private var byteOffset = 0

  init(
    _ configuration: StreamConfiguration, source: any ByteSource, metrics: StreamMetrics
  ) throws(StreamError) {
    self.configuration = configuration
    self.source = source
    self.metrics = metrics
    var options = configuration.decoder
    options.keepsText = configuration.keepsFormat
    let isRawFloat = configuration.format == RecordFormat.raw.name && options.rawScalar == .float32
    options.columns =
      isRawFloat && configuration.precision == .float32 ? .float32 : .float64
    columns = options.columns
    do {
      guard let format = BuiltInFormats.named(configuration.format) else {
        throw FormatError("unknown format '\(configuration.format)'")
      }
      decoder = try format.makeDecoder(options)
      decompressor = try InputDecompressor(
        maxWindowLog: configuration.decompression.maxWindowLog,
        dictionary: configuration.decompression.dictionary)
    } catch {
      throw .configuration("\(error)")
    }
  }

  mutating func step(
    _ signal: Signal<Nothing>, emit: (consuming IngestedItem) -> Void
  ) throws -> Progress {
    if case .end = signal { isStopping = true }
    guard opening != nil else {
      if try open(), let opening {
        emit(.opened(opening))
        return .again
      }
      return try fill() ?? .again
    }
    switch try decode() {
    case .batchIsFull:
      emitBatch(emit)
      return .again
    case .rejected:
      // A run of bad records must not pile up while the batch waits for good ones.
      if rejected.count >= Self.mostRejected || rejectedBytes >= Self.mostRejectedBytes {
        emitRejected(emit)
      }
      return .again
    case .failed(let fault):
      throw StreamError.badRecord(
        stream: configuration.name, record: records + 1, byteOffset: byteOffset, fault: "\(fault)")
    case .needsInput:
      guard windowIsLast else {
        let progress = try fill() ?? .again
        if progress == .finished { emitEnd(emit) }
        return progress
      }
      do throws(RecordFault) {
        try decoder.finish()
      } catch {
        throw StreamError.badInput(stream: configuration.name, "\(error)")
      }
      emitEnd(emit)
      return .finished
    }
  }

  // MARK: Bytes

  /// Reads, where there is nothing left to decompress, and decompresses; returns what to wait for
  /// if there was nothing to read, or that it has finished if nothing more is to be read.
  private mutating func fill() throws(StreamError) -> Progress? {
    do {
      if needsBytes, !sourceHasEnded {
        // What is left of a record that was cut off is no record.
        if isStopping { return .finished }
        switch try source.read(into: compressed.room(Self.readBytes)) {
        case .bytes(let count):
          compressed.advance(count)
          metrics.inputByteCount.add(count, ordering: .relaxed)
        case .waits(let descriptor): return .waits(.readable(descriptor: descriptor))
        case .end: sourceHasEnded = true
        }
      }
      let consumed = try decompressor.decompress(
        UnsafeRawBufferPointer(compressed.readable), isLast: sourceHasEnded,
        limit: Self.windowBytes, into: window)
      compressed.consume(consumed)
      needsBytes = !decompressor.mayHoldMore && (compressed.count == 0 || consumed == 0)
      if needsBytes, sourceHasEnded {
        try decompressor.finish()
        windowIsLast = true
      }
      return nil
    } catch let error as FileError {
      throw .inputOutput(error)
    } catch {
      throw .badInput(stream: configuration.name, "\(error)")
    }
  }

  // MARK: Records

  /// Looks at the start of the stream; returns whether it could see enough of it.
  private mutating func open() throws(StreamError) -> Bool {
    let view = InputWindow(bytes: window.readable, isLast: windowIsLast)
    do {
      guard let found = try decoder.open(view) else { return false }
      opening = found
      let cells = found.schema.count.multipliedReportingOverflow(by: configuration.batch.size)
      guard !cells.overflow,
        cells.partialValue <= configuration.batch.maxBytes / columns.byteCount
      else { throw batchTooLarge }
      window.consume(found.prologue.count)
      byteOffset = found.prologue.count
      return true
    } catch let error as StreamError {
      throw error
    } catch {
      throw .badInput(stream: configuration.name, "\(error)")
    }
  }

  private mutating func decode() throws(StreamError) -> DecodeOutcome {
    var current =
      batch.take()
      ?? RecordBatch(
        features: FeatureBatch(
          featureCount: opening?.schema.count ?? 0, capacity: configuration.batch.size,
          precision: columns))
    var progress = DecodeProgress()
    let view = InputWindow(bytes: window.readable, isLast: windowIsLast)
    let outcome = decoder.decode(
      view, into: &current, limit: configuration.batch.size, progress: &progress)
    records += progress.records
    byteOffset += progress.consumed
    if case .rejected(let fault, let byteCount) = outcome {
      let bytes = view.bytes[progress.consumed - byteCount..<progress.consumed]
      try reject(fault, bytes)
    }
    window.consume(progress.consumed)
    guard current.byteCount <= configuration.batch.maxBytes else { throw batchTooLarge }
    batch = current
    return outcome
  }

  private mutating func reject(
    _ fault: RecordFault, _ bytes: Slice<UnsafeBufferPointer<UInt8>>
  ) throws(StreamError) {
    let offset = byteOffset - bytes.count
    guard configuration.badRecords != .fail else {
      throw .badRecord(
        stream: configuration.name, record: records, byteOffset: offset, fault: "\(fault)")
    }
    let keptBytes = configuration.badRecords == .deadLetter ? Array(bytes) : []
    rejectedBytes += keptBytes.count
    rejected.append(
      RejectedRecord(record: records, byteOffset: offset, fault: fault, bytes: keptBytes))
  }

  /// Emits what was read so far: the batch, full or not, and the records left out of it.
  private mutating func emitBatch(_ emit: (consuming IngestedItem) -> Void) {
    emitRejected(emit)
    guard var full = batch.take(), full.features.count > 0 || !full.text.isEmpty else { return }
    full.end = decompressor.position(atByte: byteOffset, records: records)
    emit(.batch(full))
  }

  /// Emits what is left and the place reached, bad records at the end included. Only then is it sure
  /// whether a frame ended there, which a batch that was full just before could not see.
  private mutating func emitEnd(_ emit: (consuming IngestedItem) -> Void) {
    emitBatch(emit)
    emit(.ended(decompressor.position(atByte: byteOffset, records: records)))
  }

  private mutating func emitRejected(_ emit: (consuming IngestedItem) -> Void) {
    guard !rejected.isEmpty else { return }
    emit(.rejected(rejected))
    rejected = []
    rejectedBytes = 0
  }

  private var batchTooLarge: StreamError {
    .configuration(
      "\(configuration.name): expected a batch of at most \(configuration.batch.maxBytes) bytes, "
        + "found a larger one: lower the batch size (\(configuration.batch.size) records)")
  }
}
