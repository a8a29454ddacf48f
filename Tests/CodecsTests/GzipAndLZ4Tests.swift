import Records
import Testing

@testable import Codecs

/// Input that gzip and lz4 compressed. The bytes are those of Python's gzip module and of lz4(1).
@Suite struct GzipAndLZ4Tests {
  private static let text = Array(("a,b\n" + String(repeating: "1,2\n3,4\n", count: 300)).utf8)
  private static let gzip = hex(
    "1f8b08000000000002034bd449e232d431e232d63119a547e9517a941ea547e9517a941ea5a94403003555c552"
      + "64090000")
  /// With an extra field, a name and a comment; holds `5,6`.
  private static let named = hex(
    "1f8b081c0000000000030400616263646e2e637376006e6f74650033d531e3020060102fbe04000000")
  private static let lz4 = hex(
    "04224d186440a71e000000bf612c620a312c320a332c340800ffffffffffffffffff4a500a332c340a00000000"
      + "fa6698b0")

  private static func hex(_ digits: String) -> [UInt8] {
    stride(from: 0, to: digits.utf8.count, by: 2).map { index in
      let start = digits.index(digits.startIndex, offsetBy: index)
      return UInt8(digits[start..<digits.index(start, offsetBy: 2)], radix: 16) ?? 0
    }
  }

  private func read(
    _ input: [UInt8], chunk: Int = .max, limit: Int = 1 << 16
  ) -> ZstdInput.Outcome {
    var decompressor = InputDecompressor(CodecOptions(maxWindowLog: 27))
    return ZstdInput.read(input, chunk: chunk, limit: limit, &decompressor)
  }

  @Test(arguments: [gzip, lz4], [1, 3, .max])
  func `a frame is read however it comes`(frame: [UInt8], chunk: Int) {
    for limit in [1, 100, 1 << 16] {
      let outcome = read(frame, chunk: chunk, limit: limit)
      #expect(outcome.error == nil)
      #expect(outcome.bytes == Self.text)
      #expect(outcome.mostAtOnce <= limit)
    }
  }

  @Test(arguments: [1, 3, .max])
  func `members and frames that follow one another are one stream`(chunk: Int) {
    let members = Self.gzip + Self.named + [0, 0, 0] + Self.gzip + [0]
    let outcome = read(members, chunk: chunk)
    #expect(outcome.error == nil)
    #expect(outcome.bytes == Self.text + Array("5,6\n".utf8) + Self.text)
    let frames = read(Self.lz4 + Self.lz4, chunk: chunk)
    #expect(frames.error == nil)
    #expect(frames.bytes == Self.text + Self.text)
  }

  @Test func `a cursor leads to the member that it is in`() throws {
    let members = Self.gzip + Self.gzip + Self.named
    var whole = InputDecompressor(CodecOptions(maxWindowLog: 27))
    #expect(ZstdInput.read(members, &whole).error == nil)
    let count = Self.text.count
    let position = whole.position(atByte: count + 100, records: 0)
    let container = try #require(whole.container(of: position))
    #expect(container.offset == Self.gzip.count && container.bytesWithin == 100)
    var rest = InputDecompressor(
      CodecOptions(maxWindowLog: 27), at: container, byteOffset: count + 100)
    let read = ZstdInput.read(Array(members[container.offset...]), &rest)
    #expect(read.bytes == Self.text + Array("5,6\n".utf8))
  }

  @Test func `a frame that is cut off anywhere is refused`() {
    for frame in [Self.gzip, Self.lz4] {
      for count in 4..<frame.count {
        #expect(read(Array(frame[..<count])).error?.contains("expected the rest of the") == true)
      }
    }
  }

  @Test func `a flipped bit is refused, or changes nothing that is read`() {
    for frame in [Self.gzip, Self.lz4] {
      for index in frame.indices.dropFirst(4) {
        for bit in 0..<8 {
          var flipped = frame
          flipped[index] ^= 1 << UInt8(bit)
          let outcome = read(flipped)
          #expect(outcome.error != nil || outcome.bytes == Self.text, "byte \(index), bit \(bit)")
        }
      }
    }
  }

  @Test func `other bytes after a frame are refused with its offset`() {
    let junk = Array("other bytes".utf8)
    #expect(
      read(Self.gzip + junk).error
        == "frame at byte 49 of the input: expected a gzip member, found other bytes")
    #expect(
      read(Self.lz4 + junk).error
        == "frame at byte 49 of the input: expected an lz4 frame, found other bytes")
  }

  @Test func `a wrong checksum is told`() {
    var (gzip, lz4) = (Self.gzip, Self.lz4)
    gzip[gzip.count - 6] ^= 1
    lz4[lz4.count - 1] ^= 1
    #expect(
      read(gzip).error?.hasSuffix("expected the checksum of the gzip member, found another") == true
    )
    #expect(
      read(lz4).error?.hasSuffix("expected the checksum of the lz4 frame, found another") == true)
  }

  @Test func `floats are hardly ever taken for gzip`() {
    // The fourth byte, the highest of a float, would have to be below 32, as in a positive float below 5e-20.
    for value in [Float(1), -3e7, 1e-15] {
      var bytes = withUnsafeBytes(of: value.bitPattern.littleEndian) { Array($0) }
      bytes.replaceSubrange(0..<3, with: [0x1F, 0x8B, 0x08])
      #expect(read(bytes + bytes).bytes == bytes + bytes)
    }
  }
}
