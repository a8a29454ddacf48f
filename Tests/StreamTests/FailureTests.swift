import BatchNormalization
import Codecs
import Configuration
import Glibc
import Operators
import Records
import Storage
import TestSupport
import Testing

@testable import Stream

@Suite struct FailureTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private static let fileError = FileError(operation: .read, path: "in.csv", errno: EIO)

  @Test(
    arguments: [
      (
        StreamError.badRecord(
          stream: "in.csv", record: 1812, byteOffset: 40233,
          fault: RecordFault(expected: "15 fields", found: "14")),
        65, "in.csv: record 1 812, byte 40 233: expected 15 fields, found 14"
      ),
      (
        .badInput(
          stream: "in",
          .container(split: "a.zst", CompressionError(description: "expected a frame"))),
        65, "in: a.zst: expected a frame"
      ),
      (
        .badInput(
          stream: "in",
          .format(split: "", RecordFault(expected: "a header line", found: "the end"))),
        65, "in: expected a header line, found the end"
      ),
      (
        .badInput(stream: "in", .shorter(split: "", expected: 9, found: 7)), 65,
        "in: expected byte 9 of the split, found the end at byte 7"
      ),
      (
        .badInput(stream: "in", .shorterFrame(split: "b", expected: 9)), 65,
        "in: b: expected a frame of at least 9 bytes, found a shorter one"
      ),
      (
        .badInput(stream: "in", .columns(split: "b", expected: ["x", "y"], found: ["y", "x"])), 65,
        """
        in: b: expected the columns that the stream began with ('x', 'y'), found them in another \
        order: 'y', 'x'
        """
      ),
      (
        .badNumbers(
          stream: "in", records: 1001...1256,
          OperatorError(
            "normalize", NormalizationError.overflow(feature: "x", quantity: .batchMean))), 65,
        "in: records 1 001 to 1 256: feature 'x': the mean of the batch overflows"
      ),
      (
        .inputChanged(stream: "in.csv", "expected byte 9, found the end"), 65,
        """
        in.csv: the input has changed since the checkpoint was taken: \
        expected byte 9, found the end
        """
      ),
      (
        .badFile(.content(path: "state", .newerVersion(found: "2", supported: 1))), 65,
        """
        state: written in format version 2, newer than version 1, \
        the newest that this Evenkeel reads
        """
      ),
      (.inputMissing(fileError), 66, "cannot read in.csv: Input/output error"),
      (.outputRefused(fileError), 73, "cannot read in.csv: Input/output error"),
      (.inputOutput(fileError), 74, "cannot read in.csv: Input/output error"),
      (.configuration("batch.size: expected 1"), 78, "batch.size: expected 1"),
      (
        .format(stream: "in", FormatError(RecordSettings.depth, "expected 1 to 9")), 78,
        "in: limits.depth: expected 1 to 9"
      ),
      (.compression(stream: "in", CompressionError(description: "no level")), 78, "in: no level"),
      (
        .notDrained(stream: "in"), 75,
        "in: stopped before all records that were read could be emitted"
      ),
      (
        .interrupted(stream: "in.csv", records: 12345, signal: SIGTERM), 143,
        "in.csv: interrupted after 12 345 records; no output was made"
      ),
    ] as [(StreamError, Int32, String)])
  func `every error has its exit code and one line`(
    error: StreamError, exitCode: Int32, line: String
  ) {
    #expect(error.exitCode == exitCode)
    #expect("\(error)" == line)
  }

  @Test(arguments: [
    (0, "0"), (999, "999"), (1000, "1 000"), (-999, "-999"), (-1000, "-1 000"),
    (1_234_567, "1 234 567"),
  ])
  func `counts are written in groups of three digits`(count: Int, text: String) {
    #expect(grouped(count) == text)
  }

  // MARK: Failed runs

  private static let good = (0..<200).map { "k\($0),\($0 % 17)\n" }.joined()

  /// Runs with an output, a checkpoint and dead letters. Expects the failure, and that it leaves no file.
  private func expectFailure(
    _ input: [UInt8]?, exitCode: Int32, _ line: String,
    _ change: (inout StreamConfiguration, inout StreamFiles) -> Void = { _, _ in }
  ) throws {
    var configuration = csvConfiguration { $0.badRecords = .deadLetter }
    configuration.decoder.features = [FeaturePattern("x")]
    var files = StreamFiles(input: directory.file("in.csv"), output: directory.file("out.csv"))
    files.checkpointOut = directory.file("state")
    files.deadLetters = directory.file("letters")
    change(&configuration, &files)
    if let input { try directory.write("in.csv", input) }
    let before = try directory.names
    var failure: StreamError?
    do {
      failure = try FileRun(configuration, files).failure
    } catch {
      failure = error
    }
    #expect(failure?.exitCode == exitCode)
    let text = failure?.description ?? "no failure"
    #expect(text.contains(line), "\(text)")
    #expect(!text.contains("\n"))
    #expect(try directory.names == before)
  }

  private func stream(_ records: String) -> [UInt8] { Array(("k,x\n" + records).utf8) }

  @Test func `a bad record late in the stream fails with its place`() throws {
    try expectFailure(
      stream(Self.good + "last,oops\n"), exitCode: 65,
      "test: record 201, byte 1 374: expected a number in feature 'x', found 'oops'"
    ) { configuration, files in
      configuration.badRecords = .fail
      files.deadLetters = nil
    }
  }

  @Test func `a quote that is never closed is a bad record`() throws {
    try expectFailure(
      stream(Self.good + "\"last,1\n"), exitCode: 65,
      "record 201, byte 1 374: expected a closing quote, found the end of the stream"
    ) { configuration, files in
      configuration.badRecords = .fail
      files.deadLetters = nil
    }
  }

  @Test func `a record that is too long fails under every policy`() throws {
    let long = String(repeating: "x", count: 5000)
    try expectFailure(
      stream(Self.good + long + ",1\n"), exitCode: 65,
      "record 201, byte 1 374: expected a record of at most 4096 bytes, found a longer one"
    ) { configuration, _ in configuration.decoder.limits.recordBytes = 4096 }
  }

  @Test func `a truncated frame fails`() throws {
    let frames = try framed(stream(Self.good), count: 3)
    try expectFailure(
      Array(frames.dropLast(5)), exitCode: 65, "expected the rest of the zstd frame, found the end")
  }

  @Test func `a frame with a flipped byte fails by its checksum`() throws {
    var frames = try framed(stream(Self.good), count: 3)
    frames[frames.count - 2] ^= 1
    try expectFailure(frames, exitCode: 65, "expected the checksum of the frame, found another")
  }

  @Test func `bytes after a frame that are not a frame fail`() throws {
    try expectFailure(
      framed(stream(Self.good), count: 3) + Array("more".utf8), exitCode: 65,
      "expected a zstd frame, found other bytes")
  }

  @Test func `an absurd number fails with its record, its feature and what to do`() throws {
    try expectFailure(
      stream(Self.good + "a,1\nb,-1e308\nc,1e308\n"), exitCode: 65,
      "expected a number of at most 1e+100 in size in feature 'x', found '-1e308'; "
        + "--on-invalid missing takes such numbers as missing"
    ) { configuration, _ in configuration.badRecords = .fail }
  }

  @Test func `an empty CSV file fails without a header line`() throws {
    try expectFailure(
      [], exitCode: 65, "test: expected a header line, found the end of the stream")
  }

  @Test func `features that match nothing fail with the nearest column`() throws {
    try expectFailure(
      Array("key,temperature\na,1\n".utf8), exitCode: 65,
      "expected a column that 'temperatur' matches, found none among 'key', 'temperature'; did you mean "
        + "'temperature'?"
    ) { configuration, _ in configuration.decoder.features = [FeaturePattern("temperatur")] }
  }

  @Test func `a missing input fails`() throws {
    try expectFailure(nil, exitCode: 66, "cannot open \(directory.file("in.csv")): No such file")
  }

  @Test func `a directory as input fails`() throws {
    try expectFailure(nil, exitCode: 74, "cannot read \(directory.path): Is a directory") {
      $1.input = directory.path
    }
  }

  @Test func `an output in a missing directory fails`() throws {
    try expectFailure(
      stream(Self.good), exitCode: 73, "cannot create \(directory.file("none/out")): No such file"
    ) { $1.output = directory.file("none/out") }
  }

  @Test func `dead letters in a missing directory fail`() throws {
    try expectFailure(
      stream(Self.good), exitCode: 73, "cannot create \(directory.file("none/letters"))"
    ) { $1.deadLetters = directory.file("none/letters") }
  }

  @Test func `a checkpoint in a missing directory fails`() throws {
    try expectFailure(
      stream(Self.good), exitCode: 73, "cannot create \(directory.file("none/state"))"
    ) { $1.checkpointOut = directory.file("none/state") }
  }

  @Test func `a missing initial checkpoint fails`() throws {
    try expectFailure(stream(Self.good), exitCode: 66, "cannot open \(directory.file("none"))") {
      $1.checkpointIn = directory.file("none")
    }
  }

  @Test func `an initial checkpoint in another format fails`() throws {
    try directory.write("old", Array("not a checkpoint".utf8))
    try expectFailure(stream(Self.good), exitCode: 65, directory.file("old") + ": ") {
      $1.checkpointIn = directory.file("old")
    }
  }

  @Test func `an initial checkpoint of other features fails`() throws {
    try CheckpointFile.write(Checkpoint(features: ["y"]), to: directory.file("old"))
    try expectFailure(stream(Self.good), exitCode: 78, "test: the checkpoint does not fit") {
      $1.checkpointIn = directory.file("old")
    }
  }

  @Test func `a batch size above the memory of a batch fails`() throws {
    try expectFailure(
      stream(Self.good), exitCode: 78,
      "test: expected a batch of at most 1024 bytes, found a larger one: lower the batch size (256"
    ) { configuration, _ in
      configuration.batch.size = 256
      configuration.batch.maxBytes = 1024
    }
  }

  @Test func `records above the memory of a batch fail`() throws {
    let long = String(repeating: "x", count: 1000)
    try expectFailure(
      stream(Self.good + "\(long),1\n\(long),2\n\(long),3\n"), exitCode: 78,
      "expected a batch of at most 2048 bytes"
    ) { configuration, _ in configuration.batch.maxBytes = 2048 }
  }

  @Test func `a cancelled run leaves no file`() throws {
    try directory.write("in.csv", stream(Self.good))
    var files = StreamFiles(input: directory.file("in.csv"), output: directory.file("out.csv"))
    files.checkpointOut = directory.file("state")
    let ending = StreamEnding()
    let run = try StreamRun(csvConfiguration(), files: files, threads: 2) { ending.complete($0) }
    // The output, the checkpoint and their temporary names.
    #expect(try directory.names.count == 3)
    run.cancel(.interrupted(stream: "test", records: 0, signal: SIGINT))
    run.start()
    #expect(ending.wait()?.exitCode == 130)
    #expect(try directory.names == ["in.csv"])
  }

  @Test func `a failed run leaves an existing output and checkpoint unchanged`() throws {
    try directory.write("out.csv", [1])
    try directory.write("state", [2])
    try directory.write("letters", [3])
    let long = String(repeating: "x", count: 5000)
    try expectFailure(
      stream(Self.good + long + ",1\n"), exitCode: 65, "expected a record of at most 4096 bytes"
    ) { configuration, _ in configuration.decoder.limits.recordBytes = 4096 }
    #expect(try directory.read("out.csv") == [1])
    #expect(try directory.read("state") == [2])
    #expect(try directory.read("letters") == [3])
  }
}
