internal import CZlib

// Invariant: `stream` stays at one address, because zlib's state refers to it.

/// Decompresses gzip members (RFC 1952) piece by piece, checking their checksums.
///
/// Members that follow one another are one stream, as those of bgzip and of files joined by `cat` are. Zeros
/// after a member are padding.
package final class GzipDecompressor: CompressionCodec, @unchecked Sendable {
  // @unchecked because a context belongs to one stage, and a stage is run by one thread at a time.
  private let stream: UnsafeMutablePointer<z_stream>
  private var isBetweenMembers = true

  package static let name = "gzip"
  package static let fileExtension = "gz"
  /// The two magic bytes, deflate, and the flags, of which three bits are 0: floats hardly ever start so.
  package static let magics = (0...0x1F).map { Magic([0x1F, 0x8B, 0x08, $0]) }

  /// The largest window of deflate, 2^15 bytes, and 16 for the header of gzip alone.
  private static let windowBits: Int32 = 15 + 16

  package init(_ options: CodecOptions) throws(CompressionError) {
    stream = .allocate(capacity: 1)
    stream.initialize(to: z_stream())
    let size = Int32(MemoryLayout<z_stream>.size)
    guard inflateInit2_(stream, Self.windowBits, ZLIB_VERSION, size) == Z_OK else {
      stream.deallocate()
      throw CompressionError(description: "out of memory")
    }
  }

  deinit {
    inflateEnd(stream)
    stream.deallocate()
  }

  package func decompress(
    _ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
  ) throws(CompressionError) -> DecompressedPiece {
    if isBetweenMembers {
      let padding = input.prefix { $0 == 0 }.count
      guard padding == 0 else {
        return DecompressedPiece(consumed: padding, produced: 0, frameEnded: true)
      }
    }
    let (inputCount, outputCount) = (UInt32(clamping: input.count), UInt32(clamping: output.count))
    stream.pointee.next_in = input.baseAddress.map {
      UnsafeMutablePointer(mutating: $0.assumingMemoryBound(to: UInt8.self))
    }
    stream.pointee.avail_in = inputCount
    stream.pointee.next_out = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
    stream.pointee.avail_out = outputCount
    let status = inflate(stream, Z_NO_FLUSH)
    let piece = DecompressedPiece(
      consumed: Int(inputCount - stream.pointee.avail_in),
      produced: Int(outputCount - stream.pointee.avail_out), frameEnded: status == Z_STREAM_END)
    switch status {
    case Z_OK, Z_BUF_ERROR: if piece.consumed > 0 { isBetweenMembers = false }
    case Z_STREAM_END:
      inflateReset(stream)
      isBetweenMembers = true
    default: throw refusal(status)
    }
    return piece
  }

  private func refusal(_ status: Int32) -> CompressionError {
    let message = stream.pointee.msg.map { String(cString: $0) } ?? "error \(status)"
    switch message {
    case "incorrect header check":
      return CompressionError(description: "expected a gzip member, found other bytes")
    case "incorrect data check":
      return CompressionError(
        description: "expected the checksum of the gzip member, found another")
    default: return CompressionError(description: "broken gzip member: \(message)")
    }
  }
}
