internal import CZstd

/// Compresses and decompresses zstd frames. Each frame is in memory as a whole.
final class ZstdFrames: @unchecked Sendable {
  // @unchecked because the contexts belong to one worker, and one thread at a time runs a worker.
  private let decompressor: OpaquePointer
  private let compressor: OpaquePointer

  /// - Parameter level: the level for compressing.
  init(level: Int) throws(CompressionError) {
    guard let decompressor = ZSTD_createDCtx(), let compressor = ZSTD_createCCtx() else {
      throw CompressionError(description: "out of memory")
    }
    self.decompressor = decompressor
    self.compressor = compressor
    try Self.check(ZSTD_CCtx_setParameter(compressor, ZSTD_c_compressionLevel, Int32(level)))
  }

  deinit {
    ZSTD_freeDCtx(decompressor)
    ZSTD_freeCCtx(compressor)
  }

  /// Decompresses frames, which together must have exactly as many bytes as `output`.
  func decompress(
    _ frames: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
  ) throws(CompressionError) {
    let count = ZSTD_decompressDCtx(
      decompressor, output.baseAddress, output.count, frames.baseAddress, frames.count)
    try Self.check(count)
    guard count == output.count else {
      throw CompressionError(
        description: "expected a zstd frame of \(output.count) bytes, found one of \(count)")
    }
  }

  /// The room that a frame of so many bytes may need.
  static func bound(of byteCount: Int) -> Int { ZSTD_compressBound(byteCount) }

  /// Compresses bytes to one frame with their size.
  ///
  /// - Returns: the number of bytes of the frame.
  func compress(
    _ bytes: UnsafeRawBufferPointer, into room: UnsafeMutableRawBufferPointer
  ) throws(CompressionError) -> Int {
    let count = ZSTD_compress2(
      compressor, room.baseAddress, room.count, bytes.baseAddress, bytes.count)
    try Self.check(count)
    return count
  }

  private static func check(_ status: Int) throws(CompressionError) {
    if ZSTD_isError(status) != 0 {
      throw CompressionError(
        description: "broken zstd frame: " + String(cString: ZSTD_getErrorName(status)).lowercased()
      )
    }
  }
}
