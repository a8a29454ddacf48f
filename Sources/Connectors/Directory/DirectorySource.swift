internal import Configuration
internal import Dataflow
internal import Glibc
package import Records
package import Storage

extension SourceKind {
  /// The files of a directory. Each is read once, when it is complete.
  package static let directory = SourceKind(
    name: "directory", isLive: true, splits: .files, settings: DirectorySettings.group,
    isShareable: true,
    // The watch, and the file that is read.
    descriptorCount: 2,
    place: { .path(DirectorySettings.path, in: $0) },
    openBacklog: { factory($0, isBacklog: true) }, open: { factory($0, isBacklog: false) })

  private static func factory(_ values: SettingValues, isBacklog: Bool) -> SourceFactory {
    let (path, pattern) = (values[DirectorySettings.path], values[DirectorySettings.pattern])
    return { context throws(FileError) in
      try DirectorySource(path, pattern: pattern, isBacklog: isBacklog, in: context)
    }
  }
}

/// The settings of a directory.
private enum DirectorySettings {
  static let group = SettingGroup("directory", [path, pattern])
  static let path = Setting(
    required: "path", .path,
    help: "A directory. Its complete files are read in the order of their names.")
  static let pattern = Setting(
    "pattern", .glob, default: Glob("*"), help: "The names of the files to read, with `*` and `?`.")
}

// Invariants:
// - Events are handled before a file is chosen.
// - `resumed` is read before `waiting`. `waiting` contains names that, by the events so far, exist in the directory.
// - A file is `current`, then in `ended` until the stream has finished it. Then its name is in `finished` while the
//   name exists in the directory.

