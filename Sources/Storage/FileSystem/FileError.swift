internal import Glibc

/// A file operation that the operating system refused.
package struct FileError: Error, Equatable, CustomStringConvertible {
  /// The operation that failed. The raw value is the verb of the message.
  package enum Operation: String, Sendable, CaseIterable {
    case open
    case create
    case read
    case write
    case sync
    case truncate
    case seek
    case inspect
    case close
    case rename
    case replace
    case remove
    case list
    case lock
    case watch
    case createDirectory = "create directory"
    case syncDirectory = "sync directory"
  }

  package let operation: Operation
  package let path: String
  /// The error number of errno(3).
  package let errno: Int32
  /// The reason in words, if it is not one of the operating system.
  package let reason: String?

  package init(operation: Operation, path: String, errno: Int32) {
    self.operation = operation
    self.path = path
    self.errno = errno
    reason = nil
  }

  /// An error that the operating system knows nothing of.
  ///
  /// - Parameter errno: the error number that is nearest to it.
  package init(operation: Operation, path: String, reason: String, errno: Int32 = EIO) {
    self.operation = operation
    self.path = path
    self.errno = errno
    self.reason = reason
  }

  /// The same error of a file that is shown under another name.
  package func shown(as name: String) -> FileError {
    guard let reason else { return FileError(operation: operation, path: name, errno: errno) }
    return FileError(operation: operation, path: name, reason: reason, errno: errno)
  }

  /// Whether the file, or a directory of its path, does not exist.
  package var isMissing: Bool { errno == ENOENT || errno == ENOTDIR }

  /// Whether another file object or process holds the lock.
  package var isLockedElsewhere: Bool { operation == .lock && errno == EWOULDBLOCK }

  package var description: String {
    // strerror is safe in threads since glibc 2.32.
    let text = reason ?? strerror(errno).map { String(cString: $0) } ?? "error \(errno)"
    return "cannot \(operation.rawValue) \(path): \(text)"
  }
}
