import Glibc
import Storage
import Synthetic

/// A file system in memory that promises no more than POSIX does.
///
/// Writes and sizes are durable once their file is synced, names once their directory is. A crash can happen before, in
/// and after any operation:
/// - a random subset of the other writes survives, in pieces;
/// - of the other name changes of a directory, a random number of the first ones or a random subset survives;
/// - open files are dead, and locks are free.
///
/// Operations also fail without a crash.
final class SimulatedFileSystem: FileSystem, @unchecked Sendable {
  // @unchecked because a simulation runs on one thread.

  /// The failures without a crash.
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
    /// Files are known by their path, not by their inode.
    case identitiesAreNames
    /// A directory shows no name but the shortest.
    case listIsShort
  }

  /// Takes a line for each operation.
  var trace: ((String) -> Void)?
  var faults = Faults()
  /// The number of operations after which the machine goes down.
  var operationsToCrash: Int?
  var defect: (Defect, under: String)?
  /// The most bytes that a read gives of the files under a directory.
  var mostBytesRead: (count: Int, under: String)?
  /// The offsets at which reads began, in order, by path.
  var reads: [String: [Int]] = [:]
  private(set) var operations = 0
  private(set) var faultCount = 0
  var isDown = false
  var random: SplitMix64
  /// Counts the starts of the machine; files of an earlier one are dead.
  var boot = 0
  var locked: Set<UInt64> = []
  /// Counts the changes of contents: what files have for a time.
  var time = 0
  var lastNumber: UInt64 = 1
  let root = SimulatedDirectory(number: 1)
  /// The watches of all processes, those of dead ones too until they are let go.
  var watches: [WeakWatch] = []
  /// Whether the file system is used by the outside world, whose operations neither fail nor count.
  var isOutside = false

  init(seed: UInt64) { random = SplitMix64(seed: seed) }

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
      case .file(let inode): status(of: inode, at: path)
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
      trace?("  to \(newPath)")
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
      let names = found.visible.keys.sorted()
      guard breaks(.listIsShort, directory) else { return names }
      return names.min { $0.count < $1.count }.map { [$0] } ?? []
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

  // MARK: Operations

  /// Does one operation, unless it fails or the machine goes down before or after it.
  func perform<Result>(
    _ operation: FileError.Operation, _ path: String,
    onFault: () -> Void = {}, _ body: () throws(FileError) -> Result
  ) throws(FileError) -> Result {
    trace?("\(isOutside ? "outside " : "")\(operation) \(path)")
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

  func status(of inode: SimulatedInode, at path: String) -> FileStatus {
    let isName = breaks(.identitiesAreNames, path)
    return FileStatus(
      kind: .regular,
      identity: FileIdentity(device: 1, inode: isName ? xxh3(Array(path.utf8)) : inode.number),
      size: inode.visible.count, modifiedNanoseconds: inode.modified)
  }

  func breaks(_ promise: Defect, _ path: String) -> Bool {
    guard let (broken, prefix) = defect else { return false }
    return broken == promise && path.hasPrefix(prefix)
  }
}
