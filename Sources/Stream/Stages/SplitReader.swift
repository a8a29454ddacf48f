internal import Codecs
internal import Connectors
internal import Records
internal import Storage

// Invariants:
// - `window` contains the decompressed bytes of which no record was taken. They start at `byteOffset`, less the
//   `bytesToSkip` before the cursor.
// - While there are `bytesToSkip`, no record is taken.
// - No record goes on after the first of `boundaries`, which are in ascending order.

/// Reads one split: decompresses its bytes into a window, and lets the decoder take records from it.
struct SplitReader: Sendable {
  /// The approximate number of bytes that are decompressed at once.
  private static let windowBytes = 256 << 10
  /// From this size on, bytes are taken with their buffer and not copied.
  private static let bytesWorthSwapping = 64 << 10
  /// The size that every record may have, however few its compressed bytes are: zstd has blocks of up to 128 KiB.
  private static let bytesFreeOfGrowth = 1 << 20

  /// How much is known about the split's end.
  private enum End {
    /// More bytes may come.
    case ahead
    /// No more bytes come, but some must still be decompressed.
    case seen
    /// The window contains the last bytes.
    case windowed
    /// The split was cut off in the middle of a record, so the rest is dropped.
    case torn
  }

  let split: SplitID
  let name: String
  /// The name in messages; empty if the split is the only one.
  let shownName: String
  var decompressor: InputDecompressor
  var decoder: any RecordDecoder
  /// The format of the records, by which files of another kind are told.
  let form: (name: String, isText: Bool)
  /// The place of the header in the split, as its decoder was told.
  let header: HeaderPlace
  private(set) var compressed = ByteBuffer()
  let window = ByteBuffer()
  private var bytesToSkip: Int
  /// The byte offsets at which a record ends, whatever its bytes are. Only of bytes that are not compressed.
  var boundaries: [Int] = []
  /// The frame of the cursor; nil if the frames are different now.
  private let frame: ContainerOffset?
  /// Bytes that the decoder sees before those of the split.
  private let prologue: [UInt8]
  private var end = End.ahead
  /// Whether its decoder knows the opening of the stream.
  private(set) var knowsStream: Bool
  /// The prologue that the decoder found at the start of the split; nil before.
  private(set) var ownPrologue: [UInt8]?
  /// Whether it needs more bytes to continue.
  private(set) var needsBytes = true
  /// Whether it ended while it was looking ahead: its whole records are taken before the rest is dropped.
  private(set) var isCutOff = false
  /// Whether the bytes that are here are known to be too few to open the split by.
  private var isTooShort = false
  /// The number of records taken.
  var records: Int
  var byteOffset: Int
  /// The position after the last record whose batch was cut.
  var settled: StreamPosition
  /// Whether the reader resumes within the split, so that the decoder does not see all of it.
  private let isResumed: Bool
  /// Whether nobody looks for another kind of file in the first bytes.
  private let isPlain: Bool
  /// The data of the decoder after the last record whose batch was cut.
  var settledState: OpaqueBytes
  /// The file of the split, if other places in it can be read.
  private let file: (any File)?
  private let maxGrowth: Int
  /// Whether a last line without an end gets one, because the lines of another file follow.
  private let endsLastLine: Bool
  /// The part of the next record of a unit that was not taken whole; nil between two units.
  var nextPart: Int?
  /// The message of the last record that was rejected; nil if the stream does not keep messages.
  var rejectedOrigin: MessageOrigin?
  /// The compressed and decompressed bytes since the last record was taken.
  var grown = (from: 0, to: 0)

