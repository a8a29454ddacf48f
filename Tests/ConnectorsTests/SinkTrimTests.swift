import Dataflow
import Foundation
import Glibc
import Records
import Storage
import TestSupport
import Testing

@testable import Connectors

/// The removal of a last write that a crash cut off. Only a file has one; a reader may have taken the bytes.
@Suite struct SinkTrimTests {
  private let directory: TemporaryDirectory
  private let clock = ManualClock()
  private let fileSystem = POSIXFileSystem()
  private var path: String { directory.file("out") }

  init() throws { directory = try TemporaryDirectory() }

  private func open() throws -> RotatingFileSink {
    try RotatingFileSink(
      path: path, rotation: .init(), in: fileSystem, clock: clock.clock)
  }

  /// Finds the end of the last line.
  private static let lines: WholeEnd = { file, start, end throws(FileError) in
    let bytes = try file.bytes(from: start, count: end - start)
    return start + (bytes.lastIndex(of: 0x0A).map { $0 + 1 } ?? 0)
  }

  /// Fails if it is called.
  private static let uncalled: WholeEnd = { _, start, _ in
    Issue.record("looked for the end of the last write")
    return start
  }

  // MARK: Files

  @Test func `a file is cut to its last whole write, whatever its length, and not before`() throws {
    let text = bytes("head\none\ntwo\nthree\n")
    let position = OutputPosition(byteCount: 9, sequence: 0, firstWriteSeconds: 7)
    for count in position.byteCount...text.count {
      try directory.write("out", text[..<count])
      var sink = try open()
      let end = try #require(try sink.trim(after: position, wholeEnd: Self.lines))
      #expect(end.mayDiffer == true)
      let whole = [9, 13, 19].last { $0 <= count } ?? 0
      #expect(end.byteCount == whole && end.sequence == 0, "\(count) bytes")
      #expect(end.firstWriteSeconds == 7)
      #expect(try directory.read("out") == Array(text[..<whole]))
      // The next write is appended at once, without a gap.
      try sink.resume(at: end)
      try sink.begin(bytes("head\n"))
      try sink.write(bytes("x\n"))
      #expect(try directory.read("out") == text[..<whole] + bytes("x\n"))
    }
  }

  @Test(arguments: [true, false])
  func `a file with another prologue is not written to, also by a later run`(isSame: Bool) throws {
    try directory.write("out", bytes("head\none\n"))
    var first = try open()
    let position = OutputPosition(byteCount: 0, sequence: 0)
    let end = try #require(try first.trim(after: position, wholeEnd: Self.lines))
    // The first run ended before it wrote anything.
    for _ in 0..<2 {
      var sink = try open()
      try sink.resume(at: end)
      try sink.begin(bytes(isSame ? "head\n" : "tail\n"))
      try sink.write(bytes("two\n"))
      #expect(try directory.text("out") == (isSame ? "head\none\ntwo\n" : "tail\ntwo\n"))
      #expect(try directory.names.count == (isSame ? 1 : 2))
    }
  }

  @Test func `output before the position is not looked at`() throws {
    // The first line was written whole, though it has no line end.
    try directory.write("out", bytes("no line endtorn"))
    var sink = try open()
    let end = try sink.trim(after: OutputPosition(byteCount: 11, sequence: 0)) {
      (_, start, end) throws(FileError) in
      #expect(start == 11 && end == 15)
      return start
    }
    #expect(end?.byteCount == 11)
    #expect(try directory.text("out") == "no line end")
  }

  @Test func `a file that was begun after the position is looked at from its start`() throws {
    let names = RotatedNames(of: "out")
    let rotated = names.name(.init(stamp: "20261122T091500Z", sequence: 3))
    try directory.write(rotated, bytes("head\none\ntorn, but durable"))
    try directory.write("out", bytes("head\ntw"))
    var sink = try open()
    let end = try sink.trim(
      after: OutputPosition(byteCount: 900, sequence: 2, firstWriteSeconds: 7),
      wholeEnd: Self.lines)
    #expect(end?.byteCount == 5 && end?.sequence == 3)
    #expect(try directory.text("out") == "head\n")
    // A complete file was synced before it got its name.
    #expect(try directory.text(rotated) == "head\none\ntorn, but durable")
  }

