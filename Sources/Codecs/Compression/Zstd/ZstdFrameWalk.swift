/// Walks the frames of a zstd file by their headers (RFC 8878), without decompressing them.
package enum ZstdFrameWalk {
  /// The longest header of a frame, with its magic number.
  private static let mostHeaderBytes = 18

  /// The end of the frame at an offset; nil if the frame is incomplete, or if there is none.
  ///
  /// - Parameters:
  ///   - end: the end of the bytes.
  ///   - read: returns this number of bytes at an offset, fewer at the end.
  package static func frameEnd<Failure: Error>(
    at start: Int, to end: Int,
    read: (_ offset: Int, _ count: Int) throws(Failure) -> [UInt8]
  ) throws(Failure) -> Int? {
    let head = try read(start, min(mostHeaderBytes, end - start))
    guard head.count >= 8 else { return nil }
    let magic = number(head[..<4])
    if magic & 0xFFFF_FFF0 == 0x184D_2A50 {
      let next = start + 8 + number(head[4..<8])
      return next <= end ? next : nil
    }
    guard magic == 0xFD2F_B528 else { return nil }
    let descriptor = Int(head[4])
    let isSingleSegment = descriptor & 0x20 != 0
    let sizeBytes = [isSingleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6]
    let dictionaryBytes = [0, 1, 2, 4][descriptor & 3]
    var offset = start + 5 + (isSingleSegment ? 0 : 1) + dictionaryBytes + sizeBytes
    while true {
      guard offset + 3 <= end else { return nil }
      let block = number(try read(offset, 3)[...])
      let (isLast, type, size) = (block & 1 == 1, block >> 1 & 3, block >> 3)
      // A block of one repeated byte contains only that byte. Type 3 is reserved.
      guard type != 3 else { return nil }
      offset += 3 + (type == 1 ? 1 : size)
      if isLast { break }
    }
    let next = offset + (descriptor & 4 == 0 ? 0 : 4)
    return next <= end ? next : nil
  }

  /// A little-endian number.
  private static func number(_ bytes: ArraySlice<UInt8>) -> Int {
    bytes.reversed().reduce(0) { $0 << 8 | Int($1) }
  }
}
