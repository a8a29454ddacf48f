import Records
import Testing

@testable import Codecs

/// A made-up codec: a frame is two magic bytes, the number of its bytes, and these with all bits flipped.
private struct Flipped: CompressionCodec {
  static let name = "flipped"
  static let fileExtension = "flip"
  static let magics = [Magic([0x01, 0xFE])]

  /// Bytes of the head that came.
  private var head = 0
  private var left = 0

  init(_ options: CodecOptions) throws(CompressionError) {
    guard options.maxWindowLog > 2 else { throw CompressionError(description: "no window") }
  }

  mutating func decompress(
    _ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
  ) throws(CompressionError) -> DecompressedPiece {
    var piece = DecompressedPiece(consumed: 0, produced: 0, frameEnded: false)
    while piece.consumed < input.count, piece.produced < output.count, !piece.frameEnded {
      let byte = input[piece.consumed]
      if head < 2 {
        guard byte == Self.magics[0].bytes[head] else {
          throw CompressionError(description: "expected a flipped frame, found other bytes")
        }
        head += 1
      } else if head == 2 {
        left = Int(byte)
        head += 1
      } else {
        output[piece.produced] = ~byte
        piece.produced += 1
        left -= 1
      }
      piece.consumed += 1
      if head == 3, left == 0 {
        head = 0
        piece.frameEnded = true
      }
    }
    return piece
  }

  static func frame(_ text: String) -> [UInt8] {
    [0x01, 0xFE, UInt8(text.utf8.count)] + text.utf8.map { ~$0 }
  }
}

/// A codec works by its line in the list.
struct CompressionCodecTests {
  private func decompressor(
    at container: ContainerOffset? = nil, byteOffset: Int = 0, maxWindowLog: Int = 27
  ) -> InputDecompressor {
    InputDecompressor(
      CodecOptions(maxWindowLog: maxWindowLog), at: container, byteOffset: byteOffset,
      codecs: BuiltInCodecs.all + [Flipped.self])
  }

  private let frames = ["a,b\n1,", "", "2\n3,4\n"].map { Flipped.frame($0) }

  @Test(arguments: [1, 2, 5, .max])
  func `its frames are told by their first bytes and read as one stream`(chunk: Int) {
    var decompressor = decompressor()
    let outcome = ZstdInput.read(frames.flatMap { $0 }, chunk: chunk, limit: 4, &decompressor)
    #expect(outcome.error == nil)
    #expect(outcome.bytes == Array("a,b\n1,2\n3,4\n".utf8))
  }

  @Test func `the other codecs, and plain bytes, are read as before`() throws {
    for input in [try ZstdInput.frame("a,b\n"), Array("a,b\n".utf8)] {
      var decompressor = decompressor()
      #expect(ZstdInput.read(input, &decompressor).bytes == Array("a,b\n".utf8))
    }
  }

  @Test func `a cursor leads to the frame that it is in`() throws {
    let input = frames.flatMap { $0 }
    var whole = decompressor()
    #expect(ZstdInput.read(input, &whole).error == nil)
    let position = whole.position(atByte: 8, records: 0)
    let container = try #require(whole.container(of: position))
    #expect(
      container == ContainerOffset(offset: frames[0].count + frames[1].count, bytesWithin: 2))
    var rest = decompressor(at: container, byteOffset: 8)
    let read = ZstdInput.read(Array(input[container.offset...]), &rest)
    #expect(read.error == nil && read.bytes == Array("2\n3,4\n".utf8))
    // The end of the input is a cursor too.
    var nothing = decompressor(
      at: ContainerOffset(offset: input.count, bytesWithin: 0), byteOffset: 12)
    #expect(ZstdInput.read([], &nothing) == ZstdInput.Outcome(bytes: []))
    #expect(nothing.endsWithFrame)
  }

  @Test func `a refused frame is an error with its offset`() {
    func error(_ input: [UInt8], _ decompressor: InputDecompressor) -> String? {
      var decompressor = decompressor
      return ZstdInput.read(input, chunk: 1, &decompressor).error
    }
    let frame = Flipped.frame("abc")
    #expect(
      error(frame.dropLast(), decompressor())
        == "frame at byte 0 of the input: expected the rest of the flipped frame, found the end")
    #expect(
      error(frame + Array("more".utf8), decompressor())
        == "frame at byte 6 of the input: expected a flipped frame, found other bytes")
    #expect(
      error(frame, decompressor(maxWindowLog: 1)) == "frame at byte 0 of the input: no window")
    let cursor = ContainerOffset(offset: 90, bytesWithin: 0)
    #expect(
      error(Array("plain".utf8), decompressor(at: cursor, byteOffset: 200))
        == "frame at byte 90 of the input: expected a frame of zstd, gzip, lz4, flipped, found other bytes"
    )
  }

  @Test func `a text that begins like a frame and ends is a text`() {
    for text in ["\u{01}", "P*M", "("] {
      var decompressor = decompressor()
      #expect(ZstdInput.read(Array(text.utf8), &decompressor).bytes == Array(text.utf8))
    }
  }
}
