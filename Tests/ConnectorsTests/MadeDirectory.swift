import Glibc
import Storage
import Synchronization

/// A directory in memory that counts how it is used, and whose watch reports what the test says.
final class MadeDirectory: FileSystem {
  struct Uses: Equatable {
    var status = 0
    var open = 0
    var list = 0
  }

  private struct Contents {
    var files: [String: (inode: UInt64, bytes: [UInt8])] = [:]
    var lastInode: UInt64 = 0
    var uses = Uses()
    var events: [FileEvent] = []
  }

  let path = "/made"
  private let contents = Mutex(Contents())

  /// The uses since the last call.
  func takeUses() -> Uses {
    contents.withLock { contents in
      defer { contents.uses = Uses() }
      return contents.uses
    }
  }

  /// Puts a new file in the place of a name.
  func put(_ name: String, _ text: String) {
    contents.withLock { contents in
      contents.lastInode += 1
      contents.files[name] = (contents.lastInode, Array(text.utf8))
    }
  }

  func drop(_ name: String) {
    contents.withLock { contents in contents.files[name] = nil }
  }

  func report(_ events: FileEvents, _ name: String = "") {
    contents.withLock { contents in
      contents.events.append(FileEvent(watch: 1, events: events, name: name))
    }
  }

  fileprivate func takeEvents() -> [FileEvent] {
    contents.withLock { contents in
      defer { contents.events = [] }
      return contents.events
    }
  }

  private func file(_ path: String, _ operation: FileError.Operation) throws(FileError)
    -> MadeFile
  {
    let name = String(path.dropFirst(self.path.count + 1))
    let found = contents.withLock { contents in
      if operation == .open { contents.uses.open += 1 } else { contents.uses.status += 1 }
      return contents.files[name]
    }
    guard let found else { throw FileError(operation: operation, path: path, errno: ENOENT) }
    return MadeFile(path: path, inode: found.inode, bytes: found.bytes)
  }

  func open(_ path: String, for use: FileUse) throws(FileError) -> any File {
    try file(path, .open)
  }

  func status(of path: String) throws(FileError) -> FileStatus {
    try file(path, .inspect).status()
  }

  func list(_ directory: String) throws(FileError) -> [String] {
    contents.withLock { contents in
      contents.uses.list += 1
      return contents.files.keys.sorted()
    }
  }

  func watch() throws(FileError) -> any FileWatch { MadeWatch(of: self) }

  // MARK: Uses that a source has not

  private func refused(_ path: String) -> FileError {
    FileError(operation: .open, path: path, errno: EROFS)
  }

  func rename(_ path: String, to newPath: String) throws(FileError) { throw refused(path) }
  func remove(_ path: String) throws(FileError) { throw refused(path) }
  func createDirectories(_ directory: String) throws(FileError) { throw refused(directory) }
  func lock(_ path: String) throws(FileError) -> any File { throw refused(path) }
  func syncDirectory(_ directory: String) throws(FileError) { throw refused(directory) }
}

private final class MadeWatch: FileWatch {
  let descriptor: Int32 = -1
  private let directory: MadeDirectory

  init(of directory: MadeDirectory) { self.directory = directory }

  func watch(_ path: String, for events: FileEvents) throws(FileError) -> Int32 { 1 }
  func forget(_ watch: Int32) {}
  func events() throws(FileError) -> [FileEvent] { directory.takeEvents() }
}

private final class MadeFile: File {
  let path: String
  private let inode: UInt64
  private let bytes: [UInt8]
  private let offset = Mutex(0)

  init(path: String, inode: UInt64, bytes: [UInt8]) {
    self.path = path
    self.inode = inode
    self.bytes = bytes
  }

  func status() throws(FileError) -> FileStatus {
    FileStatus(
      kind: .regular, identity: FileIdentity(device: 1, inode: inode), size: bytes.count)
  }

  func read(into buffer: UnsafeMutableRawBufferPointer) throws(FileError) -> Int {
    let start = offset.withLock { $0 }
    let count = try read(into: buffer, at: start)
    offset.withLock { $0 = start + count }
    return count
  }

  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(FileError) -> Int {
    let rest = bytes.dropFirst(offset).prefix(buffer.count)
    buffer.copyBytes(from: rest)
    return rest.count
  }

  func seek(to offset: Int) throws(FileError) { self.offset.withLock { $0 = offset } }
  func unreadyDescriptor() -> Int32? { nil }
  func write(_ bytes: UnsafeRawBufferPointer) throws(FileError) {}
  func truncate(to size: Int) throws(FileError) {}
  func sync() throws(FileError) {}
  func close() throws(FileError) {}
}
