internal import Configuration
internal import Dataflow
internal import Glibc
package import Records
package import Storage

extension SourceKind {
  /// The files of a directory, each read once, as they are complete.
  package static let directory = SourceKind(
    name: "directory", isLive: true, settings: DirectorySettings.group, isShareable: true,
    place: { .path(DirectorySettings.path, in: $0) },
    open: { values in
      let (path, pattern) = (values[DirectorySettings.path], values[DirectorySettings.pattern])
      return { context throws(FileError) in
        try DirectorySource(
          path, pattern: pattern, in: context.fileSystem, statistics: context.statistics)
      }
    })
}

/// What can be set of a directory.
private enum DirectorySettings {
  static let group = SettingGroup("directory", [path, pattern])
  static let path = Setting(
    required: "path", .path,
    help: "A directory, whose complete files are read in the order of their names.")
  static let pattern = Setting(
    "pattern", .glob, default: Glob("*"), help: "The names of the files to read, with `*` and `?`.")
}

// Invariants:
// - Events are drained before a file is chosen.
// - `waiting` and `finished` hold names that stand in the directory, as far as the events told;
//   `waiting` is sorted, each name once.

/// Reads the files of a directory in the order of their names, each as a run of its own.
///
/// A file is complete when it was closed after writing or moved in; those that are there at the start
/// are taken as complete. Names that begin with a dot are never taken. Subdirectories are not entered.
///
/// What was read is remembered by inode and name, for as long as the name stands in the directory: so
/// the memory is as large as the directory, a file that arrives late is read whatever its name, and a
/// file that is moved over an old name is a new one. A file that is written to again in place is not.
package struct DirectorySource: ByteSource {
  package let name: String
  package let size: Int? = nil
  package let endsAnywhere = false
  package var pathOnDisk: String? { path }
  private let path: String
  private let pattern: Glob
  private let fileSystem: any FileSystem
  private let statistics: ConnectorStatistics
  private let watch: any FileWatch
  /// The names of the files to look at, the last first.
  private var waiting: [String] = []
  /// The name of the file that an earlier source was in, until it is opened.
  private var resumed: String?
  /// The inodes of the files that were read, by name.
  private var finished: [String: UInt64] = [:]
  private var current: Current?
  private var run = -1

  /// The file that is being read.
  private struct Current {
    let name: String
    let file: any File
    let inode: UInt64
    var hasGiven = false
  }

  /// - Parameter pattern: which names are taken, with `*` and `?`.
  package init(
    _ path: String, pattern: Glob = Glob("*"), in fileSystem: any FileSystem,
    statistics: ConnectorStatistics = ConnectorStatistics()
  ) throws(FileError) {
    name = path
    self.statistics = statistics
    self.path = path
    self.pattern = pattern
    self.fileSystem = fileSystem
    watch = try fileSystem.watch()
    try watch.watch(
      path,
      for: [.closedAfterWriting, .movedTo, .movedFrom, .deleted, .deletedItself, .movedItself])
    try list()
  }

  package func mark(ofRun run: Int) -> String? {
    run == self.run ? current.map { "\($0.inode)/\($0.name)" } : nil
  }

  package mutating func resume(from progress: [String], run mark: String?) {
    for entry in progress {
      let parts = entry.split(separator: "/", maxSplits: 1)
      if parts.count == 2, let inode = UInt64(parts[0]) { finished[String(parts[1])] = inode }
    }
    // The file under way goes ahead of names that came meanwhile: only one place is remembered.
    let parts = (mark ?? "").split(separator: "/", maxSplits: 1)
    guard parts.count == 2, let place = waiting.firstIndex(of: String(parts[1])) else { return }
    resumed = waiting.remove(at: place)
  }

  /// The files that were read to their end and still stand in the directory, each as `INODE/NAME`, in
  /// the order of their names.
  package var progress: [String]? {
    finished.sorted { $0.key < $1.key }.map { "\($0.value)/\($0.key)" }
  }

  package mutating func read(
    into buffer: UnsafeMutableRawBufferPointer
  ) throws(FileError) -> SourceRead {
    try notice()
    defer { statistics.backlogFiles.set(waiting.count + (current == nil ? 0 : 1)) }
    while true {
      if current == nil { current = try openNext() }
      guard let open = current else {
        return .waits(Awaiting(.readable(descriptor: watch.descriptor)))
      }
      let count = try open.file.read(into: buffer)
      if count > 0 {
        current?.hasGiven = true
        return .bytes(count, run: run)
      }
      try finish(open)
      if open.hasGiven { return .ended(run: run) }
    }
  }

  package mutating func seek(run: Int, to offset: Int) throws(FileError) -> Bool {
    guard run == self.run, let open = current else { return false }
    return try open.file.seek(within: offset)
  }

  /// The file counts as read.
  package mutating func abandon(run: Int) {
    guard run == self.run, let open = current else { return }
    finished[open.name] = open.inode
    current = nil
  }

  // MARK: Files

  /// Opens the first of the files that wait; nil where there is none.
  private mutating func openNext() throws(FileError) -> Current? {
    while let next = resumed.take() ?? waiting.popLast() {
      do throws(FileError) {
        let status = try fileSystem.status(of: path + "/" + next)
        // Opening a FIFO would wait for a writer.
        guard status.kind == .regular, finished[next] != status.identity.inode else { continue }
        let file = try fileSystem.open(path + "/" + next, for: .reading)
        let inode = try file.status().identity.inode
        run += 1
        return Current(name: next, file: file, inode: inode)
      } catch  where error.isMissing {
        // Gone before its turn.
      }
    }
    return nil
  }

  private mutating func finish(_ open: Current) throws(FileError) {
    current = nil
    finished[open.name] = open.inode
    do throws(FileError) {
      let file = path + "/" + open.name
      // Whoever was moved to its name meanwhile is another.
      guard try fileSystem.status(of: file).identity.inode == open.inode else { return }
    } catch  where error.isMissing {
      finished[open.name] = nil
    }
  }

  // MARK: Names

  private func takes(_ name: String) -> Bool {
    !name.hasPrefix(".") && pattern.matches(name)
  }

  private mutating func notice() throws(FileError) {
    for event in try watch.events() {
      if event.events.contains(.overflow) {
        try list()
      } else if !event.events.isDisjoint(with: [.ignored, .deletedItself, .movedItself]) {
        throw FileError(operation: .read, path: path, errno: ENOENT)
      } else if !event.events.isDisjoint(with: [.deleted, .movedFrom]) {
        forget(event.name)
      } else if takes(event.name), !isCurrent(event.name) {
        wait(for: event.name)
      }
    }
  }

  /// Whether the name still leads to the file that is being read.
  private func isCurrent(_ name: String) -> Bool {
    guard let current, current.name == name else { return false }
    return (try? fileSystem.status(of: path + "/" + name).identity.inode) == current.inode
  }

  /// Takes every name in the directory as if it were complete; what was read of them is looked at
  /// again before it is opened.
  private mutating func list() throws(FileError) {
    let names = try fileSystem.list(path)
    let present = Set(names)
    finished = finished.filter { present.contains($0.key) }
    waiting = names.filter { takes($0) && !isCurrent($0) }.reversed()
  }

  private mutating func wait(for name: String) {
    let place = place(of: name)
    if place == waiting.endIndex || waiting[place] != name { waiting.insert(name, at: place) }
  }

  private mutating func forget(_ name: String) {
    finished[name] = nil
    let place = place(of: name)
    if place < waiting.endIndex, waiting[place] == name { waiting.remove(at: place) }
  }

  /// The index of the first name in `waiting` that does not come after `name`.
  private func place(of name: String) -> Int {
    var (low, high) = (waiting.startIndex, waiting.endIndex)
    while low < high {
      let middle = (low + high) / 2
      if waiting[middle] > name { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
