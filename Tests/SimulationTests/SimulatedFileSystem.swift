import Glibc
import Storage
import Synthetic

/// A file system in memory that keeps no promise it has not made.
///
/// Writes and sizes are durable once their file is synced, names once their directory is. At a crash
/// a random subset of the other writes survives, in pieces, and of the other name changes of each
/// directory either a random number of the first or a random subset; open files are dead and locks are
/// free. It fails at will, and
/// before, in and after any operation the machine may go down.
final class SimulatedFileSystem: FileSystem, @unchecked Sendable {
  // @unchecked because a simulation runs on one thread.

  /// What goes wrong without a crash.
  struct Faults {
    /// In thousandths of the operations.
    var perThousand = 0
    /// How many are left.
    var left = 0
  }

  /// A promise that is made and broken, for the tests of the tests.
  enum Defect {
    case syncDoesNothing
    case directorySyncDoesNothing
    case truncateDoesNothing
  }

  var faults = Faults()
  /// The number of operations after which the machine goes down.
  var operationsToCrash: Int?
  var defect: (Defect, under: String)?
  /// The most bytes that a read gives of the files under a directory.
  var mostBytesRead: (count: Int, under: String)?
  /// Where reads began, in order, by path.
  var reads: [String: [Int]] = [:]
  private(set) var operations = 0
  private(set) var faultCount = 0
  private(set) var isDown = false
  fileprivate var random: SplitMix64
  /// Counts the starts of the machine; files of an earlier one are dead.
  fileprivate var boot = 0
  fileprivate var locked: Set<UInt64> = []
  private var lastNumber: UInt64 = 1
  private let root = SimulatedDirectory(number: 1)

  init(seed: UInt64) { random = SplitMix64(seed: seed) }

  // MARK: From outside

  /// Puts a file on the disk, durably.
  func install(_ path: String, _ bytes: [UInt8]) throws {
    try createDirectories(parentDirectory(of: path))
    let (directory, name) = try place(path, .create)
    directory.apply(.add(name, .file(SimulatedInode(number: nextNumber(), durable: bytes))))
    try sync(directoriesAbove: path)
  }

  private func sync(directoriesAbove path: String) throws {
    var directory = parentDirectory(of: path)
    try syncDirectory(directory)
    while directory != "/" {
      directory = parentDirectory(of: directory)
      try syncDirectory(directory)
    }
  }

  /// Every file under a directory, by path.
  func files(under directory: String) -> [String: [UInt8]] {
    guard case .directory(let found) = try? node(directory, .list) else { return [:] }
    var files: [String: [UInt8]] = [:]
    for (name, node) in found.visible {
      switch node {
      case .file(let inode): files["\(directory)/\(name)"] = inode.visible
      case .directory: files.merge(self.files(under: "\(directory)/\(name)")) { first, _ in first }
      }
    }
    return files
  }

  /// Changes a byte of a file on the disk.
  func damage(_ path: String) {
    guard case .file(let inode) = try? node(path, .open), !inode.visible.isEmpty else { return }
    let offset = Int.random(in: 0..<inode.visible.count, using: &random)
    inode.apply(.write(offset: offset, bytes: [inode.visible[offset] ^ 0x10]))
    inode.sync()
  }

  /// The machine goes down, if it is not, and comes up with what survived.
  func reboot() {
    root.crash(&random)
    boot += 1
    locked = []
    isDown = false
    operationsToCrash = nil
  }

  // MARK: FileSystem

  func open(_ path: String, for use: FileUse) throws(FileError) -> any File {
    try perform(use == .reading ? .open : .create, path) { () throws(FileError) in
      let (directory, name) = try place(path, .open)
      let inode: SimulatedInode
      switch directory.visible[name] {
      case .directory: throw FileError(operation: .open, path: path, errno: EISDIR)
      case .file(let found):
        guard use != .creating else {
          throw FileError(operation: .create, path: path, errno: EEXIST)
        }
        inode = found
      case nil:
        guard use != .reading else {
          throw FileError(operation: .open, path: path, errno: ENOENT)
        }
        inode = SimulatedInode(number: nextNumber())
        directory.apply(.add(name, .file(inode)))
      }
      if use == .writing { inode.apply(.resize(0)) }
      return SimulatedFile(inode, path: path, in: self)
    }
  }

  func status(of path: String) throws(FileError) -> FileStatus {
    try perform(.inspect, path) { () throws(FileError) in
      switch try node(path, .inspect) {
      case .file(let inode): inode.status
      case .directory(let directory):
        FileStatus(
          kind: .directory, identity: FileIdentity(device: 1, inode: directory.number), size: 0)
      }
    }
  }

  func rename(_ path: String, to newPath: String) throws(FileError) {
    try perform(.rename, path) { () throws(FileError) in
      let (directory, name) = try place(path, .rename)
      let (newDirectory, newName) = try place(newPath, .rename)
      guard directory === newDirectory else {
        throw FileError(operation: .rename, path: path, errno: EXDEV)
      }
      directory.apply(.rename(name, try node(path, .rename), to: newName))
    }
  }

  func remove(_ path: String) throws(FileError) {
    try perform(.remove, path) { () throws(FileError) in
      _ = try node(path, .remove)
      let (directory, name) = try place(path, .remove)
      directory.apply(.remove(name))
    }
  }

  func list(_ directory: String) throws(FileError) -> [String] {
    try perform(.list, directory) { () throws(FileError) in
      guard case .directory(let found) = try node(directory, .list) else {
        throw FileError(operation: .list, path: directory, errno: ENOTDIR)
      }
      return found.visible.keys.sorted()
    }
  }

