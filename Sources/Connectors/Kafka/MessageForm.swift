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

  /// - Parameters:
  ///   - ends: the form in which the records end.
  ///   - isCompressed: whether a message begins as a compressed frame, by its first bytes.
  init(
    of bytes: UnsafeRawBufferPointer, _ payload: KafkaPayload, _ ends: RecordEnds?,
    isCompressed: ([UInt8]) -> Bool
  ) {
    if payload == .frame, isCompressed(Array(bytes.prefix(16))) {
      byteCount = bytes.count
      return
    }
    switch ends {
    case .lines(let quote):
      byteCount = bytes.count + (bytes.last == 0x0A ? 0 : 1)
      if let quote {
        // Quotes that are not closed would take the records of the next messages.
        endsRecord = !bytes.count(of: quote).isMultiple(of: 2)
      } else {
        // Within a value of JSON, a line end is white space.
        joinsLines = payload == .message
      }
    case .rows(let rowBytes):
      byteCount = bytes.count
      endsRecord = rowBytes > 0 && bytes.count % rowBytes != 0
    case .arrowMessages:
      byteCount = bytes.count
      endsRecord = true
    case nil: byteCount = bytes.count
    }
  }
}

extension UnsafeRawBufferPointer {
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
