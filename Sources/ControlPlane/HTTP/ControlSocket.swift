internal import Glibc

/// A socket of the control plane. It is closed when it is released.
final class ControlSocket: Sendable {
  let number: CInt

  /// The result of a read or a write.
  enum Transfer: Equatable {
    case bytes(Int)
    /// It would have to wait.
    case waits
    /// The peer, or the way to it, is gone.
    case ended
  }

  /// Takes ownership of an open descriptor.
  init(adopting number: CInt) {
    self.number = number
  }

  deinit {
    _ = close(number)
  }

  /// A stream socket. It never blocks, unless `waits`.
  ///
  /// - Throws: `SocketFailure`.
  static func stream(_ family: CInt, waits: Bool = false) throws(SocketFailure) -> ControlSocket {
    let flags = SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | (waits ? 0 : SOCK_NONBLOCK.rawValue)
    return ControlSocket(adopting: try checked("socket") { socket(family, CInt(flags), 0) })
  }

  /// Connects to an address.
  ///
  /// - Throws: `SocketFailure`.
  func connect(to address: ControlAddress) throws(SocketFailure) {
    try checked("connect") {
      address.withSocketAddress { Glibc.connect(number, $0, $1) } ?? invalidAddress()
    }
  }

  /// Binds to an address. Returns the bound address, with the port that the system chose for port 0.
  ///
  /// - Throws: `SocketFailure`.
  func bind(to address: ControlAddress) throws(SocketFailure) -> ControlAddress {
    if !address.isUnix {
      var on: CInt = 1
      try checked("setsockopt") {
        setsockopt(number, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<CInt>.size))
      }
    }
    try checked("bind") {
      address.withSocketAddress { Glibc.bind(number, $0, $1) } ?? invalidAddress()
    }
    return address.withPort(try boundPort())
  }

  func listen(backlog: Int) throws(SocketFailure) {
    try checked("listen") { Glibc.listen(number, CInt(backlog)) }
  }

  /// The result of an attempt to accept a connection.
  enum Accepted {
    case connection(ControlSocket)
    case nothing
    /// The process or the system has no descriptor left.
    case exhausted
  }

  /// Accepts the next connection, if there is one.
  func accept() -> Accepted {
    let connection = Glibc.accept(number, nil, nil)
    guard connection >= 0 else {
      return [EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(errno) ? .exhausted : .nothing
    }
    _ = fcntl(connection, F_SETFL, fcntl(connection, F_GETFL) | O_NONBLOCK)
    _ = fcntl(connection, F_SETFD, FD_CLOEXEC)
    return .connection(ControlSocket(adopting: connection))
  }

  /// Appends at most `limit` bytes to `buffer`.
  func read(atMost limit: Int, into buffer: inout [UInt8]) -> Transfer {
    var chunk = [UInt8](repeating: 0, count: limit)
    let count = recv(number, &chunk, limit, 0)
    guard count > 0 else { return count == 0 ? .ended : Self.failed() }
    buffer += chunk[..<count]
    return .bytes(count)
  }

  /// Sends as many of `bytes` as the system takes, from `offset` on.
  func write(_ bytes: [UInt8], from offset: Int) -> Transfer {
    let count = bytes[offset...].withUnsafeBytes {
      send(number, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL))
    }
    return count < 0 ? Self.failed() : .bytes(count)
  }

  /// Tells the peer that no more bytes come.
  func endSending() { _ = shutdown(number, CInt(SHUT_WR)) }

  /// Sets the longest time that a call on a blocking socket may take.
  func limitWaits(seconds: Double) throws(SocketFailure) {
    var time = timeval(
      tv_sec: Int(seconds), tv_usec: Int((seconds - seconds.rounded(.down)) * 1e6))
    for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
      try checked("setsockopt") {
        setsockopt(number, SOL_SOCKET, option, &time, socklen_t(MemoryLayout<timeval>.size))
      }
    }
  }

  private static func failed() -> Transfer {
    errno == EAGAIN || errno == EINTR ? .waits : .ended
  }

  /// The port of a TCP socket; 0 for a Unix socket.
  private func boundPort() throws(SocketFailure) -> UInt16 {
    var storage = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    try checked("getsockname") {
      withUnsafeMutablePointer(to: &storage) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(number, $0, &length) }
      }
    }
    return withUnsafeBytes(of: storage) { bytes in
      switch CInt(storage.ss_family) {
      case AF_INET: UInt16(bigEndian: bytes.load(as: sockaddr_in.self).sin_port)
      case AF_INET6: UInt16(bigEndian: bytes.load(as: sockaddr_in6.self).sin6_port)
      default: 0
      }
    }
  }
}

/// A call on a socket that the system refused.
struct SocketFailure: Error, Equatable, CustomStringConvertible {
  let call: String
  /// The error number of errno(3).
  let errno: Int32

  var description: String {
    strerror(errno).map { String(cString: $0) } ?? "\(call): error \(errno)"
  }
}

@discardableResult
private func checked(_ call: String, _ body: () -> CInt) throws(SocketFailure) -> CInt {
  while true {
    let result = body()
    if result >= 0 { return result }
    if errno != EINTR { throw SocketFailure(call: call, errno: errno) }
  }
}

/// Fails like a system call with an invalid address.
private func invalidAddress() -> CInt {
  errno = EINVAL
  return -1
}

extension ControlAddress {
  /// The family of the address for socket(2).
  var family: CInt {
    switch self {
    case .ip4: AF_INET
    case .ip6: AF_INET6
    case .unix: AF_UNIX
    }
  }

  /// Calls `body` with the address in the form of the system. Returns nil if the address is not numeric.
  func withSocketAddress<Result>(
    _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
  ) -> Result? {
    switch self {
    case .ip4(let host, let port):
      var address = sockaddr_in()
      address.sin_family = sa_family_t(AF_INET)
      address.sin_port = port.bigEndian
      guard inet_pton(AF_INET, host, &address.sin_addr) == 1 else { return nil }
      return withRebound(address, body)
    case .ip6(let host, let port):
      var address = sockaddr_in6()
      address.sin6_family = sa_family_t(AF_INET6)
      address.sin6_port = port.bigEndian
      guard inet_pton(AF_INET6, host, &address.sin6_addr) == 1 else { return nil }
      return withRebound(address, body)
    case .unix(let path):
      var address = sockaddr_un()
      address.sun_family = sa_family_t(AF_UNIX)
      guard path.utf8.count < MemoryLayout.size(ofValue: address.sun_path) else { return nil }
      withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
      return withRebound(address, body)
    }
  }
}

/// Calls `body` with a pointer to an address of a family as `sockaddr`.
private func withRebound<Address, Result>(
  _ address: Address, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
) -> Result {
  withUnsafePointer(to: address) { pointer in
    UnsafeRawPointer(pointer).withMemoryRebound(to: sockaddr.self, capacity: 1) {
      body($0, socklen_t(MemoryLayout<Address>.size))
    }
  }
}
