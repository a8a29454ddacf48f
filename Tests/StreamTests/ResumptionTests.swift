import Codecs
import Connectors
import Dataflow
import Foundation
import Records
import State
import Storage
import TestSupport
import Testing

@testable import Stream

/// A run that follows a failed one resumes at its checkpoint, and reads only the rest of the input.
@Suite struct ResumptionTests {
  private let directory: TemporaryDirectory
  private static let piece = 256

  init() throws { directory = try TemporaryDirectory() }

  private func files(state: String = "state") -> StreamFiles {
    var files = StreamFiles(input: directory.file("in"), output: directory.file("\(state).out"))
    files.deadLetters = directory.file("\(state).letters")
    files.resume = directory.file(state)
    files.schedule = CheckpointSchedule(everyBatches: 20)
    return files
  }

  private func run(
    _ configuration: StreamConfiguration, state: String = "state", failsAt: Int = .max
  ) throws -> (run: FileRun, reads: MeteredFileSystem) {
    let fileSystem = MeteredFileSystem(
      directory.file("in"), piece: Self.piece, failsAt: failsAt)
    let run = try FileRun(configuration, files(state: state), fileSystem: fileSystem)
    return (run, fileSystem)
  }

  private func newest(_ state: String) throws -> Checkpoint {
    let found = try CheckpointStore.newest(in: directory.file(state), of: POSIXFileSystem())
    var checkpoint = try #require(found?.checkpoint)
    // The time of the first write differs.
    checkpoint.output?.firstWriteSeconds = nil
    checkpoint.deadLetters?.firstWriteSeconds = nil
    return checkpoint
  }

  /// Lets a run fail at `offset` of the input.
  ///
  /// - Returns: the cursor of its checkpoint.
  private func breakOff(
    _ configuration: StreamConfiguration, at offset: Int
  ) throws -> SplitCursor {
    #expect(try run(configuration, failsAt: offset).run.failure?.exitCode == 74)
    return try #require(try newest("state").cursor)
  }

  // MARK: Reads

