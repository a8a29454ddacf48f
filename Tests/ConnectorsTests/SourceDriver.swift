import Dataflow
import Foundation
import Glibc
import Records
import Storage
import TestSupport
import Testing

@testable import Connectors

/// The tests of live sources, one at a time.
///
/// A process that a test starts holds a copy of every descriptor for a moment. A connection is closed only when its
/// last copy is closed.
@Suite(.serialized) enum LiveSourceTests {}

/// Drives a source as its runner does, and writes its events as text: `0:abc` for bytes of split 0, `0 ended`,
/// `end`.
struct SourceDriver {
  var source: any Source
  /// The last wait of the source.
  private(set) var awaited: Awaiting?
  /// The number of bytes of each split that the source gave.
  private var given: [SplitID: Int] = [:]
  private var ended: [SplitID] = []
  private let capacity: Int

  /// - Parameter capacity: the size of the buffer, in bytes.
  init(_ source: any Source, capacity: Int = 64 << 10) {
    self.source = source
    self.capacity = capacity
  }

  /// Reads once.
  mutating func read() throws -> (read: SourceEvent, bytes: [UInt8]) {
    var buffer = [UInt8](repeating: 0, count: capacity)
    let read = try buffer.withUnsafeMutableBytes { try source.read(into: $0) }
    if case .ended(let split) = read { ended.append(split) }
    guard case .data(let split, let chunk) = read else { return (read, []) }
    let count = chunk.byteCount
    given[split, default: 0] += count
    return (read, Array(buffer[..<count]))
  }

  /// Reads until the source waits or ends. Successive bytes of one split are joined.
  mutating func drain() throws -> [String] {
    var log: [String] = []
    var open: Int?
    while true {
      let (read, bytes) = try read()
      switch read {
      case .data(let split, _):
        let text = String(decoding: bytes, as: UTF8.self)
        if open == split { log[log.count - 1] += text } else { log.append("\(split):\(text)") }
        open = split
      case .ended(let split):
        log.append("\(split) ended")
        open = nil
      case .end:
        return log + ["end"]
      case .gap(let loss): log.append(loss)
      case .idle(let awaited):
        self.awaited = awaited
        return log
      }
    }
  }

  /// Tells the source that every record of the ended splits is in a batch that was cut.
  mutating func finish() throws {
    for split in ended { try source.finish(split) }
    ended = []
  }

  /// The cursor after all bytes that the source gave. Each byte counts as a record.
  func cursor() throws -> InputCursor {
    var cursor = InputCursor(done: source.done)
    let open = Set(given.keys).union(ended).union(source.openSplits)
    for split in open.sorted() {
      let start = source.start(of: split)
      var place = SplitCursor(
        split: start.name, byteOffset: start.byteOffset + (given[split] ?? 0),
        records: start.records + (given[split] ?? 0))
      place.source = try source.mark(of: split, at: place.byteOffset)
      if place.source != nil { cursor.splits.append(place) }
    }
    return cursor
  }

  /// Whether the wait of the source is over within `seconds`.
  func isReady(within seconds: Double = 0) -> Bool {
    guard let descriptor = awaited?.readiness?.descriptor else { return false }
    var query = pollfd(fd: descriptor, events: CShort(POLLIN), revents: 0)
    return poll(&query, 1, CInt(seconds * 1000)) > 0
  }

  /// Expects that the source is idle, and that `action` wakes it.
  ///
  /// - Returns: the events that follow.
  mutating func after(_ action: () throws -> Void) throws -> [String] {
    #expect(try drain() == [])
    #expect(!isReady(), "ready with nothing to give")
    try action()
    #expect(isReady(within: hangSeconds), "not woken")
    return try drain()
  }

  /// Reads until the events are `expected`, at most for `hangSeconds`.
  mutating func drain(until expected: [String]) throws -> [String] {
    let deadline = ContinuousClock.now + .seconds(hangSeconds)
    var log = try drain()
    while log != expected, ContinuousClock.now < deadline {
      _ = isReady(within: min(awaited?.seconds ?? 0.05, 0.05))
      log += try drain()
    }
    return log
  }
}

