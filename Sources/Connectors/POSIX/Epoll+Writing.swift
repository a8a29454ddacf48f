internal import CLinux
internal import Glibc
internal import Storage

extension Epoll {
  /// Adds a socket, to be reported as `key` each time it has become writable, failed or hung up: once,
  /// unlike `add`, because a writable socket would be reported for ever.
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
    // POLLRDHUP, which Glibc's module leaves out, has the same value.
    let half = half ? CShort(EPOLLRDHUP.rawValue) : 0
    var query = pollfd(fd: number, events: half, revents: 0)
    return poll(&query, 1, 0) > 0
  }
}