  /// - Parameters:
  ///   - shownName: its name in messages; empty if the split is the only one.
  ///   - prologue: bytes that the decoder sees before those of the split.
  init(
    _ split: SplitID, at start: SplitStart, shownName: String, decoder: any RecordDecoder,
    of format: RecordFormat, header: HeaderPlace = .expected, file: (any File)? = nil,
    knowsStream: Bool = false,
    endsLastLine: Bool = false, decompression: DecompressionOptions, prologue: [UInt8] = []
  ) {
    self.split = split
    name = start.name
    self.shownName = shownName
    self.decoder = decoder
    form = (format.name, format.isText)
    self.header = header
    self.knowsStream = knowsStream
    maxGrowth = decompression.maxGrowth
    self.endsLastLine = endsLastLine
    decompressor = InputDecompressor(
      decompression.codec, at: start.container, byteOffset: start.byteOffset,
      isPlain: start.isPlain)
    isPlain = start.isPlain
    bytesToSkip = start.container?.bytesWithin ?? 0
    frame = start.isReframed ? nil : start.container
    records = start.records
    byteOffset = start.byteOffset
    isResumed = start.records > 0
    settledState = start.decoder
    self.file = file
    self.prologue = prologue
    byteOffset -= prologue.count
    if bytesToSkip == 0 { window.append(prologue) }
    settled = decompressor.position(atByte: start.byteOffset, records: start.records)
  }

  // MARK: Bytes

  /// Takes all the bytes. `needsBytes` must be true.
  mutating func append(_ bytes: inout ByteBuffer) {
    // Many small splits at once must not have a large buffer each.
    if compressed.count == 0, bytes.count >= Self.bytesWorthSwapping {
      swap(&compressed, &bytes)
    } else {
      compressed.append(bytes.readable)
    }
    bytes.removeAll()
    needsBytes = false
    isTooShort = false
  }

  /// Records that no more bytes follow.
  ///
  /// - Parameter mayBeTorn: whether what follows the last line end, or is no whole frame, is a record
  ///   that was cut off; it is dropped then.
  /// - Returns: the bytes dropped, as far as they are decompressed; nil if there are none.
  mutating func end(mayBeTorn: Bool) -> [UInt8]? {
    isCutOff = false
    end = .seen
    needsBytes = false
    guard mayBeTorn, !decompressor.endsWithFrame else { return nil }
    end = .torn
    guard window.count + compressed.count > 0 else { return nil }
    return Array(window.readable) + (decompressor.isCompressed ? [] : Array(compressed.readable))
  }

  /// Whether the decoder has seen enough of the split to take records.
  var isOpen: Bool { ownPrologue != nil }

  /// Whether no more bytes come after those of the window.
  var hasAllBytes: Bool { end == .windowed }

  /// Whether the rest of the split is dropped.
  var isTorn: Bool { end == .torn }

  /// Whether all records are taken.
  var isDone: Bool {
    switch end {
    case .torn: true
    case .windowed: window.count == 0 && isOpen && bytesToSkip == 0
    case .ahead, .seen: false
    }
  }

  /// Decompresses a piece. `needsBytes` tells whether there was anything to decompress.
  mutating func fill() throws(InputFault) {
    let (before, skipped) = (window.count, bytesToSkip)
    do throws(CompressionError) {
      let consumed = try decompressor.decompress(
        UnsafeRawBufferPointer(compressed.readable), isLast: end != .ahead,
        limit: Self.windowBytes, into: window)
      compressed.consume(consumed)
      grown.from += consumed
      grown.to += window.count - before
      skip()
      guard !decompressor.mayHoldMore, compressed.count == 0 || consumed == 0 else { return }
      if end == .ahead {
        // The decoder looks at the new bytes before more are requested.
        needsBytes = window.count == before
      } else {
        try decompressor.finish()
        end = .windowed
        if endsLastLine, let last = window.readable.last, last != 0x0A { window.append(0x0A) }
      }
    } catch {
      throw .container(split: shownName, error)
    }
    guard end != .windowed || bytesToSkip == 0 else {
      throw .shorter(
        split: shownName, expected: settled.byteOffset, found: settled.byteOffset - bytesToSkip)
    }
    if skipped > 0, bytesToSkip == 0 { try checkFrame() }
  }

