import Dataflow
import Foundation
import Glibc
import Storage
import TestSupport
import Testing

@testable import Connectors

@Suite struct FileSinkTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  @Test func `a file appears when it is complete, the prologue first`() throws {
    var sink = try BuiltInSinks.all.open(
      directory.file("out"), in: ConnectorContext(fileSystem: POSIXFileSystem()))
    try sink.begin(bytes("head;"))
    try sink.write(bytes("one;"))
    #expect(try sink.push() == nil)
    try sink.sync()
    #expect(!FileManager.default.fileExists(atPath: directory.file("out")))
    try sink.finish()
    #expect(try directory.names == ["out"])
    #expect(try directory.text("out") == "head;one;")
  }

  @Test func `a device is written to and not replaced`() throws {
    var before = stat()
    try #require(stat("/dev/null", &before) == 0)
    var sinks = [
      try BuiltInSinks.all.open("/dev/null", in: ConnectorContext(fileSystem: POSIXFileSystem()))
    ]
    sinks.append(try configured("file: { path: /dev/null, rotate: { size: 4KiB } }"))
    for var sink in sinks {
      try sink.begin(bytes("head;"))
      try sink.write([UInt8](repeating: 0, count: 10_000))
      #expect(try sink.push() == nil)
      try sink.finish()
    }
    var after = stat()
    try #require(stat("/dev/null", &after) == 0)
    #expect(after.st_mode & S_IFMT == S_IFCHR)
    #expect(after.st_ino == before.st_ino)
  }

  @Test func `a configured file grows in place and is rotated`() throws {
    var sink = try configured(
      "file: { path: \(directory.file("out.csv")), rotate: { size: 4KiB, age: 1h } }")
    try sink.begin([])
    for _ in 0..<3 { try sink.write([UInt8](repeating: 65, count: 2000)) }
    #expect(try directory.names.count == 2)
    #expect(try directory.text("out.csv").count == 2000)
    try sink.finish()
  }
}

@Suite struct StandardOutputSinkTests {
  /// The reader and the writing descriptor of a pipe, or of a pair of sockets. The reader has read nothing.
  private func pipe(ofSockets: Bool = false) throws -> (reader: TestReader, writing: CInt) {
    signal(SIGPIPE, SIG_IGN)
    var ends: [CInt] = [-1, -1]
    let status =
      ofSockets
      ? socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0, &ends) : Glibc.pipe(&ends)
    try #require(status == 0)
    return (TestReader(ends[0]), ends[1])
  }

  @Test(arguments: [false, true])
  func `a reader that is behind is waited for, and gets everything`(ofSockets: Bool) throws {
    let (reader, writing) = try pipe(ofSockets: ofSockets)
    var sink = try StandardOutputSink(descriptor: writing)
    let data = (0..<300_000).map { UInt8(truncatingIfNeeded: $0) }
    try sink.begin(bytes("head;"))
    #expect(try sink.push() == nil)
    try sink.write(data)
    let awaited = try #require(try sink.push())
    guard case .writable(let awaitedOne)? = awaited.readiness else {
      Issue.record("waits for \(awaited)")
      return
    }
    // A pipe is opened again, and only its new descriptor does not block. Sockets cannot be.
    #expect((awaitedOne == writing) == ofSockets)
    #expect((fcntl(awaitedOne, F_GETFL) & O_NONBLOCK == 0) == ofSockets)
    #expect(try sink.push() == awaited)
    try waitUntil {
      reader.read(limit: 10_000)
      return try sink.push() == nil
    }
    try sink.finish()
    try reader.read(count: 5 + data.count)
    close(writing)
    #expect(reader.bytes.elementsEqual(bytes("head;") + data))
  }

  @Test func `the descriptor keeps its mode, which other processes share`() throws {
    let (reader, writing) = try pipe()
    defer { close(writing) }
    var sink = try StandardOutputSink(descriptor: writing)
    try sink.write(bytes("one;"))
    try sink.pushUntilDone()
    #expect(fcntl(writing, F_GETFL) & O_NONBLOCK == 0)
    try reader.read(count: 4)
  }

  @Test func `a pipe without a reader, which cannot be opened again, is an error`() throws {
    let (reader, writing) = try pipe()
    defer { close(writing) }
    reader.close()
    var sink = try StandardOutputSink(descriptor: writing)
    try sink.write([UInt8](repeating: 65, count: 100_000))
    #expect(throws: FileError(operation: .write, path: "stdout", errno: EPIPE)) {
      try sink.push()
    }
  }

  @Test func `a file takes everything at once`() throws {
    let directory = try TemporaryDirectory()
    let descriptor = open(directory.file("out"), O_WRONLY | O_CREAT, 0o600)
    try #require(descriptor >= 0)
    defer { close(descriptor) }
    var sink = try StandardOutputSink(descriptor: descriptor)
    try sink.write([UInt8](repeating: 65, count: 100_000))
    #expect(try sink.push() == nil)
    #expect(try directory.text("out").count == 100_000)
  }

  @Test func `a closed descriptor is refused`() {
    #expect(throws: FileError.self) { try StandardOutputSink(descriptor: -1) }
  }
}
