internal import Foundation
package import Glibc

/// A producer, a subscriber or a client: it is connected to a socket of the daemon.
package final class Peer: @unchecked Sendable {
  // @unchecked because one direction is used by one thread at a time.

  private let number: CInt
  private var isOpen = true
  private var unread: [UInt8] = []

  /// Connects to a Unix socket.
  package init(unix path: String) throws {
    number = Glibc.socket(AF_UNIX, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
    var reason: Int32 = 0
    try withUnixAddress(path) { if connect(number, $0, $1) != 0 { reason = errno } }
    // `deinit` runs after the error and closes the descriptor. A second close could hit a descriptor of another
    // thread with the same number.
    guard reason == 0 else {
      throw POSIXError(POSIXErrorCode(rawValue: reason) ?? .EINVAL, userInfo: ["path": path])
    }
    limitWaits()
  }

  /// Connects to a port of this machine.
  package init(port: UInt16) throws {
    number = Glibc.socket(AF_INET, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    let status = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(number, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard status == 0 else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EINVAL) }
    limitWaits()
  }

  deinit { close() }

  /// Sets a timeout, so that a test fails and does not hang.
  private func limitWaits() {
    var time = timeval(tv_sec: Int(hangSeconds), tv_usec: 0)
    for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
      setsockopt(number, SOL_SOCKET, option, &time, socklen_t(MemoryLayout<timeval>.size))
    }
  }

  /// Sends the bytes.
  ///
  /// - Returns: the number of bytes that were taken; fewer if the other end has closed.
  @discardableResult
  package func send(_ bytes: [UInt8]) -> Int {
    var sent = 0
    while sent < bytes.count {
      let count = bytes[sent...].withUnsafeBytes {
        Glibc.send(number, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL))
      }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { break }
      sent += count
    }
    return sent
  }

  @discardableResult
  package func send(_ text: String) -> Int { send(Array(text.utf8)) }

  /// Sends the message again and again until nothing is taken for `seconds`.
  ///
  /// - Returns: the number of bytes that were taken.
  package func flood(_ bytes: [UInt8], atMost limit: Int, patience seconds: Double) -> Int {
    var sent = 0
    while sent < limit {
      var query = pollfd(fd: number, events: CShort(POLLOUT), revents: 0)
      guard poll(&query, 1, CInt(seconds * 1000)) > 0 else { break }
      let count = Glibc.send(
        number, bytes, bytes.count, CInt(MSG_NOSIGNAL) | CInt(MSG_DONTWAIT))
      guard count > 0 else { continue }
      // Completes a message that was taken in part, so that records stay whole.
      sent += count + send(Array(bytes[count...]))
    }
    return sent
  }

  /// The next bytes; empty at the end, nil after a timeout.
  package func receive() -> [UInt8]? {
    var buffer = [UInt8](repeating: 0, count: 64 << 10)
    let count = recv(number, &buffer, buffer.count, 0)
    return count < 0 && errno != ECONNRESET ? nil : Array(buffer[..<max(0, count)])
  }

  /// Whether bytes or the end come in time.
  package func isReadable(within seconds: Double) -> Bool {
    var query = pollfd(fd: number, events: CShort(POLLIN), revents: 0)
    return poll(&query, 1, CInt(seconds * 1000)) > 0
  }

  /// The next lines; fewer at the end.
  package func lines(_ count: Int) -> [String] {
    var lines: [String] = []
    while lines.count < count {
      if let end = unread.firstIndex(of: UInt8(ascii: "\n")) {
        lines.append(String(decoding: unread[..<end], as: UTF8.self))
        unread.removeSubrange(...end)
      } else if let more = receive(), !more.isEmpty {
        unread += more
      } else {
        break
      }
    }
    return lines
  }

  /// All bytes until the end.
  package func rest() -> [UInt8] {
    var bytes = unread
    unread = []
    while let more = receive(), !more.isEmpty { bytes += more }
    return bytes
  }

  package func close() {
    if isOpen { Glibc.close(number) }
    isOpen = false
  }
}

/// Calls `body` with the address of the Unix socket at a path.
package func withUnixAddress(
  _ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) throws -> Void
) throws {
  var address = sockaddr_un()
  address.sun_family = sa_family_t(AF_UNIX)
  guard path.utf8.count < MemoryLayout.size(ofValue: address.sun_path) else {
    throw POSIXError(.ENAMETOOLONG, userInfo: ["path": path])
  }
  withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
  try withUnsafePointer(to: &address) {
    try $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
      try body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
    }
  }
}
