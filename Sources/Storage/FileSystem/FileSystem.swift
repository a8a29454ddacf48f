/// The files of a machine: the one seam through which Evenkeel touches them, so that a simulated
/// file system can stand in its place.
///
/// What was written survives a crash only after `File.sync()`, and a name that was created, renamed
/// or removed only after `syncDirectory(_:)` on its directory.
package protocol FileSystem: Sendable {
  func open(_ path: String, for use: FileUse) throws(FileError) -> any File
  /// Opens a file for reading, and returns at once even if it is a FIFO without a writer.
  func openWithoutWaiting(_ path: String) throws(FileError) -> any File
  /// What stands at `path`; symbolic links are followed.
  func status(of path: String) throws(FileError) -> FileStatus
  /// Whether a symbolic link stands at `path` itself.
  func isSymbolicLink(_ path: String) -> Bool
  /// Gives a file another name, in one step; a file of that name is replaced.
  func rename(_ path: String, to newPath: String) throws(FileError)
  func remove(_ path: String) throws(FileError)
  /// The names in a directory, sorted, `.` and `..` left out.
  func list(_ directory: String) throws(FileError) -> [String]
  /// Makes a directory and those above it; one that exists is no error.
  func createDirectories(_ directory: String) throws(FileError)
  /// Opens a file for reading and writing, empty if there was none, and holds it locked until it is
  /// closed, by the death of the process too. One lock at a time: a second one, of this process or
  /// another, is an error for which `isLockedElsewhere` holds.
  func lock(_ path: String) throws(FileError) -> any File
  /// Makes the names in a directory durable.
  func syncDirectory(_ directory: String) throws(FileError)
  /// Makes a watch that watches nothing yet; it ends when it is let go.
  func watch() throws(FileError) -> any FileWatch
}

/// An open file; closed when it is let go. One caller at a time uses it.
package protocol File: AnyObject, Sendable {
  /// The path it was opened by, for messages.
  var path: String { get }
  func status() throws(FileError) -> FileStatus
  /// The descriptor to wait for where a read would have to wait now; nil where it would not.
  func unreadyDescriptor() -> Int32?
  /// Reads what is there at the file's own position, which moves on.
  ///
  /// - Returns: the number of bytes; 0 at the end, and otherwise possibly fewer than asked for.
  func read(into buffer: UnsafeMutableRawBufferPointer) throws(FileError) -> Int
  /// Reads at `offset` in bytes; the file's own position stays.
  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(FileError) -> Int
  /// Writes all of `bytes` at the file's own position, which moves on.
  func write(_ bytes: UnsafeRawBufferPointer) throws(FileError)
  /// Moves the file's own position to `offset`, in bytes from the start.
  func seek(to offset: Int) throws(FileError)
  /// Cuts or lengthens the file to `size` bytes; its own position stays.
  func truncate(to size: Int) throws(FileError)
  /// Sets what was written on its way to the disk, so that a later `sync` takes less time; waits for
  /// nothing and promises nothing.
  func startSync()
  /// Makes what was written durable.
  func sync() throws(FileError)
  /// Closes the file; a second call does nothing.
  func close() throws(FileError)
}

extension File {
  package func startSync() {}
}

/// What a file is opened for.
package enum FileUse: Sendable, CaseIterable {
  /// Reading a file that exists.
  case reading
  /// Writing from the start; what was there is lost.
  case writing
  /// Writing a file that must not exist yet.
  case creating
  /// Reading and writing what is there, from the start; an empty file is made if there is none.
  case updating
}

/// What stands at a path.
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
  /// In bytes; means something for regular files only.
  package var size: Int
  /// When the contents last changed, in nanoseconds since 1970.
  package var modifiedNanoseconds: Int

  package init(kind: Kind, identity: FileIdentity, size: Int, modifiedNanoseconds: Int = 0) {
    self.kind = kind
    self.identity = identity
    self.size = size
    self.modifiedNanoseconds = modifiedNanoseconds
  }
}

/// Which file it is, whatever its name: two names of one file share it.
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

  /// Moves the file's own position to `offset`, in bytes from the start, unless the file ends before it.
  ///
  /// - Returns: whether it did.
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

  package func isSymbolicLink(_ path: String) -> Bool { false }

  /// The whole of a regular file, if it has at most `limit` bytes.
  ///
  /// Anything else is refused before a byte is read: a FIFO could keep the reader waiting for ever. A pipe
  /// that this process was given, such as `/dev/stdin` or `/dev/fd/63`, is read all the same.
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
  /// Reads on to the end, or until there are `limit` bytes.
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

/// The directory that holds `path`, by its spelling: `.` for a bare name.
package func parentDirectory(of path: String) -> String {
  let trimmed = path.dropLast(path.count > 1 && path.hasSuffix("/") ? 1 : 0)
  guard let slash = trimmed.lastIndex(of: "/") else { return "." }
  return slash == trimmed.startIndex ? "/" : String(trimmed[..<slash])
}

extension File {
  /// The bytes from an offset on, fewer at the end of the file; the file's own position stays.
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