/// A temporary directory for a test of a source; it is removed with its contents.
final class SourceFolder {
  let path: String

  init() throws {
    // Short, because the path of a Unix socket has at most 107 bytes.
    path = "/tmp/evenkeel-\(UUID().uuidString.prefix(13))"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  func callAsFunction(_ name: String) -> String { path + "/" + name }

  func write(_ text: String, to name: String) throws {
    try Data(text.utf8).write(to: URL(filePath: self(name)))
  }

  func append(_ text: String, to name: String) throws {
    let file = try #require(FileHandle(forWritingAtPath: self(name)))
    try file.seekToEnd()
    try file.write(contentsOf: Data(text.utf8))
    try file.close()
  }

  func rename(_ name: String, to newName: String) throws {
    try #require(Glibc.rename(self(name), self(newName)) == 0)
  }

  /// Sets the time of the last write, so that tests do not depend on the clock of the file system.
  func setAge(of name: String, seconds: Int) throws {
    var time = timespec()
    try #require(clock_gettime(CLOCK_REALTIME, &time) == 0)
    time.tv_sec -= seconds
    var times = [time, time]
    try #require(utimensat(AT_FDCWD, self(name), &times, 0) == 0)
  }

  func remove(_ name: String) throws {
    try FileManager.default.removeItem(atPath: self(name))
  }

  func exists(_ name: String) -> Bool { access(self(name), F_OK) == 0 }
}

/// A producer: the other end of a FIFO or a connection. It closes when it is released.
final class Producer {
  private var descriptor: Descriptor?

  init(_ descriptor: Descriptor) { self.descriptor = descriptor }

  /// Opens a FIFO that has a reader.
  static func writing(_ path: String) throws -> Producer {
    let number = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC)
    try #require(number >= 0, "no reader")
    return Producer(Descriptor(adopting: number, path: path))
  }

  static func connected(toPath path: String) throws -> Producer {
    let descriptor = try Descriptor.streamSocket(AF_UNIX, path: path)
    try descriptor.connect(toPath: path)
    return Producer(descriptor)
  }

  static func connected(toPort port: Int, isIPv6: Bool = false) throws -> Producer {
    let address = try #require(InternetAddress("\(isIPv6 ? "[::1]" : "127.0.0.1"):\(port)"))
    let descriptor = try Descriptor.streamSocket(isIPv6 ? AF_INET6 : AF_INET, path: "test")
    try address.withSocketAddress { address, length in
      let status = connect(descriptor.number, address, length)
      precondition(status == 0 || errno == EINPROGRESS)
    }
    return Producer(descriptor)
  }

  /// Writes as much as there is room for.
  ///
  /// - Returns: the number of bytes; -1 if the peer has closed.
  @discardableResult
  func write(_ text: String) -> Int {
    signal(SIGPIPE, SIG_IGN)
    return Glibc.write(descriptor?.number ?? -1, text, text.utf8.count)
  }

  /// Whether the other end has closed the connection.
  func isClosedByPeer(within seconds: Double = hangSeconds) -> Bool {
    var query = pollfd(fd: descriptor?.number ?? -1, events: CShort(POLLIN), revents: 0)
    guard poll(&query, 1, CInt(seconds * 1000)) > 0 else { return false }
    var byte: UInt8 = 0
    return Glibc.read(query.fd, &byte, 1) <= 0
  }

  func close() { descriptor = nil }

  /// Closes a TCP connection with a reset.
  func reset() {
    var linger = linger(l_onoff: 1, l_linger: 0)
    _ = setsockopt(
      descriptor?.number ?? -1, SOL_SOCKET, SO_LINGER, &linger,
      socklen_t(MemoryLayout.size(ofValue: linger)))
    close()
  }
}

extension SourceContext {
  /// Opens on the real file system, at the beginning or at a cursor.
  static func real(_ cursor: InputCursor? = nil, done: Set<UInt64> = []) -> SourceContext {
    var context = SourceContext(ConnectorContext(fileSystem: POSIXFileSystem()), cursor: cursor)
    context.doneSplits = done
    return context
  }
}
