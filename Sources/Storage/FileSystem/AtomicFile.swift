internal import Glibc
internal import Synchronization

/// A file that appears under its name whole and durable, or not at all.
///
/// The bytes go to `.evenkeel-PID-N.tmp` in the same directory, a name that the exclusive creation
/// makes this file's own. `commit()` syncs it, renames it and syncs the directory. Until then, and
/// when anything fails before the rename, a file that was there stays as it was. What a process that
/// was killed leaves behind is never read and never in the way.
///
/// A symbolic link at the path is replaced, not followed. What is no regular file (a directory, a
/// FIFO, a device) is refused, since replacing it would destroy it.
package final class AtomicFile: Sendable {
  package let path: String
  private let temporaryPath: String
  private let file: any File
  private let fileSystem: any FileSystem
  private let isFinished = Atomic(false)
  private let written = Atomic(0)
  /// So many bytes at a time go to the disk while more are written.
  private static let syncedBytes = 4 << 20
  private static let sequence = Atomic(0)
  private static let prefix = ".evenkeel-"
  private static let suffix = ".tmp"

  package init(replacing path: String, in fileSystem: any FileSystem) throws(FileError) {
    self.path = path
    self.fileSystem = fileSystem
    try Self.checkReplaceable(path, in: fileSystem)
    let directory = parentDirectory(of: path)
    while true {
      let number = Self.sequence.wrappingAdd(1, ordering: .relaxed).newValue
      let name =
        "\(directory)/\(Self.prefix)\(processIdentifier())-\(number)\(Self.suffix)"
      do throws(FileError) {
        file = try fileSystem.open(name, for: .creating)
        temporaryPath = name
        return
      } catch  where error.errno == EEXIST {
        // Left by a dead process of the same number: leave it and take the next name.
      } catch {
        // The name the user knows says more than the temporary one.
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

  private func count(_ bytes: Int) {
    let total = written.wrappingAdd(bytes, ordering: .relaxed)
    if total.oldValue / Self.syncedBytes < total.newValue / Self.syncedBytes { file.startSync() }
  }

  /// Puts the file in its place, durably; it takes no more writes then.
  ///
  /// An error of the last step, the sync of the directory, leaves the new file in place.
  package func commit() throws(FileError) {
    guard finish() else { return }
    do throws(FileError) {
      try file.sync()
      try file.close()
      try fileSystem.rename(temporaryPath, to: path)
    } catch {
      removeTemporary()
      throw error
    }
    try fileSystem.syncDirectory(parentDirectory(of: path))
  }

  /// Forgets what was written; does nothing after `commit()`.
  package func discard() {
    if finish() { removeTemporary() }
  }

  /// Whether the caller is the first to end the file.
  private func finish() -> Bool {
    !isFinished.exchange(true, ordering: .acquiringAndReleasing)
  }

  private func removeTemporary() {
    // Nothing depends on it: what is left behind is harmless.
    try? file.close()
    try? fileSystem.remove(temporaryPath)
  }

  /// Whether a file of this name is one that is not yet committed, or was left by a dead process.
  static func isTemporary(_ name: String) -> Bool {
    name.hasPrefix(prefix) && name.hasSuffix(suffix)
  }

  private static func checkReplaceable(
    _ path: String, in fileSystem: any FileSystem
  ) throws(FileError) {
    let status: FileStatus
    do throws(FileError) {
      status = try fileSystem.status(of: path)
    } catch  where error.isMissing {
      return
    }
    guard status.kind == .regular else {
      let reason = status.kind == .directory ? EISDIR : ENOTSUP
      throw FileError(operation: .replace, path: path, errno: reason)
    }
  }
}
