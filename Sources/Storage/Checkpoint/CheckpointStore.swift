internal import Glibc
package import Records

/// The checkpoints of one stream, one file for each generation: `checkpoint-NNNNNNNNNN.safetensors` in the stream's
/// own directory, or `checkpoint-NNNNNNNNNN.delta.safetensors` if it has only what changed since the one before it.
///
/// A number is used once: the next number is one more than the highest of any file, even of a damaged one. So no file
/// is ever overwritten. No other process may write in the directory meanwhile; `StateDirectoryLock` makes sure of
/// that. The store does not touch other names in the directory.
package struct CheckpointStore: Sendable {
  package let directory: String
  private let keep: Int
  private let reading: StateReading
  private let fileSystem: any FileSystem

  /// Makes the directory, durably, if it does not exist. Removes the temporary files of runs that were killed.
  ///
  /// - Parameters:
  ///   - keep: how many whole checkpoints are kept, at least 1, each with the deltas after it.
  ///   - reading: the state groups that checkpoints may contain.
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
        // Errors do not matter: such a file is never read, and disturbs no later file.
        try? fileSystem.remove(directory + "/" + name)
      }
      // The newest generation may have a name that is not durable yet. Make it durable before anybody relies on it
      // and takes back output.
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

  /// Whether a file in the directory of a stream has this name only if it belongs to its state.
  package static func isStateFile(_ name: String) -> Bool {
    name.hasPrefix("dead-letters") || Generation(fileName: name) != nil
      || DoneList.number(ofFile: name) != nil
  }

  /// The newest generation in a directory in which another process may write. Makes and removes nothing.
  package static func newest(
    in directory: String, _ reading: StateReading, of fileSystem: any FileSystem
  ) throws(StorageError) -> Found? {
    try CheckpointStore(directory, reading, fileSystem).newest()
  }

  /// One generation in a directory in which another process may write; nil if there is none with this number.
  package static func checkpoint(
    _ number: Int, in directory: String, _ reading: StateReading, of fileSystem: any FileSystem
  ) throws(StorageError) -> Checkpoint? {
    let store = CheckpointStore(directory, reading, fileSystem)
    guard let found = try store.generations().first(where: { $0.number == number }) else {
      return nil
    }
    return try store.readTwice(store.path(found))
  }

  /// The numbers of the generations in a directory, the oldest first.
  package static func numbers(
    in directory: String, of fileSystem: any FileSystem
  ) throws(StorageError) -> [Int] {
    try CheckpointStore(directory, StateReading([]), fileSystem).generations().map(\.number)
  }

  /// Writes the next generation, durably, and then removes those that are too old.
  ///
  /// If it throws, the earlier generations are unchanged.
  ///
  /// - Returns: the path of the file.
  @discardableResult
  package func write(_ checkpoint: Checkpoint) throws(StorageError) -> String {
    try write(checkpoint, after: nil).path
  }

  /// Writes the next generation, which may be a delta.
  ///
  /// - Parameter newest: the checksum of the newest generation, which a delta continues.
  package func write(
    _ checkpoint: Checkpoint, after newest: String?
  ) throws(StorageError) -> Written {
    try write(checkpoint, after: newest, insteadOf: [])
  }

  /// A generation that was written.
  package struct Written: Sendable {
    package let path: String
    package let checksum: String
  }

  /// Writes the found checkpoint as the next generation, and then removes the newer ones that were skipped. If one of
  /// them became readable later, it would describe more output than there is.
  ///
  /// - Parameter checkpoint: the found checkpoint, with the positions to which the outputs are taken back.
  package func goBack(to found: Found, as checkpoint: Checkpoint) throws(StorageError) {
    // All numbers have one length, so the names of newer generations are greater.
    let damaged = try generations().filter { path($0) > found.path }
    _ = try write(checkpoint, after: nil, insteadOf: damaged)
  }

  private func write(
    _ checkpoint: Checkpoint, after checksum: String?, insteadOf damaged: [Generation]
  ) throws(StorageError) -> Written {
    var generations = try generations()
    let newest = generations.last ?? Generation.none
    guard let next = newest.next(isDelta: checkpoint.delta != nil) else {
      throw .noNumberLeft(path: path(newest))
    }
    // That of checkpoints that somebody removed, so that the numbers begin again.
    BegunSplits.remove(after: path(next), in: fileSystem)
    let written = try CheckpointFile.write(
      checkpoint, after: checksum, to: path(next), in: fileSystem)
    generations.append(next)
    generations.removeAll { damaged.contains($0) }
    // The newest first, so that each delta goes before the files that it needs.
    for old in damaged + tooOld(generations).reversed() {
      // The new generation is durable. A file that stays is removed after the next one.
      try? fileSystem.remove(path(old))
      BegunSplits.remove(after: path(old), in: fileSystem)
    }
    return Written(path: path(next), checksum: written)
  }

  /// The generations before the oldest whole checkpoint that is kept.
  private func tooOld(_ generations: [Generation]) -> ArraySlice<Generation> {
    let whole = generations.indices.filter { !generations[$0].isDelta }
    return generations[..<(whole.dropLast(keep - 1).last ?? 0)]
  }

  /// A checkpoint that was found, and the errors of newer, damaged ones.
  package struct Found: Sendable, Equatable {
    package let checkpoint: Checkpoint
    package let path: String
    /// The errors of the skipped generations, the newest first; each names its file. If there are any, the caller
    /// tells the user, and calls `goBack(to:as:)` before it takes back output.
    package let skipped: [StorageError]
    /// The splits that the source began after the checkpoint, at their beginnings.
    package var begun: [SplitCursor] = []

    package init(
      checkpoint: Checkpoint, path: String, skipped: [StorageError], begun: [SplitCursor] = []
    ) {
      self.checkpoint = checkpoint
      self.path = path
      self.skipped = skipped
      self.begun = begun
    }
  }

  /// The newest intact generation; nil if there never was one.
  ///
  /// Only damaged files are skipped. A file of another format version, with unknown state, or without permission is an
  /// error, because its state would silently be lost. If there are files but none is intact, that is an error too, for
  /// the same reason.
  package func newest() throws(StorageError) -> Found? {
    var skipped: [StorageError] = []
    let generations = try generations()
    for (index, generation) in generations.enumerated().reversed() {
      let checkpoint: Checkpoint
      do throws(StorageError) {
        checkpoint = try readTwice(path(generation))
      } catch  where error.isDamage {
        // A damaged file takes all deltas after it along.
        if skipped.last != error { skipped.append(error) }
        continue
      }
      return Found(
        checkpoint: checkpoint, path: path(generation), skipped: skipped,
        begun: try begun(after: generations[index...]))
    }
    guard skipped.isEmpty else { throw .noWholeCheckpoint(directory: directory, skipped) }
    return nil
  }

  /// The splits that were begun after the first of some generations.
  private func begun(after generations: ArraySlice<Generation>) throws(StorageError)
    -> [SplitCursor]
  {
    var begun: [SplitCursor] = []
    for generation in generations {
      do throws(FileError) {
        begun += try BegunSplits.read(after: path(generation), in: fileSystem)
      } catch {
        throw .file(error)
      }
    }
    return begun
  }

  /// Begins the list of the splits that are begun after the newest generation; nil if there is no generation.
  package func makeBegunSplits() throws(StorageError) -> BegunSplits? {
    guard let newest = try generations().last else { return nil }
    do throws(FileError) {
      return try BegunSplits(after: path(newest), in: fileSystem)
    } catch {
      throw .file(error)
    }
  }

  /// Reads a generation, and once more if the medium does not return its bytes: that may pass, and an older generation
  /// gives records twice if their input is gone.
  private func readTwice(_ path: String) throws(StorageError) -> Checkpoint {
    do throws(StorageError) {
      return try CheckpointFile.read(path, reading, in: fileSystem)
    } catch  where error.isOfMedium {
      return try CheckpointFile.read(path, reading, in: fileSystem)
    }
  }

  /// The size of a generation's file; 0 if the file system does not tell.
  package func byteCount(of path: String) -> Int { (try? fileSystem.status(of: path).size) ?? 0 }

  private func path(_ generation: Generation) -> String { directory + "/" + generation.fileName }

  /// The existing generations, the oldest first. All numbers have one length, so the names sort like them.
  private func generations() throws(StorageError) -> [Generation] {
    do throws(FileError) {
      return try fileSystem.list(directory).compactMap(Generation.init)
    } catch {
      throw .file(error)
    }
  }
}

extension StorageError {
  /// Whether the medium does not return the bytes.
  fileprivate var isOfMedium: Bool {
    if case .file(let error) = self { error.errno == EIO } else { false }
  }

  /// Whether the file is damaged: its bytes are not those that were written, or the medium does not return them.
  package var isDamage: Bool {
    switch self {
    case .content(_, .newerVersion), .content(_, .olderVersion), .content(_, .unknownState): false
    case .content, .tooLarge, .notRegular: true
    case .file: isOfMedium
    case .noWholeCheckpoint, .noNumberLeft, .stateDirectoryInUse: false
    }
  }
}
