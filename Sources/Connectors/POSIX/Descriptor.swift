internal import Glibc
internal import Storage

/// An open descriptor that waits for nothing; closed once, when it is let go.
final class Descriptor: Sendable {
  let number: CInt
  /// What it leads to, in messages.
  let path: String

  /// Takes over an open descriptor.
  init(adopting number: CInt, path: String) {
    self.number = number
    self.path = path
  }

  deinit {
    // Not tried again after a signal: Linux has freed the descriptor even then.
    _ = close(number)
  }

  /// Opens the end of a FIFO that is read, whether anybody writes or not.
  static func openFIFO(_ path: String) throws(FileError) -> Descriptor {
    let number = try posix(.open, path) {
      open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY)
    }
    let descriptor = Descriptor(adopting: number, path: path)
    var status = stat()
    try posix(.inspect, path) { fstat(number, &status) }
    guard status.st_mode & S_IFMT == S_IFIFO else {
      throw FileError(operation: .open, path: path, errno: ENOTSUP)
    }
    return descriptor
  }

  /// Makes a FIFO that only its owner may use; one that exists is no error.
  static func makeFIFO(_ path: String) throws(FileError) {
    guard mkfifo(path, 0o600) == 0 || errno == EEXIST else {
      throw FileError(operation: .create, path: path, errno: errno)
    }
  }

  /// The number of bytes that a read would give now, without waiting.
  var bytesAtHand: Int {
    var count: CInt = 0
    return ioctl(number, UInt(FIONREAD), &count) == 0 ? Int(count) : 0
  }

  /// Reads what is there; nil where a read would have to wait, 0 at the end.
  func read(into buffer: UnsafeMutableRawBufferPointer) throws(FileError) -> Int? {
    do throws(FileError) {
      return try posix(.read, path) { Glibc.read(number, buffer.baseAddress, buffer.count) }
    } catch  where error.errno == EAGAIN {
      return nil
    }
  }
}
