import Records
import TestSupport
import Testing

@testable import Codecs

/// The position in the compressed input of a byte of the stream.
@Suite struct InputDecompressorPositionTests {
  private func decompressor(after input: [UInt8], chunk: Int = .max) throws -> InputDecompressor {
    var decompressor = InputDecompressor(CodecOptions(maxWindowLog: 27))
    #expect(ZstdInput.read(input, chunk: chunk, &decompressor).error == nil)
    return decompressor
  }

  private func position(
    _ decompressor: inout InputDecompressor, _ byte: Int
  ) -> [Int] {
    let position = decompressor.position(atByte: byte, records: byte / 2)
    #expect(position.byteOffset == byte)
    #expect(position.records == byte / 2)
    return [position.frameOffset, position.byteOffsetInFrame]
  }

  @Test(arguments: [1, 5, .max])
  func `the position of a byte is its frame and its offset within it`(chunk: Int) throws {
    let frames = try ["0123", "45", "6789"].map { try ZstdInput.frame($0) }
    let (second, third) = (frames[0].count, frames[0].count + frames[1].count)
    var decompressor = try decompressor(after: frames.flatMap { $0 }, chunk: chunk)
    #expect(position(&decompressor, 0) == [0, 0])
    #expect(position(&decompressor, 3) == [0, 3])
    // Between two frames the position is the start of the second.
    #expect(position(&decompressor, 4) == [second, 0])
    #expect(position(&decompressor, 5) == [second, 1])
    #expect(position(&decompressor, 5) == [second, 1])
    #expect(position(&decompressor, 9) == [third, 3])
    #expect(position(&decompressor, 10) == [third + frames[2].count, 0])
  }

  @Test(arguments: [1, 5, .max])
  func `frames without contents are skipped`(chunk: Int) throws {
    let skipped = ZstdInput.skippable([1, 2, 3])
    let empty = try ZstdInput.frame("")
    let frame = try ZstdInput.frame("01")
    let input = skipped + empty + frame + empty + skipped + frame + skipped
    var decompressor = try decompressor(after: input, chunk: chunk)
    let first = skipped.count + empty.count
    let second = first + frame.count + empty.count + skipped.count
    #expect(position(&decompressor, 0) == [first, 0])
    #expect(position(&decompressor, 1) == [first, 1])
    #expect(position(&decompressor, 2) == [second, 0])
    #expect(position(&decompressor, 3) == [second, 1])
    #expect(position(&decompressor, 4) == [input.count, 0])
  }

  @Test func `plain input is one frame at its start`() throws {
    var decompressor = try decompressor(after: Array("0123456789".utf8), chunk: 3)
    #expect(position(&decompressor, 0) == [0, 0])
    #expect(position(&decompressor, 7) == [0, 7])
    #expect(position(&decompressor, 10) == [0, 10])
  }

  @Test func `before the first read the position is the start`() throws {
    var decompressor = InputDecompressor(CodecOptions(maxWindowLog: 27))
    #expect(decompressor.position(atByte: 0, records: 0) == StreamPosition())
  }

