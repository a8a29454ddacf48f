import Dataflow
import Foundation
import Glibc
import TestSupport
import Testing

@testable import Connectors

extension TemporaryDirectory {
  func text(_ name: String) throws -> String {
    String(decoding: try read(name), as: UTF8.self)
  }
}

struct TookTooLong: Error {}

/// Repeats `body` until it gives something.
func eventually<Result>(_ body: () throws -> Result?) throws -> Result {
  let deadline = ContinuousClock.now + .seconds(hangSeconds)
  while ContinuousClock.now < deadline {
    if let result = try body() { return result }
    usleep(500)
  }
  throw TookTooLong()
}

/// Repeats `body` until it gives true.
func waitUntil(_ body: () throws -> Bool) throws {
  _ = try eventually { try body() ? true : nil }
}

extension ByteSink {
  /// Pushes until the sink can take more, or gives up.
  mutating func pushUntilDone() throws {
    let deadline = ContinuousClock.now + .seconds(hangSeconds)
    while let awaited = try push() {
      guard awaited.isReady(within: 5), .now < deadline else { throw TookTooLong() }
    }
  }
}

extension Awaiting {
  /// Waits as a runner would, so that a sink that asks for the wrong thing makes the test fail.
  func isReady(within seconds: Double) -> Bool {
    var query = pollfd(fd: readiness?.descriptor ?? -1, events: CShort(POLLIN), revents: 0)
    if case .writable = readiness { query.events = CShort(POLLOUT) }
    let limit = min(self.seconds ?? .infinity, seconds)
    return poll(&query, 1, CInt((limit * 1000).rounded(.up))) > 0
      || (self.seconds ?? .infinity) <= seconds
  }
}

/// A program at the other end: it reads what comes, when the test says so.
final class TestReader {
  private(set) var descriptor: CInt
  private(set) var bytes: [UInt8] = []
  private(set) var hasEnded = false

  init(_ descriptor: CInt) {
    self.descriptor = descriptor
    _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
  }

  /// Opens a FIFO.
  convenience init(fifo path: String) throws {
    let descriptor = open(path, O_RDONLY | O_NONBLOCK)
    try #require(descriptor >= 0)
    self.init(descriptor)
  }

  /// Connects to a Unix socket.
  convenience init(unix path: String) throws {
    self.init(try Descriptor.dial(path: path).released())
  }

  /// Connects to a port of this machine; -1 for the operating system's size of the receive buffer.
  convenience init(tcp address: InternetAddress) throws {
    let descriptor = try Descriptor.dial(address).released()
    var query = pollfd(fd: descriptor, events: CShort(POLLOUT), revents: 0)
    try #require(poll(&query, 1, 5000) == 1)
    self.init(descriptor)
  }

  deinit { close() }

  var text: String { String(decoding: bytes, as: UTF8.self) }

  /// Reads what is there, `limit` bytes at most.
  func read(limit: Int = .max) {
    var chunk = [UInt8](repeating: 0, count: 64 << 10)
    var left = limit
    while left > 0 {
      let count = Glibc.read(descriptor, &chunk, min(left, chunk.count))
      if count == 0 { hasEnded = true }
      guard count > 0 else { return }
      bytes += chunk[..<count]
      left -= count
    }
  }

  /// Reads until there are so many bytes.
  func read(count: Int) throws {
    try waitUntil {
      read(limit: count - bytes.count)
      return bytes.count >= count
    }
  }

  func readToEnd() throws {
    try waitUntil {
      read()
      return hasEnded
    }
  }

  /// Goes away, in good order or not.
  func close(resetting: Bool = false) {
    guard descriptor >= 0 else { return }
    if resetting {
      var linger = linger(l_onoff: 1, l_linger: 0)
      setsockopt(
        descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<linger>.size))
    }
    _ = Glibc.close(descriptor)
    descriptor = -1
  }
}

extension Descriptor {
  /// A copy of the number, to be closed by the caller.
  fileprivate func released() throws -> CInt {
    let copy = dup(number)
    try #require(copy >= 0)
    return copy
  }
}

/// The bytes of a text.
func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

/// How many descriptors this process has open that lead to `target`, by prefix.
func openDescriptors(leadingTo target: String) throws -> Int {
  try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count { number in
    let link = try? FileManager.default.destinationOfSymbolicLink(
      atPath: "/proc/self/fd/\(number)")
    return link?.hasPrefix(target) ?? false
  }
}

/// More than a Unix socket holds.
let large = (0..<2_000_000).map { UInt8(truncatingIfNeeded: $0 / 251) }
