internal import CZstd

/// Compresses whole frames, each with its content checksum and size.
package final class ZstdCompressor: @unchecked Sendable {
  // @unchecked because a context belongs to one worker, and one thread at a time runs a worker.
  private let context: OpaquePointer
  /// Takes the output of a frame, since its size is known only after compressing.
  private let frame = ByteBuffer()

  package static let levels = Int(ZSTD_minCLevel())...Int(ZSTD_maxCLevel())

  package init(level: Int) throws(CompressionError) {
    guard let context = ZSTD_createCCtx() else {
      throw CompressionError(description: "out of memory")
    }
    self.context = context
    try checkZstd(ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, Int32(level)))
    try checkZstd(ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1))
  }

  deinit {
    ZSTD_freeCCtx(context)
  }

  /// Compresses the bytes into one frame.
  package func compress(_ bytes: UnsafeBufferPointer<UInt8>) throws(CompressionError) -> [UInt8] {
    frame.removeAll()
    let room = frame.room(ZSTD_compressBound(bytes.count))
    let status = ZSTD_compress2(
      context, room.baseAddress, room.count, bytes.baseAddress, bytes.count)
    try checkZstd(status)
    frame.advance(status)
    return Array(frame.readable)
  }
}

/// Throws an error if a status of libzstd is one.
func checkZstd(_ status: Int) throws(CompressionError) {
  if ZSTD_isError(status) != 0 {
    throw CompressionError(
      description: "zstd: " + String(cString: ZSTD_getErrorName(status)).lowercased())
  }
}
