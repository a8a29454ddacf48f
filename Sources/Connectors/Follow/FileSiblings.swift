internal import Records
internal import Storage

/// The files beside a rotated file. Some of them are earlier versions of it.
///
/// The siblings of `log.csv` have names such as `log.csv.1`, `log.csv-20261127` and `log-20261127.csv`, optionally
/// with `.zst` or the extension of another compression.
struct FileSiblings: Sendable {
  /// Extensions of compressed files. The first bytes tell whether a file can be decompressed.
  private static let compressions = ["zst", "gz", "xz", "bz2", "lz4", "Z", "lzma"]

  /// Names that change during so many looks are taken as they are.
  private static let mostLooks = 8

  /// An opened sibling.
  struct Found {
    let path: String
    let file: any File
    let status: FileStatus
    /// Whether the file must be decompressed to get the bytes of the rotated file.
    let isCompressed: Bool

    var name: String { path.split(separator: "/").last.map(String.init) ?? path }

    /// Whether another file begins with the whole of this one, by its first and its last KiB.
    func isStart(of other: any File) throws(FileError) -> Bool {
      let size = status.size
      guard !isCompressed, try other.status().size >= size else { return false }
      let count = min(size, 1024)
      for start in [0, size - count] {
        let (a, b) = (
          try other.bytes(from: start, count: count), try file.bytes(from: start, count: count)
        )
        if a != b { return false }
      }
      return true
    }
  }

  /// The last file that was read. The siblings to find are newer.
  struct Predecessor {
    /// Nil if only its mark is known.
    let file: FollowedFile?
    let mark: FileMark?
    /// The files whose splits have ended. A writer may have written further to them.
    let read: [FollowedFile]
    /// The file at the path. It is no sibling.
    let live: Found?

    /// Returns nil if no file was read before.
    init?(file: FollowedFile?, mark: FileMark?, read: [FollowedFile], live: Found?) {
      guard file != nil || mark != nil else { return nil }
      (self.file, self.mark, self.read, self.live) = (file, mark, read, live)
    }

    /// Whether a compressed file with the same time, whose start is given, holds what was read.
    func isCompressed(in start: [UInt8]) -> Bool {
      file?.begins(start) ?? mark?.begins(start) ?? false
    }

    /// Whether a sibling was read, or is a copy of the last file that was.
    func covers(sibling found: Found) throws(FileError) -> Bool {
      let identity = found.status.identity
      let known = [live?.status.identity, file?.identity] + read.map(\.identity)
      if known.contains(identity) { return true }
      // A log is copied before it is emptied.
      if let live, try found.isStart(of: live.file) { return true }
      // Many logs begin as a file that was cut, if only its header was read.
      if let file, file.tellsCopies || file.writtenBeforeCut == nil,
        try file.isCopied(in: found)
      {
        return true
      }
      return try isMarked(found)
    }

    /// Whether the file at the path is the one that was read to its end.
    func covers(live found: Found) throws(FileError) -> Bool {
      guard file == nil else { return false }
      return try isMarked(found)
    }

    private func isMarked(_ found: Found) throws(FileError) -> Bool {
      guard let mark, !found.isCompressed else { return false }
      // Many files begin alike, such as with a header: another file is a copy only if it holds no more.
      let isItself = mark.identity == found.status.identity
      guard isItself || mark.offset > 0 && mark.offset == found.status.size else { return false }
      return try mark.fits(found.file)
    }
  }

  private let directory: String
  let name: String
  private let fileSystem: any FileSystem
  private let decompressedStart: @Sendable ([UInt8]) -> [UInt8]?

  init(of path: String, _ context: SourceContext) {
    directory = parentDirectory(of: path)
    name = path.split(separator: "/").last.map(String.init) ?? path
    fileSystem = context.fileSystem
    decompressedStart = context.decompressedStart
  }

  /// An earlier file that was found.
  struct Match {
    let found: Found
    /// Whether it is the file itself, not a copy.
    let isItself: Bool
  }

