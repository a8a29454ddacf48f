internal import Records
internal import Storage

/// A followed file, and the position in it.
///
/// Invariant: `first` and `last` are the bytes at the start of the file and before `offset`, as they were read. Each
/// is at most 1 KiB.
struct FollowedFile: Sendable {
  private static let mostBytes = 1024

  let file: any File
  let path: String
  let identity: FileIdentity
  /// The file that the split was first read from. This one may be a copy of it.
  let original: FileIdentity
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
  private var first: [UInt8] = []
  private var last: [UInt8] = []

  /// Starts or resumes a split.
  ///
  /// - Parameter splitStart: the offset in the file at which the whole split starts.
  init(
    _ found: FileSiblings.Found, split: SplitID, start: SplitStart, splitStart: Int,
    original: FileIdentity, isFinal: Bool
  ) throws(FileError) {
    file = found.file
    path = found.path
    identity = found.status.identity
    self.original = original
    self.split = split
    self.start = start
    self.splitStart = splitStart
    self.isFinal = isFinal
    offset = splitStart + (start.container?.offset ?? start.byteOffset)
    try file.seek(to: offset)
    let count = min(offset, Self.mostBytes)
    first = try file.bytes(from: 0, count: count)
    last = try file.bytes(from: offset - count, count: count)
  }

  var name: String { path.split(separator: "/").last.map(String.init) ?? path }

  func status() throws(FileError) -> FileStatus { try file.status() }

  /// Continues with a copy of the file, at the same offset.
  func moved(to copy: FileSiblings.Found) throws(FileError) -> FollowedFile {
    var moved = try FollowedFile(
      copy, split: split, start: start, splitStart: splitStart, original: original, isFinal: true)
    try copy.file.seek(to: offset)
    (moved.offset, moved.hasGiven) = (offset, hasGiven)
    (moved.first, moved.last) = (first, last)
    return moved
  }

  /// Reads the next bytes.
  ///
  /// - Returns: the number of bytes; 0 at the end, and always 0 for an abandoned file.
  mutating func read(into buffer: UnsafeMutableRawBufferPointer) throws(FileError) -> Int {
    guard !isAbandoned else { return 0 }
    let count = try file.read(into: buffer)
    guard count > 0 else { return 0 }
    hasGiven = true
    offset += count
    if first.count < Self.mostBytes {
      first += buffer[..<min(count, Self.mostBytes - first.count)]
    }
    let kept = max(0, Self.mostBytes - count)
    if last.count > kept { last.removeFirst(last.count - kept) }
    last += buffer[max(0, count - Self.mostBytes)..<count]
    return count
  }

  /// Whether the file was cut since it was read: it is shorter, or has other bytes before the offset.
  mutating func wasCut() throws(FileError) -> Bool {
    let size = try file.status().size
    if isAbandoned {
      // An abandoned file is not read, so only a smaller size shows that it was cut.
      defer { offset = size }
      return size < offset
    }
    if size < offset { return true }
    return try file.bytes(from: offset - last.count, count: last.count) != last
  }

  /// Whether another file begins with the bytes that were read.
  func isCopied(in other: FileSiblings.Found) throws(FileError) -> Bool {
    guard offset > 0, other.status.size >= offset, !other.isCompressed else { return false }
    guard try other.file.bytes(from: 0, count: first.count) == first else { return false }
    return try other.file.bytes(from: offset - last.count, count: last.count) == last
  }

  /// The mark after all bytes that were read.
  func endMark() throws(FileError) -> FileMark { try mark(at: offset - splitStart) }

  /// The mark at an offset in the bytes of the split.
  func mark(at sourceOffset: Int) throws(FileError) -> FileMark {
    var mark = try FileMark(file, at: splitStart + sourceOffset)
    mark.splitStart = splitStart
    mark.isContinued = start.header == .optional
    return mark
  }
}

extension FileSiblings.Found {
  /// The same file from its beginning, after it was cut.
  init(again cut: FollowedFile) {
    path = cut.path
    file = cut.file
    status = FileStatus(kind: .regular, identity: cut.identity, size: 0)
    isCompressed = false
  }
}
