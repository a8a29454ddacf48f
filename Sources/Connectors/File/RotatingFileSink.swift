package import Dataflow
internal import Glibc
package import Records
package import Storage
internal import Synchronization

// Invariants:
// - `position.byteCount` is the length of the file at `path`: the prologue and whole writes.
// - A file without records is empty. The prologue is written with the first write.
// - A file with a rotated name is complete, closed and durable.
// - No file is removed that a return to `lastSynced` needs, since the newest checkpoint may be at that position.

/// Appends to a file that grows in place. At a maximum size or age, the file gets a final name, and a new file
/// begins.
package struct RotatingFileSink: ByteSink {
  /// The limits at which a file is complete.
  package struct Rotation: Sendable, Equatable {
    /// The maximum size in bytes. A larger file contains a single write.
    package var byteLimit: Int?
    /// The maximum time since the first write to the file, in seconds.
    package var ageLimitSeconds: Double?
    /// The number of complete files that stay, the newest ones; nil keeps all. Files that are newer than the last
    /// sync but one stay too.
    package var keep: Int?
    /// The most bytes of the complete files that stay, the newest ones; nil keeps all. The same exception holds.
    package var totalByteLimit: Int?

    package init(
      byteLimit: Int? = nil, ageLimitSeconds: Double? = nil, keep: Int? = nil,
      totalByteLimit: Int? = nil
    ) {
      self.byteLimit = byteLimit
      self.ageLimitSeconds = ageLimitSeconds
      self.keep = keep
      self.totalByteLimit = totalByteLimit
    }
  }

  package typealias Position = OutputPosition

  package let name: String
  /// The end of the output so far.
  package internal(set) var position: Position
  private let rotation: Rotation
  private let fileSystem: any FileSystem
  let clock: Clock
  private let statistics: ConnectorStatistics
  private let directory: String
  private let names: RotatedNames
  /// The end of the output at the last sync or resume; nil before the first, when no checkpoint names this output.
  private var lastSynced: Position?
  /// The latest time in a name. Later names never have an earlier time, even if the clock is set back.
  private var lastStamp: String
  var file: any File
  private var prologue: [UInt8] = []
  private var epilogue: (any Epilogue)?
  /// Whether the contents of the file belong to this output. Otherwise the file is rotated first.
  private(set) var goesOn = false
  private var hasBegun = false

  /// Opens the file at `path`.
  ///
  /// - Parameter position: the end of an earlier run. The output after it is removed, with the files that were
  ///   rotated since, and the output continues there. If nil, a file with contents is rotated first, and an empty
  ///   file begins.
  package init(
    path: String, rotation: Rotation, in fileSystem: any FileSystem, at position: Position? = nil,
    clock: Clock = .system, statistics: ConnectorStatistics = ConnectorStatistics()
  ) throws(FileError) {
    name = path
    self.statistics = statistics
    self.rotation = rotation
    self.fileSystem = fileSystem
    self.clock = clock
    directory = parentDirectory(of: path)
    names = RotatedNames(of: String(path.split(separator: "/").last ?? ""))
    let size = try fileSystem.sizeOfRegularFile(path)
    let rotated = try Self.rotatedFiles(names, in: directory, of: fileSystem)
    lastStamp = rotated.map(\.mark.stamp).max() ?? ""
    self.position = Position(
      byteCount: size ?? 0, sequence: rotated.map(\.mark.sequence).max() ?? 0)
    file = try fileSystem.open(path, for: .updating)
    try file.seek(to: self.position.byteCount)
    try fileSystem.syncDirectory(directory)
    if let position { try resume(at: position) }
  }

  package var pathOnDisk: String? { directory }
  package var outputPosition: OutputPosition? {
    var end = position
    end.hasEpilogue = epilogue == nil ? nil : true
    return end
  }

  package func position(
    toResumeAt position: OutputPosition
  ) throws(FileError) -> OutputPosition {
    // If the file of the position was removed as too old, its contents are not needed any more.
    guard let first = try rotated(after: position).map(\.mark.sequence).min(),
      first > position.sequence + 1
    else { return position }
    var next = position
    next.byteCount = 0
    next.firstWriteSeconds = nil
    return next
  }

  package mutating func resume(at position: OutputPosition) throws(FileError) {
    let later = try rotated(after: position)
    let position = try self.position(toResumeAt: position)
    try file.close()
    try Self.takeBack(later, into: name, in: fileSystem)
    self.position = position
    file = try fileSystem.open(name, for: .updating)
    try cut(to: position)
    try fileSystem.syncDirectory(directory)
    lastSynced = position
    goesOn = true
  }

  package mutating func startNewOutput() throws(FileError) -> OutputPosition? {
    if position.byteCount > 0 { try rotate() }
    goesOn = true
    return position
  }

  package var attention: Awaiting? {
    secondsLeft.map { Awaiting(nil, seconds: max(0, $0)) }
  }

  package mutating func begin(
    _ prologue: [UInt8], endingWith epilogue: (any Epilogue)?
  ) throws(FileError) {
    if !goesOn {
      _ = try startNewOutput()
    } else if position.byteCount > 0 {
      // The records that follow may need another prologue than that of the file.
      var isOther = hasBegun && prologue != self.prologue
      if !hasBegun, position.mayDiffer == true {
        isOther = try file.bytes(from: 0, count: prologue.count) != prologue
      }
      if isOther { try rotate() }
    }
    position.mayDiffer = nil
    self.prologue = prologue
    self.epilogue = epilogue
    hasBegun = true
  }

  package mutating func changePrologue(to prologue: [UInt8]) { self.prologue = prologue }

  package mutating func write(_ bytes: [UInt8]) throws(FileError) {
    if !bytes.isEmpty { try write(pieces: [bytes]) }
  }

  package mutating func write(pieces: [[UInt8]]) throws(FileError) {
    var byteCount = pieces.reduce(0) { $0 + $1.count }
    guard byteCount > 0 else { return }
    let overflows = rotation.byteLimit.map { position.byteCount + byteCount > $0 } ?? false
    if overflows && position.byteCount > 0 || isOfAge { try rotate() }
    do throws(FileError) {
      if position.byteCount == 0, !prologue.isEmpty {
        byteCount += prologue.count
        // Together, so that a full disk cannot leave the prologue alone.
        try file.write(prologue + pieces[0])
      } else {
        try file.write(pieces[0])
      }
      for piece in pieces.dropFirst() { try file.write(piece) }
    } catch {
      // An incomplete write (on a full disk) would be no whole record. The first error is the one to report.
      try? file.truncate(to: position.byteCount)
      try? file.seek(to: position.byteCount)
      throw error
    }
    position.byteCount += byteCount
    if position.firstWriteSeconds == nil { position.firstWriteSeconds = clock.wallSeconds() }
  }

  package mutating func push() throws(FileError) -> Awaiting? {
    if isOfAge { try rotate() }
    return nil
  }

  package mutating func sync() throws(FileError) {
    try file.sync()
    // A second sync means that the caller has kept the position of the first one.
    if lastSynced != nil { try prune() }
    lastSynced = position
  }

  package mutating func finish() throws(FileError) {
    try complete()
    if lastSynced != nil { try prune() }
  }

  /// The seconds until the file reaches its maximum age; nil if it is empty or has no limit.
  private var secondsLeft: Double? {
    guard let limit = rotation.ageLimitSeconds, let first = position.firstWriteSeconds else {
      return nil
    }
    return first + limit - clock.wallSeconds()
  }

  private var isOfAge: Bool { secondsLeft.map { $0 <= 0 } ?? false }

  /// Gives the file its final name, durably, and begins the next file.
  private mutating func rotate() throws(FileError) {
    try complete()
    lastStamp = max(lastStamp, RotatedNames.stamp(clock.wallSeconds()))
    let mark = RotatedNames.Mark(stamp: lastStamp, sequence: position.sequence + 1)
    try fileSystem.rename(name, to: "\(directory)/\(names.name(mark))")
    // The rename must be durable before a new file has the old name.
    try fileSystem.syncDirectory(directory)
    file = try fileSystem.open(name, for: .creating)
    try fileSystem.syncDirectory(directory)
    position = Position(byteCount: 0, sequence: mark.sequence)
    statistics.rotatedFiles.add(1, ordering: .relaxed)
    if lastSynced == nil { try prune() }
  }

  /// Ends the growing file. The epilogue does not count in `position`: a run that resumes there removes it.
  private func complete() throws(FileError) {
    if let epilogue, position.byteCount > 0 {
      try file.write(epilogue, after: position.byteCount)
    }
    try file.sync()
    try file.close()
  }

  /// Removes the oldest complete files, except those to keep.
  private func prune() throws(FileError) {
    guard rotation.keep != nil || rotation.totalByteLimit != nil else { return }
    let rotated = try Self.rotatedFiles(names, in: directory, of: fileSystem)
      .sorted { $0.mark.sequence < $1.mark.sequence }
    let last = lastSynced?.sequence ?? .max
    let stay = try min(rotation.keep ?? .max, countWithinTotal(rotated.map(\.path)))
    let old = rotated.dropLast(stay).filter { $0.mark.sequence <= last }
    guard !old.isEmpty else { return }
    for file in old { try fileSystem.remove(file.path) }
    try fileSystem.syncDirectory(directory)
  }

  /// How many of the newest files have at most `totalByteLimit` bytes together.
  private func countWithinTotal(_ paths: [String]) throws(FileError) -> Int {
    guard let limit = rotation.totalByteLimit else { return paths.count }
    var bytes = 0
    for (count, path) in paths.reversed().enumerated() {
      bytes += try fileSystem.status(of: path).size
      if bytes > limit { return count }
    }
    return paths.count
  }

  /// Removes the contents of the growing file after a position.
  func cut(to position: Position) throws(FileError) {
    guard try file.status().size >= position.byteCount else {
      throw FileError(operation: .seek, path: name, errno: ENODATA)
    }
    try file.truncate(to: position.byteCount)
    try file.seek(to: position.byteCount)
    try file.sync()
  }

  /// Undoes rotations: the first of the files becomes the growing one again, the others are removed.
  ///
  /// The last file is removed first. All removals are durable before the first file is renamed. So after a crash in
  /// between, the rest can still be undone.
  private static func takeBack(
    _ files: [(path: String, mark: RotatedNames.Mark)], into path: String,
    in fileSystem: any FileSystem
  ) throws(FileError) {
    let files = files.sorted { $0.mark.sequence < $1.mark.sequence }
    for file in files.dropFirst().reversed() { try fileSystem.remove(file.path) }
    if files.count > 1 { try fileSystem.syncDirectory(parentDirectory(of: path)) }
    if let first = files.first { try fileSystem.rename(first.path, to: path) }
  }

  private func rotated(
    after position: Position
  ) throws(FileError) -> [(path: String, mark: RotatedNames.Mark)] {
    try Self.rotatedFiles(names, in: directory, of: fileSystem)
      .filter { $0.mark.sequence > position.sequence }
  }

  private static func rotatedFiles(
    _ names: RotatedNames, in directory: String, of fileSystem: any FileSystem
  ) throws(FileError) -> [(path: String, mark: RotatedNames.Mark)] {
    try fileSystem.list(directory).compactMap { name in
      names.mark(of: name).map { ("\(directory)/\(name)", $0) }
    }
  }
}
