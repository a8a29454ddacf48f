import BatchNormalization
import Configuration
import Foundation
import Records
import Storage
import TestSupport
import Testing

@testable import Codecs
@testable import Stream

/// Arrow through all stages: runs that fail and resume, several inputs, live streams.
@Suite struct ArrowRunTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private func configuration(
    _ container: ArrowContainer = .stream, batchSize: Int = 7
  ) -> StreamConfiguration {
    var configuration = StreamConfiguration(name: "test", format: .arrow)
    configuration.batch.size = batchSize
    configuration.decoder.features = ["x", "y"].map { FeaturePattern($0) }
    configuration.decoder.settings[ArrowSettings.container] = container
    return configuration
  }

  private func files(_ state: String, input: String = "in") -> StreamFiles {
    var files = StreamFiles(input: directory.file(input), output: directory.file("\(state).out"))
    files.resume = directory.file(state)
    files.schedule = CheckpointSchedule(everyBatches: 3)
    return files
  }

  // MARK: Resuming

  @Test(arguments: [ArrowContainer.stream, .file], [0, 3])
  func `a run that failed resumes byte for byte`(container: ArrowContainer, frames: Int) throws {
    // A file has one dictionary an id.
    let input = try ArrowInput.stream(
      "pyarrow-deltas.arrows", times: 40, repeatsDictionaries: container == .stream)
    let stored = frames == 0 ? input : try framed(input, count: frames)
    try directory.write("in", stored)
    let whole = try FileRun(configuration(container), files("whole"))
    #expect(whole.failure == nil && whole.metrics.records == 72 + 39 * 72)
    for part in 1...7 {
      let disk = MeteredFileSystem(
        directory.file("in"), piece: 300, failsAt: stored.count * part / 8)
      let run = try FileRun(configuration(container), files("state"), fileSystem: disk)
      #expect(run.failure?.exitCode == 74)
    }
    let last = try FileRun(configuration(container), files("state"))
    #expect(last.failure == nil && last.metrics.bytesPassedOver > 0)
    #expect(try directory.read("state.out") == directory.read("whole.out"))
  }

  @Test func `a run over a file resumes by its footer`() throws {
    try directory.write(
      "in", ArrowInput.stream("pyarrow-deltas.arrows", times: 20, repeatsDictionaries: false))
    #expect(try FileRun(configuration(.file), files("first")).failure == nil)
    #expect(try FileRun(configuration(.file), files("whole", input: "first.out")).failure == nil)
    let whole = try directory.read("whole.out")
    #expect(whole.starts(with: ArrowFooter.fileStart))
    let configuration = configuration(.file)
    for part in 3...6 {
      let disk = MeteredFileSystem(
        directory.file("first.out"), piece: 512, failsAt: whole.count * part / 8)
      let run = try FileRun(
        configuration, files("state", input: "first.out"), fileSystem: disk)
      #expect(run.failure?.exitCode == 74)
    }
    let last = try FileRun(configuration, files("state", input: "first.out"))
    #expect(last.failure == nil && last.metrics.bytesPassedOver > 0)
    #expect(try directory.read("state.out") == whole)
  }

  @Test func `no checkpoint stands within a record batch`() throws {
    try directory.write(
      "in", ArrowInput.stream("pyarrow-none.arrows", times: 6, repeatsDictionaries: true))
    var files = files("state")
    files.schedule = CheckpointSchedule(everyBatches: 1)
    #expect(try FileRun(configuration(batchSize: 5), files).failure == nil)
    let ends = try ArrowInput.messages(directory.read("in")).reduce(into: [0]) {
      $0.append($0[$0.count - 1] + $1.bytes.count)
    }
    let cut = try MeteredFileSystem(
      directory.file("in"), piece: 700, failsAt: directory.read("in").count / 2)
    _ = try FileRun(configuration(batchSize: 5), self.files("cut"), fileSystem: cut)
    let found = try CheckpointStore.newest(in: directory.file("cut"), of: POSIXFileSystem())
    let cursor = try #require(found?.checkpoint.input?.splits.first)
    #expect(cursor.byteOffset > 0 && ends.contains(cursor.byteOffset))
    #expect(cursor.records % 24 == 0)
  }

  // MARK: Several inputs

  @Test func `several streams become one, and each batch follows its dictionaries`() throws {
    let one = try ArrowInput.golden("pyarrow-deltas.arrows")
    try directory.write("a", one)
    try directory.write("b", one)
    var files = StreamFiles(input: directory.file("a"), output: directory.file("out"))
    files.moreInputs = [directory.file("b")]
    var configuration = configuration()
    configuration.hasManyInputs = true
    #expect(try FileRun(configuration, files).failure == nil)
    let kinds = try ArrowInput.messages(directory.read("out")).map(\.kind)
    let expected = try ArrowInput.messages(one).map(\.kind)
    #expect(kinds == expected + expected.dropFirst())
    configuration.decoder.settings[ArrowSettings.container] = .file
    let failure = try FileRun(configuration, files).failure
    #expect(failure.map { "\($0)" }?.contains("a file has one dictionary an id") == true)
  }

  @Test func `another schema is refused with the column`() throws {
    try directory.write("a", ArrowInput.golden("pandas.arrows"))
    try directory.write("b", ArrowInput.golden("duckdb.arrows"))
    var files = StreamFiles(input: directory.file("a"), output: directory.file("out"))
    files.moreInputs = [directory.file("b")]
    var configuration = configuration()
    configuration.hasManyInputs = true
    let failure = try #require(try FileRun(configuration, files).failure)
    #expect("\(failure)".contains("expected the columns that the stream began with"))
  }

  // MARK: Output

  @Test(arguments: ["csv", "ndjson", "raw"])
  func `features go to and come from other formats`(name: String) throws {
    try directory.write("in", ArrowInput.golden("pyarrow-none.arrows"))
    var there = configuration(batchSize: 100)
    there.outputFormat = .named(name)
    there.normalization.mode = .batch
    #expect(try FileRun(there, files("there")).failure == nil)
    var back = StreamConfiguration(name: "back", format: .named(name))
    back.outputFormat = .arrow
    if name == "raw" {
      back.decoder.settings[RawSettings.columns] = 2
    } else {
      back.decoder.features = ["x", "y"].map { FeaturePattern($0) }
    }
    #expect(try FileRun(back, files("back", input: "there.out")).failure == nil)
    let messages = try ArrowInput.messages(directory.read("back.out"))
    let features = name == "raw" ? ["f0", "f1"] : ["x", "y"]
    let schema = try ArrowMetadata.schema(
      of: ArrowMetadata.firstMessage(of: messages[0].bytes), DecoderLimits())
    let found = schema.fields.filter { $0.type == .float(bits: 32) }
    #expect(found.map(\.name) == features && found.allSatisfy(\.isNullable))
    // The others are text.
    #expect(schema.fields.count == (name == "raw" ? 2 : 18))
    #expect(schema.fields.allSatisfy { $0.type == .utf8 || features.contains($0.name) })
  }

  @Test func `CSV becomes Arrow with all of its columns`() throws {
    try directory.write(
      "in", "id,x,note\n7,1.5,\"a \"\"b\"\"\nc\"\n8,,\n\n9,3,\"\"\nNA,4,é\n".utf8)
    var configuration = StreamConfiguration(name: "test", format: .csv)
    configuration.outputFormat = .arrow
    configuration.decoder.features = [FeaturePattern("x")]
    #expect(try FileRun(configuration, files("all")).failure == nil)
    let messages = try ArrowInput.messages(directory.read("all.out"))
    let schema = try ArrowMetadata.schema(
      of: ArrowMetadata.firstMessage(of: messages[0].bytes), DecoderLimits())
    #expect(schema.fields.map(\.name) == ["id", "x", "note"])
    #expect(schema.fields.map(\.type) == [.utf8, .float(bits: 32), .utf8])
    let body = messages[1].bytes
    // The texts of a column follow one another; an empty field is null, and one in quotes is not.
    #expect(body.contains(Array("789NA".utf8)) && body.contains(Array("a \"b\"\ncé".utf8)))
    let offsets: [Int32] = [0, 7, 7, 7, 9]
    #expect(body.contains(offsets.flatMap { withUnsafeBytes(of: $0) { Array($0) } }))
    let features = try ArrowFeatures([FeaturePattern("x")], of: schema, limits: DecoderLimits())
    let metadata = try ArrowMetadata.firstMessage(of: body)
    let layout = try FlatBytes.read(metadata) { view throws(RecordFault) in
      try ArrowBatchLayout(
        ArrowMessage(view, bodyLimit: .max), schema: schema, features: features, byteLimit: 1 << 20)
    }
    #expect(layout.records == 4 && layout.columns[0].nullCount == 1)
  }

  @Test(arguments: [1, 3, 24, 100, 1000])
  func `a live stream gives the bytes of a file`(piece: Int) throws {
    let input = try ArrowInput.stream("pyarrow-none.arrows", times: 2, repeatsDictionaries: true)
    let calm = try SerialRun(configuration(), input)
    var live = configuration()
    live.isLive = true
    let run = try SerialRun(live, input, piece: piece * 100, isLive: true)
    #expect(run.output.count > 10_000 && run.output == calm.output)
    #expect(run.batchSizes == calm.batchSizes)
  }
}
