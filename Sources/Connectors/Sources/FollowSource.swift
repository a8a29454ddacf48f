internal import Configuration
internal import Dataflow
internal import Glibc
package import Records
package import Storage

extension SourceKind {
  /// A growing file, read on as it grows and across its rotations.
  package static let follow = SourceKind(
    name: "follow", isLive: true, settings: FollowSettings.group, isShareable: true,
    place: { .path(FollowSettings.path, in: $0) },
    open: { values in
      let (path, start) = (values[FollowSettings.path], values[FollowSettings.start])
      return { context throws(FileError) in
        try FollowSource(path, start: start, in: context)
      }
    })
}

/// What can be set of a followed file.
private enum FollowSettings {
  static let group = SettingGroup("follow", [path, start])
  static let path = Setting(
    required: "path", .path, help: "A file, read on as it grows and across rotations.")
  static let start = Setting<FollowSource.Start>(
    "start", .choice, default: .beginning,
    help: "Where to begin in a file that no checkpoint names: `beginning` or `end`.")
}

// Invariants:
// - Events are taken before a file is looked at, so that nothing that happens between a look and a
//   wait is missed.
// - `waiting` holds the files after `current`, the oldest first. They are open, so that they are read
//   whatever becomes of their names. `newest` is the last of all that were opened.
// - A split is in `current`, then in `ended` until the stream has finished it, then it is `last`.

