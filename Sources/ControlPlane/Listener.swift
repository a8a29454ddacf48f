internal import FlyingSocks
internal import Glibc

/// A socket that listens; a Unix socket's path is this process' own while it lives.
struct Listener: Sendable {
  let socket: Socket
  /// As bound: a port 0 is replaced by the one that the system chose.
  let address: ControlAddress
  /// The inode of a Unix socket.
  private let inode: UInt64?

  /// Binds and listens.
  ///
  /// - Throws: `ControlError.cannotListen`.
  init(_ address: ControlAddress) throws(ControlError) {
    if case .unix(let path) = address { try Self.removeStaleSocket(path) }
    do {
      let system = try address.systemAddress()
      let socket = try Socket(domain: Int32(type(of: system).family))
      do {
        if !address.isUnix { try socket.setValue(true, for: .localAddressReuse) }
        try socket.bind(to: system)
        // Nobody can connect before listen, so there is no moment with a wider mode.
        if case .unix(let path) = address {
          guard chmod(path, 0o600) == 0 else { throw SocketError.makeFailed("chmod") }
          self.address = address
          inode = Self.status(of: path)?.inode
        } else {
          self.address = ControlAddress(try socket.sockname())
          inode = nil
        }
        try socket.setFlags(.nonBlocking)
      } catch {
        try? socket.close()
        throw error
      }
      // Closes the socket itself where it fails.
      try socket.listen()
      self.socket = socket
    } catch {
      throw .cannotListen("\(address)", reason: systemReason(error))
    }
  }

  /// Stops listening and takes the Unix socket's path away, unless somebody else has it by now.
  func close() {
    if case .unix(let path) = address, let inode, Self.status(of: path)?.inode == inode {
      unlink(path)
    }
    try? socket.close()
  }

  /// Removes what a daemon that died left behind; a socket with a listener stays.
  private static func removeStaleSocket(_ path: String) throws(ControlError) {
    guard let status = status(of: path) else { return }
    guard status.isSocket else {
      throw .cannotListen("unix:\(path)", reason: "the path exists and is no socket")
    }
    guard let probe = try? Socket(domain: AF_UNIX) else { return }
    defer { try? probe.close() }
    do {
      try probe.setFlags(.nonBlocking)
      try probe.connect(to: sockaddr_un.unix(path: path))
    } catch SocketError.failed(_, ECONNREFUSED, _) {
      unlink(path)
      return
    } catch SocketError.failed(_, ENOENT, _) {
      return
    } catch {
      throw .cannotListen("unix:\(path)", reason: "in use: \(systemReason(error))")
    }
    throw .cannotListen("unix:\(path)", reason: "another process listens there")
  }

  private static func status(of path: String) -> (inode: UInt64, isSocket: Bool)? {
    var status = stat()
    guard lstat(path, &status) == 0 else { return nil }
    return (UInt64(status.st_ino), status.st_mode & S_IFMT == S_IFSOCK)
  }
}

/// The system's words for why a socket operation failed.
func systemReason(_ error: any Error) -> String {
  switch error {
  case SocketError.failed(_, _, let message): message
  case SocketError.disconnected: "the connection was closed"
  case SocketError.timeout, is DeadlineExceeded: "timed out"
  case is CancellationError: "cancelled"
  default: "\(error)"
  }
}
