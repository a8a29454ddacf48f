import Connectors
import Records
import Storage
import TestSupport
import Testing

@testable import Stream

/// Streams that open with an older checkpoint, because newer ones are damaged or do not fit the output.
@Suite struct FallbackTests {
  private let directory: TemporaryDirectory
  private var state: String { directory.file("state") }

  init() throws { directory = try TemporaryDirectory() }

  private func open() throws -> OpenedStream {
    let text = """
      state_directory: \(state)
      streams:
        s:
          source: { file: { path: \(directory.file("in.csv")) } }
          format: csv
          on_bad_record: dead_letter
          sink: { file: { path: \(directory.file("out.csv")) } }
      """
    let plan = StreamPlan(try onlyStream(text), directory: state, adopts: false)
    return try OpenedStream(plan, in: ConnectorContext(fileSystem: POSIXFileSystem()))
  }

  private func checkpoint(letters: OutputPosition?) -> Checkpoint {
    var checkpoint = Checkpoint(features: ["a"])
    checkpoint.input = InputCursor(done: OpaqueBytes())
    checkpoint.output = OutputPosition(byteCount: 4, sequence: 0)
    checkpoint.deadLetters = letters
    return checkpoint
  }

  @Test func `the position of the first dead letter is saved before it is written`() throws {
    try directory.write("in.csv", Array("a\n1\n".utf8))
    try directory.write("out.csv", Array("a\n1\n".utf8))
    let store = try CheckpointStore(directory: state, keep: 3, in: POSIXFileSystem())
    try store.write(checkpoint(letters: nil))
    let before = Array("{\"n\":1}\n".utf8)
    try directory.write("state/dead-letters.ndjson", before)
    for _ in 0..<2 {
      let opened = try open()
      #expect(
        opened.state.checkpoint?.deadLetters == OutputPosition(byteCount: before.count, sequence: 0)
      )
      // The stream crashes after it wrote some more.
      try directory.write("state/dead-letters.ndjson", before + before)
    }
    _ = try open()
    #expect(try directory.read("state/dead-letters.ndjson") == before)
    #expect(try store.newest()?.path.hasSuffix("2.safetensors") == true)
  }

  @Test func `the position that the output is truncated to is saved before`() throws {
    try directory.write("in.csv", Array("a\n1\n".utf8))
    try directory.write("out.csv", Array("a\n1\n2\n".utf8))
    let store = try CheckpointStore(directory: state, keep: 3, in: POSIXFileSystem())
    try store.write(checkpoint(letters: OutputPosition(byteCount: 9, sequence: 0)))
    try store.write(checkpoint(letters: OutputPosition(byteCount: 9, sequence: 1)))
    try directory.write("state/checkpoint-0000000002.safetensors", [0])
    // The file of the first position was removed as too old. The next file and the growing one exist.
    for name in ["dead-letters-20261122T091500Z-000002.ndjson", "dead-letters.ndjson"] {
      try directory.write("state/" + name, Array("{\"n\":1}\n".utf8))
    }
    let next = OutputPosition(byteCount: 0, sequence: 0)
    let first = try open()
    #expect(first.warnings.count == 1 && first.state.checkpoint?.deadLetters == next)
    // The stream crashes twice before its first checkpoint.
    for _ in 0..<2 {
      let again = try open()
      #expect(again.warnings.isEmpty && again.state.checkpoint == first.state.checkpoint)
      #expect(try directory.read("out.csv") == Array("a\n1\n".utf8))
      #expect(try directory.read("state/dead-letters.ndjson").isEmpty)
    }
  }
}
