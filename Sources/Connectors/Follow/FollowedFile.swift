internal import Records
internal import Storage

/// A followed file, and the position in it.
///
/// Invariant: `first` and `last` are the bytes at the start of the file and before `offset`, as they were read. Each
/// is at most 1 KiB. `first` also contains unread bytes that were there when the file was opened.
struct FollowedFile: Sendable {
  private static let mostBytes = 1024
  /// So many bytes may be a header, which each new log repeats.
  private static let mostHeaderBytes = 64 << 10

  let file: any File
  let path: String
  let identity: FileIdentity
  let split: SplitID
  /// The start of the split, for its first bytes.
  let start: SplitStart
  /// The offset in the file at which the split starts.
  let splitStart: Int
  /// Whether no process writes to the file any more: a copy, or a compressed file.
  let isFinal: Bool
  /// The position in the file.
  private(set) var offset: Int
  private(set) var hasGiven = false
  var isAbandoned = false
  /// Whether a later file has contents.
  var isReplaced = false
  /// When the file was last written to before it was seen to be cut; nil while it was not.
  private(set) var writtenBeforeCut: Int?
  /// When the file was written to before the last look that found bytes.
  private var modifiedNanoseconds: Int
  private var first: [UInt8] = []
  private var last: [UInt8] = []

  /// Starts or resumes a split.
  ///
  /// - Parameter splitStart: the offset in the file at which the whole split starts.
  init(
    _ found: FileSiblings.Found, split: SplitID, start: SplitStart, splitStart: Int,
    isFinal: Bool
  ) throws(FileError) {
    file = found.file
    path = found.path
    identity = found.status.identity
    modifiedNanoseconds = found.status.modifiedNanoseconds
    self.split = split
    self.start = start
    self.splitStart = splitStart
    self.isFinal = isFinal
    offset = splitStart + (start.container?.offset ?? start.byteOffset)
    try file.seek(to: offset)
    let count = min(offset, Self.mostBytes)
    first = try file.bytes(from: 0, count: min(found.status.size, Self.mostBytes))
    last = try file.bytes(from: offset - count, count: count)
  }

  var name: String { path.split(separator: "/").last.map(String.init) ?? path }

  func status() throws(FileError) -> FileStatus { try file.status() }

  /// The file as it was at the last look that found bytes. Nil if it was not written to since, or if the bytes that were
  /// read tell it from others.
  func beforeRead() throws(FileError) -> FollowedFile? {
    guard offset <= Self.mostHeaderBytes, !isFinal, !isAbandoned,
      try file.status().modifiedNanoseconds != modifiedNanoseconds
    else { return nil }
    var before = self
    before.writtenBeforeCut = modifiedNanoseconds
    return before
  }

  /// When the bytes that were read, or are still to be read, were last added to, in nanoseconds since 1970.
  func lastWriteNanoseconds() throws(FileError) -> Int {
    if let writtenBeforeCut { return writtenBeforeCut }
    return try file.status().modifiedNanoseconds
  }

  /// Continues with a copy of the file, at the same offset.
  func moved(
    to copy: FileSiblings.Found, isFinal: Bool = true
  ) throws(FileError) -> FollowedFile {
    var moved = try FollowedFile(
      copy, split: split, start: start, splitStart: splitStart, isFinal: isFinal)
    try copy.file.seek(to: offset)
    (moved.offset, moved.hasGiven, moved.isAbandoned) = (offset, hasGiven, isAbandoned)
    (moved.first, moved.last) = (first, last)
    return moved
  }

  /// Reads the next bytes.
  ///
  /// - Returns: the number of bytes; 0 at the end, and always 0 for an abandoned file. Nil if the file was cut
  ///   since it was read; then the bytes in the buffer are not the next ones of the split.
  mutating func read(into buffer: UnsafeMutableRawBufferPointer) throws(FileError) -> Int? {
    let count = isAbandoned ? 0 : try file.read(into: buffer)
    // After reading: before, it would say nothing of these bytes.
    if !isFinal, try wasCut(afterBytes: count) {
      writtenBeforeCut = modifiedNanoseconds
      return nil
    }
    guard count > 0 else { return 0 }
    hasGiven = true
    let known = first.count - offset
    if first.count < Self.mostBytes, known < count {
      first += buffer[known..<min(count, known + Self.mostBytes - first.count)]
    }
    offset += count
    let kept = max(0, Self.mostBytes - count)
    if last.count > kept { last.removeFirst(last.count - kept) }
    last += buffer[max(0, count - Self.mostBytes)..<count]
    return count
  }

