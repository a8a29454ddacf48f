import Dataflow
import Foundation
import Glibc
import Storage
import Synchronization
import TestSupport
import Testing

@testable import Connectors

@Suite struct SubscriberSinkTests {
  private let directory: TemporaryDirectory
  private var path: String { directory.file("out.sock") }

  init() throws { directory = try TemporaryDirectory() }

  private func open(
    _ whenFull: SubscriberSettings.WhenFull = .block, limit: Int = 200, queue: Int = 4 << 20,
    clock: Clock = .system, statistics: ConnectorStatistics = ConnectorStatistics()
  ) throws -> SubscriberSink {
    var settings = SubscriberSettings()
    settings.whenFull = whenFull
    settings.limit = limit
    settings.queueByteLimit = queue
    let socket = try ListeningSocket(path: path, mode: 0o600, backlog: SubscriberSink.backlog)
    var sink = try SubscriberSink(
      name: path, endpoint: .listening(socket), settings: settings, clock: clock,
      statistics: statistics)
    try sink.begin(bytes("head;"))
    return sink
  }

  @Test func `every subscriber gets the prologue and then whole writes from the next one on`()
    throws
  {
    var sink = try open()
    var readers: [TestReader] = []
    for text in ["one;", "two;", "three;"] {
      readers.append(try TestReader(unix: path))
      try sink.write(bytes(text))
      try sink.pushUntilDone()
    }
    try sink.finish()
    for reader in readers { try reader.readToEnd() }
    #expect(readers.map(\.text) == ["head;one;two;three;", "head;two;three;", "head;three;"])
  }

  @Test func `a subscriber that connects before the start of the stream also gets the prologue`()
    throws
  {
    let socket = try ListeningSocket(path: path, mode: 0o600, backlog: 8)
    var sink = try SubscriberSink(
      name: path, endpoint: .listening(socket), settings: SubscriberSettings())
    let reader = try TestReader(unix: path)
    #expect(try sink.push() == nil)
    #expect(sink.attention == nil)
    try sink.begin(bytes("head;"))
    try sink.pushUntilDone()
    try reader.read(count: 5)
    #expect(reader.text == "head;")
  }

  @Test func `a subscriber to a silent stream gets the prologue`() throws {
    var sink = try open()
    let reader = try TestReader(unix: path)
    let attention = try #require(sink.attention)
    #expect(attention.isReady(within: 5))
    #expect(try sink.push() == nil)
    try reader.read(count: 5)
    #expect(reader.text == "head;")
    reader.close()
    try waitUntil {
      _ = try sink.push()
      return sink.subscriberCount == 0
    }
  }

  @Test func `blocking, the first subscriber gets what was written before it came`() throws {
    var sink = try open()
    #expect(try sink.push() == nil)
    try sink.write(bytes("one;"))
    let awaited = try #require(try sink.push())
    #expect(!awaited.isReady(within: 0.02))
    let reader = try TestReader(unix: path)
    #expect(awaited.isReady(within: 5))
    try sink.pushUntilDone()
    try sink.finish()
    try reader.readToEnd()
    #expect(reader.text == "head;one;")
    #expect(sink.droppedWrites == 0)
  }

  @Test func `blocking, a slow subscriber is waited for and gets everything`() throws {
    var sink = try open()
    let (slow, fast) = (try TestReader(unix: path), try TestReader(unix: path))
    try sink.write(large)
    for _ in 0..<20 {
      #expect(try sink.push() != nil)
      fast.read()
    }
    try waitUntil {
      let isDone = try sink.push() == nil
      slow.read(limit: 100_000)
      fast.read()
      return isDone
    }
    try sink.write(bytes("end;"))
    try sink.finish()
    for reader in [slow, fast] {
      try reader.readToEnd()
      #expect(reader.bytes.elementsEqual(bytes("head;") + large + bytes("end;")))
    }
  }

  @Test func `blocking, a subscriber that takes nothing for too long is disconnected`() throws {
    let clock = ManualClock()
    clock.advance(by: 0.7)
    let statistics = ConnectorStatistics()
    var sink = try open(clock: clock.clock, statistics: statistics)
    let (stuck, fast) = (try TestReader(unix: path), try TestReader(unix: path))
    try sink.write(large)
    try waitUntil {
      fast.read()
      return try sink.push() != nil && fast.bytes.count == large.count + 5
    }
    // To the nanosecond: whole seconds would show up to one too many.
    #expect(statistics.stalledSince.value == Int(clock.clock.now().nanoseconds))
    // A subscriber that takes a little is slow, not stuck.
    clock.advance(by: 299)
    stuck.read(limit: 1 << 20)
    try waitUntil { try sink.push() != nil && stuck.bytes.count > 100_000 }
    clock.advance(by: 299)
    #expect(try sink.push() != nil)
    #expect(sink.subscriberCount == 2)
    clock.advance(by: 2)
    #expect(try sink.push() == nil)
    #expect(sink.subscriberCount == 1)
    #expect(statistics.subscriberTimeouts.load(ordering: .relaxed) == 1)
    #expect(statistics.stalledSince.value == nil)
    try sink.write(bytes("end;"))
    try sink.finish()
    try fast.readToEnd()
    #expect(fast.bytes.elementsEqual(bytes("head;") + large + bytes("end;")))
  }

  @Test func `a subscriber that comes while one is slow begins at the next write`() throws {
    var sink = try open()
    let slow = try TestReader(unix: path)
    try sink.write(large)
    #expect(try sink.push() != nil)
    let late = try TestReader(unix: path)
    try waitUntil {
      slow.read()
      late.read()
      return try sink.push() == nil
    }
    try sink.write(bytes("end;"))
    try sink.finish()
    try late.readToEnd()
    #expect(late.text == "head;end;")
  }