  /// Finds the file of a mark: the file itself under any name in the directory, otherwise a sibling with the same
  /// bytes.
  ///
  /// - Parameter acceptsCopy: whether the mark contains enough to recognise a copy.
  func find(_ mark: FileMark, acceptsCopy: Bool) throws(FileError) -> Match? {
    try whileNamesStay { () throws(FileError) in try lookFor(mark, acceptsCopy: acceptsCopy) }
  }

  private func lookFor(_ mark: FileMark, acceptsCopy: Bool) throws(FileError) -> Match? {
    // Most files still have their old name.
    for name in [name] + (try fileSystem.list(directory)) {
      guard try identity(of: name) == mark.identity, let found = try open(name),
        try mark.fits(found.file)
      else { continue }
      return Match(found: found, isItself: true)
    }
    guard acceptsCopy else { return nil }
    for found in [try open(name)].compactMap(\.self) + (try all()) {
      var isCopy = false
      // An older file may begin alike.
      guard found.status.modifiedNanoseconds >= mark.modifiedNanoseconds else { continue }
      if !found.isCompressed {
        isCopy = try mark.fits(found.file)
      } else if let start = try start(of: found) {
        isCopy = mark.begins(start)
      }
      if isCopy { return Match(found: found, isItself: false) }
    }
    return nil
  }

  /// The siblings that were written after another file, the oldest first, and the paths of those that cannot be
  /// decompressed.
  func later(
    than before: Predecessor
  ) throws(FileError) -> (found: [Found], unreadable: [String]) {
    try whileNamesStay { () throws(FileError) in try lookAfter(before) }
  }

  private func lookAfter(
    _ before: Predecessor
  ) throws(FileError) -> (found: [Found], unreadable: [String]) {
    var time = before.mark?.modifiedNanoseconds ?? 0
    if let file = before.file { time = try file.lastWriteNanoseconds() }
    var later: [Found] = []
    var unreadable: [String] = []
    for found in try all() {
      let (written, name) = (found.status.modifiedNanoseconds, before.file?.name)
      let isLater =
        written > time || written == time && name.map { isOlder($0, found.name) } == true
      guard isLater, found.status.size > 0, try !before.covers(sibling: found) else { continue }
      guard found.isCompressed else {
        later.append(found)
        continue
      }
      guard let start = try start(of: found) else {
        unreadable.append(found.path)
        continue
      }
      if written > time || !before.isCompressed(in: start) { later.append(found) }
    }
    return (later.sorted(by: isOlder), unreadable)
  }

  /// The copy in which a file that was cut goes on; nil if there is none.
  func rest(of cut: FollowedFile) throws(FileError) -> Found? {
    try whileNamesStay { () throws(FileError) in try lookForRest(of: cut) }
  }

  private func lookForRest(of cut: FollowedFile) throws(FileError) -> Found? {
    // An older file may begin alike.
    let time = cut.writtenBeforeCut ?? 0
    var copy: Found?
    for found in try all().sorted(by: isOlder) where found.status.modifiedNanoseconds >= time {
      if let known = copy {
        // A later log may begin alike too, such as with the same header. Another copy begins with the whole of this one.
        if !found.isCompressed, try known.isStart(of: found.file) { copy = found }
      } else if try cut.isCopied(in: found) {
        copy = found
      } else if !cut.tellsCopies, found.status.size > 0, found.status.modifiedNanoseconds > time {
        // A log that came after the cut, so there was no copy.
        return nil
      }
    }
    return copy
  }

  /// Does what looks at several names, and does it again if one of them led elsewhere meanwhile.
  private func whileNamesStay<Result>(
    _ look: () throws(FileError) -> Result
  ) throws(FileError) -> Result {
    var before = try standing()
    for _ in 1..<Self.mostLooks {
      let result = try look()
      let after = try standing()
      if after == before { return result }
      before = after
    }
    return try look()
  }

