internal import Configuration
internal import Dataflow
internal import Glibc
package import Records
package import Storage

extension SourceKind {
  /// A file that grows. It is read across rotations.
  package static let follow = SourceKind(
    name: "follow", isLive: true, splits: .files, settings: FollowSettings.group, isShareable: true,
    // The watch, and the file that is read.
    descriptorCount: 2,
    place: { .path(FollowSettings.path, in: $0) },
    open: { values in
      let (path, start) = (values[FollowSettings.path], values[FollowSettings.start])
      return { context throws(FileError) in
        try FollowSource(path, start: start, in: context)
      }
    })
}

/// The settings of a followed file.
private enum FollowSettings {
  static let group = SettingGroup("follow", [path, start])
  static let path = Setting(
    required: "path", .path, help: "A file that grows. It is read across rotations.")
  static let start = Setting<FollowSource.Start>(
    "start", .choice, default: .beginning,
    help: "The start in a file that no checkpoint knows: `beginning` or `end`.")
}

// Invariants:
// - Events are handled before a file is looked at, so that no change between a look and a wait is missed.
// - `waiting` contains the files after `current`, the oldest first. They are open, so that they can be read even if
//   they are renamed or deleted.
// - A split is in `current`, then in `ended` until the stream has finished it. Then it is `last`.

