internal import Glibc

/// The files of the machine. All code reaches them through this protocol, so that tests can put a simulated file
/// system in their place.
///
/// Written bytes survive a crash only after `File.sync()`. A name that was created, renamed or removed survives only
/// after `syncDirectory(_:)` on its directory.
package protocol FileSystem: Sendable {
  func open(_ path: String, for use: FileUse) throws(FileError) -> any File
  /// Opens a file for reading, and returns at once even if it is a FIFO without a writer.
  func openWithoutWaiting(_ path: String) throws(FileError) -> any File
  /// The status of the file at `path`. Follows symbolic links.
  func status(of path: String) throws(FileError) -> FileStatus
  /// Whether `path` itself is a symbolic link.
  func isSymbolicLink(_ path: String) -> Bool
  /// The path that a symbolic link at `path` holds; nil if there is no link.
  func linkTarget(of path: String) -> String?
  /// The directory at which relative paths begin.
  var workingDirectory: String { get }
  /// Sets who may read and write the file at `path`.
  func setPermissions(_ permissions: UInt32, of path: String) throws(FileError)
  /// Renames a file in one step. Replaces a file that has the new name.
  func rename(_ path: String, to newPath: String) throws(FileError)
  func remove(_ path: String) throws(FileError)
  /// The names in a directory, sorted, without `.` and `..`.
  func list(_ directory: String) throws(FileError) -> [String]
  /// Makes a directory and its parents. A directory that exists is no error.
  func createDirectories(_ directory: String) throws(FileError)
  /// Opens a file for reading and writing, and locks it. Makes an empty file if there is none.
  ///
  /// The lock lasts until the file is closed or the process dies. A second lock, of this process or of another,
  /// throws an error with `isLockedElsewhere`.
  func lock(_ path: String) throws(FileError) -> any File
  /// Makes the names in a directory durable.
  func syncDirectory(_ directory: String) throws(FileError)
  /// Makes a watch that watches nothing yet. It ends when it is released.
  func watch() throws(FileError) -> any FileWatch
}

/// An open file. It is closed when it is released. One caller at a time uses it.
package protocol File: AnyObject, Sendable {
  /// The path that it was opened with, for messages.
  var path: String { get }
  func status() throws(FileError) -> FileStatus
  /// The descriptor to wait for if a read would wait now; nil if a read would return at once.
  func unreadyDescriptor() -> Int32?
  /// Reads at the file's own position, and moves the position.
  ///
  /// - Returns: the number of bytes: 0 at the end, otherwise 1 up to the size of `buffer`.
  func read(into buffer: UnsafeMutableRawBufferPointer) throws(FileError) -> Int
  /// Reads at `offset`, in bytes. Does not move the file's own position.
  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(FileError) -> Int
  /// Writes all of `bytes` at the file's own position, and moves the position.
  func write(_ bytes: UnsafeRawBufferPointer) throws(FileError)
  /// Moves the file's own position to `offset`, in bytes from the start.
  func seek(to offset: Int) throws(FileError)
  /// Cuts or lengthens the file to `size` bytes. Does not move its own position.
  func truncate(to size: Int) throws(FileError)
  /// Starts to write what was written to the disk, so that a later `sync` takes less time. Does not wait, and
  /// guarantees nothing.
  func startSync()
  /// Makes the written bytes durable.
  func sync() throws(FileError)
  /// Closes the file; a second call does nothing.
  func close() throws(FileError)
}

extension File {
  package func startSync() {}
}

/// The purpose for which a file is opened.
package enum FileUse: Sendable, CaseIterable {
  /// Read a file that exists.
  case reading
  /// Write from the start. Old contents are lost.
  case writing
  /// Write, and read again, a file that must not exist yet.
  case creating
  /// Read and write the contents, from the start. Makes an empty file if there is none.
  case updating
}

/// The kind, identity, size and age of the file at a path.
package struct FileStatus: Sendable, Equatable {
  /// The raw value is its name in messages.
  package enum Kind: String, Sendable {
    case regular = "a regular file"
    case directory = "a directory"
    case fifo = "a FIFO"
    case other = "a device or a socket"
  }

  package var kind: Kind
  package var identity: FileIdentity
  /// In bytes. Meaningful for regular files only.
  package var size: Int
  /// When the contents last changed, in nanoseconds since 1970.
  package var modifiedNanoseconds: Int
  /// The nine bits of its permissions; nil if the file system does not tell.
  package var permissions: UInt32?

  package init(
    kind: Kind, identity: FileIdentity, size: Int, modifiedNanoseconds: Int = 0,
    permissions: UInt32? = nil
  ) {
    self.permissions = permissions
    self.kind = kind
    self.identity = identity
    self.size = size
    self.modifiedNanoseconds = modifiedNanoseconds
  }
}