  /// The files that stand in the directory, by name.
  private func standing() throws(FileError) -> [Name: FileIdentity] {
    var standing: [Name: FileIdentity] = [:]
    for name in try fileSystem.list(directory) { standing[Name(name)] = try identity(of: name) }
    return standing
  }

  /// All siblings, opened.
  private func all() throws(FileError) -> [Found] {
    let names = try fileSystem.list(directory)
    let present = Set(names.asNames)
    var found: [Found] = []
    for name in names where isSibling(name) {
      // While a tool compresses a file, both files exist.
      if let plain = withoutCompression(name), present.contains(Name(plain)) { continue }
      if let sibling = try open(name) { found.append(sibling) }
    }
    return found
  }

  /// Opens a regular file; nil if the file is of another kind or does not exist.
  func open(_ name: String) throws(FileError) -> Found? {
    let path = directory == "." ? name : directory + "/" + name
    do throws(FileError) {
      // Opening a FIFO would wait for a writer.
      guard try fileSystem.status(of: path).kind == .regular else { return nil }
      let file = try fileSystem.open(path, for: .reading)
      let status = try file.status()
      let isCompressed = withoutCompression(name) != nil && name != self.name
      return Found(path: path, file: file, status: status, isCompressed: isCompressed)
    } catch  where error.isMissing {
      return nil
    }
  }

  /// The first decompressed bytes of a compressed file; nil if it cannot be decompressed.
  private func start(of found: Found) throws(FileError) -> [UInt8]? {
    decompressedStart(try found.file.bytes(from: 0, count: 128 << 10))
  }

  private func identity(of name: String) throws(FileError) -> FileIdentity? {
    try fileSystem.identity(of: directory + "/" + name)
  }

  // MARK: Names

  /// Whether a name has the form of a rotated file's name.
  func isSibling(_ candidate: String) -> Bool {
    let plain = withoutCompression(candidate) ?? candidate
    guard plain != name else { return candidate != name }
    if plain.hasPrefix(name) { return isRotation(plain.dropFirst(name.count)) }
    let parts = name.split(separator: ".", maxSplits: 1)
    guard parts.count == 2, plain.hasPrefix(parts[0]), plain.hasSuffix("." + parts[1]),
      plain.count > name.count
    else { return false }
    return isRotation(plain.dropFirst(parts[0].count).dropLast(parts[1].count + 1))
  }

  /// Whether a text has the form of a rotation's suffix: `.1`, `-20261127`, `-20261127T091500Z-000001`, `.old`.
  private func isRotation(_ text: Substring) -> Bool {
    guard let first = text.first, ".-_".contains(first), text.count > 1 else { return false }
    if text.dropFirst() == "old" { return true }
    return text.contains { $0.isNumber }
      && text.allSatisfy { $0.isASCII && ($0.isNumber || ".-_:TZ".contains($0)) }
  }

  private func withoutCompression(_ name: String) -> String? {
    let parts = name.split(separator: ".")
    guard let last = parts.last, parts.count > 1, Self.compressions.contains(String(last)) else {
      return nil
    }
    return String(name.dropLast(last.count + 1))
  }

  /// Whether the first of two files was written before the other one, as far as times and names tell.
  private func isOlder(_ a: Found, _ b: Found) -> Bool {
    let (x, y) = (a.status.modifiedNanoseconds, b.status.modifiedNanoseconds)
    return x == y ? isOlder(a.name, b.name) : x < y
  }

  /// For two files with the same time: whether the name of the first is older. A number counts rotations, so the
  /// greater is older. A date counts time.
  private func isOlder(_ a: String, _ b: String) -> Bool {
    if let x = rotationNumber(a), let y = rotationNumber(b) { return x > y }
    return a < b
  }

  private func rotationNumber(_ path: String) -> Int? {
    let plain = withoutCompression(path) ?? path
    guard let last = plain.split(separator: ".").last, last.count <= 4 else { return nil }
    return Int(last)
  }
}
