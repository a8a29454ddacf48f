internal import Codecs
internal import Connectors
internal import Records
internal import Synchronization

// Invariants:
// - `window` holds the decompressed bytes of which no record was taken; they start at `byteOffset`.
// - While there is a `resumption`, no record is taken.

/// One run of bytes of a source on its way to records: compressed and framed by itself.
struct IngestLane: Sendable {
  /// About as much is decompressed at once.
  private static let windowBytes = 256 << 10
  /// Taken with their buffer instead of being copied.
  private static let bytesWorthSwapping = 64 << 10
  /// What a record may be whatever its compressed bytes: zstd works in blocks of up to 128 KiB.
  private static let bytesFreeOfGrowth = 1 << 20

  private var decompressor: InputDecompressor
  private var decoder: any RecordDecoder
  private var compressed = ByteBuffer()
  private let window = ByteBuffer()
  private(set) var opening: StreamOpening?
  /// Whether it can go on only with more bytes.
  private(set) var needsBytes = true
  private var hasEnded = false
  private var windowIsLast = false
  /// The run, where a later source could give it again.
  let mark: String?
  /// The place up to which an earlier run had come, until that is reached.
  private var resumption: StreamPosition?
  /// Whether it goes on from such a place, with records before it.
  private let isResumed: Bool
  /// Records taken, bad ones included, and the bytes before the next one.
  private(set) var records = 0
  private(set) var byteOffset = 0
  private let maxGrowth: Int
  /// Since a record was last taken: the bytes that have come, and what they were decompressed from.
  private var grown = (from: 0, to: 0)

  init(
    _ options: DecoderOptions, format: RecordFormat, decompression: DecompressionOptions,
    mark: String?, resumption: StreamPosition?
  ) throws {
    self.mark = mark
    maxGrowth = decompression.maxGrowth
    self.resumption = resumption
    isResumed = resumption?.records ?? 0 > 0
    decoder = try format.makeDecoder(options)
    decompressor = try InputDecompressor(
      maxWindowLog: decompression.maxWindowLog, dictionary: decompression.dictionary)
  }

  /// Takes all the bytes that came; `needsBytes` was true.
  mutating func append(_ bytes: inout ByteBuffer) {
    // Many small runs at once must not hold a large buffer each.
    if compressed.count == 0, bytes.count >= Self.bytesWorthSwapping {
      swap(&compressed, &bytes)
    } else {
      compressed.append(bytes.readable)
    }
    bytes.removeAll()
    needsBytes = false
  }

  /// Says that no bytes follow.
  ///
  /// - Parameter mayBeTorn: whether what follows the last line end, or is no whole frame, is a record
  ///   that was cut off; it is dropped then.
  /// - Returns: the number of bytes dropped.
  mutating func end(mayBeTorn: Bool) -> Int {
    hasEnded = true
    needsBytes = false
    guard mayBeTorn, !decompressor.endsWithFrame else { return 0 }
    isTorn = true
    return window.count + compressed.count
  }

  /// Whether the rest of the run is dropped.
  private(set) var isTorn = false

  /// Whether all is taken.
  var isDone: Bool {
    isTorn || windowIsLast && window.count == 0 && opening != nil && resumption == nil
  }

  /// Decompresses a piece; `needsBytes` says whether there was anything to decompress.
  mutating func fill() throws(ZstdError) {
    let before = window.count
    let consumed = try decompressor.decompress(
      UnsafeRawBufferPointer(compressed.readable), isLast: hasEnded, limit: Self.windowBytes,
      into: window)
    compressed.consume(consumed)
    grown.from += consumed
    grown.to += window.count - before
    guard !decompressor.mayHoldMore, compressed.count == 0 || consumed == 0 else { return }
    if hasEnded {
      try decompressor.finish()
      windowIsLast = true
    } else {
      // What has just come is looked at before more is asked for.
      needsBytes = window.count == before
    }
  }