/// Reads a file as it grows; each file that comes to stand at the path is a split.
///
/// When the path leads to another file, the old one is read to its end, then every sibling that was
/// written later, then the new one. The old file's split ends when a later one holds something: a writer
/// may go on with the old file for a moment after a rotation. A file that was emptied (`copytruncate`)
/// ends its split, which is finished from the copy if there is one, and begins another. A path that leads
/// nowhere is waited for. A file system that tells nothing of changes made elsewhere (NFS) cannot be
/// followed.
///
/// A later source finds the file of its cursor among the siblings: renamed, copied or compressed.
package struct FollowSource: Source {
  /// Where reading begins in the file that is there first; later ones are read from their beginning.
  package enum Start: String, Sendable, CaseIterable {
    case beginning
    case end
  }

  package let name: String
  package let size: Int? = nil
  package let endsAnywhere = false
  package var pathOnDisk: String? { name }
  package private(set) var openSplits: [SplitID] = []
  package private(set) var gap: String?
  private let fileSystem: any FileSystem
  private let siblings: FileSiblings
  private let watch: any FileWatch
  private let statistics: ConnectorStatistics
  private let directoryWatch: Int32
  private var current: FollowedFile?
  private var currentWatch: Int32?
  private var waiting: [FollowedFile] = []
  private var newest: FollowedFile?
  private var ended: [SplitID: FollowedFile] = [:]
  /// The end of the last split that is done, or is gone.
  private var last: FileMark?
  private var nextSplit = 0
  /// What is to be told before anything else is read.
  private var untoldGap: String?
  /// Whether the source said that there is nothing, so that the file may have been cut since.
  private var hasWaited = false

  /// - Throws: if the directory of the file cannot be watched.
  package init(_ path: String, start: Start, in context: SourceContext) throws(FileError) {
    name = path
    fileSystem = context.fileSystem
    statistics = context.statistics
    siblings = FileSiblings(of: path, context)
    watch = try fileSystem.watch()
    directoryWatch = try watch.watch(
      parentDirectory(of: path), for: [.created, .movedTo, .deletedItself, .movedItself])
    if let cursor = context.cursor, let done = cursor.done {
      last = FileMark(done)
      for split in cursor.splits { try resume(split) }
    } else if let live = try openLive() {
      try append(live, splitStart: start == .end ? live.status.size : 0)
    }
  }

  // MARK: Reading

  package mutating func read(
    into buffer: UnsafeMutableRawBufferPointer
  ) throws(FileError) -> SourceEvent {
    if let gap = untoldGap.take() { return .gap(gap) }
    try takeEvents()
    while true {
      if current == nil { try advance() }
      guard var open = current else { return idle() }
      if hasWaited, try open.wasCut() {
        if let ended = try startOver(open) { return ended }
        continue
      }
      hasWaited = false
      let count = try open.read(into: buffer)
      current = open
      statistics.backlogBytes.set(try open.status().size - open.offset)
      if count > 0 { return .data(open.split, .bytes(count)) }
      if open.isReplaced || open.isFinal {
        if let ended = endCurrent() { return ended }
      } else if try current?.wasCut() == true {
        if let ended = try startOver(open) { return ended }
      } else if try hasFollowers() {
        // Something may have been added before them.
        current?.isReplaced = true
      } else {
        return idle()
      }
      if let gap = untoldGap.take() { return .gap(gap) }
    }
  }

  private mutating func idle() -> SourceEvent {
    hasWaited = true
    return .idle(Awaiting(.readable(descriptor: watch.descriptor)))
  }

  private func takeEvents() throws(FileError) {
    for event in try watch.events() where event.watch == directoryWatch {
      if !event.events.isDisjoint(with: [.ignored, .deletedItself, .movedItself]) {
        throw FileError(operation: .read, path: parentDirectory(of: name), errno: ENOENT)
      }
    }
  }

  /// Ends the split of the current file, if anything of it was given.
  private mutating func endCurrent() -> SourceEvent? {
    guard let old = current.take() else { return nil }
    if let number = currentWatch.take() { watch.forget(number) }
    guard old.hasGiven || openSplits.contains(old.split) else { return nil }
    ended[old.split] = old
    return old.isAbandoned ? nil : .ended(old.split)
  }

  /// Goes on after the current file was cut: with the rest of it in a copy, if there is one, and then
  /// from its beginning.
  private mutating func startOver(_ cut: FollowedFile) throws(FileError) -> SourceEvent? {
    hasWaited = false
    if let copy = try siblings.copies(of: cut).last {
      newest = try cut.moved(to: copy)
      current = newest
      return nil
    }
    if !cut.isAbandoned {
      untoldGap =
        "\(cut.path) was cut after byte \(cut.offset) was read: what was added until then is lost"
    }
    let ended = endCurrent()
    try append(FileSiblings.Found(again: cut), isContinued: true)
    return ended
  }

  // MARK: Splits

  package func start(of split: SplitID) -> SplitStart {
    file(of: split)?.start ?? SplitStart(name: name)
  }

  package func mark(of split: SplitID, at offset: Int) throws(FileError) -> OpaqueBytes? {
    try file(of: split)?.mark(at: offset).opaque
  }

  package var done: OpaqueBytes? { last?.opaque ?? OpaqueBytes() }

  package mutating func abandon(_ split: SplitID) {
    if current?.split == split { current?.isAbandoned = true }
  }

  package mutating func finish(_ split: SplitID) throws(FileError) {
    guard let file = file(of: split) else { return }
    last = try file.endMark()
    ended[split] = nil
  }

  private func file(of split: SplitID) -> FollowedFile? {
    if current?.split == split { return current }
    return ended[split] ?? waiting.first { $0.split == split }
  }

  // MARK: Files

  /// Finds the file of a cursor and goes on there, or records that it is gone.
  private mutating func resume(_ cursor: SplitCursor) throws(FileError) {
    guard let mark = cursor.source.flatMap({ FileMark($0) }), mark.isOf(cursor) else { return }
    // Before the first record, the mark says too little to tell a copy from another file.
    let match = try siblings.find(mark, acceptsCopy: cursor.records > 0)
    guard let match, !match.found.isCompressed || cursor.container == nil else {
      gap = "\(cursor.split): the file that was read up to byte \(mark.offset) is gone"
      last = mark
      return
    }
    var start = SplitStart(cursor)
    if mark.isContinued, cursor.byteOffset == 0 { start.header = .optional }
    if match.found.isCompressed {
      start.container = ContainerOffset(
        offset: 0, bytesWithin: mark.splitStart + cursor.byteOffset)
      start.isReframed = true
    }
    let file = try FollowedFile(
      match.found, split: takeSplit(), start: start,
      splitStart: match.found.isCompressed ? 0 : mark.splitStart, original: mark.identity,
      isFinal: !match.isItself)
    openSplits.append(file.split)
    waiting.append(file)
    newest = file
  }

  /// Begins with a file, after all that are open.
  private mutating func append(
    _ found: FileSiblings.Found, splitStart: Int = 0, isContinued: Bool = false
  ) throws(FileError) {
    var start = SplitStart(name: found.path)
    if isContinued { start.header = .optional }
    let file = try FollowedFile(
      found, split: takeSplit(), start: start, splitStart: splitStart,
      original: found.status.identity, isFinal: found.isCompressed)
    waiting.append(file)
    newest = file
  }

  private mutating func takeSplit() -> SplitID {
    defer { nextSplit += 1 }
    return nextSplit
  }

  private mutating func advance() throws(FileError) {
    guard try hasFollowers() else { return }
    let next = waiting.removeFirst()
    current = next
    // After opening: if the path leads elsewhere by now, the watch is on the newer file.
    currentWatch = next.isFinal ? nil : try watchFile(next.path)
  }

  private func watchFile(_ path: String) throws(FileError) -> Int32? {
    do throws(FileError) {
      return try watch.watch(path, for: [.modified, .attributes, .deletedItself, .movedItself])
    } catch  where error.isMissing {
      return nil
    }
  }

  /// Whether there is a file after the current one; opens those that there are.
  private mutating func hasFollowers() throws(FileError) -> Bool {
    if !waiting.isEmpty { return true }
    if let newest, !newest.isFinal, try identityAtPath() == newest.identity { return false }
    // Its first bytes are to end the wait, and they may come before the watch.
    _ = try watchFile(name)
    let live = try openLive()
    let before = FileSiblings.Predecessor(
      file: newest, mark: last, read: Array(ended.values), live: live?.status.identity)
    if let before {
      let (later, unreadable) = try siblings.later(than: before)
      if !unreadable.isEmpty {
        untoldGap = "cannot decompress, and passes over: " + unreadable.joined(separator: ", ")
      }
      for found in later { try append(found) }
    }
    guard let live, live.status.size > 0 || waiting.isEmpty && current == nil,
      try before?.covers(live: live) != true
    else { return !waiting.isEmpty }
    try append(live, isContinued: before?.original == live.status.identity)
    return true
  }

  private func identityAtPath() throws(FileError) -> FileIdentity? {
    do throws(FileError) {
      return try fileSystem.status(of: name).identity
    } catch  where error.isMissing {
      return nil
    }
  }

  /// The file at the path; nil if there is none.
  private func openLive() throws(FileError) -> FileSiblings.Found? {
    do throws(FileError) {
      guard try fileSystem.status(of: name).kind == .regular else {
        throw FileError(operation: .open, path: name, errno: ENOTSUP)
      }
    } catch  where error.isMissing {
      return nil
    }
    return try siblings.open(siblings.name)
  }
}
