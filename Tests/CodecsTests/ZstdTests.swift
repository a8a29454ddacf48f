import Foundation
import TestSupport
import Testing

@testable import Codecs

/// Frames that are written and read in one piece.
@Suite struct ZstdTests {
  private func compress(_ bytes: [UInt8], level: Int = 1) throws -> [UInt8] {
    try bytes.withUnsafeBufferPointer { try ZstdCompressor(level: level).compress($0) }
  }

  @Test(arguments: [0, 1, 100, 200_000])
  func `a frame decompresses to the bytes that were compressed`(count: Int) throws {
    var random = SeededGenerator(seed: 1)
    for mask: UInt8 in [0x00, 0x03, 0xFF] {
      let bytes = (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) & mask }
      #expect(try ZstdInput.decompressed(try compress(bytes)) == bytes)
    }
  }

  @Test(arguments: [-7, -1, 0, 1, 19, ZstdCompressor.levels.upperBound])
  func `every level of zstd is accepted`(level: Int) throws {
    let bytes = Array(String(repeating: "1.25,2.5\n", count: 1000).utf8)
    let frame = try compress(bytes, level: level)
    #expect(frame.count < bytes.count)
    #expect(try ZstdInput.decompressed(frame) == bytes)
  }

  @Test func `one compressor makes the same frame each time`() throws {
    let compressor = try ZstdCompressor(level: 3)
    let bytes = Array(String(repeating: "1.25,2.5\n", count: 1000).utf8)
    let frames = try (0..<3).map { _ in
      try bytes.withUnsafeBufferPointer { try compressor.compress($0) }
    }
    #expect(frames[0] == frames[1] && frames[1] == frames[2])
  }

  @Test func `a frame carries its checksum and its size`() throws {
    // RFC 8878, 3.1.1.1.1: the descriptor holds the checksum flag and the flag of the size.
    let descriptor = try compress(Array("a,b\n1,2\n".utf8))[4]
    #expect(descriptor & 0x04 != 0)
    #expect(descriptor & 0x20 != 0)
  }

  @Test func `a window limit out of the range of zstd is refused`() {
    for log in [1, 99] {
      #expect(throws: CompressionError.self) {
        try ZstdDecompressor(CodecOptions(maxWindowLog: log))
      }
    }
  }
}

/// Makes compressed input and decompresses it.
enum ZstdInput {
  /// The results of input in chunks.
  struct Outcome: Equatable {
    var bytes: [UInt8]
    var error: String?
    /// The most bytes of one call.
    var mostAtOnce = 0
  }

  /// Reads a golden file.
  static func golden(_ name: String) throws -> [UInt8] {
    let url = try #require(Bundle.module.resourceURL).appending(path: "Golden/" + name)
    return try [UInt8](Data(contentsOf: url))
  }

  static func frame(_ text: String) throws -> [UInt8] {
    let bytes = Array(text.utf8)
    return try bytes.withUnsafeBufferPointer { try ZstdCompressor(level: 1).compress($0) }
  }

  /// Makes a skippable frame (RFC 8878, 3.1.2).
  static func skippable(_ contents: [UInt8], kind: UInt8 = 0) -> [UInt8] {
    let size = (0..<4).map { UInt8(truncatingIfNeeded: contents.count >> (8 * $0)) }
    return [0x50 + kind, 0x2A, 0x4D, 0x18] + size + contents
  }

  /// Reads `input` as the pipeline does: it passes bytes that were not consumed again, with the next ones.
  static func read(
    _ input: [UInt8], chunk: Int = .max, limit: Int = 1 << 16,
    _ decompressor: inout InputDecompressor
  ) -> Outcome {
    let output = ByteBuffer(capacity: 64)
    var outcome = Outcome(bytes: [])
    var start = 0
    var end = 0
    var needsBytes = true
    do throws(CompressionError) {
      while true {
        let isLast = needsBytes && end == input.count
        if needsBytes { end += min(chunk, input.count - end) }
        let consumed = try input.withUnsafeBufferPointer { bytes throws(CompressionError) in
          try decompressor.decompress(
            UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: bytes[start..<end])),
            isLast: isLast, limit: limit,
            into: output)
        }
        start += consumed
        outcome.mostAtOnce = max(outcome.mostAtOnce, output.count)
        outcome.bytes += output.readable
        output.removeAll()
        needsBytes = !decompressor.mayHoldMore && (start == end || consumed == 0)
        if needsBytes, isLast { break }
      }
      try decompressor.finish()
      precondition(start == input.count)
    } catch {
      outcome.error = error.description
    }
    return outcome
  }

  static func read(
    _ input: [UInt8], chunk: Int = .max, maxWindowLog: Int = 27, dictionary: [UInt8]? = nil
  ) throws -> Outcome {
    var decompressor = InputDecompressor(
      CodecOptions(maxWindowLog: maxWindowLog, dictionary: dictionary))
    return read(input, chunk: chunk, &decompressor)
  }

  static func decompressed(_ input: [UInt8]) throws -> [UInt8] {
    let outcome = try read(input)
    #expect(outcome.error == nil)
    return outcome.bytes
  }
}
