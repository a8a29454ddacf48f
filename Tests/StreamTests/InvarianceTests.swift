import Codecs
import Records
import Storage
import TestSupport
import Testing

@testable import Stream

@Suite struct InvarianceTests {
  /// The results that must not depend on the sizes of reads or the number of workers.
  private struct Outcome: Equatable {
    var output: [UInt8]
    var checkpoint: [UInt8]
    var deadLetters: [UInt8]
    var batchSizes: [Int]

    init(_ run: SerialRun) throws {
      output = run.output
      checkpoint = try #require(run.checkpoint).serialized()
      deadLetters = run.deadLetters
      batchSizes = run.batchSizes
    }
  }

  @Test(arguments: TestStream.formats, [nil, 1, 5])
  func `the sizes of reads change nothing`(format: String, frames: Int?) throws {
    let seed = testSeed
    var stream = TestStream(format, records: 103, seed: seed)
    let input = try frames.map { try framed(stream.bytes, count: $0) } ?? stream.bytes
    for level in [nil, 1] {
      stream.configuration.compressionLevel = level
      let whole = try SerialRun(stream.configuration, input, piece: 1 << 20)
      #expect(whole.metrics.badRecords > 0 && whole.metrics.records > 50, "seed \(seed)")
      let expected = try Outcome(whole)
      for piece in [1, 7, 4096] {
        let outcome = try Outcome(SerialRun(stream.configuration, input, piece: piece))
        // Compared before the expectation, because a message with all of it is too long.
        let isSame = outcome == expected
        #expect(isSame, "seed \(seed), pieces of \(piece), level \(level ?? 0)")
      }
    }
  }

  @Test(arguments: TestStream.formats)
  func `compression of the input changes only the position`(format: String) throws {
    let seed = testSeed
    let stream = TestStream(format, records: 100, seed: seed)
    let plain = try SerialRun(stream.configuration, stream.bytes)
    let compressed = try SerialRun(stream.configuration, framed(stream.bytes, count: 3))
    #expect(compressed.output == plain.output, "seed \(seed)")
    #expect(compressed.deadLetters == plain.deadLetters, "seed \(seed)")
    let (a, b) = (plain.checkpoint?.cursor, compressed.checkpoint?.cursor)
    #expect(a?.byteOffset == b?.byteOffset && a?.records == b?.records, "seed \(seed)")
  }

  @Test(arguments: [nil, 1])
  func `the number of workers changes nothing`(level: Int?) throws {
    let directory = try TemporaryDirectory()
    // Long notes fill units fast, so that every worker has work.
    let note = String(repeating: "n", count: 2000)
    var text = "f0,f1,note\n"
    for record in 0..<2500 { text += "\(record % 97),\(record * record % 1009).5,\(note)\n" }
    try directory.write("in.csv", text.utf8)
    var configuration = csvConfiguration { $0.compressionLevel = level }
    configuration.batch.size = 50
    configuration.decoder.features = ["f0", "f1"].map { FeaturePattern($0) }
    let serial = try SerialRun(configuration, Array(text.utf8))
    #expect(serial.unitByteCounts.count >= 9)
    for threads in [1, 2, 3, 8] {
      var files = StreamFiles(
        input: directory.file("in.csv"), output: directory.file("out-\(threads)"))
      files.checkpointOut = directory.file("checkpoint-\(threads)")
      let run = try FileRun(configuration, files, threads: threads)
      #expect(run.failure == nil)
      #expect(run.metrics.records == 2500)
      let isSame = try directory.read("out-\(threads)") == serial.output
      #expect(isSame, "\(threads) workers")
      var checkpoint = try CheckpointFile.read(
        directory.file("checkpoint-\(threads)"), configuration.stateReading)
      #expect(checkpoint.cursor?.records == serial.checkpoint?.cursor?.records)
      checkpoint.input = serial.checkpoint?.input
      #expect(checkpoint == serial.checkpoint, "\(threads) workers")
    }
    #expect(
      try directory.names
        == [1, 2, 3, 8].map { "checkpoint-\($0)" } + ["in.csv"] + [1, 2, 3, 8].map { "out-\($0)" })
  }

  @Test func `a run over files gives the results of its stages on one thread`() throws {
    let directory = try TemporaryDirectory()
    for format in TestStream.formats {
      let seed = testSeed
      let stream = TestStream(format, records: 300, seed: seed)
      let serial = try SerialRun(stream.configuration, stream.bytes)
      var files = StreamFiles(
        input: try directory.write("in", framed(stream.bytes, count: 4)),
        output: directory.file("out"))
      files.deadLetters = directory.file("letters")
      let run = try FileRun(stream.configuration, files)
      #expect(run.failure == nil, "seed \(seed)")
      #expect(try directory.read("out") == serial.output, "seed \(seed)")
      #expect(try directory.read("letters") == serial.deadLetters, "seed \(seed)")
      #expect(run.metrics.records == serial.metrics.records)
      #expect(run.metrics.batches == serial.metrics.batches)
      #expect(run.metrics.badRecords == serial.metrics.badRecords)
      #expect(run.metrics.bytesOut == serial.output.count)
    }
  }
}
