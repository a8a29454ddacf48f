internal import Records

// Invariant: `offset` is that of the next byte that the decoder consumes. The batches from `next` on begin there or
// later.

/// The record batches of an Arrow file in the order of their offsets, as its footer lists them.
///
/// A file is never read as a stream: writers may leave the schema unframed or the end mark out, or write dictionaries
/// after the batches. A hostile file may have other messages between those that its footer names.
struct ArrowFileWalk: Sendable {
  /// The most bytes of a file that must be read whole: one that is compressed, or comes through a pipe.
  static let greatestWhole = 256 << 20

  /// The metadata of the schema message.
  let schemaMessage: [UInt8]
  private let batches: [ArrowBlock]
  private let dictionaries: [ArrowBlock]
  private let file: SplitBytes
  private var next: Int
  private var offset: Int

  /// - Parameters:
  ///   - file: its bytes, at least those of the footer.
  ///   - offset: that of the first byte that the decoder sees.
  init(_ file: SplitBytes, at offset: Int) throws(RecordFault) {
    guard let footer = try Self.footer(of: file) else {
      throw RecordFault(expected: "an Arrow file with a footer", found: "the end of the file")
    }
    self.file = file
    schemaMessage = footer.schemaMessage
    dictionaries = footer.messages.filter { !$0.isBatch }.map(\.block)
    let batches = footer.messages.filter(\.isBatch).map(\.block)
    self.batches = batches
    self.offset = offset
    next = batches.firstIndex { $0.offset >= offset } ?? batches.count
    if next > 0, batches[next - 1].end > offset {
      throw RecordFault(
        expected: "an Arrow file with a record batch that ends at byte \(offset), as before",
        found: "another")
    }
  }

  /// Whether the bytes are those of an Arrow file.
  static func isFile(_ file: SplitBytes) -> Bool {
    file.byteCount >= ArrowFooter.fileStart.count + ArrowFooter.tailBytes
      && file.read(0, ArrowFooter.magic.count) == ArrowFooter.magic
  }

  /// The end of a file from its last bytes.
  ///
  /// - Parameter byteCount: the size of the file.
  static func file(endingWith bytes: [UInt8], of byteCount: Int) -> SplitBytes {
    let first = byteCount - bytes.count
    return SplitBytes(byteCount: byteCount) { offset, count in
      offset < first ? nil : Array(bytes.dropFirst(offset - first).prefix(count))
    }
  }

  private static func footer(of file: SplitBytes) throws(RecordFault) -> ArrowFooter? {
    let end = file.byteCount - ArrowFooter.tailBytes
    guard end > 0, let tail = file.read(end, ArrowFooter.tailBytes) else { return nil }
    let count = try FlatBytes.read(tail) { bytes throws(RecordFault) in
      try ArrowFooter.length(fromTail: bytes, fileBytes: file.byteCount)
    }
    guard let footer = file.read(end - count, count) else { return nil }
    return try ArrowFooter(footer, start: end - count)
  }

  /// The messages of all dictionaries, with their bodies. They may come after the record batches, which need them.
  func dictionaryMessages() throws(RecordFault) -> [[UInt8]] {
    let byteCount = dictionaries.reduce(0) { $0 + $1.end - $1.offset }
    guard byteCount <= ArrowStanding.limit else {
      throw RecordFault(
        expected: "Arrow dictionaries of at most \(ArrowStanding.limit) bytes together",
        found: "\(byteCount)")
    }
    var messages: [[UInt8]] = []
    for block in dictionaries {
      guard let bytes = file.read(block.offset, block.end - block.offset) else {
        throw RecordFault(expected: "the Arrow dictionaries that the footer names", found: "none")
      }
      messages.append(bytes)
    }
    return messages
  }

  /// Whether the footer names another batch.
  var hasBatch: Bool { next < batches.count }

  /// The number of bytes before the next batch; after the last one, all of them.
  func bytesToSkip(of available: Int) -> Int {
    hasBatch ? min(available, batches[next].offset - offset) : available
  }

  mutating func consume(_ byteCount: Int) { offset += byteCount }

  /// Checks that a message is the record batch that the footer names here.
  mutating func take(_ frame: ArrowFrame, _ message: ArrowMessage) throws(RecordFault) {
    guard message.kind == .recordBatch, frame.bodyBytes == batches[next].bodyBytes else {
      throw RecordFault(
        expected: "the Arrow record batch that the footer names at byte \(offset)",
        found: "another message")
    }
    next += 1
  }
}
