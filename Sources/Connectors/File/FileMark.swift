package import Records
package import Storage

/// An offset in a file. A later process finds the file by it, even under another name.
///
/// Inodes are reused, and a file can be copied and emptied. So the mark also contains hashes of the file's first KiB
/// and of the KiB before the offset.
package struct FileMark: Sendable, Equatable {
  private static let mostBytes = 1024
  private static let noIdentity = FileIdentity(device: 0, inode: 0)

  /// A hash (XXH3) of some bytes of a file.
  struct Digest: Sendable, Equatable {
    var byteCount: Int
    var hash: UInt64
  }

  package var identity: FileIdentity
  package var offset: Int
  /// The time of the last write to the file, in nanoseconds since 1970.
  package var modifiedNanoseconds: Int
  /// The offset in the file at which its split starts.
  package var splitStart = 0
  /// The hash of the first bytes of the file.
  var head: Digest
  /// The hash of the last bytes before the offset.
  var tail: Digest

  /// - Parameter looksAhead: whether `head` also takes in bytes after the offset, if the file only grows.
  package init(
    _ file: any File, at offset: Int, looksAhead: Bool = false
  ) throws(FileError) {
    let status = try file.status()
    identity = status.identity
    modifiedNanoseconds = max(0, status.modifiedNanoseconds)
    self.offset = offset
    let count = min(offset, Self.mostBytes)
    let headCount = looksAhead ? min(max(status.size, 0), Self.mostBytes) : count
    head = try Self.digest(of: file, from: 0, count: headCount)
    tail = try Self.digest(of: file, from: offset - count, count: count)
  }

  /// The mark of an offset in a file that was cut. Only a copy has its bytes, so it has no identity.
  ///
  /// - Parameter head: the bytes that it began with.
  init(ofCutFileAt offset: Int, head: [UInt8], modifiedNanoseconds: Int) {
    identity = Self.noIdentity
    self.offset = offset
    self.modifiedNanoseconds = max(0, modifiedNanoseconds)
    self.head = Digest(byteCount: head.count, hash: xxh3(head))
    tail = Digest(byteCount: 0, hash: xxh3([]))
  }

  /// The mark of no file, after which the file itself and its copies come.
  var beforeFile: FileMark {
    var mark = self
    mark.identity = Self.noIdentity
    mark.modifiedNanoseconds = max(0, modifiedNanoseconds - 1)
    (mark.offset, mark.splitStart) = (0, 0)
    mark.head = Digest(byteCount: 0, hash: xxh3([]))
    mark.tail = mark.head
    return mark
  }

  /// Whether `head` contains records after a header of so many bytes, so that it tells a copy from another file. A
  /// header with quotes and a byte order mark is longer.
  func holdsMore(than header: Int) -> Bool { head.byteCount > 2 * header + 4 }

  /// Whether this is the mark of a cursor.
  func isOf(_ cursor: SplitCursor) -> Bool {
    // In a compressed copy, the cursor counts compressed bytes.
    offset == splitStart + cursor.sourceOffset
  }

  /// Whether a file begins with the same bytes, and contains the same bytes before the offset.
  package func fits(_ file: any File) throws(FileError) -> Bool {
    guard try file.status().size >= max(offset, head.byteCount) else { return false }
    let tailStart = offset - tail.byteCount
    guard try Self.digest(of: file, from: 0, count: head.byteCount) == head else { return false }
    return try Self.digest(of: file, from: tailStart, count: tail.byteCount) == tail
  }

  /// Whether bytes begin like the file. True for no bytes.
  package func begins(_ bytes: [UInt8]) -> Bool {
    head.byteCount > 0 && bytes.count >= head.byteCount
      && xxh3(Array(bytes.prefix(head.byteCount))) == head.hash
  }

  private static func digest(
    of file: any File, from offset: Int, count: Int
  ) throws(FileError) -> Digest {
    let bytes = try file.bytes(from: offset, count: count)
    return Digest(byteCount: bytes.count, hash: xxh3(bytes))
  }
}

extension FileMark {
  /// As text: numbers separated by spaces.
  package var opaque: OpaqueBytes {
    let numbers: [UInt64] = [
      identity.device, identity.inode, UInt64(offset), UInt64(modifiedNanoseconds),
      UInt64(splitStart), UInt64(head.byteCount), head.hash,
      UInt64(tail.byteCount), tail.hash,
    ]
    return OpaqueBytes(numbers.map(String.init).joined(separator: " "))
  }

  /// Parses the output of `opaque`; nil for other bytes.
  package init?(_ opaque: OpaqueBytes) {
    let numbers = opaque.text.split(separator: " ").map { UInt64($0) }
    let known = numbers.compactMap(\.self)
    guard known.count == 9, numbers.count == 9,
      let offset = Int(exactly: known[2]), let modified = Int(exactly: known[3]),
      let start = Int(exactly: known[4]), known[5] <= Self.mostBytes, known[7] <= Self.mostBytes,
      known[7] <= known[2]
    else { return nil }
    identity = FileIdentity(device: known[0], inode: known[1])
    self.offset = offset
    modifiedNanoseconds = modified
    splitStart = start
    head = Digest(byteCount: Int(known[5]), hash: known[6])
    tail = Digest(byteCount: Int(known[7]), hash: known[8])
  }
}
