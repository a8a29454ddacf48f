import Configuration
import Dataflow
import Glibc
import Records
import Storage
import TestSupport
import Testing

@testable import Connectors

@Suite struct SourceTests {
  private let directory: TemporaryDirectory
  private let fileSystem = POSIXFileSystem()

  init() throws { directory = try TemporaryDirectory() }

  private func open(_ location: String, _ cursor: InputCursor? = nil) throws -> any Source {
    try BuiltInSources.all.factory(location)(.real(cursor))
  }

  /// One read of at most `limit` bytes.
  private func read(
    _ source: inout any Source, limit: Int = 100
  ) throws -> (read: SourceEvent, bytes: [UInt8]) {
    var buffer = [UInt8](repeating: 0, count: limit)
    let read = try buffer.withUnsafeMutableBytes { try source.read(into: $0) }
    guard case .data(_, .bytes(let count)) = read else { return (read, []) }
    return (read, Array(buffer[..<count]))
  }

  @Test func `a file is read to its end, in pieces of the buffer's size, and has a size`() throws {
    var source = try open(directory.write("in.csv", 0..<10))
    #expect(source.name == directory.file("in.csv"))
    #expect(source.size == 10)
    #expect(try read(&source, limit: 7).bytes == Array(0..<7))
    #expect(try read(&source, limit: 7).bytes == [7, 8, 9])
    #expect(try read(&source).read == .end)
    #expect(try read(&source).read == .end)
  }

  @Test func `a file goes on at the cursor of an earlier source`() throws {
    let path = try directory.write("in.csv", 0..<10)
    let first = try open(path)
    var cursor = SplitCursor(split: "in.csv", byteOffset: 7, records: 1)
    cursor.source = try first.mark(of: 0, at: 7)
    var second = try open(path, InputCursor(splits: [cursor], done: first.done))
    #expect(second.gap == nil && second.openSplits == [0])
    #expect(second.start(of: 0) == SplitStart(cursor))
    #expect(try read(&second).bytes == [7, 8, 9])
    #expect(try read(&second).read == .end)
    try second.finish(0)
    var third = try open(path, InputCursor(splits: [cursor], done: second.done))
    #expect(third.gap == nil)
    #expect(try read(&third).read == .end)
  }

  @Test func `a file that is not what it was is read from its beginning, which is a gap`() throws {
    let path = try directory.write("in.csv", 0..<10)
    let first = try open(path)
    var cursor = SplitCursor(split: "in.csv", byteOffset: 7, records: 1)
    cursor.source = try first.mark(of: 0, at: 7)
    try directory.write("in.csv", 1..<11)
    var second = try open(path, InputCursor(splits: [cursor], done: first.done))
    #expect(
      second.gap == "expected byte 7 of in.csv after the bytes that were read, found other bytes")
    #expect(second.isChangedInPlace)
    #expect(try read(&second).bytes == Array(1..<11))
  }

  @Test func `an empty file is at its end`() throws {
    var source = try open(directory.write("in.csv", []))
    #expect(source.size == 0)
    #expect(try read(&source).read == .end)
  }

  @Test func `a pipe waits while it is empty, gives what is there, and ends when it is closed`()
    throws
  {
    var ends: [CInt] = [-1, -1]
    #expect(pipe(&ends) == 0)
    var source: any Source = try FileSource(POSIXFile(adopting: ends[0], path: "stdin"))
    let writer = POSIXFile(adopting: ends[1], path: "writer")
    #expect(source.size == nil)
    #expect(try read(&source).read == .idle(Awaiting(.readable(descriptor: ends[0]))))
    try writer.write([1, 2, 3])
    #expect(try read(&source).bytes == [1, 2, 3])
    #expect(try read(&source).read == .idle(Awaiting(.readable(descriptor: ends[0]))))
    try writer.write([4])
    try writer.close()
    #expect(try read(&source).bytes == [4])
    #expect(try read(&source).read == .end)
  }

  @Test func `a FIFO is read like a pipe`() throws {
    let path = directory.file("fifo")
    #expect(mkfifo(path, 0o600) == 0)
    // Opened for both, so that neither open(2) waits for the other side.
    let writer = try fileSystem.open(path, for: .updating)
    var source = try open(path)
    #expect(source.size == nil)
    guard case .idle = try read(&source).read else {
      Issue.record("expected a wait")
      return
    }
    try writer.write([1, 2])
    #expect(try read(&source).bytes == [1, 2])
    try writer.close()
    #expect(try read(&source).read == .end)
  }

  @Test func `a source that does not exist is missing`() throws {
    #expect {
      try open(directory.file("none.csv"))
    } throws: { error in
      (error as? FileError)?.isMissing == true && "\(error)".contains("none.csv")
    }
  }

  @Test func `a directory cannot be read`() throws {
    var source = try open(directory.path)
    #expect(throws: FileError(operation: .read, path: directory.path, errno: EISDIR)) {
      try read(&source)
    }
  }

  @Test func `standard input is written as a dash`() throws {
    #expect(
      try open("-").name == "stdin")
    #expect(BuiltInSources.all.last?.locate("anything", SettingValues()) != nil)
  }
}
