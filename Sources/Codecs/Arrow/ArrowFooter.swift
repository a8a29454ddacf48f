internal import Records

/// The footer of an Arrow file: the schema, and the positions of its dictionaries and record batches.
struct ArrowFooter {
  /// The magic bytes at the end of a file. At its start, two bytes of padding follow them.
  static let magic = Array("ARROW1".utf8)
  static let fileStart = magic + [0, 0]
  /// The size of the end of a file: the length of the footer and the magic bytes.
  static let tailBytes = 10

  /// A dictionary or a record batch.
  struct Message: Equatable, Sendable {
    var block: ArrowBlock
    var isBatch: Bool
  }

  /// The metadata of a schema message.
  let schemaMessage: [UInt8]
  /// Sorted by their offsets.
  let messages: [Message]

  /// The length of the footer, read from the last bytes of a file.
  static func length(fromTail tail: FlatBytes, fileBytes: Int) throws(RecordFault) -> Int {
    let length: Int32 = try tail.integer(at: 0)
    let end = try tail.slice(at: 4, count: magic.count)
    guard end.elementsEqual(magic) else {
      throw RecordFault(
        expected: "an Arrow file that ends with 'ARROW1'", found: RecordFault.quote(end))
    }
    guard length > 0, Int(length) <= min(ArrowFrame.metadataLimit, fileBytes - tailBytes - 8) else {
      throw RecordFault(expected: "a footer within the Arrow file", found: "\(length) bytes")
    }
    return Int(length)
  }

  /// - Parameter start: the offset of the footer in its file.
  init(_ footer: [UInt8], start: Int) throws(RecordFault) {
    let (schema, version, messages) = try FlatBytes.read(footer) { bytes throws(RecordFault) in
      let table = try FlatTable(rootOf: bytes)
      let version: Int16 = try table.integer(0, absent: 0)
      guard let schema = try table.table(1) else {
        throw RecordFault(expected: "an Arrow footer with a schema", found: "none")
      }
      let dictionaries = try Self.blocks(table, 2, end: start)
      let batches = try Self.blocks(table, 3, end: start)
      let messages =
        dictionaries.map { Message(block: $0, isBatch: false) }
        + batches.map { Message(block: $0, isBatch: true) }
      return (schema.start, version, messages)
    }
    self.messages = messages.sorted { $0.block.offset < $1.block.offset }
    for (message, next) in zip(self.messages, self.messages.dropFirst()) {
      guard message.block.end <= next.block.offset else {
        throw RecordFault(
          expected: "Arrow messages one after another",
          found: "one at byte \(next.block.offset), before the end of another")
      }
    }
    schemaMessage = ArrowMetadata.message(aroundSchemaAt: schema, in: footer, version: version)
  }

  private static func blocks(
    _ table: FlatTable, _ field: Int, end: Int
  ) throws(RecordFault) -> [ArrowBlock] {
    guard let vector = try table.vector(field, stride: 24) else { return [] }
    var blocks: [ArrowBlock] = []
    blocks.reserveCapacity(vector.count)
    for index in 0..<vector.count {
      let place = vector.place(index)
      let offset: Int64 = try table.bytes.integer(at: place)
      let headBytes: Int32 = try table.bytes.integer(at: place + 8)
      let bodyBytes: Int64 = try table.bytes.integer(at: place + 16)
      let isWithin =
        offset >= 8 && headBytes >= 8 && bodyBytes >= 0 && offset <= Int64(end)
        && bodyBytes <= Int64(end) && offset + Int64(headBytes) + bodyBytes <= Int64(end)
      guard isWithin else {
        throw RecordFault(
          expected: "an Arrow message within its file",
          found: "\(headBytes) and \(bodyBytes) bytes at byte \(offset)")
      }
      // Every writer lists them in order. Only a hostile file does not.
      guard blocks.last.map({ $0.offset < Int(offset) }) ?? true else {
        throw RecordFault(
          expected: "an Arrow footer that names messages in the order of their offsets",
          found: "one at byte \(offset), after a later one")
      }
      blocks.append(
        ArrowBlock(offset: Int(offset), headBytes: Int(headBytes), bodyBytes: Int(bodyBytes)))
    }
    return blocks
  }
}
