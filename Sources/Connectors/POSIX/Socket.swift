internal import Glibc
internal import Storage

/// A socket that accepts connections. Removes the file of a Unix socket when it is released.
final class ListeningSocket: Sendable {
  let descriptor: Descriptor
  /// The file that this socket created.
  private let file: (path: String, inode: ino_t)?
  private let isInherited: Bool

  private init(
    _ descriptor: Descriptor, file: (path: String, inode: ino_t)? = nil, isInherited: Bool = false
  ) {
    self.descriptor = descriptor
    self.file = file
    self.isInherited = isInherited
  }

  deinit {
    // Another process may have replaced the file, so compare the inode.
    var status = stat()
    guard let file, lstat(file.path, &status) == 0, status.st_ino == file.inode else { return }
    _ = unlink(file.path)
  }

  /// Listens at an address. Port 0 selects a free port; `localAddress` tells which.
  convenience init(_ address: InternetAddress, backlog: Int) throws(FileError) {
    let path = address.description
    let descriptor = try Descriptor.streamSocket(
      address.isIPv6 ? AF_INET6 : AF_INET, path: path)
    // Lets a restarted server listen at once, while connections of the last one are in TIME_WAIT.
    try descriptor.set(SO_REUSEADDR)
    // Accepted connections inherit it. The kernel then detects a dead peer after about two hours.
    try descriptor.set(SO_KEEPALIVE)
    try address.withSocketAddress { address, length throws(FileError) in
      try posix(.open, path) { bind(descriptor.number, address, length) }
    }
    try posix(.open, path) { listen(descriptor.number, CInt(backlog)) }
    self.init(descriptor)
  }

  /// Listens at a path. The socket file gets the permissions `mode`.
  ///
  /// Replaces the socket file of a process that is gone.
  /// - Throws: EADDRINUSE if another process listens there, ENOTSOCK if the file is no socket.
  convenience init(path: String, mode: mode_t, backlog: Int) throws(FileError) {
    let descriptor = try Descriptor.streamSocket(AF_UNIX, path: path)
    // Linux creates the file with the socket's own mode, less the umask. So the file is never too permissive.
    try posix(.open, path) { fchmod(descriptor.number, mode) }
    do throws(FileError) {
      try descriptor.bind(toPath: path)
    } catch  where error.errno == EADDRINUSE {
      try Self.removeStale(path)
      try descriptor.bind(toPath: path)
    }
    var status = stat()
    try posix(.inspect, path) { lstat(path, &status) }
    self.init(descriptor, file: (path, status.st_ino))
    // Adds the permissions that the umask removed.
    try posix(.open, path) { chmod(path, mode) }
    try posix(.open, path) { listen(descriptor.number, CInt(backlog)) }
  }

  /// Takes a socket that the service manager passed. The service manager keeps the socket's file.
  ///
  /// - Throws: ENOENT if none has this name, EINVAL if the socket does not listen.
  convenience init(
    activated label: String, among sockets: ActivatedSockets = .inherited
  ) throws(FileError) {
    let name = "systemd socket \(label)"
    guard let number = sockets.descriptor(named: label) else {
      throw FileError(operation: .open, path: name, errno: ENOENT)
    }
    // A copy, so that a restart of the stream can use the original again.
    let copy = try posix(.open, name) { fcntl(number, F_DUPFD_CLOEXEC, 3) }
    let descriptor = Descriptor(adopting: copy, path: name)
    var isListening: CInt = 0
    var length = socklen_t(MemoryLayout<CInt>.size)
    try posix(.open, name) {
      getsockopt(copy, SOL_SOCKET, SO_ACCEPTCONN, &isListening, &length)
    }
    guard isListening != 0 else { throw FileError(operation: .open, path: name, errno: EINVAL) }
    try descriptor.setNonblocking()
    self.init(descriptor, isInherited: true)
  }

  /// Accepts the connections that wait, and no later ones.
  ///
  /// A Unix socket refuses every later connection. A TCP socket cannot, so producers may connect further; `limit`
  /// ends the loop. Connections that wait at an inherited socket are left to the next process that listens there.
  func acceptLast(atMost limit: Int) -> [Descriptor] {
    guard !isInherited else { return [] }
    if file != nil { _ = shutdown(descriptor.number, CInt(SHUT_RD)) }
    var last: [Descriptor] = []
    // A failure means that there are no more.
    while last.count < limit, case .connection(let connection)? = try? accept() {
      last.append(connection)
    }
    return last
  }

  /// The result of an attempt to accept a connection.
  enum Accepted {
    case connection(Descriptor)
    case nothing
    /// The process or the system has no descriptor left.
    case exhausted
  }

  /// Accepts the next connection, if one waits.
  func accept() throws(FileError) -> Accepted {
    do throws(FileError) {
      let number = try posix(.read, descriptor.path) {
        Glibc.accept(descriptor.number, nil, nil)
      }
      // Glibc's module has no accept4(2). This process starts no other program that could inherit the descriptor.
      let connection = Descriptor(adopting: number, path: descriptor.path)
      try connection.setNonblocking()
      try posix(.open, descriptor.path) { fcntl(number, F_SETFD, FD_CLOEXEC) }
      return .connection(connection)
    } catch {
      switch error.errno {
      case EMFILE, ENFILE, ENOBUFS, ENOMEM: return .exhausted
      // The connection failed before it was accepted; see accept(2).
      case EAGAIN, ECONNABORTED, EPROTO, ENETDOWN, ENOPROTOOPT, EHOSTDOWN, ENONET, EHOSTUNREACH,
        EOPNOTSUPP, ENETUNREACH, EPERM:
        return .nothing
      default: throw error
      }
    }
  }

