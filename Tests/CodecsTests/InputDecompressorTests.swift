import Records
import Testing

@testable import Codecs

/// Every input becomes one stream of bytes, or an error with an offset.
@Suite struct InputDecompressorTests {
  private static let chunks = [1, 3, 7, .max]

  private func expect(_ input: [UInt8], gives text: String) throws {
    for chunk in Self.chunks {
      let outcome = try ZstdInput.read(input, chunk: chunk)
      #expect(outcome.error == nil)
      #expect(String(decoding: outcome.bytes, as: UTF8.self) == text, "chunks of \(chunk)")
    }
  }

  private func expect(_ input: [UInt8], fails error: String) throws {
    for chunk in Self.chunks {
      #expect(try ZstdInput.read(input, chunk: chunk).error == error, "chunks of \(chunk)")
    }
  }

  // MARK: Frames

  @Test func `frames that follow one another are one stream`() throws {
    try expect(
      ZstdInput.frame("a,b\n1,") + ZstdInput.frame("2\n") + ZstdInput.frame("3,4\n"),
      gives: "a,b\n1,2\n3,4\n")
  }

  @Test func `empty frames give no bytes, at the start, in the middle and at the end`() throws {
    let empty = try ZstdInput.frame("")
    try expect(
      empty + empty + ZstdInput.frame("ab") + empty + ZstdInput.frame("c") + empty, gives: "abc")
    try expect(empty, gives: "")
  }

  @Test(arguments: [UInt8(0), 7, 15])
  func `skippable frames are skipped, at the start, in the middle and at the end`(kind: UInt8)
    throws
  {
    let skipped = ZstdInput.skippable(Array("not a record".utf8), kind: kind)
    let nothing = ZstdInput.skippable([], kind: kind)
    try expect(
      skipped + nothing + ZstdInput.frame("ab") + skipped + nothing + ZstdInput.frame("c")
        + nothing + skipped,
      gives: "abc")
    try expect(skipped, gives: "")
  }

