/// The key and the headers of a message as bytes, in which they pass from the source to the sink.
///
/// The key comes first, then the name and the value of each header. Each is its number of bytes in four bytes, and the
/// bytes; the number of one that is missing is the largest.
struct MessageAttributes: Sendable, Equatable {
  private static let missing = UInt32.max

  /// Empty if there is neither a key nor a header.
  private(set) var bytes: [UInt8] = []

  init() {}

  /// - Parameter bytes: those of other attributes.
  init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// Sets the key. It comes before the headers.
  mutating func setKey(_ key: UnsafeRawBufferPointer?) {
    guard let key, bytes.isEmpty else { return }
    // Room for a short header too, so that most messages need one piece of memory.
    bytes.reserveCapacity(key.count + 64)
    append(key)
  }

  /// Adds a header.
  mutating func add(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer?) {
    if bytes.isEmpty { append(nil) }
    append(name)
    append(value)
  }

  private mutating func append(_ part: UnsafeRawBufferPointer?) {
    let count = part.map { UInt32(truncatingIfNeeded: $0.count) } ?? Self.missing
    withUnsafeBytes(of: count.littleEndian) { bytes.append(contentsOf: $0) }
    if let part { bytes.append(contentsOf: part) }
  }

  /// The place of the key in `bytes`; nil without one.
  var key: Range<Int>? {
    var offset = 0
    return bytes.isEmpty ? nil : next(&offset)
  }

  /// Visits the places of the name and the value of each header.
  func forEachHeader(_ visit: (_ name: Range<Int>, _ value: Range<Int>?) -> Void) {
    var offset = 0
    guard !bytes.isEmpty else { return }
    _ = next(&offset)
    while offset < bytes.count {
      let name = next(&offset)
      let value = next(&offset)
      if let name { visit(name, value) }
    }
  }

  private func next(_ offset: inout Int) -> Range<Int>? {
    guard offset + 4 <= bytes.count else {
      offset = bytes.count
      return nil
    }
    var count: UInt32 = 0
    for index in 0..<4 { count |= UInt32(bytes[offset + index]) << UInt32(8 * index) }
    offset += 4
    guard count != Self.missing else { return nil }
    let start = offset
    offset = min(bytes.count, start + Int(count))
    return start..<offset
  }
}
