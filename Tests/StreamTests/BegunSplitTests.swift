import Connectors
import Records
import Storage
import TestSupport
import Testing

@testable import Stream

/// Files that were begun after the newest checkpoint of a stream that was killed.
@Suite struct BegunSplitTests {
  private let directory: TemporaryDirectory
  private let files = POSIXFileSystem()
  private var state: String { directory.file("state") }

  init() throws {
    directory = try TemporaryDirectory()
    try files.createDirectories(directory.file("in"))
  }

  private func open() throws -> OpenedStream {
    let text = """
      state_directory: \(state)
      streams:
        s:
          source: { directory: { path: \(directory.file("in")) } }
          format: csv
          compression: off
          sink: { file: { path: \(directory.file("out.csv")) } }
      """
    let plan = StreamPlan(try onlyStream(text), directory: state, adopts: false)
    return try OpenedStream(plan, in: ConnectorContext(fileSystem: files))
  }

  /// Leaves what a stream has that was killed after it wrote records of the files `a` and `b`, of which its checkpoint
  /// knows neither.
  private func crash() throws {
    var checkpoint = Checkpoint(features: ["x"])
    checkpoint.input = InputCursor(form: "as it was", done: OpaqueBytes())
    checkpoint.output = OutputPosition(byteCount: 2, sequence: 0)
    let store = try CheckpointStore(directory: state, keep: 3, in: files)
    try store.write(checkpoint)
    var begun: [SplitCursor] = []
    for name in ["a", "b"] {
      try directory.write("in/\(name)", Array("x\n\(name == "a" ? 1 : 2)\n".utf8))
      let file = try files.open(directory.file("in/\(name)"), for: .reading)
      begun.append(
        SplitCursor(split: name, source: try FileMark(file, at: 0, looksAhead: true).opaque))
    }
    try store.makeBegunSplits()?.add(begun)
    try directory.write("out.csv", Array("x\n1\n2\n".utf8))
  }

  private var output: String {
    get throws { String(decoding: try directory.read("out.csv"), as: UTF8.self) }
  }

  @Test func `output is taken back if all files that were begun are there`() throws {
    try crash()
    let opened = try open()
    #expect(opened.warnings.isEmpty)
    #expect(try output == "x\n")
    #expect(opened.source.openSplits.count == 2)
    // The next restart knows them by the checkpoint.
    let newest = try #require(try CheckpointStore.newest(in: state, of: files))
    #expect(newest.checkpoint.input?.splits.map(\.split) == ["a", "b"])
  }

  @Test(arguments: ["a", "b"])
  func `output stays if a file that was begun is gone`(name: String) throws {
    try crash()
    try files.remove(directory.file("in/\(name)"))
    let opened = try open()
    #expect(try output == "x\n1\n2\n")
    #expect(opened.warnings.count == 1)
    #expect(opened.warnings.first?.hasPrefix("\(name): the file") == true)
    #expect(opened.source.openSplits.count == 1)
  }

  @Test func `output stays if another file has the place of one that was begun`() throws {
    try crash()
    try directory.write("in/a", Array("x\n7\n".utf8))
    #expect(try open().warnings.count == 1)
    #expect(try output == "x\n1\n2\n")
  }
}
