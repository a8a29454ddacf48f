import Dataflow
import Glibc
import Storage
import TestSupport
import Testing

@testable import Connectors

@Suite struct FIFOSinkTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private func open() throws -> FIFOSink {
    var sink = try FIFOSink(path: directory.file("out"), create: true)
    try sink.begin(bytes("head;"))
    return sink
  }

  @Test func `without a reader a write is waited for, and the first reader gets it`() throws {
    var sink = try open()
    #expect(try sink.push() == nil)
    try sink.write(bytes("one;"))
    let awaited = try #require(try sink.push())
    #expect(awaited.readiness == nil)
    #expect(awaited.seconds ?? 0 > 0)
    let reader = try TestReader(fifo: directory.file("out"))
    #expect(try sink.push() == nil)
    try sink.write(bytes("two;"))
    try sink.pushUntilDone()
    try sink.finish()
    try reader.readToEnd()
    #expect(reader.text == "head;one;two;")
  }

  @Test func `the next reader begins with the prologue and the next write`() throws {
    var sink = try open()
    var reader = try TestReader(fifo: directory.file("out"))
    try sink.write(bytes("one;"))
    try sink.pushUntilDone()
    try reader.read(count: 9)
    reader.close()
    for text in ["two;", "three;"] {
      try sink.write(bytes(text))
      #expect(try sink.push() != nil)
      reader = try TestReader(fifo: directory.file("out"))
      try sink.pushUntilDone()
      try reader.read(count: 5 + text.count)
      #expect(reader.text == "head;" + text)
      reader.close()
    }
  }

  @Test func `a write that a reader left in the middle comes again whole`() throws {
    var sink = try open()
    let data = (0..<500_000).map { UInt8(truncatingIfNeeded: $0 / 7) }
    var reader = try TestReader(fifo: directory.file("out"))
    try sink.write(data)
    let awaited = try #require(try sink.push())
    guard case .some(.writable(descriptor: _)) = awaited.readiness else {
      Issue.record("expected a wait for room")
      return
    }
    try reader.read(count: 1000)
    reader.close()
    #expect(try sink.push()?.readiness == nil)
    reader = try TestReader(fifo: directory.file("out"))
    try waitUntil {
      reader.read()
      return try sink.push() == nil
    }
    try sink.finish()
    try reader.readToEnd()
    #expect(reader.bytes.elementsEqual(bytes("head;") + data))
  }

  @Test func `a reader that comes or goes while nothing is written is noticed`() throws {
    var sink = try open()
    #expect(sink.attention?.readiness == nil)
    #expect(sink.attention?.seconds ?? 0 > 0)
    let reader = try TestReader(fifo: directory.file("out"))
    #expect(try sink.push() == nil)
    try reader.read(count: 5)
    let attention = try #require(sink.attention)
    #expect(!attention.isReady(within: 0.01))
    reader.close()
    #expect(attention.isReady(within: 5))
    #expect(try sink.push() == nil)
    #expect(try openDescriptors(leadingTo: directory.file("out")) == 0)
  }

  @Test func `anything but a FIFO is refused and stays`() throws {
    #expect(throws: FileError.self) { try FIFOSink(path: directory.file("none"), create: false) }
    close(Glibc.open(directory.file("out"), O_CREAT | O_WRONLY, 0o600))
    #expect(throws: FileError.self) { try open() }
    #expect(throws: FileError.self) { try FIFOSink(path: "/dev/null", create: false) }
    #expect(try directory.names == ["out"])
  }

  @Test func `no descriptor is left behind`() throws {
    var sink = try open()
    for _ in 0..<20 {
      let reader = try TestReader(fifo: directory.file("out"))
      try sink.write(bytes("one;"))
      try sink.pushUntilDone()
      reader.close()
    }
    try sink.finish()
    #expect(try openDescriptors(leadingTo: directory.file("out")) == 0)
  }
}
