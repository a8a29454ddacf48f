internal import CLinux
internal import Glibc
internal import Synchronization

/// A file of the operating system, by its descriptor.
///
/// `descriptor` is -1 after the close. The caller that exchanges it for -1 closes it, so it is closed once.
package final class POSIXFile: File {
  package let path: String
  private let descriptor: Atomic<CInt>
  private let closesWhenReleased: Bool

  /// Takes ownership of an open descriptor, and closes it with the file.
  package init(adopting descriptor: CInt, path: String) {
    self.path = path
    self.descriptor = Atomic(descriptor)
    closesWhenReleased = true
  }

  private init(borrowing descriptor: CInt, path: String) {
    self.path = path
    self.descriptor = Atomic(descriptor)
    closesWhenReleased = false
  }

  deinit {
    if closesWhenReleased { try? close() }
  }

  /// The process's standard input. Releasing this object leaves it open.
  package static func standardInput() -> POSIXFile {
    POSIXFile(borrowing: STDIN_FILENO, path: "stdin")
  }

  /// The process's standard output. Releasing this object leaves it open.
  package static func standardOutput() -> POSIXFile {
    POSIXFile(borrowing: STDOUT_FILENO, path: "stdout")
  }

  /// The process's standard error. Releasing this object leaves it open.
  package static func standardError() -> POSIXFile {
    POSIXFile(borrowing: STDERR_FILENO, path: "stderr")
  }

  package func status() throws(FileError) -> FileStatus {
    var status = stat()
    try posix(.inspect, path) { fstat(open, &status) }
    return FileStatus(status)
  }

  package func unreadyDescriptor() -> Int32? {
    var query = pollfd(fd: open, events: Int16(POLLIN), revents: 0)
    // An error, a hang-up and a closed file count as ready: the read reports them.
    guard query.fd >= 0 else { return nil }
    return poll(&query, 1, 0) > 0 ? nil : query.fd
  }

  package func read(into buffer: UnsafeMutableRawBufferPointer) throws(FileError) -> Int {
    try posix(.read, path) { Glibc.read(open, buffer.baseAddress, buffer.count) }
  }

  package func read(
    into buffer: UnsafeMutableRawBufferPointer, at offset: Int
  ) throws(FileError) -> Int {
    try posix(.read, path) { pread(open, buffer.baseAddress, buffer.count, offset) }
  }

  package func write(_ bytes: UnsafeRawBufferPointer) throws(FileError) {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = try posix(.write, path) {
        let buffer = UnsafeRawBufferPointer(rebasing: rest)
        return Glibc.write(open, buffer.baseAddress, buffer.count)
      }
      rest = rest.dropFirst(count)
    }
  }

  package func seek(to offset: Int) throws(FileError) {
    try posix(.seek, path) { lseek(open, offset, SEEK_SET) }
  }

  package func truncate(to size: Int) throws(FileError) {
    try posix(.truncate, path) { ftruncate(open, size) }
  }

  package func startSync() {
    // The later `sync` reports errors.
    _ = sync_file_range(open, 0, 0, UInt32(SYNC_FILE_RANGE_WRITE))
  }

  package func sync() throws(FileError) {
    try posix(.sync, path) { fsync(open) }
  }

  package func close() throws(FileError) {
    let descriptor = descriptor.exchange(-1, ordering: .acquiringAndReleasing)
    guard descriptor >= 0 else { return }
    // Not repeated after a signal: Linux has freed the descriptor even then.
    guard Glibc.close(descriptor) == 0 || errno == EINTR else {
      throw FileError(operation: .close, path: path, errno: errno)
    }
  }

  /// The descriptor; -1 after the close, and then every call fails with EBADF.
  private var open: CInt { descriptor.load(ordering: .acquiring) }
}
