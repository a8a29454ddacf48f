import Connectors
import Dataflow
import Records
import Storage
import TestSupport
import Testing

@testable import Stream

/// A source that cannot give the bytes after its cursors again.
private struct GoneSource: Source {
  let name = "gone"
  let size: Int? = nil
  let endsAnywhere = false
  var gap: String? = "in.csv: the file that was read up to byte 4 is gone"
  var isChangedInPlace = false
  /// Nil if the source can never be read again.
  var done: OpaqueBytes? = OpaqueBytes("later")
  /// The split that it resumes, though another is gone.
  let openSplits = [3]

  mutating func read(into buffer: UnsafeMutableRawBufferPointer) throws(FileError) -> SourceEvent {
    .end
  }

  func start(of split: SplitID) -> SplitStart {
    var start = SplitStart(name: "other.csv")
    (start.byteOffset, start.records, start.decoder) = (20, 5, OpaqueBytes("d"))
    return start
  }

  func mark(of split: SplitID, at offset: Int) throws(FileError) -> OpaqueBytes? {
    OpaqueBytes("split \(split) at \(offset)")
  }

  mutating func abandon(_ split: SplitID) {}
}

/// The rule of recovery for input that is gone: state and output stay, and a warning tells of the loss.
@Suite struct GapTests {
  private let directory: TemporaryDirectory
  private let files = POSIXFileSystem()
  private var state: String { directory.file("state") }

  init() throws { directory = try TemporaryDirectory() }

  private func plan() throws -> StreamPlan {
    let text = """
      state_directory: \(state)
      streams:
        s:
          source: { file: { path: in.csv } }
          format: csv
          compression: off
          on_bad_record: dead_letter
          drift: off
          sink: { file: { path: \(directory.file("out.csv")) } }
      """
    return StreamPlan(try onlyStream(text), directory: state, adopts: false)
  }

  private func open(
    _ source: GoneSource, _ change: (inout StreamPlan) -> Void = { _ in }
  ) throws -> OpenedStream {
    var plan = try plan()
    plan.source = { _ in source }
    change(&plan)
    return try OpenedStream(plan, in: ConnectorContext(fileSystem: files))
  }

  /// Writes a checkpoint and outputs with a whole and a torn record after it.
  private func crash(
    destination: String? = nil, hasEpilogue: Bool? = nil, done: OpaqueBytes? = OpaqueBytes()
  ) throws -> Checkpoint {
    var checkpoint = Checkpoint(features: ["a"])
    checkpoint.batchesTracked = 7
    checkpoint.input = InputCursor(
      splits: [SplitCursor(split: "in.csv", source: OpaqueBytes("x"), byteOffset: 4)],
      form: "as it was", done: done)
    var output = OutputPosition(byteCount: 4, sequence: 0)
    (output.destination, output.hasEpilogue) = (destination, hasEpilogue)
    checkpoint.output = output
    checkpoint.deadLetters = OutputPosition(byteCount: 8, sequence: 0)
    try CheckpointStore(directory: state, keep: 3, in: files).write(checkpoint)
    try directory.write("out.csv", Array("a\n1\n22\n3".utf8))
    try directory.write("state/dead-letters.ndjson", Array("{\"n\":1}\n{\"n\":2}\n{".utf8))
    return checkpoint
  }

  private func newest() throws -> Checkpoint {
    try #require(try CheckpointStore.newest(in: state, of: files)?.checkpoint)
  }

  private func text(_ name: String) throws -> String {
    String(decoding: try directory.read(name), as: UTF8.self)
  }

  @Test func `output and state stay, without the torn record, and the loss is told`() throws {
    let before = try crash()
    let opened = try open(GoneSource())
    #expect(try text("out.csv") == "a\n1\n22\n")
    #expect(try text("state/dead-letters.ndjson") == "{\"n\":1}\n{\"n\":2}\n")
    #expect(
      opened.warnings == [
        "in.csv: the file that was read up to byte 4 is gone. Records that were read after the "
          + "checkpoint and not written are lost; the output stays, with 3 bytes that the state "
          + "does not know of"
      ])
    // The stream goes on from the splits that the source has, with the numbers that it had.
    let kept = try #require(opened.state.checkpoint)
    #expect(kept.state == before.state)
    #expect(kept.output?.byteCount == 7 && kept.deadLetters?.byteCount == 16)
    #expect(kept.output?.destination != nil)
    var split = SplitCursor(
      split: "other.csv", source: OpaqueBytes("split 3 at 20"), byteOffset: 20, records: 5)
    split.decoder = OpaqueBytes("d")
    #expect(
      kept.input
        == InputCursor(splits: [split], form: "as it was", done: OpaqueBytes("later")))
    #expect(opened.state.cursor == kept.input)
    // Saved before anything else is written.
    #expect(try newest() == kept)
    #expect(try newest() != before)
  }

  @Test func `a second crash before a checkpoint loses no more`() throws {
    _ = try crash()
    _ = try open(GoneSource())
    try directory.write("out.csv", Array("a\n1\n22\n44\n".utf8))
    // The splits of the saved checkpoint are there: output after it is taken back.
    let again = try open(GoneSource(gap: nil))
    #expect(again.warnings.isEmpty)
    #expect(try text("out.csv") == "a\n1\n22\n")
  }

  @Test func `output of another destination is put aside, and not cut`() throws {
    _ = try crash(destination: "elsewhere")
    let opened = try open(GoneSource())
    #expect(opened.state.checkpoint?.output?.byteCount == 0)
    #expect(opened.state.checkpoint?.output?.sequence == 1)
    #expect(opened.warnings.first?.contains("with 0 bytes that") == true)
    let rotated = try #require(try directory.names.first { $0.hasPrefix("out-") })
    #expect(try text(rotated) == "a\n1\n22\n3")
    #expect(try text("out.csv") == "")
  }

  @Test func `output that may end with an epilogue is put aside, and not cut`() throws {
    _ = try crash(hasEpilogue: true)
    let opened = try open(GoneSource())
    #expect(opened.state.checkpoint?.output?.sequence == 1)
    let rotated = try #require(try directory.names.first { $0.hasPrefix("out-") })
    #expect(try text(rotated) == "a\n1\n22\n3")
  }

  @Test func `input that was changed in place, which can be undone, is refused`() throws {
    let before = try crash()
    let refused = #expect(throws: StreamError.self) {
      try open(GoneSource(isChangedInPlace: true))
    }
    #expect(refused?.exitCode == 65)
    #expect(
      refused?.description
        == "s: the input has changed since the checkpoint was taken: in.csv: the file that was "
        + "read up to byte 4 is gone")
    #expect(try text("out.csv") == "a\n1\n22\n3")
    #expect(try newest() == before)
  }

  @Test(arguments: [true, false])
  func `input that can never be read again leaves the output, without the torn record`(
    sourceForgets: Bool
  ) throws {
    let before = try crash(done: sourceForgets ? OpaqueBytes() : nil)
    let opened = try open(GoneSource(gap: nil, done: sourceForgets ? nil : OpaqueBytes()))
    #expect(opened.warnings.isEmpty)
    // No cursor leads anywhere, so the source begins with the bytes that it has.
    #expect(opened.state.cursor == nil)
    #expect(opened.state.checkpoint?.state == before.state)
    #expect(try text("out.csv") == "a\n1\n22\n")
    #expect(try newest() == before)
  }
}
