internal import Glibc

/// A socket that listens; a Unix socket's file is this process' own while it lives.
struct Listener: Sendable {
  let socket: ControlSocket
  /// As bound: a port 0 is replaced by the one that the system chose.
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
        // Nobody can connect before listen(2), so the socket is never open to others.
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

  /// Stops listening and removes the Unix socket's file, unless another process has that path by now.
  func close() {
    _ = shutdown(socket.number, CInt(SHUT_RDWR))
    if case .unix(let path) = address, let inode, Self.status(of: path)?.inode == inode {
      unlink(path)
    }
  }

  /// Removes the file of a daemon that died; a socket with a listener stays.
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