  /// The address that the socket is bound to; nil for a Unix socket.
  var localAddress: InternetAddress? {
    var storage = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    let status = withUnsafeMutablePointer(to: &storage) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        getsockname(descriptor.number, $0, &length)
      }
    }
    guard status == 0 else { return nil }
    return withUnsafeBytes(of: storage) { bytes in
      switch CInt(storage.ss_family) {
      case AF_INET:
        let address = bytes.load(as: sockaddr_in.self)
        return InternetAddress(
          bytes: withUnsafeBytes(of: address.sin_addr, Array.init),
          port: UInt16(bigEndian: address.sin_port))
      case AF_INET6:
        let address = bytes.load(as: sockaddr_in6.self)
        return InternetAddress(
          bytes: withUnsafeBytes(of: address.sin6_addr, Array.init),
          port: UInt16(bigEndian: address.sin6_port))
      default: return nil
      }
    }
  }

  /// Removes the socket file at `path` if no process listens there.
  private static func removeStale(_ path: String) throws(FileError) {
    var status = stat()
    try posix(.inspect, path) { lstat(path, &status) }
    guard status.st_mode & S_IFMT == S_IFSOCK else {
      throw FileError(operation: .open, path: path, errno: ENOTSOCK)
    }
    let probe = try Descriptor.streamSocket(AF_UNIX, path: path)
    do throws(FileError) {
      try probe.connect(toPath: path)
    } catch  where error.errno == ECONNREFUSED {
      try posix(.remove, path) { unlink(path) }
      return
    } catch {
      // Any other error means that a process listens.
    }
    throw FileError(operation: .open, path: path, errno: EADDRINUSE)
  }
}

extension Descriptor {
  /// A stream socket, neither bound nor connected.
  static func streamSocket(_ family: CInt, path: String) throws(FileError) -> Descriptor {
    let flags = SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue
    let number = try posix(.open, path) { socket(family, CInt(flags), 0) }
    return Descriptor(adopting: number, path: path)
  }

  /// Connects to the Unix socket at a path.
  func connect(toPath target: String) throws(FileError) {
    try withUnixAddress(target) { address, length throws(FileError) in
      try posix(.open, path) { Glibc.connect(number, address, length) }
    }
  }

  /// Binds the socket to a path that is free.
  fileprivate func bind(toPath target: String) throws(FileError) {
    try withUnixAddress(target) { address, length throws(FileError) in
      try posix(.open, path) { Glibc.bind(number, address, length) }
    }
  }

  /// Turns on an option of the socket layer.
  fileprivate func set(_ option: CInt) throws(FileError) {
    var on: CInt = 1
    try posix(.open, path) {
      setsockopt(number, SOL_SOCKET, option, &on, socklen_t(MemoryLayout<CInt>.size))
    }
  }

  /// Refuses bytes that the peer sends from now on. The peer's next write to a Unix socket fails, so it knows what
  /// was received.
  func endReceiving() {
    _ = shutdown(number, CInt(SHUT_RD))
  }

  func setNonblocking() throws(FileError) {
    let flags = try posix(.open, path) { fcntl(number, F_GETFL) }
    try posix(.open, path) { fcntl(number, F_SETFL, flags | O_NONBLOCK) }
  }
}

extension InternetAddress {
  /// Calls `body` with the address in the form of the system.
  @discardableResult
  func withSocketAddress<Result>(
    _ body: (UnsafePointer<sockaddr>, socklen_t) throws(FileError) -> Result
  ) throws(FileError) -> Result {
    if isIPv6 {
      var address = sockaddr_in6()
      address.sin6_family = sa_family_t(AF_INET6)
      address.sin6_port = port.bigEndian
      withUnsafeMutableBytes(of: &address.sin6_addr) { $0.copyBytes(from: bytes) }
      return try withRebound(address, body)
    }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    withUnsafeMutableBytes(of: &address.sin_addr) { $0.copyBytes(from: bytes) }
    return try withRebound(address, body)
  }
}

/// Calls `body` with the address of the Unix socket at a path.
@discardableResult
private func withUnixAddress<Result>(
  _ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) throws(FileError) -> Result
) throws(FileError) -> Result {
  var address = sockaddr_un()
  address.sun_family = sa_family_t(AF_UNIX)
  // One byte is for the zero at the end.
  guard path.utf8.count < MemoryLayout.size(ofValue: address.sun_path) else {
    throw FileError(operation: .open, path: path, errno: ENAMETOOLONG)
  }
  withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
  return try withRebound(address, body)
}

/// Calls `body` with a pointer to an address of a family as `sockaddr`.
private func withRebound<Address, Result>(
  _ address: Address, _ body: (UnsafePointer<sockaddr>, socklen_t) throws(FileError) -> Result
) throws(FileError) -> Result {
  try withUnsafePointer(to: address) { pointer throws(FileError) in
    let length = socklen_t(MemoryLayout<Address>.size)
    return try UnsafeRawPointer(pointer).withMemoryRebound(to: sockaddr.self, capacity: 1) {
      address throws(FileError) in try body(address, length)
    }
  }
}
