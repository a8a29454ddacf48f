internal import Codecs
internal import Connectors
internal import Operators
internal import Records
internal import Storage

// Invariants:
// - `bytes` begins with the line at `cursor`; a line that was taken is not in it.
// - `next` is the first line of `bytes`, decoded, if it is there.
// - A split is finished after its last line was taken.

/// The gradients of γ and β that a file or a FIFO brings, line by line.
///
/// IngestStage takes the lines between two batches, so that a checkpoint has the position in the file that belongs to
/// its γ and β.
struct GradientFeed: Sendable {
  /// The most bytes of a line.
  static let mostLineBytes = 1 << 20
  /// About the most lines and bytes that are taken between two batches. The rest come after the next batch.
  static let mostLines = 256
  static let mostBytes = 4 << 20
  /// The time between two looks at the file while the stream has no records, in seconds.
  static let pauseSeconds = 0.05
  /// The same after a look that found a line. A full pipe makes a trainer wait, and holds about a hundred lines.
  static let shortPauseSeconds = 0.001
  /// The time of a turn in which an idle stream takes lines that name no batch, in seconds. Then it looks for records.
  static let turnSeconds = 100e-6

  private static let readBytes = 64 << 10
  private static let lineEnd = UInt8(ascii: "\n")

  /// A line, or the reason why it is none.
  struct Line: Sendable {
    /// From 1 in its file.
    var number: Int
    var byteCount: Int
    var content: Result<GradientLine, UpdateBodyError>

    /// The least number of batches that must be cut before.
    fileprivate var afterBatch: Int { (try? content.get())?.afterBatch ?? 0 }
    /// Whether the line says when it applies.
    var namesBatch: Bool { (try? content.get())?.afterBatch != nil }
  }

  let name: String
  /// The batches that the stream has cut.
  private(set) var batches: Int
  private var source: any Source
  /// Called with parts of the source that are lost.
  var warn: @Sendable (String) -> Void = { _ in }
  private let bytes = ByteBuffer(capacity: readBytes)
  private var split: SplitID?
  private var hasBegun = false
  private var hasEnded = false
  /// The bytes of `bytes` in which there is no end of a line.
  private var searched = 0
  /// Whether a line is too long, so that its rest is dropped.
  private var isSkipping = false
  private var cursor: SplitCursor
  private var next: Line?

  /// - Parameters:
  ///   - source: a source of lines, opened at the position of an earlier run if there was one.
  ///   - batches: the batches that the stream has cut in earlier runs.
  init(_ source: any Source, batches: Int = 0) {
    self.source = source
    self.batches = batches
    name = source.name
    cursor = SplitCursor(split: source.name)
  }

  /// Counts a batch that was cut.
  mutating func batchCut() { batches += 1 }

  /// The position after the last line that was taken.
  func position() throws(FileError) -> GradientCursor {
    var input = InputCursor(done: source.done)
    if let split {
      var cursor = cursor
      cursor.source = try source.mark(of: split, at: cursor.byteOffset)
      input.splits = [cursor]
    } else if !hasBegun {
      for split in source.openSplits {
        let start = source.start(of: split)
        var cursor = SplitCursor(
          split: start.name, byteOffset: start.byteOffset, records: start.records)
        cursor.source = try source.mark(of: split, at: cursor.byteOffset)
        input.splits.append(cursor)
      }
    }
    return GradientCursor(batches: batches, input: input)
  }

  /// Takes the next line; nil if none is there, or if it is that of a later batch.
  mutating func take() throws(FileError) -> Line? {
    while next == nil {
      guard let end = lineEnd() else {
        guard try read() else { return nil }
        continue
      }
      if !isSkipping, isBlank(end) { pass(end + 1) } else { next = line(endingAt: end) }
    }
    guard let line = next, line.afterBatch <= batches else { return nil }
    next = nil
    pass(line.byteCount)
    return line
  }

  /// Moves to the next line.
  private mutating func pass(_ byteCount: Int) {
    bytes.consume(byteCount)
    searched = 0
    cursor.byteOffset += byteCount
    cursor.records += 1
  }

  // MARK: Lines

  /// The number of bytes before the end of the first line; nil if the end is not there.
  private mutating func lineEnd() -> Int? {
    let end = bytes.readable[searched...].firstIndex(of: Self.lineEnd)
    searched = end ?? bytes.count
    return end
  }

  private func isBlank(_ end: Int) -> Bool {
    bytes.readable[..<end].allSatisfy { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\r") }
  }

  private mutating func line(endingAt end: Int) -> Line {
    let content: Result<GradientLine, UpdateBodyError>
    if isSkipping || end > Self.mostLineBytes {
      content = .failure(
        UpdateBodyError("expected at most \(Self.mostLineBytes) bytes, found more"))
    } else {
      do throws(UpdateBodyError) {
        content = .success(try decodedObject(GradientLine.self, Array(bytes.readable[..<end])))
      } catch {
        content = .failure(error)
      }
    }
    isSkipping = false
    return Line(number: cursor.records + 1, byteCount: end + 1, content: content)
  }

  // MARK: Bytes

  /// Reads more bytes. Returns whether to look for a line again.
  private mutating func read() throws(FileError) -> Bool {
    if bytes.count > Self.mostLineBytes {
      isSkipping = true
      cursor.byteOffset += bytes.count
      bytes.removeAll()
      searched = 0
    }
    if hasEnded, bytes.count == 0, let split {
      try source.finish(split)
      (self.split, hasEnded) = (nil, false)
    }
    switch try source.read(into: bytes.room(exactly: Self.readBytes)) {
    case .data(let split, let chunk):
      if split != self.split { begin(split) }
      bytes.advance(chunk.byteCount)
    case .ended(let split):
      guard split == self.split else { break }
      hasEnded = true
      // The beginning of a line whose writer is gone.
      bytes.removeAll()
      (searched, isSkipping) = (0, false)
    case .gap(let loss): warn("gradients: \(loss)")
    case .idle: return false
    case .end:
      // The last line of a file may have no end.
      guard bytes.count > 0 else { return false }
      bytes.append(Self.lineEnd)
    }
    return true
  }

  private mutating func begin(_ split: SplitID) {
    let start = source.start(of: split)
    self.split = split
    (hasBegun, hasEnded) = (true, false)
    cursor = SplitCursor(
      split: start.name, byteOffset: start.byteOffset, records: start.records)
  }
}

extension GradientFeed {
  /// Opens the gradients that the settings of a stream name.
  ///
  /// - Parameters:
  ///   - path: of a file, which may come later, or of a FIFO.
  ///   - cursor: the position of an earlier run.
  init(
    _ path: String, at cursor: GradientCursor?, in connector: ConnectorContext
  ) throws(FileError) {
    // Its statistics are none of the stream's own source.
    let connector = ConnectorContext(fileSystem: connector.fileSystem, clock: connector.clock)
    let isFIFO = (try? connector.fileSystem.status(of: path).kind) == .fifo
    let source: any Source =
      if isFIFO {
        try FIFOSource(path, create: false)
      } else {
        try FollowSource(
          path, start: .beginning, in: SourceContext(connector, cursor: cursor?.input))
      }
    self.init(source, batches: cursor?.batches ?? 0)
  }

  /// The file on the disk that a read may wait for; nil for a FIFO.
  var pathOnDisk: String? { source.pathOnDisk }
  /// The part of the file after the cursor that cannot be read again, in words; nil if there is none.
  var gap: String? { source.gap }
}
