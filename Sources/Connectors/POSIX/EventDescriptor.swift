internal import CLinux
internal import Glibc
internal import Storage

extension Descriptor {
  /// An eventfd(2): it is readable after another thread has written a number to it.
  static func event(path: String) throws(FileError) -> Descriptor {
    let number = try posix(.open, path) { eventfd(0, CInt(EFD_CLOEXEC) | CInt(EFD_NONBLOCK)) }
    return Descriptor(adopting: number, path: path)
  }

  /// Makes an eventfd(2) unreadable until the next event.
  func takeEvent() {
    var count: UInt64 = 0
    // Without an event, the read takes nothing.
    _ = withUnsafeMutableBytes(of: &count) { Glibc.read(number, $0.baseAddress, $0.count) }
  }
}
