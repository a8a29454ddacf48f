import Features
import Testing

@testable import Codecs

/// Where a byte of the stream stands in the input.
@Suite struct InputDecompressorPositionTests {
  private func decompressor(after input: [UInt8], chunk: Int = .max) throws -> InputDecompressor {
    var decompressor = try InputDecompressor(maxWindowLog: 27, dictionary: nil)
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
  func `a byte is found by its frame and its place within it`(chunk: Int) throws {
    let frames = try ["0123", "45", "6789"].map { try ZstdInput.frame($0) }
    let (second, third) = (frames[0].count, frames[0].count + frames[1].count)
    var decompressor = try decompressor(after: frames.flatMap { $0 }, chunk: chunk)
    #expect(position(&decompressor, 0) == [0, 0])
    #expect(position(&decompressor, 3) == [0, 3])
    // Between two frames the place is the start of the second.
    #expect(position(&decompressor, 4) == [second, 0])
    #expect(position(&decompressor, 5) == [second, 1])
    #expect(position(&decompressor, 5) == [second, 1])
    #expect(position(&decompressor, 9) == [third, 3])
    #expect(position(&decompressor, 10) == [third + frames[2].count, 0])
  }

  @Test(arguments: [1, 5, .max])
  func `frames without contents are passed over`(chunk: Int) throws {
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

  @Test func `before anything is read the place is the start`() throws {
    var decompressor = try InputDecompressor(maxWindowLog: 27, dictionary: nil)
    #expect(decompressor.position(atByte: 0, records: 0) == StreamPosition())
  }

  @Test func `what follows any position gives the rest of the stream`() throws {
    let seed = UInt64.random(in: 0 ... .max)
    var random = SplitMix64(state: seed)
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
}
