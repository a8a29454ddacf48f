import CZstd
import Foundation
import Glibc
import Testing

/// A producer, a subscriber or a client: the other end of one of the daemon's sockets.
final class Peer: @unchecked Sendable {
  // @unchecked because one direction is used by one thread at a time.

  private let number: CInt
  private var isOpen = true
  private var unread: [UInt8] = []

  /// Connects to a Unix socket.
  init(unix path: String) throws {
    number = Glibc.socket(AF_UNIX, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
    var reason: Int32 = 0
    try withUnixAddress(path) { if connect(number, $0, $1) != 0 { reason = errno } }
    guard reason == 0 else {
      Glibc.close(number)
      throw POSIXError(POSIXErrorCode(rawValue: reason) ?? .EINVAL, userInfo: ["path": path])
    }
    limitWaits()
  }

  /// Connects to a port of this machine.
  init(port: UInt16) throws {
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
    guard status == 0 else {
      let reason = errno
      Glibc.close(number)
      throw POSIXError(POSIXErrorCode(rawValue: reason) ?? .EINVAL)
    }
    limitWaits()
  }

  deinit { close() }

  /// A test fails rather than hangs.
  private func limitWaits() {
    var time = timeval(tv_sec: 20, tv_usec: 0)
    for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
      setsockopt(number, SOL_SOCKET, option, &time, socklen_t(MemoryLayout<timeval>.size))
    }
  }

  /// Sends all of it; returns how much was taken, which is less where the other end has gone.
  @discardableResult
  func send(_ bytes: [UInt8]) -> Int {
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
  func send(_ text: String) -> Int { send(Array(text.utf8)) }

  /// Sends until nothing more is taken for `seconds`; returns how much was.
  func flood(_ bytes: [UInt8], atMost limit: Int, patience seconds: Double) -> Int {
    var sent = 0
    while sent < limit {
      var query = pollfd(fd: number, events: CShort(POLLOUT), revents: 0)
      guard poll(&query, 1, CInt(seconds * 1000)) > 0 else { break }
      let count = Glibc.send(
        number, bytes, bytes.count, CInt(MSG_NOSIGNAL) | CInt(MSG_DONTWAIT))
      guard count > 0 else { continue }
      // A message that was taken in part is completed, so that records stay whole.
      sent += count + send(Array(bytes[count...]))
    }
    return sent
  }

  /// What has come, or empty at the end; nil where nothing comes.
  func receive() -> [UInt8]? {
    var buffer = [UInt8](repeating: 0, count: 64 << 10)
    let count = recv(number, &buffer, buffer.count, 0)
    return count < 0 && errno != ECONNRESET ? nil : Array(buffer[..<max(0, count)])
  }

  /// Whether something comes, or the end.
  func isReadable(within seconds: Double) -> Bool {
    var query = pollfd(fd: number, events: CShort(POLLIN), revents: 0)
    return poll(&query, 1, CInt(seconds * 1000)) > 0
  }

  /// So many lines, or fewer at the end.
  func lines(_ count: Int) -> [String] {
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

  /// All until the end.
  func rest() -> [UInt8] {
    var bytes = unread
    unread = []
    while let more = receive(), !more.isEmpty { bytes += more }
    return bytes
  }

  func close() {
    if isOpen { Glibc.close(number) }
    isOpen = false
  }
}

/// Calls `body` with the address of the Unix socket at a path.
func withUnixAddress(
  _ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) throws -> Void
) throws {
  var address = sockaddr_un()
  address.sun_family = sa_family_t(AF_UNIX)
  try #require(path.utf8.count < MemoryLayout.size(ofValue: address.sun_path))
  withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
  try withUnsafePointer(to: &address) {
    try $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
      try body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
    }
  }
}

/// A zstd stream whose pieces are flushed: what was given can be decoded though its frame goes on.
final class FlushingCompressor {
  private let context = ZSTD_createCCtx()

  deinit { ZSTD_freeCCtx(context) }

  /// - Parameter ends: whether the frame ends behind the text.
  func compress(_ text: String, ends: Bool = false) -> [UInt8] {
    let bytes = Array(text.utf8)
    var result = [UInt8](repeating: 0, count: ZSTD_compressBound(bytes.count) + 64)
    let count = bytes.withUnsafeBytes { source in
      result.withUnsafeMutableBytes { target in
        var input = ZSTD_inBuffer(src: source.baseAddress, size: source.count, pos: 0)
        var output = ZSTD_outBuffer(dst: target.baseAddress, size: target.count, pos: 0)
        let left = ZSTD_compressStream2(context, &output, &input, ends ? ZSTD_e_end : ZSTD_e_flush)
        #expect(left == 0)
        return output.pos
      }
    }
    return Array(result[..<count])
  }
}

/// The records of producers that name themselves in the first field: `p0-17,1.5,2.25`.
enum Records {
  static let header = "id,a,b\n"

  static func record(_ producer: Int, _ index: Int) -> String {
    "p\(producer)-\(index),\(Double(index % 17) + 0.5),\(Double(producer * 100 + index % 5))\n"
  }

  static func text(_ producer: Int, _ indices: Range<Int>) -> String {
    indices.map { record(producer, $0) }.joined()
  }

  /// The numbers of the records of each producer, in the order of the lines.
  static func indices(_ lines: some Sequence<some StringProtocol>) -> [Int: [Int]] {
    var indices: [Int: [Int]] = [:]
    for line in lines where line.hasPrefix("p") {
      let parts = line.prefix { $0 != "," }.dropFirst().split(separator: "-")
      if parts.count == 2, let producer = Int(parts[0]), let index = Int(parts[1]) {
        indices[producer, default: []].append(index)
      }
    }
    return indices
  }
}
