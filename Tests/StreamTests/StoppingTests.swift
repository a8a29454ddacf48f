import Codecs
import Glibc
import Records
import Storage
import TestSupport
import Testing

@testable import Stream

@Suite struct StoppingTests {
  private func stopped(_ text: [UInt8], piece: Int = .max, level: Int? = nil) throws -> SerialRun {
    let configuration = csvConfiguration {
      $0.decoder.features = [FeaturePattern("x")]
      $0.compressionLevel = level
    }
    return try SerialRun(configuration, text, piece: piece, isLive: true)
  }

  private let text = "k,x\n" + (0..<11).map { "k\($0),\($0 * $0)\n" }.joined()

  @Test(arguments: [1, 5, .max])
  func `a live stream that is stopped emits every record that was read whole`(piece: Int) throws {
    let whole = try stopped(Array(text.utf8), piece: piece)
    #expect(whole.metrics.records == 11)
    #expect(whole.batchSizes == [4, 4, 3])
    #expect(whole.output == (try SerialRun(csvConfiguration(), Array(text.utf8))).output)
    #expect(whole.checkpoint?.cursor?.byteOffset == text.utf8.count)
  }

  @Test func `a stop loses no whole record that was read, whenever it comes`() throws {
    let configuration = csvConfiguration { $0.decoder.features = [FeaturePattern("x")] }
    let whole = try SerialRun(configuration, Array(text.utf8))
    for steps in 1...20 {
      // The first step reads the first piece; all of the stream in the one case.
      for piece in [20, Int.max] {
        let cut = try SerialRun(
          configuration, Array(text.utf8), piece: piece, isLive: true, stopsAfter: steps)
        let read = text.utf8.prefix(cut.metrics.bytesIn)
        #expect(cut.metrics.bytesIn > 0)
        #expect(
          cut.lines.count
            == String(read)?.split(
              separator: "\n", omittingEmptySubsequences: false
            ).count)
        if piece == .max { #expect(cut.output == whole.output, "after \(steps) steps") }
      }
    }
  }

  @Test(arguments: [1, 5, .max])
  func `the part of the next record that was read is not a record`(piece: Int) throws {
    let whole = try stopped(Array(text.utf8))
    let cut = try stopped(Array((text + "k11,12").utf8), piece: piece)
    #expect(cut.output == whole.output)
    #expect(cut.checkpoint == whole.checkpoint)
  }

  @Test func `a frame that was read in part gives the records that are in it`() throws {
    let frames = try framed(Array(text.utf8), count: 2)
    let cut = try stopped(Array(frames.dropLast(6)))
    #expect(cut.metrics.records >= 5)
    #expect(cut.lines.last == "")
  }

  @Test func `a stop before the start of the stream is known gives an empty output`() throws {
    #expect(try stopped(Array("k".utf8)).output.isEmpty)
    let compressed = try stopped(Array("k,".utf8), level: 1)
    #expect(!compressed.output.isEmpty)
    #expect(try decompressed(compressed.output).isEmpty)
    #expect(compressed.checkpoint == nil)
  }

  @Test func `a run over a FIFO is stopped and keeps what came through it`() throws {
    let directory = try TemporaryDirectory()
    let fifo = try directory.makeFIFO("in.csv")
    var files = StreamFiles(input: directory.file("in.csv"), output: directory.file("out.csv"))
    files.checkpointOut = directory.file("state")
    let configuration = csvConfiguration { $0.decoder.features = [FeaturePattern("x")] }
    let run = try FileRun(configuration, files) { run in
      #expect(run.inputByteCount == nil)
      // Fits in the pipe, so that it was written when the stop comes; then wait until it was read.
      #expect(throws: Never.self) { try fifo.write(Array((text + "k11,1").utf8)) }
      #expect(eventually { run.metrics.bytesIn == text.utf8.count + 5 })
      run.stop()
    }
    #expect(run.failure == nil)
    #expect(run.metrics.records == 11)
    #expect(try directory.names == ["in.csv", "out.csv", "state"])
    #expect(try directory.read("out.csv") == stopped(Array(text.utf8)).output)
  }
}
