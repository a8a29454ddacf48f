import Glibc
import Storage
import Synthetic

/// The names of a simulated file system, and who is told of their changes.
extension SimulatedFileSystem {
  func nextNumber() -> UInt64 {
    lastNumber += 1
    return lastNumber
  }

  /// The directory that holds a path, and the last part of it.
  func place(
    _ path: String, _ operation: FileError.Operation
  ) throws(FileError) -> (SimulatedDirectory, String) {
    guard case .directory(let found) = try node(parentDirectory(of: path), operation),
      let name = path.split(separator: "/").last
    else { throw FileError(operation: operation, path: path, errno: ENOTDIR) }
    return (found, String(name))
  }

  func node(
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

  // MARK: Events

  func number(of path: String) throws(FileError) -> UInt64 {
    try perform(.watch, path) { () throws(FileError) in try node(path, .watch).number }
  }

  /// Whether some process can take an event.
  var hasEvents: Bool { watches.contains { $0.watch?.hasEvents == true } }

  /// Changes a file's contents, and tells it to the watches of the file.
  func change(_ inode: SimulatedInode, _ change: SimulatedInode.Change) {
    inode.apply(change)
    time += 1
    inode.modified = time
    notify(inode.number, .modified)
  }

  /// Tells the watches of a directory that a file in it was closed by a program that wrote to it.
  func closed(_ inode: SimulatedInode, path: String) {
    guard case .directory(let directory) = try? node(parentDirectory(of: path), .watch) else {
      return
    }
    let name = directory.visible.first { $0.value.number == inode.number }?.key
    if let name { notify(directory.number, .closedAfterWriting, name: name) }
  }

  func notify(_ number: UInt64, _ events: FileEvents, name: String = "") {
    for weak in watches { weak.watch?.notice(number, events, name: name, &random) }
  }
}
