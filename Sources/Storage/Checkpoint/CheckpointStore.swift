internal import Glibc

/// The checkpoints of one stream, one generation a file: `checkpoint-NNNNNNNNNN.safetensors` in a
/// directory of its own.
///
/// A number is given once: the next one follows the highest there is, whether that file is whole or
/// not, so none is ever overwritten. Nobody else may write in the directory meanwhile, which
/// `StateDirectoryLock` sees to between processes. Other names in the directory are left alone.
package struct CheckpointStore: Sendable {
  package let directory: String
  private let keep: Int
  private let reading: StateReading
  private let fileSystem: any FileSystem

  /// Makes the directory, durably, if there is none, and removes the temporary files of runs that
  /// were killed.
  ///
  /// - Parameters:
  ///   - keep: how many generations stay, 1 or more.
  ///   - reading: the state groups that checkpoints may hold.
  package init(
    directory: String, keep: Int, _ reading: StateReading, in fileSystem: any FileSystem
  ) throws(StorageError) {
    precondition(keep >= 1)
    self.directory = directory
    self.keep = keep
    self.reading = reading
    self.fileSystem = fileSystem
    do throws(FileError) {
      try fileSystem.createDirectoriesDurably(directory)
      for name in try fileSystem.list(directory) where AtomicFile.isTemporary(name) {
        // Nothing depends on it: such a file is never read and never in the way.
        try? fileSystem.remove(directory + "/" + name)
      }
      // A generation whose name could not be made durable is seen all the same: before anyone goes
      // by it, and takes back output to its place, it must be there after a crash too.
      try fileSystem.syncDirectory(directory)
    } catch {
      throw .file(error)
    }
  }

  private init(_ directory: String, _ reading: StateReading, _ fileSystem: any FileSystem) {
    self.directory = directory
    keep = 1
    self.reading = reading
    self.fileSystem = fileSystem
  }

  /// The newest generation in a directory in which another process may be writing; makes and removes
  /// nothing.
  package static func newest(
    in directory: String, _ reading: StateReading, of fileSystem: any FileSystem
  ) throws(StorageError) -> Found? {
    try CheckpointStore(directory, reading, fileSystem).newest()
  }

  /// Writes the next generation, durably, and then removes those that are too old.
  ///
  /// When it throws, the generations before it stand as they were.
  ///
  /// - Returns: the path of the file.
  @discardableResult
  package func write(_ checkpoint: Checkpoint) throws(StorageError) -> String {
    try write(checkpoint, insteadOf: [])
  }

  /// Writes what was found as the next generation, and then removes those that were passed over for it:
  /// one that could not be read for a while would know of more output than is left.
  ///
  /// - Parameter checkpoint: that which was found, where the output is to be taken back to.
  package func goBack(to found: Found, as checkpoint: Checkpoint) throws(StorageError) {
    // Of one length, the names of newer ones are greater.
    let damaged = try generations().filter { path($0) > found.path }
    try write(checkpoint, insteadOf: damaged)
  }

  @discardableResult
  private func write(
    _ checkpoint: Checkpoint, insteadOf damaged: [Generation]
  ) throws(StorageError) -> String {
    var generations = try generations()
    let newest = generations.last ?? Generation.none
    guard let next = newest.next else { throw .noNumberLeft(path: path(newest)) }
    try CheckpointFile.write(checkpoint, to: path(next), in: fileSystem)
    generations.append(next)
    generations.removeAll { damaged.contains($0) }
    for old in damaged + generations.dropLast(keep) {
      // The new one is safe, and what stays is tried again after the next.
      try? fileSystem.remove(path(old))
    }
    return path(next)
  }

  /// A checkpoint that was found, and what is damaged of those that are newer.
  package struct Found: Sendable, Equatable {
    package let checkpoint: Checkpoint
    package let path: String
    /// The generations passed over, the newest first; each error names its file. If there are some, the
    /// caller tells the user, and calls `goBack(to:as:)` before it takes back output.
    package let skipped: [StorageError]
  }

  /// The newest generation that is whole, or nil where there has never been one.
  ///
  /// Only damage is passed over. A file of another format version, one with unknown state, or one that may
  /// not be read, is an error, since what is in it would silently be lost; and so is it when files are there but none
  /// is whole, since to start afresh would be the same loss.
  package func newest() throws(StorageError) -> Found? {
    var skipped: [StorageError] = []
    for generation in try generations().reversed() {
      do throws(StorageError) {
        let checkpoint = try CheckpointFile.read(path(generation), reading, in: fileSystem)
        return Found(checkpoint: checkpoint, path: path(generation), skipped: skipped)
      } catch  where error.isDamage {
        skipped.append(error)
      }
    }
    guard skipped.isEmpty else { throw .noWholeCheckpoint(directory: directory, skipped) }
    return nil
  }

  /// The size of a generation's file; 0 if that cannot be told.
  package func byteCount(of path: String) -> Int { (try? fileSystem.status(of: path).size) ?? 0 }

  private func path(_ generation: Generation) -> String { directory + "/" + generation.fileName }

  /// Those that are there, the oldest first: names of one length sort as their numbers do.
  private func generations() throws(StorageError) -> [Generation] {
    do throws(FileError) {
      return try fileSystem.list(directory).compactMap(Generation.init)
    } catch {
      throw .file(error)
    }
  }
}

/// A generation's number, from 1, and the name that it gives a file.
private struct Generation: Equatable {
  private let number: Int

  private static let prefix = "checkpoint-"
  private static let suffix = ".safetensors"
  private static let digits = 10

  /// The number before the first.
  static let none = Generation(number: 0)

  private init(number: Int) { self.number = number }

  /// The generation whose file has this name, if it is such a name.
  init?(fileName: String) {
    guard fileName.hasPrefix(Self.prefix), fileName.hasSuffix(Self.suffix) else { return nil }
    let text = fileName.utf8.dropFirst(Self.prefix.utf8.count).dropLast(Self.suffix.utf8.count)
    guard text.count == Self.digits, let number = Int(String(Substring(text))), number >= 0 else {
      return nil
    }
    self.number = number
    // Int takes a sign too.
    guard self.fileName == fileName else { return nil }
  }

  var fileName: String {
    let text = String(number)
    return Self.prefix + String(repeating: "0", count: Self.digits - text.utf8.count) + text
      + Self.suffix
  }

  /// The one after, while ten digits hold its number.
  var next: Generation? { number < 9_999_999_999 ? Generation(number: number + 1) : nil }
}

extension StorageError {
  /// Whether the bytes of the file are not those that were written, or the medium does not give them
  /// back.
  fileprivate var isDamage: Bool {
    switch self {
    case .content(_, .newerVersion), .content(_, .olderVersion), .content(_, .unknownState): false
    case .content, .tooLarge, .notRegular: true
    case .file(let error): error.errno == EIO
    case .noWholeCheckpoint, .noNumberLeft, .stateDirectoryInUse: false
    }
  }
}
