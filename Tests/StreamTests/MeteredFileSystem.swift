import Glibc
import Storage
import Synchronization

/// The real file system. It reads one file in small pieces, records these reads, and fails at an offset.
final class MeteredFileSystem: FileSystem {
  /// The ranges of the file that were read, in order. Adjacent reads are one range.
  var reads: [Range<Int>] { ranges.withLock { $0 } }
  /// The number of bytes that were read; repeated reads count again.
  var byteCount: Int { reads.reduce(0) { $0 + $1.count } }

  private let path: String
  private let piece: Int
  private let failsAt: Int
  private let ranges = Mutex<[Range<Int>]>([])
  private let real = POSIXFileSystem()

  /// - Parameters:
  ///   - piece: the most bytes of one read.
  ///   - failsAt: the offset at which reads fail.
  init(_ path: String, piece: Int, failsAt: Int = .max) {
    self.path = path
    self.piece = piece
    self.failsAt = failsAt
  }

  fileprivate func read(_ count: Int, at offset: Int) {
    ranges.withLock { ranges in
      if let last = ranges.last, last.upperBound == offset {
        ranges[ranges.count - 1] = last.lowerBound..<offset + count
      } else if count > 0 {
        ranges.append(offset..<offset + count)
      }
    }
  }

  fileprivate func room(at offset: Int) throws(FileError) -> Int {
    guard offset < failsAt else { throw FileError(operation: .read, path: path, errno: EIO) }
    return min(piece, failsAt - offset)
  }

  func open(_ path: String, for use: FileUse) throws(FileError) -> any File {
    let file = try real.open(path, for: use)
    return path == self.path ? MeteredFile(file, in: self) : file
  }

  func status(of path: String) throws(FileError) -> FileStatus { try real.status(of: path) }
  func rename(_ path: String, to newPath: String) throws(FileError) {
    try real.rename(path, to: newPath)
  }
  func remove(_ path: String) throws(FileError) { try real.remove(path) }
  func list(_ directory: String) throws(FileError) -> [String] { try real.list(directory) }
  func createDirectories(_ directory: String) throws(FileError) {
    try real.createDirectories(directory)
  }
  func lock(_ path: String) throws(FileError) -> any File { try real.lock(path) }
  func syncDirectory(_ directory: String) throws(FileError) { try real.syncDirectory(directory) }
  func watch() throws(FileError) -> any FileWatch { try real.watch() }
}

/// The file whose reads are recorded.
private final class MeteredFile: File {
  private let file: any File
  private let fileSystem: MeteredFileSystem
  private let offset = Mutex(0)

  init(_ file: any File, in fileSystem: MeteredFileSystem) {
    self.file = file
    self.fileSystem = fileSystem
  }

  var path: String { file.path }

  func read(into buffer: UnsafeMutableRawBufferPointer) throws(FileError) -> Int {
    let offset = offset.withLock { $0 }
    let room = try fileSystem.room(at: offset)
    let count = try file.read(into: .init(rebasing: buffer.prefix(room)))
    fileSystem.read(count, at: offset)
    self.offset.withLock { $0 = offset + count }
    return count
  }

  func seek(to offset: Int) throws(FileError) {
    try file.seek(to: offset)
    self.offset.withLock { $0 = offset }
  }

  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(FileError) -> Int {
    try file.read(into: buffer, at: offset)
  }

  func status() throws(FileError) -> FileStatus { try file.status() }
  func unreadyDescriptor() -> Int32? { file.unreadyDescriptor() }
  func write(_ bytes: UnsafeRawBufferPointer) throws(FileError) { try file.write(bytes) }
  func truncate(to size: Int) throws(FileError) { try file.truncate(to: size) }
  func sync() throws(FileError) { try file.sync() }
  func close() throws(FileError) { try file.close() }
}
