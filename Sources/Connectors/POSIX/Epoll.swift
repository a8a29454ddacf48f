internal import CLinux
internal import Storage

/// An epoll(7) instance. Its descriptor stands for many: it is readable while one of them is.
final class Epoll: Sendable {
  private let descriptor: Descriptor

  /// - Parameter path: the path or address of the connector, for messages.
  init(path: String) throws(FileError) {
    let number = try posix(.open, path) { epoll_create1(CInt(EPOLL_CLOEXEC)) }
    descriptor = Descriptor(adopting: number, path: path)
  }

  /// The descriptor of the instance.
  var number: CInt { descriptor.number }

  /// Adds a descriptor. `ready` reports it as `key` while it is readable.
  func add(_ added: Descriptor, key: Int) throws(FileError) {
    var event = epoll_event()
    event.events = EPOLLIN.rawValue
    event.data.u64 = UInt64(bitPattern: Int64(key))
    try posix(.open, descriptor.path) {
      epoll_ctl(number, EPOLL_CTL_ADD, added.number, &event)
    }
  }

  func remove(_ removed: Descriptor) { remove(removed.number) }

  func remove(_ removed: CInt) {
    // A descriptor that is removed already is no error.
    _ = epoll_ctl(number, EPOLL_CTL_DEL, removed, nil)
  }

  /// Adds a descriptor of another owner, without a key.
  ///
  /// - Returns: whether it can be watched.
  func add(_ added: CInt) -> Bool {
    var event = epoll_event()
    event.events = EPOLLIN.rawValue
    return epoll_ctl(number, EPOLL_CTL_ADD, added, &event) == 0
  }

  /// The keys of the descriptors that are readable now, at most `limit`, in the order in which they became readable.
  func ready(limit: Int) throws(FileError) -> [Int] {
    var events = [epoll_event](repeating: epoll_event(), count: limit)
    let count = try posix(.read, descriptor.path) {
      epoll_wait(number, &events, CInt(limit), 0)
    }
    return events[..<Int(count)].map { Int(Int64(bitPattern: $0.data.u64)) }
  }
}
