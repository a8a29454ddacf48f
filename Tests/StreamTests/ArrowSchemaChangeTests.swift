import Configuration
import Connectors
import Foundation
import Records
import Storage
import TestSupport
import Testing

@testable import Codecs
@testable import Stream

/// Arrow streams whose columns change, and those with more dictionaries than the header of a checkpoint can hold.
@Suite struct ArrowSchemaChangeTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private func text(_ sink: String) -> String {
    """
    state_directory: \(directory.file("state"))
    streams:
      s:
        source: { directory: { path: \(directory.file("in")) } }
        format: { arrow: {} }
        features: [x, y]
        on_schema_change: new_file
        sink: \(sink)
        compression: off
    """
  }

  /// Runs a stream until it has written so many records.
  private func run(_ text: String, records: Int) throws -> StreamError? {
    let plan = StreamPlan(
      try onlyStream(text), directory: directory.file("state/s"), adopts: false)
    let opened = try OpenedStream(plan, in: ConnectorContext(fileSystem: POSIXFileSystem()))
    let ending = StreamEnding()
    let run = try StreamRun(
      opened, threads: 2, metrics: StreamMetrics(), completion: { ending.complete($0) })
    run.start()
    #expect(eventually { run.metrics.records >= records })
    run.stop()
    return ending.wait()
  }

  /// The records of each golden stream.
  private let records = 72

  @Test(arguments: ["out.arrow", "out.arrows"])
  func `a file with other columns begins a new output file with its schema`(name: String) throws {
    try FileManager.default.createDirectory(
      atPath: directory.file("in"), withIntermediateDirectories: false)
    try directory.write("in/a.arrows", ArrowInput.golden("pandas.arrows"))
    try directory.write("in/b.arrows", ArrowInput.golden("duckdb.arrows"))
    #expect(
      try run(text("{ file: { path: \(directory.file(name)) } }"), records: 2 * records) == nil)
    let outputs = try POSIXFileSystem().list(directory.path).filter { $0.hasPrefix("out") }.sorted()
    #expect(outputs.count == 2)
    var schemas: [[String]] = []
    for output in outputs {
      let messages = try ArrowInput.messages(directory.read(output))
      #expect(messages.map(\.kind).filter { $0 == .schema }.count == 1)
      let schema = try ArrowMetadata.schema(
        of: ArrowMetadata.firstMessage(of: messages[0].bytes), DecoderLimits())
      schemas.append(schema.fields.map(\.name))
      #expect(messages.count > 1)
    }
    let expected: [[String]] = try ["pandas.arrows", "duckdb.arrows"].map { name in
      let message = try ArrowMetadata.firstMessage(of: ArrowInput.golden(name))
      return try ArrowMetadata.schema(of: message, DecoderLimits()).fields.map(\.name)
    }
    #expect(Set(schemas) == Set(expected))
  }

  @Test func `a sink that is no file cannot begin another schema`() throws {
    let errors = try configurationErrors(text("{ unix: { path: \(directory.file("out.sock")) } }"))
    #expect(
      errors.map(\.message) == [
        "expected a sink that is a file beside new_file, as a stream of arrow has one schema, found unix"
      ])
  }

  @Test func `a stream resumes with dictionaries of many megabytes`() throws {
    // Words of 1 MiB each: two replaced dictionaries of 9 MiB, in the prologue and in the state of the decoder.
    var messages = try ArrowInput.messages(ArrowInput.golden("pyarrow-deltas.arrows"))
    let batches = messages.filter { $0.kind == .recordBatch }
    messages += (0..<40).flatMap { _ in batches }
    let padding = try longDictionary(byteCount: 9 << 20, like: messages)
    let input = messages[0].bytes + padding + messages.dropFirst().flatMap(\.bytes)
    try directory.write("in", input)
    func files(_ state: String) -> StreamFiles {
      var files = StreamFiles(input: directory.file("in"), output: directory.file("\(state).out"))
      files.resume = directory.file(state)
      files.schedule = CheckpointSchedule(everyBatches: 20)
      return files
    }
    var configuration = StreamConfiguration(name: "test", format: .arrow)
    configuration.batch.size = 24
    configuration.decoder.features = ["x", "y"].map { FeaturePattern($0) }
    #expect(try FileRun(configuration, files("whole")).failure == nil)
    let disk = MeteredFileSystem(
      directory.file("in"), piece: 64 << 10, failsAt: input.count - 20_000)
    let failed = try FileRun(configuration, files("state"), fileSystem: disk)
    #expect(failed.failure?.exitCode == 74)
    let last = try FileRun(configuration, files("state"))
    #expect(last.failure == nil && last.metrics.bytesPassedOver > 0)
    #expect(try directory.read("state.out") == directory.read("whole.out"))
  }

  /// A dictionary of an id that no column has, with so many bytes.
  private func longDictionary(
    byteCount: Int, like messages: [ArrowInput.Message]
  ) throws -> [UInt8] {
    let message = try #require(messages.first { $0.kind == .dictionaryBatch }).bytes
    var metadata = try ArrowMetadata.firstMessage(of: message)
    let places = try FlatBytes.read(metadata) { view throws(RecordFault) in
      let message = try ArrowMessage(view, bodyLimit: .max)
      return (
        try message.header.place(ofField: 0, byteCount: 8),
        try message.table.place(ofField: 3, byteCount: 8)
      )
    }
    var writer = FlatWriter(metadata)
    writer.set(Int64(byteCount), at: try #require(places.1))
    if let id = places.0 { writer.set(Int64(77), at: id) }
    metadata = writer.bytes
    return ArrowMetadata.framed(metadata) + [UInt8](repeating: 7, count: byteCount)
  }
}