  /// What is wrong with the record under way where it is a decompression bomb.
  var growthFault: RecordFault? {
    guard grown.to > Self.bytesFreeOfGrowth, grown.to / maxGrowth > grown.from else { return nil }
    return RecordFault(
      expected: "a record of at most \(maxGrowth) times its compressed bytes",
      found: "\(grown.to) bytes from \(grown.from)")
  }

  /// Looks at the start of the run; nil while it cannot see enough of it.
  mutating func open() throws(RecordFault) -> StreamOpening? {
    guard let found = try decoder.open(InputWindow(bytes: window.readable, isLast: windowIsLast))
    else { return nil }
    opening = found
    window.consume(found.prologue.count)
    byteOffset = found.prologue.count
    return found
  }

  /// Takes records into `block` up to `limit` of them.
  ///
  /// - Returns: why the decoder stopped, the bytes of the record that it rejected, and whether the last
  ///   record was one of a unit that goes on.
  mutating func decode(
    into block: inout RecordBlock, limit: Int
  ) -> (outcome: DecodeOutcome, rejected: [UInt8], isInsideUnit: Bool) {
    var progress = DecodeProgress()
    let view = InputWindow(bytes: window.readable, isLast: windowIsLast)
    let outcome = decoder.decode(view, into: &block, limit: limit, progress: &progress)
    var rejected: [UInt8] = []
    if case .rejected(_, let byteCount) = outcome {
      rejected = Array(view.bytes[progress.consumed - byteCount..<progress.consumed])
    }
    records += progress.records
    byteOffset += progress.consumed
    window.consume(progress.consumed)
    if progress.records > 0 { grown = (0, 0) }
    return (outcome, rejected, progress.isInsideUnit)
  }

  // MARK: Going on where an earlier run had come

  /// Whether what an earlier run had taken is still to be passed over.
  var isResuming: Bool { resumption != nil }

  /// Passes over what an earlier run had taken: seeks what is neither at hand nor ahead, and drops what
  /// precedes the place that it had come to, as far as that is at hand.
  ///
  /// - Throws: where the place is not in the input any more.
  mutating func resume(
    _ run: Int, of source: inout any ByteSource, stream: String, _ metrics: StreamMetrics
  ) throws(StreamError) {
    guard let place = resumption else { return }
    if !hasEnded, let offset = decompressor.offset(toSeek: place) {
      let isThere: Bool
      do {
        isThere = try source.seek(run: run, to: offset)
      } catch {
        throw .inputOutput(error)
      }
      guard isThere else {
        throw .inputChanged(
          stream: stream, "expected byte \(offset) of the input, found the end before it")
      }
      let offsetBefore = decompressor.inputOffset + compressed.count
      metrics.soughtByteCount.add(offset - offsetBefore, ordering: .relaxed)
      byteOffset = decompressor.seek(to: place)
      compressed.removeAll()
      window.removeAll()
      needsBytes = true
    }
    do {
      try skip(to: place)
    } catch {
      throw .inputChanged(stream: stream, "\(error)")
    }
  }

  private mutating func skip(to place: StreamPosition) throws(RecordFault) {
    let count = max(0, min(window.count, place.byteOffset - byteOffset))
    window.consume(count)
    byteOffset += count
    grown = (0, 0)
    guard byteOffset >= place.byteOffset else {
      guard windowIsLast else { return }
      throw RecordFault(
        expected: "byte \(place.byteOffset) of the stream", found: "the end at byte \(byteOffset)")
    }
    try decompressor.check(place)
    records = place.records
    resumption = nil
  }

  /// Checks that need all of the run, where all of it was decoded.
  func finish() throws(RecordFault) {
    if !isResumed { try decoder.finish() }
  }

  /// The place behind the last record taken.
  mutating func position() -> StreamPosition {
    var position = decompressor.position(atByte: byteOffset, records: records)
    position.run = mark
    return position
  }
}
