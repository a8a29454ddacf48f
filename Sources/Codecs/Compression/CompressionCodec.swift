/// A codec of compressed input: decompresses frames that follow one another, piece by piece.
///
/// A frame can be decompressed by itself: a zstd or LZ4 frame, a gzip member. A stream resumes at the start of a
/// frame. If the whole split is a single frame, as in most gzip files, it resumes at the start of the split.
package protocol CompressionCodec: Sendable {
  /// The name in messages.
  static var name: String { get }
  /// The extension of file names, without the dot.
  static var fileExtension: String { get }
  /// The possible first bytes of a frame.
  static var magics: [Magic] { get }

  init(_ options: CodecOptions) throws(CompressionError)

  /// Decompresses as much of `input` as `output` has room for, at most to the end of a frame.
  ///
  /// After the end of a frame, the next byte is the first of another frame. `input` may be empty, because input that
  /// was taken before may still give output.
  mutating func decompress(
    _ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
  ) throws(CompressionError) -> DecompressedPiece
}

/// All codecs of compressed input.
package enum BuiltInCodecs {
  /// The codecs, in the order in which they are asked. The first one with a matching magic number reads the input.
  package static let all: [any CompressionCodec.Type] = [
    ZstdDecompressor.self, GzipDecompressor.self, LZ4Decompressor.self,
  ]
}

/// The settings of compressed input. Each codec uses those that concern it.
package struct CodecOptions: Sendable {
  /// Frames that need a window of more than 2^maxWindowLog bytes are refused.
  package var maxWindowLog: Int
  /// The dictionary of the frames, as `zstd --train` makes it.
  package var dictionary: [UInt8]?

  package init(maxWindowLog: Int, dictionary: [UInt8]? = nil) {
    self.maxWindowLog = maxWindowLog
    self.dictionary = dictionary
  }
}

/// The progress of one call of a codec.
package struct DecompressedPiece: Sendable, Equatable {
  /// The number of input bytes taken.
  package var consumed: Int
  /// The number of output bytes written.
  package var produced: Int
  /// Whether a frame ended after them.
  package var frameEnded: Bool

  package init(consumed: Int, produced: Int, frameEnded: Bool) {
    self.consumed = consumed
    self.produced = produced
    self.frameEnded = frameEnded
  }
}

/// The first bytes of a frame.
package struct Magic: Sendable {
  /// The most bytes of a magic number. The first bytes of the input that are compared.
  package static let greatestCount = 4

  let bytes: [UInt8]
  /// The bits of the first byte that must be equal.
  let firstByteMask: UInt8

  package init(_ bytes: [UInt8], firstByteMask: UInt8 = 0xFF) {
    precondition((1...Self.greatestCount).contains(bytes.count))
    self.bytes = bytes
    self.firstByteMask = firstByteMask
  }

  /// Whether the input begins with these bytes. If it ends inside them, it must have at least two of them, and one of
  /// those must not be a byte of text.
  func begins(_ input: UnsafeRawBufferPointer) -> Bool {
    guard let first = input.first, first & firstByteMask == bytes[0],
      zip(input, bytes).dropFirst().allSatisfy({ $0 == $1 })
    else { return false }
    return input.count >= bytes.count
      || input.count >= 2 && input.contains { !(0x09...0x7E).contains($0) }
  }
}

/// A frame that cannot be read or written, in words for the user. The pipeline adds stream and offset.
package struct CompressionError: Error, Equatable, CustomStringConvertible {
  package var description: String

  package init(description: String) {
    self.description = description
  }
}
