import Storage
import Synthetic

/// The changes that come from outside the stream: from other programs, and when the power fails.
extension SimulatedFileSystem {
  /// Does what another program does in a directory: none of it fails, and all of it is durable.
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

  /// Looks at what is there; it does not fail and does not count, and nothing comes otherwise for it.
  func look<Result>(_ body: (SimulatedFileSystem) throws -> Result) rethrows -> Result {
    let random = self.random
    isOutside = true
    defer {
      isOutside = false
      self.random = random
    }
    return try body(self)
  }

  /// Puts a file on the disk, durably.
  func install(_ path: String, _ bytes: [UInt8]) throws {
    try createDirectories(parentDirectory(of: path))
    let (directory, name) = try place(path, .create)
    let inode = SimulatedInode(number: nextNumber(), durable: bytes)
    time += 1
    inode.modified = time
    directory.apply(.add(name, .file(inode)))
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

  /// Sets the time at which a file was last written, as a program does that compresses it.
  func setModified(_ path: String, _ time: Int) {
    if case .file(let inode) = try? node(path, .open) { inode.modified = time }
  }

  /// The machine goes down, if it is not, and comes up with what survived.
  func reboot() {
    root.crash(&random)
    killProcess()
  }

  /// The process dies. Its writes stay, synced or not; its files are dead and its locks are free.
  func killProcess() {
    boot += 1
    locked = []
    isDown = false
    operationsToCrash = nil
  }
}
