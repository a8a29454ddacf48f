import Records
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

  // MARK: Going on at a place of an earlier run

  /// A stream in frames, with an empty one or a skippable one behind some of them.
  private func randomFrames(
    using random: inout SplitMix64
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

  /// Gives `input` without saying that it ends.
  private func feed(_ input: some Sequence<UInt8>, to decompressor: inout InputDecompressor) throws
    -> [UInt8]
  {
    let output = ByteBuffer()
    let count = try Array(input).withUnsafeBytes {
      try decompressor.decompress($0, isLast: false, limit: 1 << 16, into: output)
    }
    #expect(count == Array(input).count)
    return Array(output.readable)
  }

  @Test func `what is sought is the rest of the stream, at the places of one that was not`() throws
  {
    let seed = UInt64.random(in: 0 ... .max)
    var random = SplitMix64(state: seed)
    var seeks = 0
    for _ in 0..<200 {
      let (input, stream) = try randomFrames(using: &random)
      let byte = Int.random(in: 0...stream.count, using: &random)
      var whole = try decompressor(after: input)
      let place = whole.position(atByte: byte, records: 3)
      // Any beginning, the middle of a frame included.
      var sought = try InputDecompressor(maxWindowLog: 27, dictionary: nil)
      let beginning = try feed(
        input.prefix(.random(in: 4...input.count, using: &random)), to: &sought)
      guard let offset = sought.offset(toSeek: place) else {
        // All frames before the place have come.
        #expect(sought.inputOffset >= place.frameOffset, "seed \(seed)")
        continue
      }
      seeks += 1
      #expect(offset == place.frameOffset && beginning.count <= byte, "seed \(seed)")
      let start = sought.seek(to: place)
      #expect(start == byte - place.byteOffsetInFrame, "seed \(seed)")
      let rest = ZstdInput.read(Array(input[offset...]), &sought)
      #expect(rest.error == nil && rest.bytes == Array(stream[start...]), "seed \(seed)")
      #expect(throws: Never.self) { try sought.check(place) }
      for later in byte...stream.count {
        #expect(
          sought.position(atByte: later, records: 3) == whole.position(atByte: later, records: 3),
          "seed \(seed), byte \(later)")
      }
    }
    #expect(seeks > 50)
  }

  @Test func `a dictionary and the limit of the window stay`() throws {
    let frame = try ZstdInput.golden("stations.csv.zst")
    let stations = try ZstdInput.golden("stations.csv")
    var decompressor = try InputDecompressor(
      maxWindowLog: 27, dictionary: ZstdInput.golden("stations.dict"))
    _ = try feed(frame.prefix(frame.count / 2), to: &decompressor)
    let place = StreamPosition(
      records: 1, byteOffset: stations.count + 5, frameOffset: frame.count, byteOffsetInFrame: 5)
    #expect(decompressor.offset(toSeek: place) == frame.count)
    #expect(decompressor.seek(to: place) == stations.count)
    #expect(ZstdInput.read(frame, &decompressor).bytes == stations)
    var narrow = try InputDecompressor(maxWindowLog: 10, dictionary: nil)
    _ = try feed(ZstdInput.frame("a"), to: &narrow)
    _ = narrow.seek(to: StreamPosition(byteOffset: 2, frameOffset: 100, byteOffsetInFrame: 0))
    let wide = try ZstdInput.frame(String(repeating: "wide ", count: 50_000))
    let error = ZstdInput.read(wide, &narrow).error ?? "none"
    #expect(
      error.hasPrefix("frame at byte 100 of the input: expected a zstd window of at most 2^10"))
  }

  @Test func `plain input is sought to the byte`() throws {
    var decompressor = try InputDecompressor(maxWindowLog: 27, dictionary: nil)
    let place = StreamPosition(records: 2, byteOffset: 7, byteOffsetInFrame: 7)
    #expect(decompressor.offset(toSeek: place) == nil, "nobody knows yet what the input is")
    _ = try feed("01234".utf8, to: &decompressor)
    #expect(decompressor.offset(toSeek: place) == 7)
    #expect(decompressor.seek(to: place) == 7)
    #expect(decompressor.offset(toSeek: place) == nil)
    #expect(try feed("789".utf8, to: &decompressor) == Array("789".utf8))
    try decompressor.check(place)
    #expect(position(&decompressor, 8) == [0, 8])
  }

  @Test func `a place that other frames lead to is refused`() throws {
    let frames = try ["0123", "4567"].map { try ZstdInput.frame($0) }
    let input = frames.flatMap { $0 }
    let place = StreamPosition(
      records: 1, byteOffset: 6, frameOffset: frames[0].count, byteOffsetInFrame: 2)
    var same = try decompressor(after: input)
    try same.check(place)
    for other in try [
      ZstdInput.frame("01234567"), ZstdInput.frame("01234") + ZstdInput.frame("567"),
      Array("01234567".utf8),
    ] {
      var changed = try decompressor(after: other)
      #expect(throws: RecordFault.self) { try changed.check(place) }
    }
    // A frame that is shorter than it was, and another behind it.
    var shorter = try decompressor(after: input)
    _ = shorter.seek(to: place)
    _ = try ZstdInput.read(ZstdInput.frame("4") + ZstdInput.frame("567"), &shorter)
    let fault = #expect(throws: RecordFault.self) { try shorter.check(place) }
    #expect(
      fault?.description
        == "expected 2 bytes in the frame at byte \(frames[0].count), found other frames")
  }
}