  func createDirectories(_ directory: String) throws(FileError) {
    try perform(.createDirectory, directory) { () throws(FileError) in
      var current = root
      for part in directory.split(separator: "/").map(String.init) {
        switch current.visible[part] {
        case .directory(let found): current = found
        case .file: throw FileError(operation: .createDirectory, path: directory, errno: ENOTDIR)
        case nil:
          let made = SimulatedDirectory(number: nextNumber())
          current.apply(.add(part, .directory(made)))
          current = made
        }
      }
    }
  }

  func lock(_ path: String) throws(FileError) -> any File {
    let file = try open(path, for: .updating)
    let number = try file.status().identity.inode
    guard locked.insert(number).inserted else {
      throw FileError(operation: .lock, path: path, errno: EWOULDBLOCK)
    }
    (file as? SimulatedFile)?.lock = number
    return file
  }

  func syncDirectory(_ directory: String) throws(FileError) {
    try perform(.syncDirectory, directory) { () throws(FileError) in
      guard case .directory(let found) = try node(directory, .syncDirectory) else {
        throw FileError(operation: .syncDirectory, path: directory, errno: ENOTDIR)
      }
      if !breaks(.directorySyncDoesNothing, directory) { found.sync() }
    }
  }

  // MARK: Operations

  /// Does one operation, unless it fails or the machine goes down before or after it.
  fileprivate func perform<Result>(
    _ operation: FileError.Operation, _ path: String,
    onFault: () -> Void = {}, _ body: () throws(FileError) -> Result
  ) throws(FileError) -> Result {
    operations += 1
    guard !isDown else { throw down(operation, path) }
    var goesDown = false
    if let left = operationsToCrash {
      operationsToCrash = left - 1
      goesDown = left <= 1
    }
    if goesDown, Bool.random(using: &random) { throw down(operation, path) }
    if let reason = fault(operation) {
      onFault()
      throw FileError(operation: operation, path: path, errno: reason)
    }
    let result = try body()
    if goesDown { throw down(operation, path) }
    return result
  }

  private func down(_ operation: FileError.Operation, _ path: String) -> FileError {
    isDown = true
    return FileError(operation: operation, path: path, errno: ESHUTDOWN)
  }

  private func fault(_ operation: FileError.Operation) -> Int32? {
    guard faults.left > 0, Int.random(in: 0..<1000, using: &random) < faults.perThousand else {
      return nil
    }
    let reason: Int32
    switch operation {
    case .write, .create: reason = Bool.random(using: &random) ? ENOSPC : EIO
    case .sync, .syncDirectory, .truncate, .rename, .remove: reason = EIO
    case .open: reason = EMFILE
    case .read: reason = EIO
    default: return nil
    }
    faults.left -= 1
    faultCount += 1
    return reason
  }

  fileprivate func breaks(_ promise: Defect, _ path: String) -> Bool {
    guard let (broken, prefix) = defect else { return false }
    return broken == promise && path.hasPrefix(prefix)
  }

  // MARK: Names

  private func nextNumber() -> UInt64 {
    lastNumber += 1
    return lastNumber
  }

  /// The directory that holds a path, and the last part of it.
  private func place(
    _ path: String, _ operation: FileError.Operation
  ) throws(FileError) -> (SimulatedDirectory, String) {
    guard case .directory(let found) = try node(parentDirectory(of: path), operation),
      let name = path.split(separator: "/").last
    else { throw FileError(operation: operation, path: path, errno: ENOTDIR) }
    return (found, String(name))
  }

  private func node(
    _ path: String, _ operation: FileError.Operation
  ) throws(FileError) -> SimulatedNode {
    var node = SimulatedNode.directory(root)
    for part in path.split(separator: "/") {
      guard case .directory(let directory) = node, let next = directory.visible[String(part)]
      else { throw FileError(operation: operation, path: path, errno: ENOENT) }
      node = next
    }
    return node
  }
}

extension SimulatedInode {
  var status: FileStatus {
    FileStatus(
      kind: .regular, identity: FileIdentity(device: 1, inode: number), size: visible.count)
  }
}

/// An open file of a simulated file system.
private final class SimulatedFile: File, @unchecked Sendable {
  // @unchecked because a simulation runs on one thread.
  let path: String
  var lock: UInt64?
  private let inode: SimulatedInode
  private let fileSystem: SimulatedFileSystem
  private let boot: Int
  private var offset = 0
  private var isClosed = false

  init(_ inode: SimulatedInode, path: String, in fileSystem: SimulatedFileSystem) {
    self.inode = inode
    self.path = path
    self.fileSystem = fileSystem
    boot = fileSystem.boot
  }

  deinit { letGo() }

  func status() throws(FileError) -> FileStatus {
    try perform(.inspect) { () throws(FileError) in inode.status }
  }

  func unreadyDescriptor() -> Int32? { nil }

  func read(into buffer: UnsafeMutableRawBufferPointer) throws(FileError) -> Int {
    let count = try read(into: buffer, at: offset)
    offset += count
    return count
  }

  /// Gives as little as it likes, as long as it is something.
  func read(
    into buffer: UnsafeMutableRawBufferPointer, at offset: Int
  ) throws(FileError) -> Int {
    try perform(.read) { () throws(FileError) in
      fileSystem.reads[path, default: []].append(offset)
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
    inode.apply(.write(offset: offset, bytes: bytes))
    offset += bytes.count
  }

  func seek(to offset: Int) throws(FileError) {
    try perform(.seek) { () throws(FileError) in self.offset = offset }
  }

  func truncate(to size: Int) throws(FileError) {
    try perform(.truncate) { () throws(FileError) in
      if !fileSystem.breaks(.truncateDoesNothing, path) { inode.apply(.resize(size)) }
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
