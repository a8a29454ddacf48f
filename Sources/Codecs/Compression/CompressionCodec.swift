/// A codec of compressed input: decompresses frames that follow one another, piece by piece.
///
/// A frame is what can be decompressed by itself: a zstd or LZ4 frame, a gzip member. A stream resumes at
/// the start of one. A codec of single frames without end, such as most gzip files, makes it resume at the
/// start of the split.
package protocol CompressionCodec: Sendable {
  /// The name in messages.
  static var name: String { get }
  /// The first bytes of a frame; any of them.
  static var magics: [Magic] { get }

  init(_ options: CodecOptions) throws(CompressionError)

  /// Decompresses as much of `input` as `output` has room for, at most to the end of a frame.
  ///
  /// After an end, the next byte is the first of another frame. `input` may be empty: there may be output
  /// from input that was taken before.
  mutating func decompress(
    _ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
  ) throws(CompressionError) -> DecompressedPiece
}

/// Every codec of compressed input that Evenkeel reads.
package enum BuiltInCodecs {
  /// Asked in order: the first whose magic number the input begins with reads it.
  package static let all: [any CompressionCodec.Type] = [ZstdDecompressor.self]
}

/// The settings of compressed input; a codec uses those that concern it.
package struct CodecOptions: Sendable {
  /// Frames that need a window of more than 2^maxWindowLog bytes are refused.
  package var maxWindowLog: Int
  /// A dictionary that frames may refer to, as `zstd --train` makes it.
  package var dictionary: [UInt8]?

  package init(maxWindowLog: Int, dictionary: [UInt8]? = nil) {
    self.maxWindowLog = maxWindowLog
    self.dictionary = dictionary
  }
}

/// The progress of one call of a codec.
package struct DecompressedPiece: Sendable, Equatable {
  /// Bytes of the input.
  package var consumed: Int
  /// Bytes of the output.
  package var produced: Int
  /// Whether a frame ended there.
  package var frameEnded: Bool

  package init(consumed: Int, produced: Int, frameEnded: Bool) {
    self.consumed = consumed
    self.produced = produced
    self.frameEnded = frameEnded
  }
}

/// The first bytes of a frame.
package struct Magic: Sendable {
  /// The most bytes that one may have: so many are looked at.
  package static let greatestCount = 4

  let bytes: [UInt8]
  /// The bits of the first byte that must be equal.
  let firstByteMask: UInt8

  package init(_ bytes: [UInt8], firstByteMask: UInt8 = 0xFF) {
    precondition((1...Self.greatestCount).contains(bytes.count))
    self.bytes = bytes
    self.firstByteMask = firstByteMask
  }

  /// Whether the input begins with these bytes, or ends within them: at least two of them then, among them
  /// one that no text has.
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
