internal import CLinux
internal import Glibc
internal import Storage

extension Epoll {
  /// Adds a socket. `ready` reports it as `key` once each time when it becomes writable, fails or is hung up. `add`
  /// would report a writable socket for ever.
  func addOnce(_ socket: Descriptor, key: Int) throws(FileError) {
    var event = epoll_event()
    event.events = EPOLLOUT.rawValue | EPOLLRDHUP.rawValue | EPOLLET.rawValue
    event.data.u64 = UInt64(bitPattern: Int64(key))
    try posix(.open, socket.path) {
      epoll_ctl(number, EPOLL_CTL_ADD, socket.number, &event)
    }
  }
}

extension Descriptor {
  /// Whether the peer has closed the connection, or, with `half`, its own direction of it.
  func isHungUp(half: Bool) -> Bool {
    // Glibc's module has no POLLRDHUP. Its value is that of EPOLLRDHUP.
    let half = half ? CShort(EPOLLRDHUP.rawValue) : 0
    var query = pollfd(fd: number, events: half, revents: 0)
    return poll(&query, 1, 0) > 0
  }
}
