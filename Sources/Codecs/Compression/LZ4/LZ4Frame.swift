internal import CLZ4

/// Compresses and decompresses LZ4 frames (LZ4 frame format 1.6). Each frame is in memory as a whole.
final class LZ4Frames: @unchecked Sendable {
  // @unchecked because a context belongs to one worker, and one thread at a time runs a worker.
  private let context: OpaquePointer

  init() throws(CompressionError) {
    var context: OpaquePointer?
    try Self.check(LZ4F_createDecompressionContext(&context, UInt32(LZ4F_VERSION)))
    guard let context else { throw CompressionError(description: "out of memory") }
    self.context = context
  }

  deinit {
    LZ4F_freeDecompressionContext(context)
  }

  /// Decompresses one frame, which must have exactly `byteCount` bytes.
  ///
  /// - Parameter output: has room for them. With room for a whole block more, the library copies nothing.
  func decompress(
    _ frame: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer, byteCount: Int
  ) throws(CompressionError) {
    LZ4F_resetDecompressionContext(context)
    var (taken, given) = (0, 0)
    while true {
      var inputCount = frame.count - taken
      var outputCount = output.count - given
      let hint = LZ4F_decompress(
        context, output.baseAddress.map { $0 + given }, &outputCount,
        frame.baseAddress.map { $0 + taken }, &inputCount, nil)
      try Self.check(hint)
      taken += inputCount
      given += outputCount
      if hint == 0 { break }
      guard inputCount > 0 || outputCount > 0 else {
        throw CompressionError(
          description: "expected \(byteCount) bytes of an LZ4 frame, found others")
      }
    }
    guard taken == frame.count, given == byteCount else {
      throw CompressionError(
        description: "expected an LZ4 frame of \(byteCount) bytes, found one of \(given)")
    }
  }

  /// The room that a frame of so many bytes may need.
  static func bound(of byteCount: Int) -> Int {
    var preferences = LZ4F_preferences_t()
    preferences.frameInfo.contentSize = UInt64(byteCount)
    return LZ4F_compressFrameBound(byteCount, &preferences)
  }

  /// Compresses bytes to one frame with their size.
  ///
  /// - Returns: the number of bytes of the frame.
  func compress(
    _ bytes: UnsafeRawBufferPointer, into room: UnsafeMutableRawBufferPointer
  ) throws(CompressionError) -> Int {
    var preferences = LZ4F_preferences_t()
    preferences.frameInfo.contentSize = UInt64(bytes.count)
    let count = LZ4F_compressFrame(
      room.baseAddress, room.count, bytes.baseAddress, bytes.count, &preferences)
    try Self.check(count)
    return count
  }

  private static func check(_ status: Int) throws(CompressionError) {
    if LZ4F_isError(status) != 0 {
      throw CompressionError(
        description: "broken LZ4 frame: " + String(cString: LZ4F_getErrorName(status)).lowercased())
    }
  }
}
