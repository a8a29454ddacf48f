internal import Configuration
internal import Dataflow
internal import Glibc
package import Storage

extension SourceKind {
  /// A growing file, read on as it grows and across its rotations.
  package static let follow = SourceKind(
    name: "follow", isLive: true, settings: FollowSettings.group, isShareable: true,
    place: { .path(FollowSettings.path, in: $0) },
    open: { values in
      let (path, start) = (values[FollowSettings.path], values[FollowSettings.start])
      return { context throws(FileError) in
        try FollowSource(
          path, start: start, in: context.fileSystem, statistics: context.statistics)
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
// - Events are drained before the file is looked at, so that nothing happens between a look and a
//   wait without ending the wait.
// - The file's own position is `offset`, except while the run is abandoned.

/// Reads a file as it grows; each file that comes to stand at the path is a run.
///
/// When the path leads to another file, the old one is read to its end, and its run ends when the new
/// file holds something: a writer may go on with the old file for a moment after a rotation. A file that
/// becomes shorter than what was read of it begins a new run. A path that leads nowhere is waited for.
/// A file system that tells nothing of changes made elsewhere (NFS) cannot be followed.
package struct FollowSource: ByteSource {
  /// Where reading begins in the file that is there first; later ones are read from their beginning.
  package enum Start: String, Sendable, CaseIterable {
    case beginning
    case end
  }

  package let name: String
  package let size: Int? = nil
  package let endsAnywhere = false
  package var pathOnDisk: String? { path }
  private let path: String
  private let fileSystem: any FileSystem
  private let statistics: ConnectorStatistics
  private let watch: any FileWatch
  private let directoryWatch: Int32
  private var startsAtEnd: Bool
  private var current: Current?
  private var run = 0

  /// The file that is being read.
  private struct Current {
    let file: any File
    let identity: FileIdentity
    let watch: Int32?
    var offset: Int
    /// Where in the file the run began.
    var start: Int
    var hasGiven = false
    var isAbandoned = false
    /// Whether the path was seen to lead to another file that holds something.
    var isReplaced = false
  }

  /// - Throws: where the directory of the file cannot be watched.
  package init(
    _ path: String, start: Start, in fileSystem: any FileSystem,
    statistics: ConnectorStatistics = ConnectorStatistics()
  ) throws(FileError) {
    self.statistics = statistics
    self.path = path
    self.fileSystem = fileSystem
    name = path
    startsAtEnd = start == .end
    watch = try fileSystem.watch()
    directoryWatch = try watch.watch(
      parentDirectory(of: path), for: [.created, .movedTo, .deletedItself, .movedItself])
    try openFile()
    // A file that comes later is new from its beginning.
    startsAtEnd = false
  }

  package mutating func read(
    into buffer: UnsafeMutableRawBufferPointer
  ) throws(FileError) -> SourceRead {
    for event in try watch.events() where event.watch == directoryWatch {
      if !event.events.isDisjoint(with: [.ignored, .deletedItself, .movedItself]) {
        throw FileError(operation: .read, path: parentDirectory(of: path), errno: ENOENT)
      }
    }
    while true {
      if current == nil { try openFile() }
      guard var open = current else { return waits }
      let count = open.isAbandoned ? 0 : try open.file.read(into: buffer)
      open.offset += count
      open.hasGiven = open.hasGiven || count > 0
      current = open
      let size = try open.file.status().size
      statistics.backlogBytes.set(size - open.offset)
      if count > 0 { return .bytes(count, run: run) }
      if open.isReplaced {
        current = nil
        if let number = open.watch { watch.forget(number) }
        if let ended = nextRun(after: open) { return ended }
      } else if try wasCut() {
        try startOver(open)
        if let ended = nextRun(after: open) { return ended }
      } else if try isReplaced() {
        // Something may have been added before it was.
        current?.isReplaced = true
      } else {
        return waits
      }
    }
  }

  /// What is followed is never done with.
  package var progress: [String]? { [] }

  package func mark(ofRun run: Int) -> String? {
    guard run == self.run, let current else { return nil }
    return "\(current.identity.inode)/\(current.start)"
  }

  package mutating func resume(from progress: [String], run mark: String?) throws(FileError) {
    guard let open = current else { return }
    let parts = (mark ?? "").split(separator: "/").compactMap { Int($0) }
    // Another file than it was is read from its beginning, like every one that takes its place.
    let isSame = parts.count == 2 && UInt64(parts[0]) == open.identity.inode
    let start = isSame ? parts[1] : 0
    try open.file.seek(to: start)
    current?.offset = start
    current?.start = start
  }

  /// A file that is not so long any more begins a new run here too; nothing more is told of the old one.
  package mutating func seek(run: Int, to offset: Int) throws(FileError) -> Bool {
    guard run == self.run, let open = current else { return false }
    guard try open.file.seek(within: open.start + offset) else {
      try startOver(open)
      self.run += 1
      return true
    }
    current?.offset = open.start + offset
    return true
  }

  package mutating func abandon(run: Int) {
    if run == self.run { current?.isAbandoned = true }
  }

  private var waits: SourceRead { .waits(Awaiting(.readable(descriptor: watch.descriptor))) }

  /// Goes back to the beginning of a file that was cut.
  private mutating func startOver(_ open: Current) throws(FileError) {
    try open.file.seek(to: 0)
    current?.offset = 0
    current?.start = 0
    current?.hasGiven = false
    current?.isAbandoned = false
  }

  /// Begins another run; returns the end of the old one where there was something of it.
  private mutating func nextRun(after old: Current) -> SourceRead? {
    guard old.hasGiven else { return nil }
    run += 1
    return old.isAbandoned ? nil : .ended(run: run - 1)
  }

  private mutating func openFile() throws(FileError) {
    do throws(FileError) {
      let status = try fileSystem.status(of: path)
      guard status.kind == .regular else {
        throw FileError(operation: .open, path: path, errno: ENOTSUP)
      }
      let file = try fileSystem.open(path, for: .reading)
      // After opening: where the path leads elsewhere by now, the watch is on the newer file, and
      // `isReplaced` tells.
      let watch = try watchPath()
      let opened = try file.status()
      let offset = startsAtEnd ? opened.size : 0
      if offset > 0 { try file.seek(to: offset) }
      current = Current(
        file: file, identity: opened.identity, watch: watch, offset: offset, start: offset)
    } catch  where error.isMissing {
      // It is waited for.
    }
  }

  private func watchPath() throws(FileError) -> Int32 {
    try watch.watch(path, for: [.modified, .attributes, .deletedItself, .movedItself])
  }

  /// Whether the file has become shorter than what was read of it.
  private mutating func wasCut() throws(FileError) -> Bool {
    guard let open = current else { return false }
    let size = try open.file.status().size
    if open.isAbandoned { current?.offset = max(size, open.offset) }
    return size < open.offset
  }

  /// Whether the path leads to another file that holds something.
  private func isReplaced() throws(FileError) -> Bool {
    do throws(FileError) {
      guard let open = current else { return false }
      guard try fileSystem.status(of: path).identity != open.identity else { return false }
      // The first bytes of the new file are to end the wait, and they may come before the watch.
      _ = try watchPath()
      let status = try fileSystem.status(of: path)
      return status.identity != open.identity && status.size > 0
    } catch  where error.isMissing {
      return false
    }
  }
}
