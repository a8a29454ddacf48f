internal import Glibc
internal import Records

/// The form in which the bytes of a message become those of a split.
struct MessageForm {
  /// With its line end.
  let byteCount: Int
  /// Whether line ends within it are blanks.
  var joinsLines = false
  /// Whether nothing of it may go on in the next message.
  var endsRecord = false
  /// How many records it holds.
  var records = MessageRun.Records.any

  /// - Parameters:
  ///   - ends: the form in which the records end.
  ///   - isCompressed: whether a message begins as a compressed frame, by its first bytes.
  init(
    of bytes: UnsafeRawBufferPointer, _ payload: KafkaPayload, _ ends: RecordEnds?,
    isCompressed: ([UInt8]) -> Bool
  ) {
    if payload == .frame, isCompressed(Array(bytes.prefix(16))) {
      byteCount = bytes.count
      if ends == .arrowMessages { records = .units }
      return
    }
    switch ends {
    case .lines(let quote):
      byteCount = bytes.count + (bytes.last == 0x0A ? 0 : 1)
      if let quote {
        // Quotes that are not closed would take the records of the next messages.
        let quotes = bytes.count(of: quote)
        endsRecord = !quotes.isMultiple(of: 2)
        if quotes == 0, Self.beginsRecord(bytes[0]), bytes.isLine { records = .oneEach }
      } else {
        // Within a value of JSON, a line end is white space.
        joinsLines = payload == .message
        if bytes[0] == UInt8(ascii: "{"), joinsLines || bytes.isLine { records = .oneEach }
      }
    case .rows(let rowBytes):
      byteCount = bytes.count
      endsRecord = rowBytes > 0 && bytes.count % rowBytes != 0
      if bytes.count == rowBytes { records = .oneEach }
    case .arrowMessages:
      byteCount = bytes.count
      endsRecord = true
      records = .units
    case nil: byteCount = bytes.count
    }
  }
}

extension MessageForm {
  /// Whether a line of CSV with this first byte is a record, and neither blank nor a comment.
  fileprivate static func beginsRecord(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
      || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20) || "+-.".utf8.contains(byte)
  }
}

extension UnsafeRawBufferPointer {
  /// Whether no line end comes before the last byte.
  fileprivate var isLine: Bool {
    guard let base = baseAddress, count > 1 else { return true }
    return memchr(base, 0x0A, count - 1) == nil
  }

  fileprivate func count(of byte: UInt8) -> Int {
    var count = 0
    var rest = self
    while let base = rest.baseAddress, let found = memchr(base, CInt(byte), rest.count) {
      count += 1
      let next = base.distance(to: UnsafeRawPointer(found)) + 1
      rest = UnsafeRawBufferPointer(rebasing: rest[next...])
    }
    return count
  }
}

extension UnsafeMutableRawBufferPointer {
  /// Makes line ends blanks.
  ///
  /// - Parameter isEnd: whether the last byte may be the line end of the message, which stays.
  func joinLines(isEnd: Bool) {
    var rest = UnsafeMutableRawBufferPointer(rebasing: dropLast(isEnd ? 1 : 0))
    while let base = rest.baseAddress, let found = memchr(base, 0x0A, rest.count) {
      found.storeBytes(of: 0x20, as: UInt8.self)
      let next = UnsafeRawPointer(base).distance(to: UnsafeRawPointer(found)) + 1
      rest = UnsafeMutableRawBufferPointer(rebasing: rest[next...])
    }
  }
}
