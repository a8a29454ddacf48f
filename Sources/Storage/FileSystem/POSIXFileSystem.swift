internal import Glibc

/// The real file system.
package struct POSIXFileSystem: FileSystem {
  package init() {}

  package func open(_ path: String, for use: FileUse) throws(FileError) -> any File {
    let flags =
      switch use {
      case .reading: O_RDONLY
      case .writing: O_WRONLY | O_CREAT | O_TRUNC
      case .creating: O_RDWR | O_CREAT | O_EXCL
      case .updating: O_RDWR | O_CREAT
      }
    let descriptor = try posix(use == .creating ? .create : .open, path) {
      Glibc.open(path, flags | O_CLOEXEC | O_NOCTTY, 0o644)
    }
    return POSIXFile(adopting: descriptor, path: path)
  }

  package func openWithoutWaiting(_ path: String) throws(FileError) -> any File {
    let descriptor = try posix(.open, path) {
      Glibc.open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY)
    }
    return POSIXFile(adopting: descriptor, path: path)
  }

  package func status(of path: String) throws(FileError) -> FileStatus {
    var status = stat()
    try posix(.inspect, path) { stat(path, &status) }
    return FileStatus(status)
  }

  package func linkTarget(of path: String) -> String? {
    var bytes = [UInt8](repeating: 0, count: Int(PATH_MAX))
    let count = bytes.withUnsafeMutableBytes { buffer in
      buffer.withMemoryRebound(to: CChar.self) { characters in
        characters.baseAddress.map { readlink(path, $0, characters.count) } ?? -1
      }
    }
    return count > 0 ? String(decoding: bytes.prefix(count), as: UTF8.self) : nil
  }

  package var workingDirectory: String {
    guard let path = getcwd(nil, 0) else { return "/" }
    defer { free(path) }
    return String(cString: path)
  }

  package func setPermissions(_ permissions: UInt32, of path: String) throws(FileError) {
    try posix(.open, path) { chmod(path, permissions) }
  }

  package func rename(_ path: String, to newPath: String) throws(FileError) {
    try posix(.rename, path) { Glibc.rename(path, newPath) }
  }

  package func watch() throws(FileError) -> any FileWatch { try Inotify() }

  package func remove(_ path: String) throws(FileError) {
    try posix(.remove, path) { unlink(path) }
  }

  package func list(_ directory: String) throws(FileError) -> [String] {
    guard let stream = opendir(directory) else {
      throw FileError(operation: .list, path: directory, errno: errno)
    }
    defer { closedir(stream) }
    var names: [String] = []
    while true {
      // readdir reports an error only in errno.
      errno = 0
      guard let entry = readdir(stream) else {
        guard errno == 0 else { throw FileError(operation: .list, path: directory, errno: errno) }
        break
      }
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
        String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  package func createDirectories(_ directory: String) throws(FileError) {
    if mkdir(directory, 0o755) == 0 { return }
    let reason = errno
    if let status = try? status(of: directory), status.kind == .directory { return }
    let parent = parentDirectory(of: directory)
    guard reason == ENOENT, parent != directory, !directory.isEmpty else {
      throw FileError(operation: .createDirectory, path: directory, errno: reason)
    }
    try createDirectories(parent)
    // Another process may have made it meanwhile.
    guard mkdir(directory, 0o755) == 0 || errno == EEXIST else {
      throw FileError(operation: .createDirectory, path: directory, errno: errno)
    }
  }

  package func lock(_ path: String) throws(FileError) -> any File {
    let descriptor = try posix(.lock, path) {
      Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW, 0o644)
    }
    let file = POSIXFile(adopting: descriptor, path: path)
    // Not fcntl's lock: closing any descriptor of the file in this process would release it.
    try posix(.lock, path) { flock(descriptor, LOCK_EX | LOCK_NB) }
    return file
  }

  package func syncDirectory(_ directory: String) throws(FileError) {
    let descriptor = try posix(.syncDirectory, directory) {
      Glibc.open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    }
    defer { Glibc.close(descriptor) }
    try posix(.syncDirectory, directory) { fsync(descriptor) }
  }
}

/// The number of this process, which is part of the names of its temporary files.
func processIdentifier() -> Int { Int(getpid()) }

/// Runs a call that returns -1 and sets errno on failure. Repeats it while a signal interrupts it.
@discardableResult
package func posix<Result: SignedInteger>(
  _ operation: FileError.Operation, _ path: String, _ call: () -> Result
) throws(FileError) -> Result {
  while true {
    let result = call()
    if result >= 0 { return result }
    let reason = errno
    if reason != EINTR { throw FileError(operation: operation, path: path, errno: reason) }
  }
}

extension FileStatus {
  init(_ status: stat) {
    let kind: Kind =
      switch status.st_mode & S_IFMT {
      case S_IFREG: .regular
      case S_IFDIR: .directory
      case S_IFIFO: .fifo
      default: .other
      }
    let identity = FileIdentity(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
    self.init(
      kind: kind, identity: identity, size: Int(status.st_size),
      modifiedNanoseconds: status.st_mtim.tv_sec * 1_000_000_000 + status.st_mtim.tv_nsec,
      permissions: status.st_mode & 0o777)
  }
}
