package import Records
package import State

/// The reason why a file could not be read or written.
package enum StorageError: Error, Equatable, CustomStringConvertible {
  case file(FileError)
  /// A file that cannot be read as a whole, such as a FIFO.
  case notRegular(path: String, found: FileStatus.Kind)
  /// Sizes in bytes.
  case tooLarge(path: String, size: Int, limit: Int)
  case content(path: String, ContentError)
  /// There are checkpoints, but none can be used. The errors tell why, that of the newest file first.
  case noWholeCheckpoint(directory: String, [StorageError])
  /// The highest possible number of a checkpoint is used.
  case noNumberLeft(path: String)
  /// Another process holds the state directory; `holder` is its number, if known.
  case stateDirectoryInUse(lock: String, holder: Int?)

  package var description: String {
    switch self {
    case .file(let error): error.description
    case .notRegular(let path, let found):
      "\(path): expected a regular file, found \(found.rawValue)"
    case .tooLarge(let path, let size, let limit):
      "\(path): expected at most \(limit) bytes, found \(size)"
    case .content(let path, let error): "\(path): \(error)"
    case .noWholeCheckpoint(let directory, let errors):
      "\(directory): no checkpoint is intact: "
        + errors.prefix(3).map(\.description).joined(separator: "; ")
        + (errors.count > 3 ? "; and \(errors.count - 3) more" : "")
    case .noNumberLeft(let path): "\(path): no number is left for the next checkpoint"
    case .stateDirectoryInUse(let lock, let holder):
      "\(lock): the state directory is in use by "
        + (holder.map { "process \($0)" } ?? "another process")
    }
  }
}

/// The reason why the bytes of a file cannot be used.
package enum ContentError: Error, Equatable, CustomStringConvertible {
  /// A part of the file, such as a tensor, differs from what is expected.
  case unexpected(part: String, expected: String, found: String)
  /// A text that is not JSON, or a member that is absent or has another type.
  case invalidJSON(part: String, reason: String)
  case newerVersion(found: String, supported: Int)
  case olderVersion(found: String, supported: Int)
  /// State groups, or columns of them, that no part of this program declares.
  case unknownState([String])
  case state(StateError)
  case features(FeatureError)
  /// The checksums in hexadecimal digits.
  case checksumMismatch(recorded: String, computed: String)

  package var description: String {
    switch self {
    case .unexpected(let part, let expected, let found):
      "\(part): expected \(expected), found \(found)"
    case .invalidJSON(let part, let reason): "\(part): \(reason)"
    case .newerVersion(let found, let supported):
      "written in format version \(found), newer than version \(supported), "
        + "the newest that this Evenkeel reads"
    case .olderVersion(let found, let supported):
      "written in format version \(found), older than version \(supported), "
        + "the oldest that this Evenkeel reads; start again without it"
    case .unknownState(let names):
      "expected state that this Evenkeel knows, found \(listed(names)): "
        + "read it with the version that wrote it, or drop that state (--drop-unknown-state)"
    case .state(let error): error.description
    case .features(let error): "features: \(error)"
    case .checksumMismatch(let recorded, let computed):
      "damaged: the checksum is recorded as \(recorded) but computed as \(computed)"
    }
  }
}
