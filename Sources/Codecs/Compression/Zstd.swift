internal import CZstd

/// What zstd refuses, in words for the user; the pipeline adds stream and offset.
package struct ZstdError: Error, Equatable, CustomStringConvertible {
  package var description: String

  package init(description: String) {
    self.description = description
  }
}

/// Decompresses zstd frames piece by piece (RFC 8878), checking their content checksums.
package final class ZstdDecompressor: @unchecked Sendable {
  // @unchecked because a context belongs to one stage, and a stage is run by one thread at a time.
  private let context: OpaquePointer
  private let maxWindowLog: Int

  /// The longest window that libzstd takes, as a power of two.
  package static let greatestWindowLog = 31

  /// - Parameters:
  ///   - maxWindowLog: frames that need a window of more than 2^maxWindowLog bytes are refused.
  ///   - dictionary: what frames may refer to, as `zstd --train` makes it.
  package init(maxWindowLog: Int, dictionary: [UInt8]?) throws(ZstdError) {
    guard let context = ZSTD_createDCtx() else { throw ZstdError(description: "out of memory") }
    self.context = context
    self.maxWindowLog = maxWindowLog
    try check(ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, Int32(maxWindowLog)))
    if let dictionary {
      try check(ZSTD_DCtx_loadDictionary(context, dictionary, dictionary.count))
    }
  }

  deinit {
    ZSTD_freeDCtx(context)
  }

  /// Forgets the frame under way: what comes next is the start of one.
  package func reset() {
    // Only a reset of the parameters can fail.
    ZSTD_DCtx_reset(context, ZSTD_reset_session_only)
  }

  /// Decompresses as much of `input` as `output` has room for, at most to the end of a frame.
  ///
  /// - Returns: the bytes taken and given, and whether a frame ended there.
  package func decompress(
    _ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
  ) throws(ZstdError) -> (consumed: Int, produced: Int, frameEnded: Bool) {
    var source = ZSTD_inBuffer(src: input.baseAddress, size: input.count, pos: 0)
    var target = ZSTD_outBuffer(dst: output.baseAddress, size: output.count, pos: 0)
    let status = ZSTD_decompressStream(context, &target, &source)
    switch ZSTD_getErrorCode(status) {
    case ZSTD_error_no_error: break
    case ZSTD_error_prefix_unknown:
      throw ZstdError(description: "expected a zstd frame, found other bytes")
    case ZSTD_error_frameParameter_windowTooLarge:
      throw ZstdError(
        description: "expected a zstd window of at most 2^\(maxWindowLog) bytes, found a larger one"
          + "; --long raises the limit up to \(Self.greatestWindowLog)")
    case ZSTD_error_checksum_wrong:
      throw ZstdError(description: "expected the checksum of the frame, found another")
    case ZSTD_error_dictionary_wrong:
      throw ZstdError(
        description: "expected a zstd frame of the dictionary given, or of none, "
          + "found one of another; --dictionary gives it")
    default:
      throw ZstdError(
        description: "broken zstd frame: " + String(cString: ZSTD_getErrorName(status)).lowercased()
      )
    }
    return (source.pos, target.pos, status == 0)
  }
}

/// Compresses whole frames, each with its content checksum and size.
package final class ZstdCompressor: @unchecked Sendable {
  // @unchecked because a context belongs to one worker, which is run by one thread at a time.
  private let context: OpaquePointer
  /// What a frame is written to, since its size is known only then.
  private let frame = ByteBuffer()

  package static let levels = Int(ZSTD_minCLevel())...Int(ZSTD_maxCLevel())

  package init(level: Int) throws(ZstdError) {
    guard let context = ZSTD_createCCtx() else { throw ZstdError(description: "out of memory") }
    self.context = context
    try check(ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, Int32(level)))
    try check(ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1))
  }

  deinit {
    ZSTD_freeCCtx(context)
  }

  /// One frame with these contents.
  package func compress(_ bytes: UnsafeBufferPointer<UInt8>) throws(ZstdError) -> [UInt8] {
    frame.removeAll()
    let room = frame.room(ZSTD_compressBound(bytes.count))
    let status = ZSTD_compress2(
      context, room.baseAddress, room.count, bytes.baseAddress, bytes.count)
    try check(status)
    frame.advance(status)
    return Array(frame.readable)
  }
}

private func check(_ status: Int) throws(ZstdError) {
  if ZSTD_isError(status) != 0 {
    throw ZstdError(description: "zstd: " + String(cString: ZSTD_getErrorName(status)).lowercased())
  }
}
