internal import Glibc

/// A listening socket. The file of a Unix socket belongs to this process while it lives.
struct Listener: Sendable {
  let socket: ControlSocket
  /// The bound address, with the port that the system chose for port 0.
  let address: ControlAddress
  /// The inode of a Unix socket.
  private let inode: UInt64?

  private static let backlog = 512

  /// Binds and listens.
  ///
  /// - Throws: `ControlError.cannotListen`.
  init(_ address: ControlAddress) throws(ControlError) {
    if case .unix(let path) = address { try Self.removeStaleSocket(path) }
    do throws(SocketFailure) {
      socket = try ControlSocket.stream(address.family)
      self.address = try socket.bind(to: address)
      if case .unix(let path) = address {
        // No client can connect before listen(2), so other users never have access.
        guard chmod(path, 0o600) == 0 else { throw SocketFailure(call: "chmod", errno: errno) }
        inode = Self.status(of: path)?.inode
      } else {
        inode = nil
      }
      try socket.listen(backlog: Self.backlog)
    } catch {
      throw .cannotListen("\(address)", reason: "\(error)")
    }
  }

  /// Stops listening. Removes the file of a Unix socket, unless another process has replaced it.
  func close() {
    _ = shutdown(socket.number, CInt(SHUT_RDWR))
    if case .unix(let path) = address, let inode, Self.status(of: path)?.inode == inode {
      unlink(path)
    }
  }

  /// Removes the socket file of a dead daemon. A socket with a listener stays.
  private static func removeStaleSocket(_ path: String) throws(ControlError) {
    guard let status = status(of: path) else { return }
    guard status.isSocket else {
      throw .cannotListen("unix:\(path)", reason: "the path exists and is no socket")
    }
    guard let probe = try? ControlSocket.stream(AF_UNIX) else { return }
    do throws(SocketFailure) {
      try probe.connect(to: .unix(path: path))
    } catch {
      switch error.errno {
      case ECONNREFUSED: unlink(path)
      case ENOENT: break
      default: throw .cannotListen("unix:\(path)", reason: "in use: \(error)")
      }
      return
    }
    throw .cannotListen("unix:\(path)", reason: "another process listens there")
  }

  private static func status(of path: String) -> (inode: UInt64, isSocket: Bool)? {
    var status = stat()
    guard lstat(path, &status) == 0 else { return nil }
    return (UInt64(status.st_ino), status.st_mode & S_IFMT == S_IFSOCK)
  }
}