  @Test func `a truncated frame is refused at every length`() throws {
    let first = try ZstdInput.frame("a,b\n1,2\n")
    let second = ZstdInput.skippable([1, 2, 3])
    let third = try ZstdInput.frame(String(repeating: "3,4\n", count: 50))
    let whole = first + second + third
    let starts = [0, first.count, first.count + second.count]
    for end in 2..<whole.count where !starts.contains(end) {
      let frame = starts.last { $0 < end } ?? 0
      for chunk in [1, .max] {
        #expect(
          try ZstdInput.read(Array(whole[..<end]), chunk: chunk).error
            == "frame at byte \(frame) of the input: "
            + "expected the rest of the zstd frame, found the end", "ends at \(end)")
      }
    }
  }

  @Test func `a flipped bit gives an error or the same bytes`() throws {
    let text = String(repeating: "1.5,2.5\n", count: 20) + "x"
    let input = try ZstdInput.frame(text) + ZstdInput.skippable([9, 9]) + ZstdInput.frame("3,4\n")
    var errors = 0
    for index in 4..<input.count {
      for bit in 0..<8 {
        var flipped = input
        flipped[index] ^= 1 << UInt8(bit)
        let outcome = try ZstdInput.read(flipped, chunk: bit == 0 ? 1 : .max)
        if outcome.error != nil {
          errors += 1
        } else {
          #expect(outcome.bytes == Array((text + "3,4\n").utf8), "byte \(index), bit \(bit)")
        }
      }
    }
    #expect(errors > 4 * input.count)
  }

  @Test func `a wrong checksum has a message of its own`() throws {
    var frame = try ZstdInput.frame("a,b\n1,2\n")
    frame[frame.count - 1] ^= 1
    try expect(
      ZstdInput.frame("x") + frame,
      fails: "frame at byte \(try ZstdInput.frame("x").count) of the input: "
        + "expected the checksum of the frame, found another")
  }

  @Test func `bytes after a frame that are not a frame are refused`() throws {
    let frame = try ZstdInput.frame("a,b\n1,2\n")
    try expect(
      frame + Array("junk".utf8),
      fails: "frame at byte \(frame.count) of the input: expected a zstd frame, found other bytes")
    try expect(
      frame + [0, 0, 0, 0, 0],
      fails: "frame at byte \(frame.count) of the input: expected a zstd frame, found other bytes")
    #expect(try ZstdInput.read(frame + [0x0A]).error != nil)
  }

  // MARK: Plain input

  @Test(arguments: ["", "a", "ab", "a\n1", "a,b\n1,2\n", "(", "P*M", "\u{0}\u{0}\u{0}\u{0}\u{0}"])
  func `input that does not begin with a frame passes unchanged`(text: String) throws {
    try expect(Array(text.utf8), gives: text)
  }

  @Test func `a truncated magic number is not plain input`() throws {
    for end in 2...3 {
      try expect(
        Array(try ZstdInput.frame("a")[..<end]),
        fails: "frame at byte 0 of the input: expected the rest of the zstd frame, found the end")
    }
  }

  @Test func `a frame within plain input is plain`() throws {
    let input = try Array("a".utf8) + ZstdInput.frame("b")
    #expect(try ZstdInput.decompressed(input) == input)
  }

  @Test func `each call gives at most the limit of plain input`() throws {
    let input = (0..<1000).map { UInt8(truncatingIfNeeded: $0) }
    var decompressor = InputDecompressor(CodecOptions(maxWindowLog: 27))
    let outcome = ZstdInput.read(input, limit: 64, &decompressor)
    #expect(outcome.bytes == input)
    #expect(outcome.mostAtOnce == 64)
  }

  // MARK: Dictionaries and windows

  @Test func `a frame that was made with a dictionary is read with it`() throws {
    let input = try ZstdInput.golden("stations.csv.zst")
    let dictionary = try ZstdInput.golden("stations.dict")
    for chunk in Self.chunks {
      let outcome = try ZstdInput.read(input + input, chunk: chunk, dictionary: dictionary)
      #expect(outcome.error == nil)
      let stations = try ZstdInput.golden("stations.csv")
      #expect(outcome.bytes == stations + stations)
    }
    let plain = try ZstdInput.frame("a") + input
    #expect(try ZstdInput.read(plain, dictionary: dictionary).error == nil)
  }

  @Test func `a frame is refused without its dictionary and with another one`() throws {
    let input = try ZstdInput.golden("stations.csv.zst")
    for dictionary in [nil, Array("raw contents are a dictionary too".utf8)] {
      #expect(
        try ZstdInput.read(input, dictionary: dictionary).error
          == "frame at byte 0 of the input: expected a zstd frame with the given dictionary, "
          + "or without one, found a frame with another dictionary; --dictionary sets it")
    }
  }

  @Test func `a damaged dictionary is refused, or gives an error or the same bytes`() throws {
    let input = try ZstdInput.golden("stations.csv.zst")
    let dictionary = try ZstdInput.golden("stations.dict")
    let stations = try ZstdInput.golden("stations.csv")
    for index in dictionary.indices {
      var broken = dictionary
      broken[index] ^= 0x55
      let outcome = try ZstdInput.read(input, dictionary: broken)
      #expect(outcome.error != nil || outcome.bytes == stations, "byte \(index)")
    }
  }

  @Test func `a window above the limit is refused with the option that raises it`() throws {
    let input = try ZstdInput.golden("long-window.csv.zst")
    try expect(
      input,
      fails: "frame at byte 0 of the input: expected a zstd window of at most 2^27 bytes, "
        + "found a larger one; --long raises the limit up to 31")
    let raised = try ZstdInput.read(input, maxWindowLog: 30)
    #expect(raised.error == nil)
    #expect(String(decoding: raised.bytes, as: UTF8.self) == "a,b\n1,2\n3,4\n")
  }

  // MARK: Bounds

  @Test func `each call gives at most the limit of a frame that compresses well`() throws {
    let count = 10 << 20
    let zeros = [UInt8](repeating: 0, count: count)
    let frame = try zeros.withUnsafeBufferPointer { try ZstdCompressor(level: 1).compress($0) }
    #expect(frame.count < 2000)
    for chunk in [1, .max] {
      var decompressor = InputDecompressor(CodecOptions(maxWindowLog: 27))
      let outcome = ZstdInput.read(frame, chunk: chunk, limit: 256 << 10, &decompressor)
      #expect(outcome.error == nil)
      #expect(outcome.bytes == zeros)
      #expect(outcome.mostAtOnce <= 256 << 10)
    }
  }

  @Test(arguments: [1, 2, 5, 64])
  func `no byte is lost if the output is full when a frame ends`(limit: Int) throws {
    let text = String(repeating: "0123456789", count: 20)
    let input = try ZstdInput.frame(text) + ZstdInput.frame("") + ZstdInput.frame(text)
    for chunk in Self.chunks {
      var decompressor = InputDecompressor(CodecOptions(maxWindowLog: 27))
      let outcome = ZstdInput.read(input, chunk: chunk, limit: limit, &decompressor)
      #expect(outcome.error == nil)
      #expect(String(decoding: outcome.bytes, as: UTF8.self) == text + text)
    }
  }
}