/// Reads a file as it grows. Each file that appears at the path is a split.
///
/// When another file appears at the path, the source reads the old one to its end. Then it reads every sibling that
/// was written later, and then the new file. The split of the old file ends when a later file has contents, because a
/// writer may still use the old file for a moment. If the file was emptied (`copytruncate`), its split
/// ends; the source finishes it from the copy, if there is one, and begins another split. If there is no file at the
/// path, the source waits. It cannot follow a file on a file system that reports no changes by other machines (NFS).
///
/// A later source finds the file of its cursor among the siblings: renamed, copied or compressed.
package struct FollowSource: Source {
  /// The start in the first file. Later files are read from their beginning.
  package enum Start: String, Sendable, CaseIterable {
    case beginning
    case end
  }

  package let name: String
  package let size: Int? = nil
  package let endsAnywhere = false
  package let filesMayGo = true
  package var pathOnDisk: String? { name }
  package private(set) var openSplits: [SplitID] = []
  package private(set) var gap: String?
  let fileSystem: any FileSystem
  let siblings: FileSiblings
  let watch: any FileWatch
  private let statistics: ConnectorStatistics
  private let directoryWatch: Int32
  var current: FollowedFile?
  var currentWatch: Int32?
  var waiting: [FollowedFile] = []
  /// The file before `current`.
  var previous: FollowedFile?
  private var ended: [SplitID: FollowedFile] = [:]
  /// The end of the last split that is done or gone.
  var last: FileMark?
  private var nextSplit = 0
  /// A gap to report before anything else is read.
  var untoldGap: String?

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
      // Of the files after one that is gone no batch was cut: they are read as later ones.
      for split in cursor.splits {
        guard try resume(split, after: cursor.opening?.prologue.count ?? 0) else { break }
      }
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
      guard var open = current else { return idle }
      let before = try open.beforeRead()
      guard let count = try open.read(into: buffer) else {
        current = open
        if let ended = try startOver(open) { return ended }
        if let gap = untoldGap.take() { return .gap(gap) }
        continue
      }
      current = open
      if count > 0, let before, try putCopiesFirst(since: before) { continue }
      statistics.backlogBytes.set(try open.status().size - open.offset)
      if count > 0 { return .data(open.split, .bytes(count)) }
      if open.isReplaced || open.isFinal {
        if let ended = endCurrent() { return ended }
      } else if try isReplacedByCopy() {
        continue
      } else if try hasFollowers() {
        // The old file may have got more bytes before the new ones appeared.
        current?.isReplaced = true
      } else {
        return idle
      }
      if let gap = untoldGap.take() { return .gap(gap) }
    }
  }

  private var idle: SourceEvent { .idle(Awaiting(.readable(descriptor: watch.descriptor))) }

  private func takeEvents() throws(FileError) {
    for event in try watch.events() where event.watch == directoryWatch {
      if !event.events.isDisjoint(with: [.ignored, .deletedItself, .movedItself]) {
        throw FileError(operation: .read, path: parentDirectory(of: name), errno: ENOENT)
      }
    }
  }

  /// Ends the split of the current file, if it has given bytes.
  mutating func endCurrent() -> SourceEvent? {
    guard let old = current.take() else { return nil }
    previous = old
    if let number = currentWatch.take() { watch.forget(number) }
    guard old.hasGiven || openSplits.contains(old.split) else { return nil }
    ended[old.split] = old
    return old.isAbandoned ? nil : .ended(old.split)
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

  /// Finds the file of a cursor and resumes it. Sets `gap` if the file is gone.
  ///
  /// - Parameter header: the length of the stream's header.
  /// - Returns: whether it is there.
  private mutating func resume(
    _ cursor: SplitCursor, after header: Int
  ) throws(FileError) -> Bool {
    guard let mark = cursor.source.flatMap({ FileMark($0) }), mark.isOf(cursor) else {
      return true
    }
    let match = try siblings.find(
      mark, acceptsCopy: cursor.records > 0 || mark.holdsMore(than: header))
    let isReframed = match.map { $0.found.isCompressed && !$0.isItself } ?? false
    guard let match, !isReframed || cursor.container == nil else {
      gap = "\(cursor.split): the file that was read up to byte \(mark.offset) is gone"
      last = cursor.records == 0 ? mark.beforeFile : mark
      return false
    }
    // A split may be in the checkpoint, and begin after it by its first record.
    let identity = match.found.status.identity
    if waiting.contains(where: { $0.identity == identity && $0.splitStart == mark.splitStart }) {
      return true
    }
    var start = SplitStart(cursor)
    if cursor.byteOffset == 0 { start.header = .optional }
    if isReframed {
      start.container = ContainerOffset(
        offset: 0, bytesWithin: mark.splitStart + cursor.byteOffset)
    }
    // Its cursor may be that of a copy that was not compressed.
    start.isReframed = match.found.isCompressed
    let file = try FollowedFile(
      match.found, split: takeSplit(), start: start,
      splitStart: isReframed ? 0 : mark.splitStart,
      isFinal: match.found.isCompressed)
    openSplits.append(file.split)
    waiting.append(file)
    return true
  }

  /// Adds a file after all open ones.
  mutating func append(
    _ found: FileSiblings.Found, splitStart: Int = 0
  ) throws(FileError) {
    var start = SplitStart(name: found.path)
    // A log that was emptied, or a copy of one, begins with a record.
    start.header = .optional
    let file = try FollowedFile(
      found, split: takeSplit(), start: start, splitStart: splitStart,
      isFinal: found.isCompressed)
    waiting.append(file)
    // If the first split is given up before its first record, no cursor tells that it comes next.
    if last == nil, splitStart == 0 { last = try file.mark(at: 0).beforeFile }
  }

  private mutating func takeSplit() -> SplitID {
    defer { nextSplit += 1 }
    return nextSplit
  }

  private mutating func advance() throws(FileError) {
    guard try hasFollowers() else { return }
    let next = waiting.removeFirst()
    current = next
    // The watch is set after the file is opened. If the path has another file by now, it watches the newer one.
    currentWatch = next.isFinal ? nil : try watchFile(next.path)
  }

  func watchFile(_ path: String) throws(FileError) -> Int32? {
    do throws(FileError) {
      return try watch.watch(path, for: [.modified, .attributes, .deletedItself, .movedItself])
    } catch  where error.isMissing {
      return nil
    }
  }

  /// The last of all files that were opened.
  private var newest: FollowedFile? { waiting.last ?? current ?? previous }

  /// Whether there is a file after the current one. Opens the files that exist.
  private mutating func hasFollowers() throws(FileError) -> Bool {
    if !waiting.isEmpty { return true }
    if let newest, !newest.isFinal, try fileSystem.identity(of: name) == newest.identity {
      return false
    }
    // Wakes the source at the first bytes of the next file. They may come before the watch.
    _ = try watchFile(name)
    let live = try openLive()
    let before = try appendLater(than: newest, live: live)
    guard let live, live.status.size > 0 || waiting.isEmpty && current == nil,
      try before?.covers(live: live) != true
    else { return !waiting.isEmpty }
    try append(live)
    return true
  }

  /// Opens the siblings that were written after a file.
  @discardableResult
  mutating func appendLater(
    than file: FollowedFile?, live: FileSiblings.Found?
  ) throws(FileError) -> FileSiblings.Predecessor? {
    let read = ended.values + [previous].compactMap(\.self)
    guard
      let before = FileSiblings.Predecessor(file: file, mark: last, read: read, live: live)
    else { return nil }
    let (later, unreadable) = try siblings.later(than: before)
    if !unreadable.isEmpty {
      untoldGap = "skips files that it cannot decompress: " + unreadable.joined(separator: ", ")
    }
    for found in later { try append(found) }
    return before
  }

  /// The file at the path; nil if there is none.
  func openLive() throws(FileError) -> FileSiblings.Found? {
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
