internal import CLinux
internal import Storage

/// An epoll(7) instance: many descriptors behind one, which is readable while one of them is.
final class Epoll: Sendable {
  private let descriptor: Descriptor

  /// - Parameter path: what the descriptors belong to, in messages.
  init(path: String) throws(FileError) {
    let number = try posix(.open, path) { epoll_create1(CInt(EPOLL_CLOEXEC)) }
    descriptor = Descriptor(adopting: number, path: path)
  }

  /// Readable while one of the descriptors is.
  var number: CInt { descriptor.number }

  /// Adds a descriptor, to be reported as `key` while it can be read from.
  func add(_ added: Descriptor, key: Int) throws(FileError) {
    var event = epoll_event()
    event.events = EPOLLIN.rawValue
    event.data.u64 = UInt64(bitPattern: Int64(key))
    try posix(.open, descriptor.path) {
      epoll_ctl(number, EPOLL_CTL_ADD, added.number, &event)
    }
  }

  func remove(_ removed: Descriptor) {
    // One that is gone already is as good.
    _ = epoll_ctl(number, EPOLL_CTL_DEL, removed.number, nil)
  }

  /// The keys of the descriptors that can be read from now, at most `limit`, in the order in which
  /// they became so.
  func ready(limit: Int) throws(FileError) -> [Int] {
    var events = [epoll_event](repeating: epoll_event(), count: limit)
    let count = try posix(.read, descriptor.path) {
      epoll_wait(number, &events, CInt(limit), 0)
    }
    return events[..<Int(count)].map { Int(Int64(bitPattern: $0.data.u64)) }
  }
}
