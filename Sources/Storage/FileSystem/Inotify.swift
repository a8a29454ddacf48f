internal import CLinux
internal import Glibc

/// An inotify(7) instance.
final class Inotify: FileWatch {
  let descriptor: CInt

  init() throws(FileError) {
    descriptor = try posix(.watch, "inotify") { inotify_init1(CInt(IN_NONBLOCK | IN_CLOEXEC)) }
  }

  deinit {
    // Not repeated after a signal: Linux has freed the descriptor even then.
    _ = close(descriptor)
  }

  func watch(_ path: String, for events: FileEvents) throws(FileError) -> Int32 {
    try posix(.watch, path) { inotify_add_watch(descriptor, path, events.rawValue) }
  }

  func forget(_ watch: Int32) {
    _ = inotify_rm_watch(descriptor, watch)
  }

  func events() throws(FileError) -> [FileEvent] {
    var events: [FileEvent] = []
    let buffer = UnsafeMutableRawBufferPointer.allocate(
      byteCount: 16 << 10, alignment: MemoryLayout<inotify_event>.alignment)
    defer { buffer.deallocate() }
    while let count = try read(into: buffer), count > 0 {
      var rest = UnsafeRawBufferPointer(rebasing: buffer[..<count])
      while !rest.isEmpty {
        let header = rest.load(as: inotify_event.self)
        let end = MemoryLayout<inotify_event>.size + Int(header.len)
        let name = rest[MemoryLayout<inotify_event>.size..<end].prefix { $0 != 0 }
        events.append(
          FileEvent(
            watch: header.wd, events: FileEvents(rawValue: header.mask),
            name: String(decoding: name, as: UTF8.self)))
        rest = UnsafeRawBufferPointer(rebasing: rest[end...])
      }
    }
    return events
  }

  /// Reads events; nil if there are none.
  private func read(into buffer: UnsafeMutableRawBufferPointer) throws(FileError) -> Int? {
    do throws(FileError) {
      return try posix(.read, "inotify") {
        Glibc.read(descriptor, buffer.baseAddress, buffer.count)
      }
    } catch  where error.errno == EAGAIN {
      return nil
    }
  }
}
