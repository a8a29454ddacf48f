import Glibc
import Storage
import Synthetic

/// An open file of a simulated file system.
final class SimulatedFile: File, @unchecked Sendable {
  // @unchecked because a simulation runs on one thread.
  let path: String
  var lock: UInt64?
  private let inode: SimulatedInode
  private let fileSystem: SimulatedFileSystem
  private let boot: Int
  private var offset = 0
  private var isClosed = false
  private let isWritten: Bool

  init(
    _ inode: SimulatedInode, path: String, isWritten: Bool, in fileSystem: SimulatedFileSystem
  ) {
    self.isWritten = isWritten
    self.inode = inode
    self.path = path
    self.fileSystem = fileSystem
    boot = fileSystem.boot
  }

  deinit { letGo() }

  func status() throws(FileError) -> FileStatus {
    try perform(.inspect) { () throws(FileError) in
      fileSystem.status(of: inode, at: path)
    }
  }

  func unreadyDescriptor() -> Int32? { nil }

  func read(into buffer: UnsafeMutableRawBufferPointer) throws(FileError) -> Int {
    fileSystem.reads[path, default: []].append(offset)
    let count = try read(into: buffer, at: offset)
    let text = String(decoding: UnsafeRawBufferPointer(buffer)[..<min(count, 40)], as: UTF8.self)
    fileSystem.trace?("  \(count) bytes at \(offset): \(text.debugDescription)")
    offset += count
    return count
  }

  /// Gives as little as it likes, as long as it is something.
  func read(
    into buffer: UnsafeMutableRawBufferPointer, at offset: Int
  ) throws(FileError) -> Int {
    try perform(.read) { () throws(FileError) in
      let limit = fileSystem.mostBytesRead.flatMap { path.hasPrefix($0.under) ? $0.count : nil }
      let most = min(buffer.count, limit ?? .max, inode.visible.count - offset)
      guard most > 0 else { return 0 }
      let isShort = Bool.random(using: &fileSystem.random)
      let count = isShort ? Int.random(in: 1...most, using: &fileSystem.random) : most
      buffer.copyBytes(from: inode.visible[offset..<offset + count])
      return count
    }
  }

  func write(_ bytes: UnsafeRawBufferPointer) throws(FileError) {
    try perform(
      .write,
      onFault: {
        // A full disk takes what it still has room for.
        let count = Int.random(in: 0...bytes.count, using: &fileSystem.random)
        append(Array(bytes.prefix(count)))
      },
      { () throws(FileError) in append(Array(bytes)) })
  }

  private func append(_ bytes: [UInt8]) {
    fileSystem.change(inode, .write(offset: offset, bytes: bytes))
    offset += bytes.count
  }

  func seek(to offset: Int) throws(FileError) {
    try perform(.seek) { () throws(FileError) in self.offset = offset }
  }

  func truncate(to size: Int) throws(FileError) {
    try perform(.truncate) { () throws(FileError) in
      if !fileSystem.breaks(.truncateDoesNothing, path) { fileSystem.change(inode, .resize(size)) }
    }
  }

  func sync() throws(FileError) {
    try perform(
      .sync, onFault: { inode.failSync(&fileSystem.random) },
      { () throws(FileError) in
        if !fileSystem.breaks(.syncDoesNothing, path) { inode.sync() }
      })
  }

  func close() throws(FileError) {
    guard !isClosed else { return }
    letGo()
    try fileSystem.perform(.close, path) { () throws(FileError) in }
  }

  private func letGo() {
    if !isClosed, isWritten, boot == fileSystem.boot { fileSystem.closed(inode, path: path) }
    isClosed = true
    if let lock, boot == fileSystem.boot { fileSystem.locked.remove(lock) }
    lock = nil
  }

  private func perform<Result>(
    _ operation: FileError.Operation, onFault: () -> Void = {},
    _ body: () throws(FileError) -> Result
  ) throws(FileError) -> Result {
    guard !isClosed, boot == fileSystem.boot else {
      throw FileError(operation: operation, path: path, errno: EBADF)
    }
    return try fileSystem.perform(operation, path, onFault: onFault, body)
  }
}
