internal import Records
internal import Storage

// A directory before the last source of a sequence is read once: the files that are there when the stream begins. Files
// that appear later may be rotated ones of a later source, which reads them itself.
//
// Invariant: `backlog` has the files that are to be read and those whose batches are not cut yet, and so has the list
// beside the checkpoints. Files are known by their inodes, so that they may be renamed meanwhile.
extension DirectorySource {
  /// Chooses the files to read: those that are there now, or those of them that an earlier source has left.
  mutating func beginBacklog(_ names: [String], _ context: SourceContext) throws(FileError) {
    guard context.cursor == nil else {
      backlog = context.doneSplits
      return
    }
    var found: Set<UInt64> = []
    for name in names where takes(name) {
      guard let identity = try regularFile(name), !context.others.contains(identity) else {
        continue
      }
      found.insert(backlogHash(of: identity))
    }
    backlog = found
    changes.added = found
  }

  /// Lists the names of the files that are left.
  mutating func listBacklog(_ names: [String]) throws(FileError) {
    var left: [String] = []
    for name in names where takes(name) {
      guard let identity = try regularFile(name), let backlog, !isBeingRead(identity),
        backlog.contains(backlogHash(of: identity))
      else { continue }
      left.append(name)
    }
    waiting = NameQueue(left)
  }

  /// Looks for files that were renamed meanwhile. If there are none, forgets those that are gone.
  mutating func hasMoreBacklog() throws(FileError) -> Bool {
    try listBacklog(try fileSystem.list(path))
    guard waiting.isEmpty, let backlog else { return true }
    let kept = Set(ended.values.map { backlogHash(of: $0.identity) })
    for hash in backlog where !kept.contains(hash) { changes.remove(hash) }
    self.backlog = backlog.intersection(kept)
    return false
  }

  /// Records that a file is done.
  mutating func leaveBacklog(_ identity: FileIdentity) {
    let hash = backlogHash(of: identity)
    if backlog?.remove(hash) != nil { changes.remove(hash) }
  }

  /// The identity of a regular file; nil if there is none of that name.
  private func regularFile(_ name: String) throws(FileError) -> FileIdentity? {
    do throws(FileError) {
      let status = try fileSystem.status(of: path + "/" + name)
      return status.kind == .regular ? status.identity : nil
    } catch  where error.isMissing {
      return nil
    }
  }
}