/// Reads the files of a directory in the order of their names. Each is a split.
///
/// A file is complete when its writer closes it or moves it in. Files that exist at the start count as complete.
/// Names that begin with a dot are ignored. Subdirectories are not searched.
///
/// The source knows a file that was read by a hash of its inode and name, while the name exists in the directory. So
/// it reads a late file whatever its name is, and a file that replaces an old name is new. It does not read a file
/// again that was written to in place. `takeDoneChanges` returns the changes of these hashes for the list beside the
/// checkpoints, so that a checkpoint does not grow with each file.
package struct DirectorySource: Source {
  package let name: String
  package let size: Int? = nil
  package let endsAnywhere = false
  package let filesMayGo = true
  package var pathOnDisk: String? { path }
  package private(set) var openSplits: [SplitID] = []
  package private(set) var gap: String?
  package let done: OpaqueBytes? = OpaqueBytes()
  let path: String
  private let pattern: Glob
  let fileSystem: any FileSystem
  let part: Int?
  private let watch: any FileWatch
  private let statistics: ConnectorStatistics
  var waiting = NameQueue()
  /// The open files of an earlier source.
  private var resumed: [ListedFile] = []
  private var current: ListedFile?
  private(set) var ended: [SplitID: ListedFile] = [:]
  /// The hashes of the files that were read, by name.
  private var finished: [Name: UInt64] = [:]
  /// The hashes of the files to read, if only those are read that were there when the stream began.
  var backlog: Set<UInt64>?
  var changes = DoneChanges()
  private var nextSplit = 0

  /// - Parameters:
  ///   - pattern: a pattern of the names to read, with `*` and `?`.
  ///   - isBacklog: whether the source reads the files that are there when the stream begins, and ends.
  package init(
    _ path: String, pattern: Glob = Glob("*"), isBacklog: Bool = false, in context: SourceContext
  ) throws(FileError) {
    name = path
    self.path = path
    self.pattern = pattern
    fileSystem = context.fileSystem
    statistics = context.statistics
    part = context.part
    watch = try fileSystem.watch()
    if !isBacklog {
      try watch.watch(
        path,
        for: [.closedAfterWriting, .movedTo, .movedFrom, .deleted, .deletedItself, .movedItself])
    }
    let names = try fileSystem.list(path)
    if isBacklog {
      try beginBacklog(names, context)
    } else {
      try takeFinished(names, context.doneSplits)
    }
    var others: [FileIdentity: String]?
    for cursor in context.cursor?.splits ?? [] { try resume(cursor, names, &others) }
    if isBacklog { try listBacklog(names) } else { list(names, isChecked: true) }
  }

  /// Finds the files that were read among those of the directory.
  private mutating func takeFinished(
    _ names: [String], _ doneSplits: Set<UInt64>
  ) throws(FileError) {
    var left = doneSplits
    if !left.isEmpty {
      for name in names {
        guard let identity = try identity(of: name) else { continue }
        let hash = hash(name, identity)
        if left.remove(hash) != nil { finished[Name(name)] = hash }
      }
    }
    // The names of these files have left the directory meanwhile.
    changes.removed = left
  }

  // MARK: Reading

  package mutating func read(
    into buffer: UnsafeMutableRawBufferPointer
  ) throws(FileError) -> SourceEvent {
    try takeEvents()
    defer { statistics.backlogFiles.set(waiting.count + (current == nil ? 0 : 1)) }
    while true {
      if current == nil { current = try openNext() }
      guard let open = current else {
        if backlog != nil {
          if try hasMoreBacklog() { continue }
          return .end
        }
        return .idle(Awaiting(.readable(descriptor: watch.descriptor)))
      }
      let count = try open.file.read(into: buffer)
      if count > 0 {
        current?.hasGiven = true
        return .data(open.split, .bytes(count))
      }
      current = nil
      ended[open.split] = open
      if open.hasGiven || openSplits.contains(open.split) { return .ended(open.split) }
      try finish(open.split)
    }
  }

  /// Opens the next file; nil if none waits.
  private mutating func openNext() throws(FileError) -> ListedFile? {
    if !resumed.isEmpty { return resumed.removeFirst() }
    while let next = waiting.popFirst() {
      do throws(FileError) {
        let status = try fileSystem.status(of: path + "/" + next)
        // Opening a FIFO would wait for a writer.
        guard status.kind == .regular, isToRead(next, status.identity) else { continue }
        let file = try fileSystem.open(path + "/" + next, for: .reading)
        nextSplit += 1
        return try ListedFile(file, split: nextSplit - 1, start: SplitStart(name: next))
      } catch  where error.isMissing {
        // The file is gone.
      }
    }
    return nil
  }

  /// Whether a file was not read yet.
  private func isToRead(_ name: String, _ identity: FileIdentity) -> Bool {
    backlog.map { $0.contains(backlogHash(of: identity)) && !isBeingRead(identity) }
      ?? (finished[Name(name)] != hash(name, identity))
  }

  /// Finds the file of a cursor and resumes it. Sets `gap` if the file is gone.
  ///
  /// - Parameter others: the names of all files, once a file does not have its old name any more.
  private mutating func resume(
    _ cursor: SplitCursor, _ names: [String], _ others: inout [FileIdentity: String]?
  ) throws(FileError) {
    guard let mark = cursor.source.flatMap({ FileMark($0) }), mark.isOf(cursor) else { return }
    // A split may be in the checkpoint, and begin after it by its first record.
    if resumed.contains(where: { $0.identity == mark.identity }) { return }
    var found: String? = cursor.split
    if try identity(of: cursor.split) != mark.identity {
      if others == nil { others = try identities(of: names) }
      found = others?[mark.identity]
    }
    if let name = found {
      let file = try fileSystem.open(path + "/" + name, for: .reading)
      if try mark.fits(file) {
        try file.seek(to: cursor.sourceOffset)
        var start = SplitStart(cursor)
        start.name = name
        resumed.append(try ListedFile(file, split: nextSplit, start: start))
        openSplits.append(nextSplit)
        nextSplit += 1
        return
      }
    }
    gap = "\(cursor.split): the file that was read up to byte \(mark.offset) is gone"
  }

  private func identities(of names: [String]) throws(FileError) -> [FileIdentity: String] {
    var found: [FileIdentity: String] = [:]
    for name in names {
      if let identity = try identity(of: name) { found[identity] = name }
    }
    return found
  }

  // MARK: Splits

  package func start(of split: SplitID) -> SplitStart {
    listed(split)?.start ?? SplitStart(name: name)
  }

  package func mark(of split: SplitID, at offset: Int) throws(FileError) -> OpaqueBytes? {
    guard let found = listed(split) else { return nil }
    return try FileMark(found.file, at: offset, looksAhead: true).opaque
  }

  /// Counts the file as read.
  package mutating func abandon(_ split: SplitID) {
    guard let open = current, open.split == split else { return }
    current = nil
    ended[split] = open
  }

  package mutating func finish(_ split: SplitID) throws(FileError) {
    guard let file = ended.removeValue(forKey: split) else { return }
    if backlog != nil { return leaveBacklog(file.identity) }
    forget(file.start.name)
    guard try identity(of: file.start.name) != nil else { return }
    let hash = hash(file.start.name, file.identity)
    finished[Name(file.start.name)] = hash
    changes.add(hash)
  }

  package mutating func takeDoneChanges() -> DoneChanges {
    defer { changes = DoneChanges() }
    return changes
  }

  package func file(of split: SplitID) -> (any File)? { listed(split)?.file }

  private func listed(_ split: SplitID) -> ListedFile? {
    if current?.split == split { return current }
    return ended[split] ?? resumed.first { $0.split == split }
  }

  // MARK: Names

  func takes(_ name: String) -> Bool {
    !name.hasPrefix(".") && pattern.matches(name)
  }

  private mutating func takeEvents() throws(FileError) {
    for event in try watch.events() {
      if event.events.contains(.overflow) {
        list(try fileSystem.list(path))
      } else if !event.events.isDisjoint(with: [.ignored, .deletedItself, .movedItself]) {
        throw FileError(operation: .read, path: path, errno: ENOENT)
      } else if !event.events.isDisjoint(with: [.deleted, .movedFrom]) {
        forget(event.name)
        waiting.remove(event.name)
      } else if takes(event.name), try !isOpen(event.name) {
        waiting.insert(event.name)
      }
    }
  }

  /// Whether a file is open, or its batches are not cut yet.
  func isBeingRead(_ identity: FileIdentity) -> Bool {
    current?.identity == identity || resumed.contains { $0.identity == identity }
      || ended.values.contains { $0.identity == identity }
  }

  private func hash(_ name: String, _ identity: FileIdentity) -> UInt64 {
    SourceContext.doneHash(ListedFile.hash(name, identity), ofPart: part)
  }

  func backlogHash(of identity: FileIdentity) -> UInt64 { hash("", identity) }

  /// Whether the name still belongs to a file that is being read.
  private func isOpen(_ name: String) throws(FileError) -> Bool {
    let open = [current].compactMap(\.self) + ended.values + resumed
    guard let file = open.first(where: { areSame($0.start.name, name) }) else { return false }
    return try identity(of: name) == file.identity
  }

  /// Lists every name as if its file were complete. `openNext` skips files that were read already.
  ///
  /// - Parameter isChecked: whether the names in `finished` still lead to the files that were read.
  private mutating func list(_ names: [String], isChecked: Bool = false) {
    let present = Set(names.asNames)
    for name in Array(finished.keys) where !present.contains(name) { forget(name.text) }
    let open = Set(
      ([current].compactMap(\.self) + ended.values + resumed)
        .filter { (try? identity(of: $0.start.name)) == $0.identity }.map { Name($0.start.name) })
    waiting = NameQueue(
      names.filter {
        takes($0) && !open.contains(Name($0)) && !(isChecked && finished[Name($0)] != nil)
      })
  }

  private mutating func forget(_ name: String) {
    if let hash = finished.removeValue(forKey: Name(name)) { changes.remove(hash) }
  }

  private func identity(of name: String) throws(FileError) -> FileIdentity? {
    try fileSystem.identity(of: path + "/" + name)
  }
}

/// A file of a directory while it is being read, and until the stream has finished it.
struct ListedFile {
  let file: any File
  let identity: FileIdentity
  let split: SplitID
  /// Its name is the one in the directory.
  let start: SplitStart
  var hasGiven = false

  init(_ file: any File, split: SplitID, start: SplitStart) throws(FileError) {
    self.file = file
    identity = try file.status().identity
    self.split = split
    self.start = start
  }

  /// The hash by which the source knows a file that was read.
  static func hash(_ name: String, _ identity: FileIdentity) -> UInt64 {
    xxh3(Array("\(identity.inode)/\(name)".utf8))
  }
}
