internal import Records
internal import Storage

/// Finds the copies in which a file that was emptied or replaced goes on.
extension FollowSource {
  /// Continues after the current file was cut: with the rest in a copy, if there is one, and then with the file from
  /// its beginning.
  mutating func startOver(_ cut: FollowedFile) throws(FileError) -> SourceEvent? {
    let copy = try siblings.rest(of: cut)
    if !cut.isAbandoned, let copy {
      current = try cut.moved(to: copy)
      return nil
    }
    if !cut.isAbandoned {
      untoldGap =
        "\(cut.path) was cut after byte \(cut.offset) was read: unread bytes from before the cut are lost"
    }
    let ended = endCurrent()
    // A copy may have the time of the emptied log, so that it would be taken for a later file.
    if let copy { previous = try cut.moved(to: copy) }
    try appendLater(than: cut, live: try openLive())
    try append(try FileSiblings.Found(again: cut))
    return ended
  }

  /// Finds the copies of a log that was filled, copied and emptied between two looks, while it shows no sign of that:
  /// it was empty, or begins with the same header. The rest is read in the oldest copy, and then the log again.
  ///
  /// - Parameter before: the log as it was at the look before.
  /// - Returns: whether there are any. The bytes just read are then read again.
  mutating func putCopiesFirst(since before: FollowedFile) throws(FileError) -> Bool {
    let after = waiting
    waiting = []
    let live = try FileSiblings.Found(again: before)
    try appendLater(than: before, live: live)
    let isSplit = before.hasGiven || openSplits.contains(before.split)
    // Of a log that was renamed, the siblings may be later ones.
    guard let oldest = waiting.first, try fileSystem.identity(of: name) == before.identity,
      isSplit ? try before.isContinued(in: oldest.file) : true
    else {
      waiting = after
      return false
    }
    try append(live)
    waiting += after
    if isSplit {
      current = try before.moved(to: FileSiblings.Found(again: waiting.removeFirst()))
    } else {
      current = nil
      if let number = currentWatch.take() { watch.forget(number) }
    }
    return true
  }

  /// Goes on in a copy that took the place of the current file, such as that of an editor: only new bytes are read. A
  /// later source finds the copy in the same way.
  ///
  /// - Returns: whether there may be bytes to read before any other file.
  mutating func isReplacedByCopy() throws(FileError) -> Bool {
    guard let old = current, waiting.isEmpty, !old.isFinal, old.offset > 0,
      try fileSystem.identity(of: name) != old.identity
    else { return false }
    // The old file may have got bytes before it was replaced.
    guard try old.status().size == old.offset else { return true }
    guard let copy = try findCopy(of: old) else { return false }
    // Its writer may go on with it, also under another name.
    current = try old.moved(to: copy, isFinal: false)
    if let number = currentWatch.take() { watch.forget(number) }
    currentWatch = try watchFile(copy.path)
    return true
  }

  /// The copy of a file that is gone; nil if the file is still there, or if nothing shows that another one is its copy.
  private func findCopy(of old: FollowedFile) throws(FileError) -> FileSiblings.Found? {
    let match = try siblings.find(try old.endMark(), acceptsCopy: true)
    guard let copy = match?.found, match?.isItself == false, !copy.isCompressed else { return nil }
    if old.tellsCopies { return copy }
    // Were the only line a header, the new bytes of the only later file would be the same ones.
    guard copy.name == siblings.name,
      let before = FileSiblings.Predecessor(file: old, mark: last, read: [], live: copy),
      try siblings.later(than: before).found.isEmpty
    else { return nil }
    return copy
  }
}
