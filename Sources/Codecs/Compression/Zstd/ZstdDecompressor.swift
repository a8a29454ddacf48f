internal import CZstd

/// Decompresses zstd frames piece by piece (RFC 8878), and checks their content checksums.
package final class ZstdDecompressor: CompressionCodec, @unchecked Sendable {
  // @unchecked because a context belongs to one stage, and one thread at a time runs a stage.
  private let context: OpaquePointer
  private let maxWindowLog: Int

  package static let name = "zstd"
  package static let fileExtension = "zst"
  /// A frame, and a skippable frame.
  package static let magics = [
    Magic([0x28, 0xB5, 0x2F, 0xFD]),
    Magic([0x50, 0x2A, 0x4D, 0x18], firstByteMask: 0xF0),
  ]

  /// The base-2 logarithm of the longest window that libzstd accepts.
  package static let greatestWindowLog = 31

  package init(_ options: CodecOptions) throws(CompressionError) {
    guard let context = ZSTD_createDCtx() else {
      throw CompressionError(description: "out of memory")
    }
    self.context = context
    maxWindowLog = options.maxWindowLog
    try checkZstd(ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, Int32(maxWindowLog)))
    if let dictionary = options.dictionary {
      try checkZstd(ZSTD_DCtx_loadDictionary(context, dictionary, dictionary.count))
    }
  }

  deinit {
    ZSTD_freeDCtx(context)
  }

  package func decompress(
    _ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
  ) throws(CompressionError) -> DecompressedPiece {
    var source = ZSTD_inBuffer(src: input.baseAddress, size: input.count, pos: 0)
    var target = ZSTD_outBuffer(dst: output.baseAddress, size: output.count, pos: 0)
    let status = ZSTD_decompressStream(context, &target, &source)
    switch ZSTD_getErrorCode(status) {
    case ZSTD_error_no_error: break
    case ZSTD_error_prefix_unknown:
      throw CompressionError(description: "expected a zstd frame, found other bytes")
    case ZSTD_error_frameParameter_windowTooLarge:
      throw CompressionError(
        description: "expected a zstd window of at most 2^\(maxWindowLog) bytes, found a larger one"
          + "; --long raises the limit up to \(Self.greatestWindowLog)")
    case ZSTD_error_checksum_wrong:
      throw CompressionError(description: "expected the checksum of the frame, found another")
    case ZSTD_error_dictionary_wrong:
      throw CompressionError(
        description: "expected a zstd frame with the given dictionary, or without one, "
          + "found a frame with another dictionary; --dictionary sets it")
    default:
      throw CompressionError(
        description: "broken zstd frame: " + String(cString: ZSTD_getErrorName(status)).lowercased()
      )
    }
    return DecompressedPiece(
      consumed: source.pos, produced: target.pos, frameEnded: status == 0)
  }

  /// Whether the bytes of a frame, or of several, can be decompressed and fit their checksums.
  ///
  /// - Parameter read: gives so many bytes at an offset.
  package static func isSound<Failure: Error>(
    byteCount: Int, read: (_ offset: Int, _ count: Int) throws(Failure) -> [UInt8]
  ) throws(Failure) -> Bool {
    let options = CodecOptions(maxWindowLog: greatestWindowLog)
    guard let decompressor = try? ZstdDecompressor(options) else { return false }
    var room = [UInt8](repeating: 0, count: 64 << 10)
    var offset = 0
    while offset < byteCount {
      let bytes = try read(offset, min(64 << 10, byteCount - offset))
      guard !bytes.isEmpty else { return false }
      var consumed = 0
      while consumed < bytes.count {
        let piece = try? bytes[consumed...].withUnsafeBytes { input in
          try room.withUnsafeMutableBytes { try decompressor.decompress(input, into: $0) }
        }
        guard let piece, piece.consumed > 0 || piece.produced > 0 else { return false }
        consumed += piece.consumed
      }
      offset += bytes.count
    }
    return true
  }
}
