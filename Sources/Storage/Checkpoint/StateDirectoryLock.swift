/// The exclusive right to a state directory. It lasts from `init` until `release()`, until it is released, or until
/// the process dies.
///
/// The lock is on the file `STATE/lock`, which contains the number of the holder's process. The file is never
/// removed: a lock on a removed file would not keep out a process that makes a new file.
package final class StateDirectoryLock: Sendable {
  /// The name of the locked file in the state directory.
  package static let fileName = "lock"

  private let file: any File

  /// Takes the state directory. Makes it, durably, if it does not exist.
  ///
  /// - Throws: `stateDirectoryInUse` if it is taken, even by this process.
  package init(_ stateDirectory: String, in fileSystem: any FileSystem) throws(StorageError) {
    let path = stateDirectory + "/" + Self.fileName
    do throws(FileError) {
      try fileSystem.createDirectoriesDurably(stateDirectory)
      file = try fileSystem.lock(path)
    } catch {
      guard error.isLockedElsewhere else { throw .file(error) }
      throw .stateDirectoryInUse(lock: path, holder: Self.holder(path, in: fileSystem))
    }
    // The number is only for messages, so a full disk must not prevent the lock.
    try? file.truncate(to: 0)
    try? file.write(Array("\(processIdentifier())\n".utf8))
  }

  /// Whether the locked file is still in the state directory. If not, somebody removed or replaced the directory, and
  /// another process can take it.
  package func isInPlace(in fileSystem: any FileSystem) -> Bool {
    guard let held = try? file.status(), let present = try? fileSystem.status(of: file.path) else {
      return false
    }
    return held.identity == present.identity
  }

  /// Gives up the state directory. A second call does nothing.
  package func release() {
    // Even if the close reports an error, the descriptor is closed.
    try? file.close()
  }

  private static func holder(_ path: String, in fileSystem: any FileSystem) -> Int? {
    let digits = (try? fileSystem.contents(of: path, limit: 32))?.dropLast()
    return digits.flatMap { Int(String(decoding: $0, as: UTF8.self)) }
  }
}
