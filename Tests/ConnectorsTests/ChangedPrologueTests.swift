import Dataflow
import Glibc
import Storage
import TestSupport
import Testing

@testable import Connectors

/// A write whose records change the prologue: each reader gets the change once, in its prologue or in a write.
@Suite struct ChangedPrologueTests {
  private let directory: TemporaryDirectory
  private var path: String { directory.file("out") }

  init() throws { directory = try TemporaryDirectory() }

  private func open(
    _ whenFull: SubscriberSettings.WhenFull, queue: Int = 4 << 20
  ) throws -> SubscriberSink {
    var settings = SubscriberSettings()
    (settings.whenFull, settings.queueByteLimit) = (whenFull, queue)
    let socket = try ListeningSocket(path: path, mode: 0o600, backlog: 8)
    var sink = try SubscriberSink(name: path, endpoint: .listening(socket), settings: settings)
    try sink.begin(bytes("old;"))
    return sink
  }

  private static let large = String(repeating: " ", count: 2_000_000) + "b named;"

  @Test func `dropping, a subscriber that would lose the change is disconnected`() throws {
    var sink = try open(.dropOldest, queue: 50_000)
    let (slow, fast) = (try TestReader(unix: path), try TestReader(unix: path))
    // More than the socket holds, so that the next writes wait.
    try sink.write(bytes(Self.large))
    _ = try sink.push()
    try fast.read(count: 4)
    try waitUntil {
      fast.read()
      return try sink.push() == nil && fast.text.hasSuffix("b named;")
    }
    try sink.write(bytes("c named;"))
    sink.changePrologue(to: bytes("new;"))
    for number in 0..<20 {
      try sink.write(bytes(String(repeating: "c", count: 5000) + "\(number);"))
      _ = try sink.push()
      fast.read()
    }
    #expect(sink.subscriberCount == 1)
    #expect(fast.text.hasSuffix("19;") && fast.text.contains("c named;"))
    // The slow one got no record after the change without it.
    try slow.readToEnd()
    #expect(!slow.text.contains("ccc"))
    let again = try TestReader(unix: path)
    try sink.write(bytes("c;"))
    try sink.pushUntilDone()
    try again.read(count: 6)
    #expect(again.text == "new;c;")
  }

  @Test func `dropping, a change that still waits is sent with its records`() throws {
    var sink = try open(.dropOldest, queue: 50_000)
    let slow = try TestReader(unix: path)
    try sink.write(bytes(Self.large))
    _ = try sink.push()
    for number in 0..<20 {
      try sink.write(bytes(String(repeating: "b", count: 5000) + "\(number);"))
    }
    try sink.write(bytes("c named;"))
    sink.changePrologue(to: bytes("new;"))
    try sink.write(bytes("c;"))
    #expect(sink.subscriberCount == 1 && sink.droppedWrites > 0)
    try waitUntil {
      slow.read()
      _ = try sink.push()
      return slow.text.hasSuffix("c named;c;")
    }
    #expect(slow.text.hasPrefix("old;"))
  }

  /// How the second subscriber gets to the write that changes the prologue.
  enum Arrival: CaseIterable { case afterTheFirstDied, whileTheFirstIsSlow, beforeTheFirstDied }

  @Test(arguments: Arrival.allCases)
  func `blocking, a subscriber that gets the pending write gets the prologue before it`(
    arrival: Arrival
  ) throws {
    var sink = try open(.block)
    let first = try TestReader(unix: path)
    try sink.write(bytes(Self.large))
    sink.changePrologue(to: bytes("new;"))
    #expect(try sink.push() != nil)
    try first.read(count: 1000)
    var second: TestReader?
    if arrival != .afterTheFirstDied {
      second = try TestReader(unix: path)
      #expect(try sink.push() != nil)
    }
    if arrival != .whileTheFirstIsSlow { first.close() }
    let reader = try second ?? TestReader(unix: path)
    try waitUntil {
      if arrival == .whileTheFirstIsSlow { first.read() }
      reader.read()
      return try sink.push() == nil
    }
    let late = try TestReader(unix: path)
    try sink.write(bytes("b;"))
    try sink.pushUntilDone()
    try sink.finish()
    try reader.readToEnd()
    #expect(reader.text == "old;" + Self.large + "b;")
    try late.readToEnd()
    #expect(late.text == "new;b;")
  }

  @Test func `the reader of a FIFO that left in the write is followed by one that knows no change`()
    throws
  {
    #expect(mkfifo(path, 0o600) == 0)
    var sink = try FIFOSink(path: path, create: false)
    let first = try TestReader(fifo: path)
    try sink.begin(bytes("old;"))
    try sink.write(bytes(Self.large))
    sink.changePrologue(to: bytes("new;"))
    #expect(try sink.push() != nil)
    try first.read(count: 1000)
    first.close()
    #expect(try sink.push() != nil)
    let second = try TestReader(fifo: path)
    try waitUntil {
      second.read()
      return try sink.push() == nil
    }
    second.read()
    #expect(second.text == "old;" + Self.large)
    second.close()
    #expect(try sink.push() == nil)
    let third = try TestReader(fifo: path)
    try sink.write(bytes("b;"))
    try sink.pushUntilDone()
    try third.read(count: 6)
    #expect(third.text == "new;b;")
  }
}
