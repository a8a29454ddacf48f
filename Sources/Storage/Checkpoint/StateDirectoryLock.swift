/// The sole right to a state directory, held from `init` until `release()`, until it is let go, or
/// until the process dies.
///
/// The lock is on the file `STATE/lock`, which holds the number of the process that has it and is
/// never removed: who held a removed file would not be seen by who makes a new one.
package final class StateDirectoryLock: Sendable {
  private let file: any File

  /// Takes the state directory, which is made, durably, if there is none.
  ///
  /// - Throws: `stateDirectoryInUse` when it is taken, by this process too.
  package init(_ stateDirectory: String, in fileSystem: any FileSystem) throws(StorageError) {
    let path = stateDirectory + "/lock"
    do throws(FileError) {
      try fileSystem.createDirectoriesDurably(stateDirectory)
      file = try fileSystem.lock(path)
    } catch {
      guard error.isLockedElsewhere else { throw .file(error) }
      throw .stateDirectoryInUse(lock: path, holder: Self.holder(path, in: fileSystem))
    }
    // For messages alone, so a full disk is no reason to do without the lock.
    try? file.truncate(to: 0)
    try? file.write(Array("\(processIdentifier())\n".utf8))
  }

  /// Whether the locked file still stands in the state directory. If it does not, somebody removed or
  /// replaced the directory, and another process can take it.
  package func isInPlace(in fileSystem: any FileSystem) -> Bool {
    guard let held = try? file.status(), let present = try? fileSystem.status(of: file.path) else {
      return false
    }
    return held.identity == present.identity
  }

  /// Lets another process have the state directory; a second call does nothing.
  package func release() {
    // A close that fails has closed all the same.
    try? file.close()
  }

  private static func holder(_ path: String, in fileSystem: any FileSystem) -> Int? {
    let digits = (try? fileSystem.contents(of: path, limit: 32))?.dropLast()
    return digits.flatMap { Int(String(decoding: $0, as: UTF8.self)) }
  }
}
