import Configuration
import Glibc
import Storage
import TestSupport
import Testing

@testable import Connectors

@Suite struct SinkTests {
  private let directory: TemporaryDirectory
  private let fileSystem = POSIXFileSystem()

  init() throws { directory = try TemporaryDirectory() }

  private func kind(of location: String) -> String? {
    BuiltInSinks.all.first { $0.locate(location, SettingValues()) != nil }?.name
  }

  @Test func `a file appears whole when it is finished, and not before`() throws {
    var sink = try BuiltInSinks.all.open(
      directory.file("out.csv"), in: ConnectorContext(fileSystem: fileSystem))
    #expect(sink.name == directory.file("out.csv"))
    try sink.write([1, 2])
    try sink.write([3])
    #expect(try !directory.names.contains("out.csv"))
    try sink.finish()
    #expect(try directory.names == ["out.csv"])
    #expect(try directory.read("out.csv") == [1, 2, 3])
  }

  @Test func `a file that was there stays as it was until it is replaced`() throws {
    try directory.write("out.csv", [9, 9, 9, 9])
    var sink = try BuiltInSinks.all.open(
      directory.file("out.csv"), in: ConnectorContext(fileSystem: fileSystem))
    try sink.write([1])
    #expect(try directory.read("out.csv") == [9, 9, 9, 9])
    try sink.finish()
    #expect(try directory.read("out.csv") == [1])
    #expect(try directory.names == ["out.csv"])
  }

  @Test func `a file sink that is dropped leaves neither a file nor a temporary one`() throws {
    do {
      var sink = try BuiltInSinks.all.open(
        directory.file("out.csv"), in: ConnectorContext(fileSystem: fileSystem))
      try sink.write([1])
      #expect(try directory.names.count == 1)
    }
    #expect(try directory.names == [])
  }

  @Test func `a file sink that is dropped leaves the file that was there`() throws {
    try directory.write("out.csv", [9])
    do {
      var sink = try BuiltInSinks.all.open(
        directory.file("out.csv"), in: ConnectorContext(fileSystem: fileSystem))
      try sink.write([1])
    }
    #expect(try directory.names == ["out.csv"])
    #expect(try directory.read("out.csv") == [9])
  }

  @Test func `a file in a missing directory is refused by the name the user knows`() throws {
    let path = directory.file("none/out.csv")
    #expect(throws: FileError(operation: .create, path: path, errno: ENOENT)) {
      try BuiltInSinks.all.open(path, in: ConnectorContext(fileSystem: fileSystem))
    }
  }

  @Test func `a directory is not replaced`() throws {
    #expect(throws: FileError(operation: .replace, path: directory.path, errno: EISDIR)) {
      try BuiltInSinks.all.open(directory.path, in: ConnectorContext(fileSystem: fileSystem))
    }
  }

  @Test func `a device is written to and never replaced`() throws {
    let before = try fileSystem.status(of: "/dev/null")
    var sink = try BuiltInSinks.all.open("/dev/null", in: ConnectorContext(fileSystem: fileSystem))
    try sink.write([1, 2, 3])
    try sink.finish()
    #expect(try fileSystem.status(of: "/dev/null").identity == before.identity)
  }

  @Test func `a FIFO is written to and never replaced`() throws {
    let path = directory.file("fifo")
    #expect(mkfifo(path, 0o600) == 0)
    let reader = try fileSystem.open(path, for: .updating)
    var sink = try BuiltInSinks.all.open(path, in: ConnectorContext(fileSystem: fileSystem))
    try sink.write([5, 6])
    try sink.finish()
    var buffer: [UInt8] = [0, 0, 0]
    #expect(try buffer.withUnsafeMutableBytes { try reader.read(into: $0) } == 2)
    #expect(buffer == [5, 6, 0])
    #expect(try fileSystem.status(of: path).kind == .fifo)
  }

  @Test(arguments: [
    ("-", "stdout"), ("/dev/stdout", "file"), ("out.csv", "file"), ("./-", "file"),
  ])
  func `a location means one kind of sink`(location: String, kind: String) {
    #expect(self.kind(of: location) == kind)
  }

  @Test func `a descriptor that the process has open is written to as it is`() throws {
    let path = directory.file("out.csv")
    let descriptor = open(path, O_WRONLY | O_CREAT, 0o600)
    try #require(descriptor >= 0)
    defer { close(descriptor) }
    let before = try fileSystem.status(of: path).identity
    var sink = try BuiltInSinks.all.open(
      "/dev/fd/\(descriptor)", in: ConnectorContext(fileSystem: fileSystem))
    try sink.begin([1])
    try sink.write([2])
    try sink.finish()
    #expect(try directory.read("out.csv") == [1, 2])
    #expect(try fileSystem.status(of: path).identity == before)
  }
}
