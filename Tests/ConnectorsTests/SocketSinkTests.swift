import Dataflow
import Foundation
import Glibc
import Storage
import Synchronization
import TestSupport
import Testing

@testable import Connectors

/// A program that subscribers' sinks connect to.
private final class TestServer {
  private let socket: ListeningSocket

  init(unix path: String) throws {
    socket = try ListeningSocket(path: path, mode: 0o600, backlog: 8)
  }

  init(tcp address: InternetAddress) throws {
    socket = try ListeningSocket(address, backlog: 8)
  }

  var address: InternetAddress? { socket.localAddress }

  func accept() throws -> TestReader? {
    guard case .connection(let connection) = try socket.accept() else { return nil }
    return TestReader(dup(connection.number))
  }
}

@Suite struct TCPSinkTests {
  private let anyPort = InternetAddress(bytes: [127, 0, 0, 1], port: 0)

  private func open(
    _ whenFull: SubscriberSettings.WhenFull = .block
  ) throws -> (sink: SubscriberSink, address: InternetAddress) {
    var settings = SubscriberSettings()
    settings.whenFull = whenFull
    let socket = try ListeningSocket(anyPort, backlog: SubscriberSink.backlog)
    let address = try #require(socket.localAddress)
    var sink = try SubscriberSink(name: "tcp", endpoint: .listening(socket), settings: settings)
    try sink.begin(bytes("head;"))
    return (sink, address)
  }

  @Test func `subscribers get the prologue and whole writes, and see the end`() throws {
    var (sink, address) = try open()
    let reader = try TestReader(tcp: address)
    try sink.write(bytes("one;"))
    try sink.pushUntilDone()
    let late = try TestReader(tcp: address)
    try sink.write(large)
    try waitUntil {
      reader.read()
      late.read()
      return try sink.push() == nil
    }
    try sink.finish()
    try reader.readToEnd()
    try late.readToEnd()
    #expect(reader.bytes.elementsEqual(bytes("head;one;") + large))
    #expect(late.bytes.elementsEqual(bytes("head;") + large))
  }

  @Test func `a subscriber that resets its connection is forgotten`() throws {
    var (sink, address) = try open(.dropOldest)
    let (dying, living) = (try TestReader(tcp: address), try TestReader(tcp: address))
    try sink.write(large)
    _ = try sink.push()
    try waitUntil {
      _ = try sink.push()
      return sink.subscriberCount == 2
    }
    dying.close(resetting: true)
    try waitUntil {
      living.read()
      _ = try sink.push()
      return sink.subscriberCount == 1 && living.bytes.count == large.count + 5
    }
    try sink.finish()
    try living.readToEnd()
    let isWhole = living.bytes == bytes("head;") + large
    #expect(isWhole)
  }
}

@Suite struct ConnectingSinkTests {
  private let directory: TemporaryDirectory
  private var path: String { directory.file("in.sock") }

  init() throws { directory = try TemporaryDirectory() }

  private func open(
    _ whenFull: SubscriberSettings.WhenFull = .block,
    _ dial: @escaping @Sendable () throws(FileError) -> Descriptor
  ) throws -> SubscriberSink {
    var settings = SubscriberSettings()
    settings.whenFull = whenFull
    var sink = try SubscriberSink(
      name: "server", endpoint: .dialing(Dialer(dial)), settings: settings)
    try sink.begin(bytes("head;"))
    return sink
  }

  @Test func `a server that comes, goes and comes again gets whole writes`() throws {
    let path = path
    var sink = try open { () throws(FileError) in try .dial(path: path) }
    try sink.write(bytes("one;"))
    #expect(try sink.push()?.seconds != nil)
    for text in ["one;", "two;", "three;"] {
      if text != "one;" { try sink.write(bytes(text)) }
      let server = try TestServer(unix: path)
      try sink.pushUntilDone()
      let reader = try eventually { try server.accept() }
      try reader.read(count: 5 + text.count)
      #expect(reader.text == "head;" + text)
      reader.close()
    }
  }

  @Test func `a write that the server left in the middle comes again whole`() throws {
    let path = path
    let server = try TestServer(unix: path)
    var sink = try open { () throws(FileError) in try .dial(path: path) }
    try sink.write(large)
    #expect(try sink.push() != nil)
    var reader = try eventually { try server.accept() }
    try reader.read(count: 1000)
    reader.close()
    reader = try eventually {
      _ = try sink.push()
      return try server.accept()
    }
    try waitUntil {
      reader.read()
      return try sink.push() == nil
    }
    try sink.finish()
    try reader.readToEnd()
    #expect(reader.bytes.elementsEqual(bytes("head;") + large))
  }

  @Test func `a TCP server that comes late is connected to`() throws {
    var server: TestServer? = try TestServer(tcp: .init(bytes: [127, 0, 0, 1], port: 0))
    let address = try #require(server?.address)
    server = nil
    var sink = try open { () throws(FileError) in try .dial(address) }
    try sink.write(bytes("one;"))
    #expect(try sink.push() != nil)
    let late = try TestServer(tcp: address)
    try sink.pushUntilDone()
    try sink.finish()
    let reader = try eventually { try late.accept() }
    try reader.readToEnd()
    #expect(reader.text == "head;one;")
  }

  @Test func `dropping, writes without a server are counted`() throws {
    let path = path
    var sink = try open(.dropOldest) { () throws(FileError) in try .dial(path: path) }
    for _ in 0..<5 {
      try sink.write(bytes("one;"))
      #expect(try sink.push() == nil)
    }
    #expect(sink.droppedWrites == 5)
  }

  @Test func `a dial that no server can mend is an error`() throws {
    let path = String(repeating: "x", count: 200)
    var sink = try open { () throws(FileError) in try .dial(path: path) }
    #expect(throws: FileError.self) { try sink.push() }
  }

  @Test func `pauses double up to the longest and start again after a success`() throws {
    var dialer = Dialer { () throws(FileError) in
      throw FileError(operation: .open, path: "nowhere", errno: ECONNREFUSED)
    }
    var pauses: [Double] = []
    var now = Instant(nanoseconds: 100_000_000_000)
    for _ in 0..<8 {
      #expect(try dialer.attempt(at: now) == nil)
      pauses.append(dialer.nextAttempt.seconds(since: now))
      now = dialer.nextAttempt
    }
    let expected = [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5]
    #expect(zip(pauses, expected).allSatisfy { abs($0 - $1) < 1e-9 }, "\(pauses)")
    dialer.succeeded()
    dialer.lost(at: now)
    #expect(abs(dialer.nextAttempt.seconds(since: now) - 0.1) < 1e-9)
  }
}
