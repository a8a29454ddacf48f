import CZstd
import TestSupport
import Testing

/// A zstd stream whose pieces are flushed: what was given can be decoded though its frame goes on.
final class FlushingCompressor {
  private let context = ZSTD_createCCtx()

  deinit { ZSTD_freeCCtx(context) }

  /// - Parameter ends: whether the frame ends after the text.
  func compress(_ text: String, ends: Bool = false) -> [UInt8] {
    let bytes = Array(text.utf8)
    var result = [UInt8](repeating: 0, count: ZSTD_compressBound(bytes.count) + 64)
    let count = bytes.withUnsafeBytes { source in
      result.withUnsafeMutableBytes { target in
        var input = ZSTD_inBuffer(src: source.baseAddress, size: source.count, pos: 0)
        var output = ZSTD_outBuffer(dst: target.baseAddress, size: target.count, pos: 0)
        let left = ZSTD_compressStream2(context, &output, &input, ends ? ZSTD_e_end : ZSTD_e_flush)
        #expect(left == 0)
        return output.pos
      }
    }
    return Array(result[..<count])
  }
}