  @Test func `the input after any position gives the rest of the stream`() throws {
    let seed = testSeed
    var random = SeededGenerator(seed: seed)
    for _ in 0..<30 {
      var (input, stream) = ([UInt8](), [UInt8]())
      for _ in 0..<Int.random(in: 1...6, using: &random) {
        let text = String(
          (0..<Int.random(in: 0...9, using: &random)).map { _ in
            "x1,\n".randomElement(using: &random) ?? "x"
          })
        stream += Array(text.utf8)
        input += try ZstdInput.frame(text)
        if Bool.random(using: &random) { input += ZstdInput.skippable([0]) }
      }
      var decompressor = try decompressor(
        after: input, chunk: Int.random(in: 1...40, using: &random))
      for byte in 0...stream.count {
        let place = decompressor.position(atByte: byte, records: 0)
        let rest = Array(input[place.frameOffset...])
        let outcome = try ZstdInput.read(rest)
        #expect(outcome.error == nil, "seed \(seed)")
        #expect(
          Array(outcome.bytes.dropFirst(place.byteOffsetInFrame)) == Array(stream[byte...]),
          "seed \(seed), byte \(byte)")
      }
    }
  }

  // MARK: Resuming at a cursor

  /// A stream in frames, with empty or skippable frames between them.
  private func randomFrames(
    using random: inout SeededGenerator
  ) throws -> (input: [UInt8], stream: [UInt8]) {
    var (input, stream) = ([UInt8](), [UInt8]())
    for _ in 0..<Int.random(in: 2...6, using: &random) {
      let text = String(
        (0..<Int.random(in: 1...9, using: &random)).map { _ in
          "x1,\n".randomElement(using: &random) ?? "x"
        })
      stream += Array(text.utf8)
      input += try ZstdInput.frame(text)
      if Bool.random(using: &random) { input += ZstdInput.skippable([0]) }
      if Bool.random(using: &random) { input += try ZstdInput.frame("") }
    }
    return (input, stream)
  }

  @Test func `a read from a cursor gives the rest of the stream with the positions of the whole`()
    throws
  {
    let seed = testSeed
    var random = SeededGenerator(seed: seed)
    for _ in 0..<200 {
      let (input, stream) = try randomFrames(using: &random)
      let byte = Int.random(in: 0...stream.count, using: &random)
      var whole = try decompressor(after: input)
      let place = whole.position(atByte: byte, records: 3)
      let container = try #require(whole.container(of: place))
      var rest = InputDecompressor(CodecOptions(maxWindowLog: 27), at: container, byteOffset: byte)
      let start = byte - place.byteOffsetInFrame
      let read = ZstdInput.read(Array(input[container.offset...]), &rest)
      #expect(read.error == nil && read.bytes == Array(stream[start...]), "seed \(seed)")
      for later in byte...stream.count {
        #expect(
          rest.position(atByte: later, records: 3) == whole.position(atByte: later, records: 3),
          "seed \(seed), byte \(later)")
      }
    }
  }

  @Test func `an error gives the offset of the frame in the whole input`() throws {
    var narrow = InputDecompressor(
      CodecOptions(maxWindowLog: 10), at: ContainerOffset(offset: 100, bytesWithin: 0),
      byteOffset: 2)
    let wide = try ZstdInput.frame(String(repeating: "wide ", count: 50_000))
    let error = ZstdInput.read(wide, &narrow).error ?? "none"
    #expect(
      error.hasPrefix("frame at byte 100 of the input: expected a zstd window of at most 2^10"))
  }

  @Test func `plain input resumes at a byte, even if a frame begins there`() throws {
    let frame = try ZstdInput.frame("abc")
    var decompressor = InputDecompressor(CodecOptions(maxWindowLog: 27), byteOffset: 7)
    #expect(ZstdInput.read(frame, &decompressor).bytes == frame)
    #expect(position(&decompressor, 8) == [0, 8])
    let place = decompressor.position(atByte: 8, records: 0)
    #expect(decompressor.container(of: place) == nil)
  }

  @Test func `the decompressed start is given for compressed bytes only`() throws {
    let text = String(repeating: "0123456789", count: 1000)
    let frame = try ZstdInput.frame(text)
    func start(_ bytes: [UInt8]) -> [UInt8]? {
      InputDecompressor.start(of: bytes, CodecOptions(maxWindowLog: 27))
    }
    let found = try #require(start(frame))
    #expect(found.count >= 1024 && Array(text.utf8).starts(with: found))
    #expect(start(Array(text.utf8)) == nil)
    #expect(start([0x1F, 0x8B, 8, 0]) == nil)
    #expect(start([0x28, 0xB5, 0x2F, 0xFD, 0xFF, 0xFF]) == nil)
  }
}