  @Test func `a file without a whole write is empty, and its age counts from the next write`()
    throws
  {
    try directory.write("out", bytes("hea"))
    var sink = try open()
    let position = OutputPosition(byteCount: 0, sequence: 0)
    #expect(try sink.trim(after: position, wholeEnd: Self.lines) == position)
    #expect(try directory.read("out") == [])
    try sink.resume(at: position)
    try sink.begin(bytes("head\n"))
    try sink.write(bytes("one\n"))
    #expect(try directory.text("out") == "head\none\n")
    #expect(sink.position.firstWriteSeconds == clock.clock.wallSeconds())
  }

  @Test func `a file that lost bytes before the position is left as it is`() throws {
    try directory.write("out", bytes("head\n"))
    var sink = try open()
    let position = OutputPosition(byteCount: 9, sequence: 0)
    #expect(try sink.trim(after: position, wholeEnd: Self.uncalled) == nil)
    #expect(try directory.text("out") == "head\n")
    // The output goes on in a file of its own.
    _ = try sink.startNewOutput()
    try sink.begin(bytes("head\n"))
    try sink.write(bytes("one\n"))
    #expect(try directory.text("out") == "head\none\n")
    #expect(try directory.names.count == 2)
  }

  @Test func `nothing is removed of a file that may end with an epilogue`() throws {
    try directory.write("out", bytes("head\none\nend of 1"))
    var sink = try open()
    var position = OutputPosition(byteCount: 9, sequence: 0)
    position.hasEpilogue = true
    #expect(try sink.trim(after: position, wholeEnd: Self.uncalled) == nil)
    #expect(try directory.text("out") == "head\none\nend of 1")
  }

  // MARK: Readers

  /// Expects that a sink can trim nothing, and that its reader gets the same bytes as without.
  private func expectUntouched(
    _ made: any ByteSink, rest: (inout any ByteSink) throws -> String
  ) throws {
    var sink = made
    let position = OutputPosition(byteCount: 2, sequence: 0)
    #expect(try sink.trim(after: position, wholeEnd: Self.uncalled) == nil)
    try sink.begin(bytes("head;"))
    try sink.write(bytes("one;"))
    #expect(try rest(&sink) == "head;one;", "\(sink.name)")
  }

  @Test func `a reader may have taken the bytes, so nothing is removed`() throws {
    let reader = try {
      #expect(mkfifo(directory.file("fifo"), 0o600) == 0)
      return try TestReader(fifo: directory.file("fifo"))
    }()
    try expectUntouched(FIFOSink(path: directory.file("fifo"), create: false)) { sink in
      try sink.pushUntilDone()
      try sink.finish()
      try reader.readToEnd()
      return reader.text
    }
    let socket = try ListeningSocket(path: directory.file("sock"), mode: 0o600, backlog: 8)
    let subscriber = try TestReader(unix: directory.file("sock"))
    try expectUntouched(
      SubscriberSink(name: "sock", endpoint: .listening(socket), settings: SubscriberSettings())
    ) { sink in
      try sink.pushUntilDone()
      try sink.finish()
      try subscriber.readToEnd()
      return subscriber.text
    }
    try directory.write("stdout", bytes("ab|"))
    let descriptor = Glibc.open(directory.file("stdout"), O_WRONLY | O_APPEND)
    defer { close(descriptor) }
    try expectUntouched(StandardOutputSink(descriptor: descriptor)) { sink in
      try sink.pushUntilDone()
      return String(try directory.text("stdout").dropFirst(3))
    }
    #expect(try directory.text("stdout").hasPrefix("ab|"))
  }

  @Test func `a file that appears when it is complete has nothing to remove`() throws {
    for made in [
      WholeFileSink(try AtomicFile(replacing: path, in: fileSystem)) as any ByteSink,
      try ResumableFileSink(path, in: fileSystem),
    ] {
      try directory.write("out", bytes("of an earlier run"))
      try expectUntouched(made) { sink in
        #expect(try directory.text("out") == "of an earlier run")
        try sink.finish()
        return try directory.text("out")
      }
    }
  }
}