/// The identity of a file, whatever its name is. Two names of one file have the same identity.
package struct FileIdentity: Sendable, Hashable {
  package var device: UInt64
  package var inode: UInt64

  package init(device: UInt64, inode: UInt64) {
    self.device = device
    self.inode = inode
  }
}

extension File {
  /// Writes all of `bytes`.
  package func write(_ bytes: [UInt8]) throws(FileError) {
    try bytes.withUnsafeBufferPointer { buffer throws(FileError) in
      try write(UnsafeRawBufferPointer(buffer))
    }
  }

  /// Moves the file's own position to `offset`, in bytes from the start. Does nothing if the file is shorter.
  ///
  /// - Returns: whether the file is long enough.
  package func seek(within offset: Int) throws(FileError) -> Bool {
    guard try status().size >= offset else { return false }
    try seek(to: offset)
    return true
  }
}

extension FileSystem {
  package func openWithoutWaiting(_ path: String) throws(FileError) -> any File {
    try open(path, for: .reading)
  }

  package func isSymbolicLink(_ path: String) -> Bool { linkTarget(of: path) != nil }
  package func linkTarget(of path: String) -> String? { nil }
  package var workingDirectory: String { "/" }
  package func setPermissions(_ permissions: UInt32, of path: String) throws(FileError) {}

  /// The path that symbolic links at `path` lead to, of a file that may not be there yet.
  ///
  /// - Throws: ELOOP for links that lead in a circle.
  package func resolved(_ path: String) throws(FileError) -> String {
    var resolved = path
    for _ in 0..<40 {
      guard let target = linkTarget(of: resolved) else { return resolved }
      resolved = target.hasPrefix("/") ? target : parentDirectory(of: resolved) + "/" + target
    }
    throw FileError(operation: .open, path: path, errno: ELOOP)
  }

  /// The whole of a regular file, if it has at most `limit` bytes.
  ///
  /// Refuses other files before it reads a byte, since a FIFO could block the reader for ever. A pipe of this
  /// process, such as `/dev/stdin` or `/dev/fd/63`, is an exception: it is read.
  package func contents(of path: String, limit: Int) throws(StorageError) -> [UInt8] {
    var contents: [UInt8] = []
    let kind: FileStatus.Kind
    let size: Int
    do throws(FileError) {
      var file = try openWithoutWaiting(path)
      var status = try file.status()
      if status.kind == .fifo, path.hasPrefix("/dev/") {
        file = try open(path, for: .reading)
        status.kind = .regular
      }
      kind = status.kind
      if kind != .regular || status.size > limit {
        size = status.size
      } else {
        try file.read(upTo: limit + 1, expecting: status.size, into: &contents)
        size = contents.count
      }
    } catch {
      throw .file(error)
    }
    guard kind == .regular else { throw .notRegular(path: path, found: kind) }
    guard size <= limit else { throw .tooLarge(path: path, size: size, limit: limit) }
    return contents
  }
}

extension File {
  /// Reads to the end of the file, or until `contents` has `limit` bytes.
  fileprivate func read(
    upTo limit: Int, expecting size: Int, into contents: inout [UInt8]
  ) throws(FileError) {
    contents.reserveCapacity(min(size, limit))
    var chunk = [UInt8](repeating: 0, count: 64 << 10)
    while contents.count < limit {
      let count = try chunk.withUnsafeMutableBufferPointer { buffer throws(FileError) in
        try read(into: UnsafeMutableRawBufferPointer(buffer))
      }
      if count == 0 { return }
      contents += chunk[..<min(count, limit - contents.count)]
    }
  }
}

/// The directory of `path`, taken from its text: `.` for a bare name.
package func parentDirectory(of path: String) -> String {
  let trimmed = path.dropLast(path.count > 1 && path.hasSuffix("/") ? 1 : 0)
  guard let slash = trimmed.lastIndex(of: "/") else { return "." }
  return slash == trimmed.startIndex ? "/" : String(trimmed[..<slash])
}

extension File {
  /// The bytes from `offset` on; fewer if the file ends before. Does not move the file's own position.
  package func bytes(from offset: Int, count: Int) throws(FileError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var filled = 0
    while filled < count {
      let rest = filled
      let got = try bytes.withUnsafeMutableBufferPointer { buffer throws(FileError) in
        try read(
          into: UnsafeMutableRawBufferPointer(
            UnsafeMutableBufferPointer(rebasing: buffer[rest...])),
          at: offset + rest)
      }
      if got == 0 { break }
      filled += got
    }
    return Array(bytes.prefix(filled))
  }
}
