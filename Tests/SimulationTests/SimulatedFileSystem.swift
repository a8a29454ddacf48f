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
  /// Where reads of what follows a file's own position began, in order, by path.
  var reads: [String: [Int]] = [:]
  private(set) var operations = 0
  private(set) var faultCount = 0
  private(set) var isDown = false
  var random: SplitMix64
  /// Counts the starts of the machine; files of an earlier one are dead.
  var boot = 0
  var locked: Set<UInt64> = []
  /// Counts the changes of contents: what files have for a time.
  private var time = 0
  private var lastNumber: UInt64 = 1
  private let root = SimulatedDirectory(number: 1)
  /// The watches of all processes, those of dead ones too until they are let go.
  private var watches: [WeakWatch] = []
  /// Whether the file system is used by the outside world, whose operations neither fail nor count.
  private var isOutside = false

  init(seed: UInt64) { random = SplitMix64(seed: seed) }

  // MARK: From outside

  /// Does what somebody else does in a directory: nothing of it fails, and all of it is durable.
  func outside<Result>(
    in directory: String, _ body: (SimulatedFileSystem) throws -> Result
  ) rethrows -> Result {
    isOutside = true
    defer {
      if case .directory(let found) = try? node(directory, .sync) { found.syncAll() }
      isOutside = false
    }
    return try body(self)
  }

  /// Puts a file on the disk, durably.
  func install(_ path: String, _ bytes: [UInt8]) throws {
    try createDirectories(parentDirectory(of: path))
    let (directory, name) = try place(path, .create)
    directory.apply(.add(name, .file(SimulatedInode(number: nextNumber(), durable: bytes))))
    notify(directory.number, [.created, .closedAfterWriting], name: name)
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
        notify(directory.number, .created, name: name)
      }
      if use == .writing { change(inode, .resize(0)) }
      return SimulatedFile(inode, path: path, isWritten: use != .reading, in: self)
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
      let replaced = directory.visible[newName]
      let moved = try node(path, .rename)
      directory.apply(.rename(name, moved, to: newName))
      notify(directory.number, .movedFrom, name: name)
      notify(directory.number, .movedTo, name: newName)
      notify(moved.number, .movedItself)
      if let replaced { notify(replaced.number, .attributes) }
    }
  }

  func remove(_ path: String) throws(FileError) {
    try perform(.remove, path) { () throws(FileError) in
      let removed = try node(path, .remove)
      let (directory, name) = try place(path, .remove)
      directory.apply(.remove(name))
      notify(directory.number, .deleted, name: name)
      notify(removed.number, .attributes)
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

  func watch() throws(FileError) -> any FileWatch {
    try perform(.watch, "inotify") { () throws(FileError) in
      watches.removeAll { $0.watch == nil }
      let watch = SimulatedWatch(in: self)
      watches.append(WeakWatch(watch: watch))
      return watch
    }
  }

  // MARK: Events

  func number(of path: String) throws(FileError) -> UInt64 {
    try perform(.watch, path) { () throws(FileError) in try node(path, .watch).number }
  }

  /// Changes a file's contents, which whoever watches it is told.
  func change(_ inode: SimulatedInode, _ change: SimulatedInode.Change) {
    inode.apply(change)
    time += 1
    inode.modified = time
    notify(inode.number, .modified)
  }

  /// Tells whoever watches a directory that a file in it was closed by one who wrote to it.
  func closed(_ inode: SimulatedInode, path: String) {
    guard case .directory(let directory) = try? node(parentDirectory(of: path), .watch) else {
      return
    }
    let name = directory.visible.first { $0.value.number == inode.number }?.key
    if let name { notify(directory.number, .closedAfterWriting, name: name) }
  }

  private func notify(_ number: UInt64, _ events: FileEvents, name: String = "") {
    for weak in watches { weak.watch?.notice(number, events, name: name, &random) }
  }

  // MARK: Operations

  /// Does one operation, unless it fails or the machine goes down before or after it.
  func perform<Result>(
    _ operation: FileError.Operation, _ path: String,
    onFault: () -> Void = {}, _ body: () throws(FileError) -> Result
  ) throws(FileError) -> Result {
    if isOutside { return try body() }
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

  func breaks(_ promise: Defect, _ path: String) -> Bool {
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