  @Test(arguments: TestStream.formats, [0, 2, 40])
  func `a resumed run gives the results of a run that did not fail`(format: String, frames: Int)
    throws
  {
    let seed = testSeed
    let stream = TestStream(format, records: 1500, seed: seed)
    let input = frames == 0 ? stream.bytes : try framed(stream.bytes, count: frames)
    try directory.write("in", input)
    #expect(try run(stream.configuration, state: "whole").run.failure == nil, "seed \(seed)")
    var passedOver = 0
    for part in 5...7 {
      let cursor = try breakOff(stream.configuration, at: input.count * part / 8)
      let (_, reads) = try run(stream.configuration, failsAt: input.count * part / 8 + 1)
      // The run reads only from the cursor, or the beginning of its frame.
      #expect(reads.reads.map(\.lowerBound) == [cursor.sourceOffset], "seed \(seed)")
      if cursor.sourceOffset > 0 { passedOver += 1 }
    }
    #expect(passedOver == 3, "seed \(seed)")
    let (last, reads) = try run(stream.configuration)
    #expect(last.failure == nil, "seed \(seed)")
    #expect(
      last.metrics.bytesIn == reads.byteCount
        && last.metrics.bytesIn + last.metrics.bytesPassedOver == input.count)
    #expect(try directory.read("state.out") == directory.read("whole.out"), "seed \(seed)")
    #expect(try directory.read("state.letters") == directory.read("whole.letters"), "seed \(seed)")
    #expect(try newest("state") == newest("whole"), "seed \(seed)")
  }

  @Test func `a run that resumes near the end of many frames reads little`()
    throws
  {
    let stream = TestStream("csv", records: 6000, seed: 5)
    let input = try framed(stream.bytes, count: 200)
    try directory.write("in", input)
    let cursor = try breakOff(stream.configuration, at: input.count - 2000)
    let (last, reads) = try run(stream.configuration)
    #expect(last.failure == nil)
    #expect(reads.byteCount == input.count - cursor.sourceOffset)
    #expect(reads.byteCount < input.count / 20)
  }

  /// Records that compress to a hundredth, in frames larger than the window.
  private func compressibleInput(frames: Int) throws -> [UInt8] {
    let note = String(repeating: "a", count: 300)
    let text = "x,note\n" + (0..<16_000).map { "\($0 % 10),\(note)\n" }.joined()
    return try framed(Array(text.utf8), count: frames)
  }

  private func compressibleConfiguration() -> StreamConfiguration {
    var configuration = csvConfiguration { $0.batch.size = 50 }
    configuration.badRecords = .deadLetter
    configuration.decoder.features = [FeaturePattern("x")]
    configuration.decompression.maxGrowth = 20
    return configuration
  }

  @Test(arguments: [1, 2])
  func `bytes that are skipped within a frame are not counted as a decompression bomb`(frames: Int)
    throws
  {
    let configuration = compressibleConfiguration()
    let input = try compressibleInput(frames: frames)
    try directory.write("in", input)
    #expect(try run(configuration, state: "whole").run.failure == nil)
    let container = try #require(try breakOff(configuration, at: input.count - 50).container)
    #expect(container.bytesWithin > 5 << 18)
    #expect((container.offset > input.count / 3) == (frames == 2))
    #expect(try run(configuration).run.failure == nil)
    #expect(try directory.read("state.out") == directory.read("whole.out"))
  }

  // MARK: Changed inputs

  /// Lets a run fail, changes the input, and expects that the next run refuses it.
  private func expectRefusal(
    _ line: String, frames: Int, _ change: (inout [UInt8], SplitCursor) throws -> Void
  ) throws {
    let stream = TestStream("csv", records: 1000, seed: 7)
    let configuration = frames == 1 ? compressibleConfiguration() : stream.configuration
    var input =
      switch frames {
      case 0: stream.bytes
      case 1: try compressibleInput(frames: 1)
      default: try framed(stream.bytes, count: frames)
      }
    try directory.write("in", input)
    let cursor = try breakOff(configuration, at: input.count / 2)
    var before = try newest("state")
    before.input?.splits[0].source = nil
    try change(&input, cursor)
    try directory.write("in", input)
    let failure: StreamError?
    do throws(StreamError) {
      failure = try FileRun(configuration, files()).failure
    } catch {
      failure = error
    }
    #expect(failure?.exitCode == 65)
    let text = failure?.description ?? "no failure"
    #expect(text.contains(line) && !text.contains("\n"), "<\(text)>")
    var after = try newest("state")
    after.input?.splits[0].source = nil
    #expect(after == before)
    #expect(throws: FileError.self) { try POSIXFileSystem().status(of: files().output) }
  }

  private static let changed = "test: the input has changed since the checkpoint was taken: "

  @Test(arguments: [0, 20])
  func `an input that ends before the cursor is refused`(frames: Int) throws {
    try expectRefusal(Self.changed, frames: frames) { input, cursor in
      input.removeLast(input.count - cursor.sourceOffset + 1)
    }
  }

  @Test(arguments: [0, 1, 20])
  func `an input that is truncated to its header is refused`(frames: Int) throws {
    let header = Array((frames == 1 ? "x,note\n" : "key,f0,f1,f2,note\n").utf8)
    try expectRefusal(frames == 1 ? "test: expected byte " : Self.changed, frames: frames) {
      input, _ in input = frames == 0 ? header : try framed(header, count: 1)
    }
  }

  @Test(arguments: [0, 20])
  func `an input that is now empty is refused`(frames: Int) throws {
    try expectRefusal(Self.changed, frames: frames) { input, _ in input = [] }
  }

  @Test(arguments: [0, 20])
  func `an input with other bytes before the cursor is refused`(frames: Int) throws {
    for offset in [10, -10] {
      try expectRefusal(Self.changed, frames: frames) { input, cursor in
        input[offset > 0 ? offset : cursor.sourceOffset + offset] ^= 1
      }
      try FileManager.default.removeItem(atPath: directory.file("state"))
    }
  }

  @Test func `an input that was always empty is read as without a checkpoint`() throws {
    try directory.write("in", [])
    var configuration = csvConfiguration { $0.badRecords = .deadLetter }
    #expect(try run(configuration).run.failure?.exitCode == 65)
    #expect(throws: FileError.self) { try POSIXFileSystem().status(of: files().output) }
    configuration.format = .ndjson
    #expect(try run(configuration).run.failure == nil)
    #expect(try directory.read("state.out") == [])
    // The same holds for an input that was read to its end.
    try directory.write("in", Array("{\"a\":1}\n".utf8))
    #expect(try run(configuration, state: "other").run.failure == nil)
    let output = try directory.read("other.out")
    let again = try run(configuration, state: "other").run
    #expect(again.failure == nil && again.metrics.bytesIn == 0 && !output.isEmpty)
    #expect(try directory.read("other.out") == output)
  }

  @Test func `an input whose frame ends before the cursor is refused`() throws {
    try expectRefusal(
      ": expected the rest of the zstd frame, found the end", frames: 20
    ) { input, cursor in input.removeLast(input.count - cursor.sourceOffset - 20) }
  }

  @Test func `an input without a frame at the cursor is refused`() throws {
    try expectRefusal(
      "expected a frame of zstd, gzip, lz4, found other bytes", frames: 20
    ) { input, cursor in
      for offset in cursor.sourceOffset..<cursor.sourceOffset + 4 { input[offset] = 0x61 }
    }
  }

  @Test func `an input with a smaller frame at the cursor is refused`() throws {
    try expectRefusal(
      "test: expected a frame of at least ", frames: 20
    ) { input, cursor in
      input.removeLast(input.count - cursor.sourceOffset)
      let small = try framed(Array("x".utf8), count: 1)
      let large = try framed(Array(repeating: 0x61, count: 1 << 16), count: 1)
      input += small + large
    }
  }

  @Test func `an input that is no longer compressed is refused`() throws {
    try expectRefusal(Self.changed, frames: 20) { input, _ in
      input = try decompressed(input)
    }
  }

  @Test(arguments: [0, 20])
  func `any cursor gives a clear error or a run that ends`(frames: Int) throws {
    let seed = testSeed
    var random = SeededGenerator(seed: seed)
    let stream = TestStream("csv", records: 300, seed: seed)
    try directory.write("in", frames == 0 ? stream.bytes : framed(stream.bytes, count: frames))
    var (refused, passed) = (0, 0)
    for _ in 0..<300 {
      func number() -> Int {
        let most = [0, 30, 10_000, StateColumn.countLimit].randomElement(using: &random) ?? 0
        return .random(in: 0...most, using: &random)
      }
      var cursor = SplitCursor(split: "in", byteOffset: number(), records: number())
      if frames > 0 {
        cursor.container = ContainerOffset(offset: number(), bytesWithin: number())
      }
      let file = try POSIXFileSystem().open(directory.file("in"), for: .reading)
      let size = try file.status().size
      guard cursor.sourceOffset <= size else { continue }
      cursor.source = try FileMark(file, at: cursor.sourceOffset).opaque
      let input = InputCursor(
        splits: [cursor],
        opening: StreamOpening(
          schema: try FeatureSchema(["f0", "f1", "f2"]),
          columns: ["key", "f0", "f1", "f2", "note"], prologue: []),
        form: stream.configuration.inputForm, done: OpaqueBytes())
      var ingest = try IngestStage(
        IngestContext(
          stream.configuration, cursor: input, metrics: StreamMetrics(), inbox: RequestInbox(),
          clock: ManualClock().clock),
        source: try FileSource(file, cursor: input))
      do {
        while try ingest.step(.resume, emit: { _ in }) != .finished {}
        passed += 1
      } catch {
        refused += 1
        #expect((error as? StreamError)?.exitCode == 65, "seed \(seed): \(cursor): \(error)")
      }
    }
    #expect(passed > 0 && (frames == 0 || refused > 10), "\(passed), \(refused), seed \(seed)")
  }

  // MARK: State of decoders

  @Test func `a resumed run knows the features and the lengths of vectors of the first one`() throws
  {
    let lines = (0..<400).map { record in
      "{\"v\":[\(record),\(record % 7),1]" + (record < 100 ? ",\"x\":\(record)}\n" : "}\n")
    }
    var configuration = StreamConfiguration(name: "test", format: .ndjson)
    configuration.decoder.features = ["v[*]", "x"].map { FeaturePattern($0) }
    configuration.badRecords = .deadLetter
    configuration.batch.size = 8
    try directory.write("in", Array(lines.joined().utf8))
    let input = try directory.read("in")
    #expect(try run(configuration, state: "whole").run.failure == nil)
    _ = try breakOff(configuration, at: input.count / 2)
    #expect(try run(configuration).run.failure == nil)
    #expect(try directory.read("state.out") == directory.read("whole.out"))
    #expect(try newest("state") == newest("whole"))
  }
}
