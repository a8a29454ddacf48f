internal import CLZ4

/// Decompresses LZ4 frames (LZ4 frame format 1.6) piece by piece, checking their checksums.
package final class LZ4Decompressor: CompressionCodec, @unchecked Sendable {
  // @unchecked because a context belongs to one stage, and a stage is run by one thread at a time.
  private let context: OpaquePointer

  package static let name = "lz4"
  package static let fileExtension = "lz4"
  package static let magics = [Magic([0x04, 0x22, 0x4D, 0x18])]

  package init(_ options: CodecOptions) throws(CompressionError) {
    var context: OpaquePointer?
    let status = LZ4F_createDecompressionContext(&context, UInt32(LZ4F_VERSION))
    guard LZ4F_isError(status) == 0, let context else {
      throw CompressionError(description: "out of memory")
    }
    self.context = context
  }

  deinit {
    LZ4F_freeDecompressionContext(context)
  }

  package func decompress(
    _ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
  ) throws(CompressionError) -> DecompressedPiece {
    var (inputCount, outputCount) = (input.count, output.count)
    let status = LZ4F_decompress(
      context, output.baseAddress, &outputCount, input.baseAddress, &inputCount, nil)
    guard LZ4F_isError(status) == 0 else { throw Self.refusal(status) }
    // Without input, 0 is the state between two frames, which no frame ends again.
    return DecompressedPiece(
      consumed: inputCount, produced: outputCount,
      frameEnded: status == 0 && (inputCount > 0 || outputCount > 0))
  }

  private static func refusal(_ status: Int) -> CompressionError {
    let name = String(cString: LZ4F_getErrorName(status))
    switch name {
    case "ERROR_frameType_unknown":
      return CompressionError(description: "expected an lz4 frame, found other bytes")
    case "ERROR_contentChecksum_invalid", "ERROR_blockChecksum_invalid":
      return CompressionError(description: "expected the checksum of the lz4 frame, found another")
    default: return CompressionError(description: "broken lz4 frame: " + name.lowercased())
    }
  }
}