  @Test(arguments: [false, true])
  func `blocking, a write that nobody took whole goes to who is there or comes`(
    isThere: Bool
  ) throws {
    var sink = try open()
    let dying = try TestReader(unix: path)
    try sink.write(large)
    #expect(try sink.push() != nil)
    try dying.read(count: 1000)
    let early = isThere ? try TestReader(unix: path) : nil
    if isThere { _ = try sink.push() }
    dying.close()
    #expect(try sink.push() != nil)
    let reader = try early ?? TestReader(unix: path)
    try waitUntil {
      reader.read()
      return try sink.push() == nil
    }
    try sink.finish()
    try reader.readToEnd()
    #expect(reader.bytes.elementsEqual(bytes("head;") + large))
  }

  @Test func `blocking, a write that one took whole is not kept for those that come`() throws {
    var sink = try open()
    let (dying, fast) = (try TestReader(unix: path), try TestReader(unix: path))
    try sink.write(large)
    try waitUntil {
      _ = try sink.push()
      fast.read()
      return fast.bytes.count == large.count + 5
    }
    dying.close()
    try sink.pushUntilDone()
    let late = try TestReader(unix: path)
    _ = try sink.push()
    try sink.write(bytes("end;"))
    try sink.finish()
    try late.readToEnd()
    #expect(late.text == "head;end;")
  }

  @Test func `dropping, writes without a subscriber are counted`() throws {
    var sink = try open(.dropOldest)
    for _ in 0..<3 {
      try sink.write(bytes("one;"))
      #expect(try sink.push() == nil)
    }
    #expect(sink.droppedWrites == 3)
    let reader = try TestReader(unix: path)
    try sink.write(bytes("two;"))
    try sink.pushUntilDone()
    try sink.finish()
    try reader.readToEnd()
    #expect(reader.text == "head;two;")
    #expect(sink.droppedWrites == 3)
  }

  @Test func `dropping, a slow subscriber loses whole writes, a fast one none`() throws {
    var sink = try open(.dropOldest, queue: 50_000)
    let (slow, fast) = (try TestReader(unix: path), try TestReader(unix: path))
    for number in 0..<1000 {
      try sink.write(bytes(String(repeating: " ", count: 999) + "\(number);"))
      #expect(try sink.push() == nil)
      #expect(sink.waitingBytes <= 100_000)
      fast.read()
    }
    try waitUntil {
      slow.read()
      _ = try sink.push()
      return slow.text.hasSuffix("999;")
    }
    fast.read()
    func numbers(_ reader: TestReader) -> [Int] {
      let parts = reader.text.split(separator: ";")
      #expect(parts.first == "head")
      #expect(parts.dropFirst().allSatisfy { $0.hasPrefix(String(repeating: " ", count: 999)) })
      return parts.dropFirst().map { Int($0.drop { $0 == " " }) ?? -1 }
    }
    #expect(numbers(fast) == Array(0..<1000))
    let seen = numbers(slow)
    #expect(seen == seen.sorted())
    #expect(sink.droppedWrites > 0)
    #expect(seen.count + sink.droppedWrites == 1000)
  }

  @Test func `dropping, what waits is passed on while the stream is silent`() throws {
    var sink = try open(.dropOldest, queue: 16 << 20)
    let reader = try TestReader(unix: path)
    try sink.write(large)
    #expect(try sink.push() == nil)
    try waitUntil {
      reader.read()
      let attention = try #require(sink.attention)
      if attention.isReady(within: 0) { _ = try sink.push() }
      return reader.bytes.count == large.count + 5
    }
  }

  @Test func `more subscribers than the limit are turned away`() throws {
    var sink = try open(limit: 2)
    let readers = try (0..<4).map { _ in try TestReader(unix: path) }
    try sink.write(bytes("one;"))
    try sink.pushUntilDone()
    #expect(sink.subscriberCount == 2)
    for reader in readers[2...] {
      try reader.readToEnd()
      #expect(reader.text == "")
    }
    readers[0].close()
    let next = try TestReader(unix: path)
    try sink.write(bytes("two;"))
    try sink.pushUntilDone()
    try next.read(count: 9)
    #expect(next.text == "head;two;")
  }

  @Test func `a subscriber that sends or closes its direction still reads`() throws {
    var sink = try open()
    let reader = try TestReader(unix: path)
    #expect(write(reader.descriptor, "hello", 5) == 5)
    shutdown(reader.descriptor, CInt(SHUT_WR))
    for text in ["one;", "two;"] {
      try sink.write(bytes(text))
      try sink.pushUntilDone()
    }
    try reader.read(count: 13)
    #expect(reader.text == "head;one;two;")
  }

  @Test func `the socket's file is made with its mode and goes with the sink`() throws {
    var sink = try open()
    var status = stat()
    try #require(stat(path, &status) == 0)
    #expect(status.st_mode & 0o777 == 0o600)
    #expect(throws: FileError.self) { try open() }
    try sink.finish()
    #expect(try directory.names == [])
    #expect(try sink.push() == nil)
    sink = try open()
    #expect(try directory.names == ["out.sock"])
  }

  @Test func `no descriptor is left behind`() throws {
    let before = try openDescriptors(leadingTo: "socket:")
    for _ in 0..<60 {
      var sink = try open()
      let readers = try (0..<5).map { _ in try TestReader(unix: path) }
      try sink.write(bytes("one;"))
      try sink.pushUntilDone()
      for reader in readers { reader.close() }
      _ = try sink.push()
      #expect(sink.subscriberCount == 0)
      try sink.finish()
    }
    // Tests that run beside this one have some open.
    #expect(try openDescriptors(leadingTo: "socket:") < before + 100)
  }
}
