import Codecs
import Configuration
import Connectors
import Records
import Storage
import TestSupport
import Testing

@testable import Stream

/// The end of the last whole record or frame of an output that a crash cut off.
@Suite struct OutputEndTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  /// Trims an output that was cut at any of its bytes, and expects the records that are whole.
  ///
  /// - Parameters:
  ///   - wholes: the ends of the records or frames; the first of them is the position of the checkpoint.
  ///   - hole: the bytes that stand after the cut.
  private func expectTrimmed(
    _ bytes: [UInt8], _ wholes: [Int], _ configuration: StreamConfiguration,
    hole: [UInt8] = [], step: Int = 1
  ) throws {
    let wholeEnd = configuration.wholeOutputEnd(featureCount: 3)
    for count in stride(from: wholes[0], through: bytes.count, by: step) {
      try directory.write("out", bytes[..<count] + hole)
      var sink = try RotatingFileSink(
        path: directory.file("out"), rotation: .init(), in: POSIXFileSystem())
      let end = try sink.trim(
        after: OutputPosition(byteCount: wholes[0], sequence: 0), wholeEnd: wholeEnd)
      let expected = wholes.last { $0 <= count } ?? 0
      #expect(end?.byteCount == expected, "cut after \(count) of \(bytes.count) bytes")
      #expect(try directory.read("out") == Array(bytes[..<expected]))
    }
  }

  private func plain(_ format: String, columns: Int? = nil) -> StreamConfiguration {
    var configuration = StreamConfiguration(name: "s", format: .named(format))
    configuration.compressionLevel = nil
    if let columns { configuration.decoder.settings[RawSettings.columns] = columns }
    return configuration
  }

  /// The bytes of pieces, and the end of each from `first` on.
  private func joined(_ pieces: [[UInt8]], from first: Int = 0) -> (bytes: [UInt8], ends: [Int]) {
    var (bytes, ends): ([UInt8], [Int]) = ([], [])
    for piece in pieces {
      bytes += piece
      ends.append(bytes.count)
    }
    return (bytes, Array(ends[first...]))
  }

  @Test func `lines of CSV are whole at a line end without quotes around it`() throws {
    let lines = ["a,b\n", "1,x\n", "2,\"y\ny\"\n", "3,\"say \"\"z\"\"\nend\"\n", "\n", "4,x\r\n"]
    let (bytes, ends) = joined(lines.map { Array($0.utf8) })
    try expectTrimmed(bytes, ends, plain("csv"))
    try expectTrimmed(bytes, ends, plain("csv"), hole: [UInt8](repeating: 0, count: 9))
    // A line of a later block may follow a hole that a power failure left.
    try expectTrimmed(bytes, ends, plain("csv"), hole: [0] + Array("5,x\n".utf8))
  }

  @Test func `lines of JSON are whole at any line end`() throws {
    let (bytes, ends) = joined(
      ["{\"a\":1}\n", "{\"a\":\"\\\"\"}\n", "{}\n"].map { Array($0.utf8) })
    try expectTrimmed(bytes, ends, plain("ndjson"))
    #expect(
      try directory.write("letters", bytes + Array("{\"tor".utf8)) == directory.file("letters"))
    let file = try POSIXFileSystem().open(directory.file("letters"), for: .reading)
    #expect(try wholeLineEnd(file, 0, bytes.count + 5) == bytes.count)
  }

  @Test func `a line longer than what is read at once is whole at its end`() throws {
    let long = [UInt8](repeating: 0x37, count: 150_000) + [0x0A]
    let (bytes, ends) = joined([Array("a\n".utf8), long, long])
    try expectTrimmed(bytes, ends, plain("csv"), step: 14_983)
  }

  @Test(arguments: [(nil, 3), (2, 2)] as [(Int?, Int)])
  func `rows are whole after each of their bytes`(columns: Int?, width: Int) throws {
    let configuration = plain("raw", columns: columns)
    let rowBytes = width * configuration.precision.byteCount
    let rows = (0..<5).map { [UInt8](repeating: UInt8($0), count: rowBytes) }
    let (bytes, ends) = joined(rows, from: 1)
    try expectTrimmed(bytes, ends, configuration)
  }

  @Test func `compressed output is whole after each frame whose bytes are sound`() throws {
    var configuration = plain("csv")
    configuration.compressionLevel = 1
    let compressor = try ZstdCompressor(level: 1)
    var random = SeededGenerator(seed: 3)
    let frames = try [4, 0, 300, 2000].map { count in
      let text = (0..<count).map { _ in UInt8.random(in: 0x30...0x39, using: &random) }
      return try text.withUnsafeBufferPointer { try compressor.compress($0) }
    }
    let (bytes, ends) = joined(frames)
    try expectTrimmed(bytes, ends, configuration, step: 3)
    // A file may also have its size without its bytes: the headers are whole, a block is not.
    var holed = bytes
    holed.replaceSubrange(
      (ends[3] - 600)..<(ends[3] - 500), with: [UInt8](repeating: 0, count: 100))
    try directory.write("out", holed)
    var sink = try RotatingFileSink(
      path: directory.file("out"), rotation: .init(), in: POSIXFileSystem())
    let end = try sink.trim(
      after: OutputPosition(byteCount: ends[0], sequence: 0),
      wholeEnd: configuration.wholeOutputEnd(featureCount: 3))
    #expect(end?.byteCount == ends[2])
  }
}