  /// Whether the file was cut since it was read: it is shorter, or has other bytes before the offset.
  ///
  /// - Parameter count: the bytes that were just read.
  private mutating func wasCut(afterBytes count: Int) throws(FileError) -> Bool {
    let status = try file.status()
    // An abandoned file is not read, so only a smaller size shows that it was cut.
    if isAbandoned {
      guard status.size >= offset else { return true }
      offset = status.size
      return false
    }
    guard try holdsItsBytes() else { return true }
    // An empty log may have been filled, copied and emptied. Its copy is later than the last look that found bytes.
    if count > 0 { modifiedNanoseconds = status.modifiedNanoseconds }
    return false
  }

  private func holdsItsBytes() throws(FileError) -> Bool {
    guard try file.status().size >= max(offset, first.count) else { return false }
    if offset < first.count { return try file.bytes(from: 0, count: first.count) == first }
    return try file.bytes(from: offset - last.count, count: last.count) == last
  }

  /// Whether another file is a copy of this one. This one may have been cut or written to since.
  func isCopied(in other: FileSiblings.Found) throws(FileError) -> Bool {
    guard !other.isCompressed, !first.isEmpty, other.status.size >= first.count,
      try other.file.bytes(from: 0, count: first.count) == first
    else { return false }
    // `last` is not before the offset of an abandoned file, and nothing more of it is read.
    if isAbandoned { return other.status.size >= offset }
    guard try holdsItsBytes() else {
      guard other.status.size >= offset else { return false }
      return try other.file.bytes(from: offset - last.count, count: last.count) == last
    }
    // The start alone, such as a header, may be that of many files.
    return try other.isStart(of: file)
  }

  /// Whether the bytes that were read tell a copy of the file from others. Its first line alone may be a header, which
  /// each new log repeats; but one of JSON is a record.
  var tellsCopies: Bool {
    if offset > Self.mostHeaderBytes { return true }
    let lineEnds = first.prefix(offset).count { $0 == 0x0A }
    return lineEnds > (first.first == UInt8(ascii: "{") ? 0 : 1)
  }

  /// Whether another file begins with the bytes that were read, by the first and the last KiB of them.
  func isContinued(in other: any File) throws(FileError) -> Bool {
    guard try other.status().size >= offset else { return false }
    let start = Array(first.prefix(offset))
    guard try other.bytes(from: 0, count: start.count) == start else { return false }
    return try other.bytes(from: offset - last.count, count: last.count) == last
  }

  /// Whether bytes begin as the file does; nothing can be said of none.
  func begins(_ bytes: [UInt8]) -> Bool { !first.isEmpty && bytes.starts(with: first) }

  /// The mark after all bytes that were read.
  func endMark() throws(FileError) -> FileMark { try mark(at: offset - splitStart) }

  /// The mark at an offset in the bytes of the split.
  func mark(at sourceOffset: Int) throws(FileError) -> FileMark {
    let offset = splitStart + sourceOffset
    // A file that was cut holds other bytes now.
    let isWhole = isFinal || isAbandoned ? true : try holdsItsBytes()
    var mark =
      isWhole
      ? try FileMark(file, at: offset, looksAhead: true)
      : FileMark(ofCutFileAt: offset, head: first, modifiedNanoseconds: modifiedNanoseconds)
    mark.splitStart = splitStart
    return mark
  }
}

extension FileSiblings.Found {
  /// The same file from its beginning, after it was cut.
  init(again cut: FollowedFile) throws(FileError) {
    path = cut.path
    file = cut.file
    status = try cut.status()
    isCompressed = false
  }
}
