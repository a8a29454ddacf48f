internal import Glibc
internal import Storage

/// An open descriptor that never blocks. It is closed once, when it is released.
final class Descriptor: Sendable {
  let number: CInt
  /// The path or address, for messages.
  let path: String

  /// Takes ownership of an open descriptor.
  init(adopting number: CInt, path: String) {
    self.number = number
    self.path = path
  }

  deinit {
    // Not repeated after a signal: Linux has freed the descriptor even then.
    _ = close(number)
  }

  /// Opens a FIFO for reading. Does not wait for a writer.
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

  /// Makes a FIFO that only its owner may use. A FIFO that exists is no error.
  static func makeFIFO(_ path: String) throws(FileError) {
    guard mkfifo(path, 0o600) == 0 || errno == EEXIST else {
      throw FileError(operation: .create, path: path, errno: errno)
    }
  }

  /// The number of bytes that a read would return now.
  var readableBytes: Int {
    var count: CInt = 0
    return ioctl(number, UInt(FIONREAD), &count) == 0 ? Int(count) : 0
  }

  /// Reads the available bytes. Returns nil if a read would wait, 0 at the end.
  func read(into buffer: UnsafeMutableRawBufferPointer) throws(FileError) -> Int? {
    do throws(FileError) {
      return try posix(.read, path) { Glibc.read(number, buffer.baseAddress, buffer.count) }
    } catch  where error.errno == EAGAIN {
      return nil
    }
  }
}
