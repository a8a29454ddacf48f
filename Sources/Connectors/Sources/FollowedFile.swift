internal import Records
internal import Storage

/// A file that is followed, and how far it was read.
///
/// Invariant: `first` and `last` are the bytes at the start of the file and before `offset`, up to 1 KiB
/// each, as they were when they were read.
struct FollowedFile: Sendable {
  private static let mostBytes = 1024

  let file: any File
  let path: String
  let identity: FileIdentity
  /// The file that the split was first read from, of which this one may be a copy.
  let original: FileIdentity
  let split: SplitID
  /// How the first bytes that are given are read.
  let start: SplitStart
  /// The offset in the file at which the split starts.
  let splitStart: Int
  /// Whether nobody writes to the file any more: a copy, or a compressed file.
  let isFinal: Bool
  /// The file's own position.
  private(set) var offset: Int
  private(set) var hasGiven = false
  var isAbandoned = false
  /// Whether another file with contents was seen to follow.
  var isReplaced = false
  private var first: [UInt8] = []
  private var last: [UInt8] = []

  /// Goes on where a split starts.
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

  /// Goes on with a copy of the file, from the same offset.
  func moved(to copy: FileSiblings.Found) throws(FileError) -> FollowedFile {
    var moved = try FollowedFile(
      copy, split: split, start: start, splitStart: splitStart, original: original, isFinal: true)
    try copy.file.seek(to: offset)
    (moved.offset, moved.hasGiven) = (offset, hasGiven)
    (moved.first, moved.last) = (first, last)
    return moved
  }

  /// Reads on.
  ///
  /// - Returns: the number of bytes; 0 at the end, and always of a file that was abandoned.
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

  /// Whether the file was cut since it was read: it is shorter, or holds other bytes there.
  mutating func wasCut() throws(FileError) -> Bool {
    let size = try file.status().size
    if isAbandoned {
      // Its bytes are not read, so only a file that becomes shorter is seen to be cut.
      defer { offset = size }
      return size < offset
    }
    if size < offset { return true }
    return try file.bytes(from: offset - last.count, count: last.count) != last
  }

  /// Whether the bytes that were read are at the start of another file too.
  func isCopied(in other: FileSiblings.Found) throws(FileError) -> Bool {
    guard offset > 0, other.status.size >= offset, !other.isCompressed else { return false }
    guard try other.file.bytes(from: 0, count: first.count) == first else { return false }
    return try other.file.bytes(from: offset - last.count, count: last.count) == last
  }

  /// The mark of all that was read.
  func endMark() throws(FileError) -> FileMark { try mark(at: offset - splitStart) }

  /// The mark of an offset in the bytes that are given of the split.
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
