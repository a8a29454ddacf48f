internal import Glibc
package import Records

// Invariants:
// - A line is `+` or `-`, the 16 hexadecimal digits of a hash, and a line end. The hashes in force are the result of
//   the lines up to `mark`, in order.
// - A file only grows at its end. Lines after the mark of the newest checkpoint belong to no checkpoint, and are cut
//   off when the list is opened.
// - A file is kept while one of the last `keep` checkpoints names it.

/// The done splits, each known by a hash, in files `done-NNNNNNNNNN.list` beside the checkpoints of a stream. A
/// checkpoint contains the number and the length of one of them.
package struct DoneList: Sendable {
  private static let lineBytes = 18
  /// A new file is begun when this one has this many more lines than there are hashes, and twice as many.
  private static let mostSpareLines = 1000

  private let directory: String
  private let keep: Int
  private let fileSystem: any FileSystem
  /// The hashes of the done splits.
  package private(set) var hashes: Set<UInt64> = []
  private var file: (any File)?
  private var mark: DoneListMark
  private var lastMarks: [DoneListMark] = []

  /// Reads the list in the state of a checkpoint.
  ///
  /// - Parameters:
  ///   - mark: the mark in the checkpoint; nil for an empty list.
  ///   - keep: the number of checkpoints to which the stream may go back.
  package init(
    in directory: String, at mark: DoneListMark?, keep: Int, of fileSystem: any FileSystem
  ) throws(StorageError) {
    self.directory = directory
    self.keep = keep
    self.fileSystem = fileSystem
    self.mark = mark ?? DoneListMark(file: 0, byteCount: 0)
    guard let mark else { return }
    let path = path(mark.file)
    let bytes: [UInt8]
    do throws(FileError) {
      let file = try fileSystem.open(path, for: .reading)
      bytes = try file.bytes(from: 0, count: mark.byteCount)
    } catch {
      throw .file(error)
    }
    guard bytes.count == mark.byteCount, let hashes = Self.replay(bytes) else {
      throw .content(
        path: path,
        .unexpected(
          part: "the list", expected: "\(mark.byteCount / Self.lineBytes) lines of hashes",
          found: "something else"))
    }
    self.hashes = hashes
  }

  /// Adds changes and makes them durable.
  ///
  /// - Returns: the mark for the checkpoint with these changes; nil while there was no change.
  package mutating func commit(_ changes: DoneChanges) throws(StorageError) -> DoneListMark? {
    do throws(FileError) {
      if !changes.isEmpty {
        hashes.subtract(changes.removed)
        hashes.formUnion(changes.added)
        let lines = mark.byteCount / Self.lineBytes + changes.added.count + changes.removed.count
        if lines > 2 * hashes.count + Self.mostSpareLines {
          try rewrite()
        } else {
          try append(
            Self.lines(of: changes.removed, sign: "-") + Self.lines(of: changes.added, sign: "+"))
        }
      }
    } catch {
      throw .file(error)
    }
    return mark.file == 0 ? nil : mark
  }

  /// Removes the files that no checkpoint names any more. Call it after a checkpoint with the last mark was written.
  package mutating func prune() {
    lastMarks = lastMarks.suffix(keep - 1) + [mark]
    guard lastMarks.count == keep, let first = lastMarks.map(\.file).min(), first > 1,
      let names = try? fileSystem.list(directory)
    else { return }
    for name in names {
      guard let number = Self.number(ofFile: name), number < first else { continue }
      // A file that stays is removed after the next checkpoint.
      try? fileSystem.remove(directory + "/" + name)
    }
  }

  private mutating func append(_ bytes: [UInt8]) throws(FileError) {
    let file = try openFile()
    try file.write(bytes)
    try file.sync()
    mark.byteCount += bytes.count
  }

  /// The current file, which ends at the mark.
  private mutating func openFile() throws(FileError) -> any File {
    if let file { return file }
    if mark.file == 0 { mark.file = try newestNumber() + 1 }
    let opened = try fileSystem.open(path(mark.file), for: .updating)
    try opened.truncate(to: mark.byteCount)
    try opened.seek(to: mark.byteCount)
    try fileSystem.syncDirectory(directory)
    file = opened
    return opened
  }

  /// Begins another file, which only has the hashes in force.
  private mutating func rewrite() throws(FileError) {
    file = nil
    mark = DoneListMark(file: max(mark.file, try newestNumber()) + 1, byteCount: 0)
    try append(Self.lines(of: hashes, sign: "+"))
  }

  /// The highest number of an existing file, which may belong to no checkpoint.
  private func newestNumber() throws(FileError) -> Int {
    try fileSystem.list(directory).compactMap { Self.number(ofFile: $0) }.max() ?? 0
  }

  // MARK: Files and lines

  private func path(_ number: Int) -> String {
    let digits = String(number)
    return
      "\(directory)/done-\(String(repeating: "0", count: 10 - digits.utf8.count))\(digits).list"
  }

  static func number(ofFile name: String) -> Int? {
    guard name.hasPrefix("done-"), name.hasSuffix(".list"), name.utf8.count == 20 else {
      return nil
    }
    return Int(name.dropFirst(5).dropLast(5))
  }

  private static func lines(of hashes: Set<UInt64>, sign: Character) -> [UInt8] {
    var lines: [UInt8] = []
    lines.reserveCapacity(hashes.count * lineBytes)
    for hash in hashes.sorted() { lines += "\(sign)\(hexDigits(hash))\n".utf8 }
    return lines
  }

  /// The hashes that result from lines; nil if the bytes are no such lines.
  private static func replay(_ bytes: [UInt8]) -> Set<UInt64>? {
    guard bytes.count % lineBytes == 0 else { return nil }
    var hashes: Set<UInt64> = []
    for start in stride(from: 0, to: bytes.count, by: lineBytes) {
      let digits = bytes[start + 1..<start + 17]
      guard let hash = UInt64(String(decoding: digits, as: UTF8.self), radix: 16),
        bytes[start + 17] == 0x0A
      else { return nil }
      switch bytes[start] {
      case UInt8(ascii: "+"): hashes.insert(hash)
      case UInt8(ascii: "-"): hashes.remove(hash)
      default: return nil
      }
    }
    return hashes
  }
}