  /// Checks that the skipped bytes belong to one frame, as when the cursor was taken.
  private mutating func checkFrame() throws(InputFault) {
    guard let frame else { return }
    let found = decompressor.position(atByte: settled.byteOffset, records: 0)
    // Between two frames, the cursor may be the end of the first or the start of the second.
    guard found.frameOffset != frame.offset, found.byteOffsetInFrame > 0 else { return }
    throw .shorterFrame(split: shownName, expected: frame.bytesWithin)
  }

  /// Drops the available bytes before the cursor.
  private mutating func skip() {
    guard bytesToSkip > 0 else { return }
    let count = min(window.count, bytesToSkip)
    window.consume(count)
    bytesToSkip -= count
    grown = (0, 0)
    guard bytesToSkip == 0, !prologue.isEmpty else { return }
    let rest = Array(window.readable)
    window.removeAll()
    window.append(prologue + rest)
  }

  /// The fault of the current record, if it is a decompression bomb.
  var growthFault: RecordFault? {
    let free = Self.bytesFreeOfGrowth + (isOpen ? 0 : LookAhead.mostBytes)
    guard grown.to > free, grown.to / maxGrowth > grown.from else { return nil }
    return RecordFault(
      expected: "a record of at most \(maxGrowth) times its compressed bytes",
      found: "\(grown.to) bytes from \(grown.from)")
  }

  // MARK: Records

  /// The place at which a decoder begins that replaces the first one before the split is opened.
  var decoderStart: DecoderStart {
    DecoderStart(state: settledState, byteOffset: settled.byteOffset, file: file)
  }

  /// Whether bytes wait for more, without which the split is not opened.
  var isLookingAhead: Bool {
    !isOpen && needsBytes && window.count > 0 && bytesToSkip == 0 && !isTooShort
  }

  /// Has a split that is looking ahead be opened by what it has.
  ///
  /// - Parameter isCutOff: whether no more bytes come.
  mutating func stopLookingAhead(isCutOff: Bool = false) {
    self.isCutOff = isCutOff
    needsBytes = false
  }

  /// Reads the start of the split by another decoder, which knows the opening of the stream.
  mutating func start(with decoder: any RecordDecoder) {
    self.decoder = decoder
    knowsStream = true
  }

  /// Looks at the start of the split; nil while it cannot see enough of it.
  ///
  /// - Parameters:
  ///   - isEnough: whether the records that are here must do.
  ///   - mayWait: whether a split without a record may wait for another one, which tells the features.
  mutating func open(isEnough: Bool, mayWait: Bool) throws(RecordFault) -> StreamOpening? {
    do throws(RecordFault) {
      return try open(isEnough: isEnough)
    } catch {
      guard mayWait, error.lacksRecords else { throw error }
      needsBytes = true
      return nil
    }
  }

  private mutating func open(isEnough: Bool) throws(RecordFault) -> StreamOpening? {
    guard bytesToSkip == 0 else { return nil }
    if !isResumed, !isPlain, prologue.isEmpty {
      let start = Array(window.readable.prefix(ForeignInput.mostBytes))
      if end != .windowed, ForeignInput.isUndecided(start, isText: form.isText) { return nil }
      if let fault = ForeignInput.fault(in: start, for: form.name, isText: form.isText) {
        throw fault
      }
    }
    let seen = InputWindow(bytes: window.readable, isLast: end == .windowed, isEnough: isEnough)
    guard let found = try decoder.open(seen) else {
      isTooShort = isEnough
      return nil
    }
    ownPrologue = found.prologue
    knowsStream = true
    let byteCount = decoder.byteCount(of: found)
    window.consume(byteCount)
    byteOffset += byteCount
    return found
  }

  /// Puts the cursor before the last record taken, which has this number of bytes. No record may follow.
  mutating func untake(byteCount: Int) {
    records -= 1
    byteOffset -= byteCount
  }

  /// Runs the checks that need the whole split, if all of it was decoded.
  func finish() throws(RecordFault) {
    if !isResumed { try decoder.finish() }
  }
}
