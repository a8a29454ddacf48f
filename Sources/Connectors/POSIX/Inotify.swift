internal import CLinux
internal import Glibc
internal import Storage

/// An inotify(7) instance: tells when files and directories change, without polling.
final class Inotify: Sendable {
  /// What happened, as a set of inotify's bits.
  struct Events: OptionSet, Sendable {
    let rawValue: UInt32

    static let modified = Events(rawValue: UInt32(IN_MODIFY))
    static let attributes = Events(rawValue: UInt32(IN_ATTRIB))
    static let closedAfterWriting = Events(rawValue: UInt32(IN_CLOSE_WRITE))
    static let created = Events(rawValue: UInt32(IN_CREATE))
    static let deleted = Events(rawValue: UInt32(IN_DELETE))
    static let movedFrom = Events(rawValue: UInt32(IN_MOVED_FROM))
    static let movedTo = Events(rawValue: UInt32(IN_MOVED_TO))
    static let deletedItself = Events(rawValue: UInt32(IN_DELETE_SELF))
    static let movedItself = Events(rawValue: UInt32(IN_MOVE_SELF))
    /// The watch is gone: what it watched was deleted or unmounted.
    static let ignored = Events(rawValue: UInt32(IN_IGNORED))
    /// So much happened that some of it was forgotten.
    static let overflow = Events(rawValue: UInt32(IN_Q_OVERFLOW))
  }

  /// One thing that happened.
  struct Event: Sendable {
    /// The number of the watch; -1 for an overflow.
    var watch: Int32
    var what: Events
    /// The name within a watched directory; empty for the watched file or directory itself.
    var name: String
  }

  private let descriptor: Descriptor

  /// - Parameter path: what is watched, in messages.
  init(path: String) throws(FileError) {
    let number = try posix(.open, path) { inotify_init1(CInt(IN_NONBLOCK | IN_CLOEXEC)) }
    descriptor = Descriptor(adopting: number, path: path)
  }

  /// Readable when something happened.
  var number: CInt { descriptor.number }

  /// Watches a path; a path to what is watched already gives the same number.
  @discardableResult
  func watch(_ path: String, for events: Events) throws(FileError) -> Int32 {
    try posix(.open, path) { inotify_add_watch(number, path, events.rawValue) }
  }

  func forget(_ watch: Int32) {
    // One that is gone already is as good.
    _ = inotify_rm_watch(number, watch)
  }

  /// What happened since the last call.
  func events() throws(FileError) -> [Event] {
    var events: [Event] = []
    let buffer = UnsafeMutableRawBufferPointer.allocate(
      byteCount: 16 << 10, alignment: MemoryLayout<inotify_event>.alignment)
    defer { buffer.deallocate() }
    while let count = try descriptor.read(into: buffer), count > 0 {
      var rest = UnsafeRawBufferPointer(rebasing: buffer[..<count])
      while !rest.isEmpty {
        let header = rest.load(as: inotify_event.self)
        let end = MemoryLayout<inotify_event>.size + Int(header.len)
        let name = rest[MemoryLayout<inotify_event>.size..<end].prefix { $0 != 0 }
        events.append(
          Event(
            watch: header.wd, what: Events(rawValue: header.mask),
            name: String(decoding: name, as: UTF8.self)))
        rest = UnsafeRawBufferPointer(rebasing: rest[end...])
      }
    }
    return events
  }
}
