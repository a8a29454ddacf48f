import Configuration
import Dataflow
import Glibc
import Storage
import TestSupport
import Testing

@testable import Connectors

@Suite struct SourceTests {
  private let directory: TemporaryDirectory
  private let fileSystem = POSIXFileSystem()

  init() throws { directory = try TemporaryDirectory() }

  /// One read of at most `limit` bytes.
  private func read(
    _ source: inout any ByteSource, limit: Int = 100
  ) throws -> (read: SourceRead, bytes: [UInt8]) {
    var buffer = [UInt8](repeating: 0, count: limit)
    let read = try buffer.withUnsafeMutableBytes { try source.read(into: $0) }
    guard case .bytes(let count, run: _) = read else { return (read, []) }
    return (read, Array(buffer[..<count]))
  }

  @Test func `a file is read to its end, in pieces of the buffer's size, and has a size`() throws {
    var source = try BuiltInSources.all.open(
      directory.write("in.csv", 0..<10), in: ConnectorContext(fileSystem: fileSystem))
    #expect(source.name == directory.file("in.csv"))
    #expect(source.size == 10)
    #expect(try read(&source, limit: 7).bytes == Array(0..<7))
    #expect(try read(&source, limit: 7).bytes == [7, 8, 9])
    #expect(try read(&source).read == .end)
    #expect(try read(&source).read == .end)
  }

  @Test func `a file goes on where it is sought, if it is so long`() throws {
    var source: any ByteSource = try FileSource(
      fileSystem.open(directory.write("in.csv", 0..<10), for: .reading), isRemembered: true)
    #expect(try read(&source, limit: 2).bytes == [0, 1])
    #expect(try source.seek(run: 0, to: 7))
    #expect(try read(&source, limit: 2).bytes == [7, 8])
    #expect(try source.seek(run: 0, to: 1))
    #expect(try !source.seek(run: 0, to: 11))
    #expect(try read(&source).bytes == Array(1..<10))
    #expect(try source.seek(run: 0, to: 10))
    #expect(try read(&source).read == .end)
  }

  @Test func `an empty file is at its end`() throws {
    var source = try BuiltInSources.all.open(
      directory.write("in.csv", []), in: ConnectorContext(fileSystem: fileSystem))
    #expect(source.size == 0)
    #expect(try read(&source).read == .end)
  }

  @Test func `a pipe waits while it is empty, gives what is there, and ends when it is closed`()
    throws
  {
    var ends: [CInt] = [-1, -1]
    #expect(pipe(&ends) == 0)
    var source: any ByteSource = try FileSource(POSIXFile(adopting: ends[0], path: "stdin"))
    let writer = POSIXFile(adopting: ends[1], path: "writer")
    #expect(source.size == nil)
    #expect(try read(&source).read == .waits(Awaiting(.readable(descriptor: ends[0]))))
    try writer.write([1, 2, 3])
    #expect(try read(&source).bytes == [1, 2, 3])
    #expect(try read(&source).read == .waits(Awaiting(.readable(descriptor: ends[0]))))
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
    var source = try BuiltInSources.all.open(path, in: ConnectorContext(fileSystem: fileSystem))
    #expect(source.size == nil)
    guard case .waits = try read(&source).read else {
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
      try BuiltInSources.all.open(
        directory.file("none.csv"), in: ConnectorContext(fileSystem: fileSystem))
    } throws: { error in
      (error as? FileError)?.isMissing == true && "\(error)".contains("none.csv")
    }
  }

  @Test func `a directory cannot be read`() throws {
    var source = try BuiltInSources.all.open(
      directory.path, in: ConnectorContext(fileSystem: fileSystem))
    #expect(throws: FileError(operation: .read, path: directory.path, errno: EISDIR)) {
      try read(&source)
    }
  }

  @Test func `standard input is written as a dash`() throws {
    #expect(
      try BuiltInSources.all.open("-", in: ConnectorContext(fileSystem: fileSystem)).name == "stdin"
    )
    #expect(BuiltInSources.all.last?.locate("anything", SettingValues()) != nil)
  }
}
