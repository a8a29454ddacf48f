internal import Glibc
package import Records
internal import Synchronization

/// A file that appears under its name complete and durable, or not at all.
///
/// The bytes go to `.evenkeel-PID-N.tmp` in the same directory; exclusive creation makes sure that no other file has
/// that name. `commit()` syncs this file, renames it and syncs the directory. Until the rename, an existing file at
/// the path stays unchanged, also when a step fails. If the process is killed, the temporary file stays. It is never
/// read, and it does not disturb later files.
///
/// A symbolic link at the path stays, and the file that it leads to is replaced. A file that was there hands its
/// permissions on. A directory, a FIFO or a device is refused, since replacing it would destroy it.
package final class AtomicFile: Sendable {
  package let path: String
  /// The path that symbolic links at `path` lead to.
  private let target: String
  private let temporaryPath: String
  private let file: any File
  private let fileSystem: any FileSystem
  private let isFinished = Atomic(false)
  private let written = Atomic(0)
  /// After each such number of bytes, the disk starts to write what it got, while more bytes are written.
  private static let syncedBytes = 4 << 20
  private static let sequence = Atomic(0)
  private static let prefix = ".evenkeel-"
  private static let suffix = ".tmp"

  package init(replacing path: String, in fileSystem: any FileSystem) throws(FileError) {
    self.path = path
    self.fileSystem = fileSystem
    target = try fileSystem.resolved(path)
    let permissions = try Self.checkReplaceable(target, path, in: fileSystem)
    (file, temporaryPath) = try Self.create(in: parentDirectory(of: target), for: path, fileSystem)
    if let permissions { try fileSystem.setPermissions(permissions, of: temporaryPath) }
  }

  /// Creates a file with a name of its own in a directory.
  private static func create(
    in directory: String, for path: String, _ fileSystem: any FileSystem
  ) throws(FileError) -> (file: any File, path: String) {
    while true {
      let number = sequence.wrappingAdd(1, ordering: .relaxed).newValue
      let name = "\(directory)/\(prefix)\(processIdentifier())-\(number)\(suffix)"
      do throws(FileError) {
        return (try fileSystem.open(name, for: .creating), name)
      } catch  where error.errno == EEXIST {
        // A dead process with the same number left it. Leave it and take the next name.
      } catch {
        // Names the path that the user knows, not the temporary one.
        throw FileError(operation: .create, path: path, errno: error.errno)
      }
    }
  }

  deinit { discard() }

  /// Writes all of `bytes` after what was written before.
  package func write(_ bytes: UnsafeRawBufferPointer) throws(FileError) {
    try file.write(bytes)
    count(bytes.count)
  }

  /// Writes all of `bytes` after what was written before.
  package func write(_ bytes: [UInt8]) throws(FileError) {
    try file.write(bytes)
    count(bytes.count)
  }

  /// Writes an epilogue, which may read what was written.
  package func write(_ epilogue: any Epilogue) throws(FileError) {
    try file.write(epilogue, after: written.load(ordering: .relaxed))
  }

  private func count(_ bytes: Int) {
    let total = written.wrappingAdd(bytes, ordering: .relaxed)
    if total.oldValue / Self.syncedBytes < total.newValue / Self.syncedBytes { file.startSync() }
  }

  /// Syncs the file and renames it to its path, durably. It takes no more writes after that.
  ///
  /// If only the last step fails, the sync of the directory, the new file is in place already.
  package func commit() throws(FileError) {
    guard finish() else { return }
    do throws(FileError) {
      try file.sync()
      try file.close()
      try fileSystem.rename(temporaryPath, to: target)
    } catch {
      removeTemporary()
      throw error
    }
    try fileSystem.syncDirectory(parentDirectory(of: target))
  }

  /// Removes the temporary file. Does nothing after `commit()`.
  package func discard() {
    if finish() { removeTemporary() }
  }

  /// Whether the caller is the first to end the file.
  private func finish() -> Bool {
    !isFinished.exchange(true, ordering: .acquiringAndReleasing)
  }

  private func removeTemporary() {
    // Errors do not matter: a temporary file that stays is harmless.
    try? file.close()
    try? fileSystem.remove(temporaryPath)
  }

  /// Whether a file of this name is temporary: not yet committed, or left by a dead process.
  static func isTemporary(_ name: String) -> Bool {
    name.hasPrefix(prefix) && name.hasSuffix(suffix)
  }

  /// - Returns: the permissions of the file that is there.
  private static func checkReplaceable(
    _ target: String, _ path: String, in fileSystem: any FileSystem
  ) throws(FileError) -> UInt32? {
    let status: FileStatus
    do throws(FileError) {
      status = try fileSystem.status(of: target)
    } catch  where error.isMissing {
      return nil
    }
    guard status.kind == .regular else {
      let reason = status.kind == .directory ? EISDIR : ENOTSUP
      throw FileError(operation: .replace, path: path, errno: reason)
    }
    return status.permissions
  }
}
