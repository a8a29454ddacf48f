import Foundation
import Glibc
import TestSupport
import Testing

@testable import Storage

struct CheckpointStoreTests {
  let files = POSIXFileSystem()
  let directory: TemporaryDirectory
  private var stream: String { directory.file("stream") }

  init() throws { directory = try TemporaryDirectory() }

  private func store(
    keep: Int = 5, in fileSystem: any FileSystem = POSIXFileSystem()
  ) throws -> CheckpointStore {
    try CheckpointStore(directory: stream, keep: keep, in: fileSystem)
  }

  /// A small checkpoint that its number of batches tells from others.
  private func checkpoint(_ batches: Int) -> Checkpoint {
    var checkpoint = Checkpoint(features: ["a"])
    checkpoint.batchesTracked = batches
    return checkpoint
  }

  private func name(_ number: Int) -> String {
    let digits = String(number)
    return "checkpoint-" + String(repeating: "0", count: 10 - digits.count) + digits
      + ".safetensors"
  }

  private func path(_ number: Int) -> String { stream + "/" + name(number) }

  private var names: [String] { get throws { try files.list(stream) } }

  private func put(_ bytes: [UInt8], at path: String) throws {
    let file = try files.open(path, for: .writing)
    try file.write(bytes)
  }

  @Test func `a store without checkpoints has none, and its directory is made`() throws {
    #expect(try store().newest() == nil)
    #expect(try files.status(of: stream).kind == .directory)
  }

  @Test func `generations ascend and the newest is found`() throws {
    let store = try store()
    for number in 1...3 { #expect(try store.write(checkpoint(number)) == path(number)) }
    #expect(try names == [name(1), name(2), name(3)])
    #expect(
      try self.store().newest()
        == .init(checkpoint: checkpoint(3), path: path(3), skipped: []))
  }

  @Test func `a number grows beyond those that sort as text only with their zeros`() throws {
    try store().write(checkpoint(1))
    try files.rename(path(1), to: path(99_999))
    #expect(try store().write(checkpoint(2)) == path(100_000))
    #expect(try store().newest()?.checkpoint == checkpoint(2))
  }

  @Test(arguments: [1, 2, 5])
  func `as many generations stay as are to be kept, the newest ones`(keep: Int) throws {
    let store = try store(keep: keep)
    for number in 1...7 {
      try store.write(checkpoint(number))
      #expect(try names == (max(1, number - keep + 1)...number).map(name))
    }
  }

  @Test func `fewer to keep than before takes effect with the next write`() throws {
    for number in 1...5 { try store().write(checkpoint(number)) }
    let store = try store(keep: 2)
    #expect(try names.count == 5)
    try store.write(checkpoint(6))
    #expect(try names == [name(5), name(6)])
  }

  @Test func `an old generation that cannot be removed is no error and is tried again`() throws {
    let failing = FailingFileSystem(.remove, on: [path(1)])
    let store = try store(keep: 1, in: failing)
    for number in 1...3 { try store.write(checkpoint(number)) }
    #expect(try names == [name(1), name(3)])
    try self.store(keep: 1).write(checkpoint(4))
    #expect(try names == [name(4)])
  }

  @Test func `every truncation of the newest falls back to the one before and says so`() throws {
    let store = try store()
    try store.write(checkpoint(1))
    try store.write(checkpoint(2))
    let bytes = try files.contents(of: path(2), limit: 1 << 20)
    for count in bytes.indices {
      try put(Array(bytes[..<count]), at: path(2))
      let found = try #require(try store.newest())
      #expect(found.checkpoint == checkpoint(1) && found.path == path(1), "\(count) bytes")
      #expect(found.skipped.count == 1, "\(count) bytes")
      #expect(found.skipped.allSatisfy { "\($0)".hasPrefix(path(2) + ": ") }, "\(count) bytes")
    }
    try put(bytes, at: path(2))
    #expect(try store.newest()?.checkpoint == checkpoint(2))
  }

  @Test func `every flipped byte of the newest falls back to the one before`() throws {
    let store = try store()
    try store.write(checkpoint(1))
    try store.write(checkpoint(2))
    let bytes = try files.contents(of: path(2), limit: 1 << 20)
    for index in bytes.indices {
      var flipped = bytes
      flipped[index] ^= 0xFF
      try put(flipped, at: path(2))
      let found = try #require(try store.newest())
      #expect(found.checkpoint == checkpoint(1) && found.skipped.count == 1, "byte \(index)")
    }
  }

  @Test func `all that is damaged is told, the newest first`() throws {
    let store = try store()
    for number in 1...4 { try store.write(checkpoint(number)) }
    try put([], at: path(3))
    try files.open(path(4), for: .writing).truncate(to: Safetensors.fileLimit + 1)
    let found = try #require(try store.newest())
    #expect(found.checkpoint == checkpoint(2))
    #expect(
      found.skipped.map(\.description) == [
        "\(path(4)): expected at most 268435456 bytes, found 268435457",
        "\(path(3)): file: expected a safetensors file of 8 bytes or more, found 0",
      ])
  }

  @Test func `where none is whole the error names them, a few of many`() throws {
    let store = try store()
    try store.write(checkpoint(1))
    try put([], at: path(1))
    let reason = "file: expected a safetensors file of 8 bytes or more, found 0"
    #expect(
      message { try store.newest() }
        == "\(stream): no checkpoint is whole: \(path(1)): \(reason)")
    for number in 2...5 { try put([], at: path(number)) }
    #expect(
      message { try store.newest() }
        == "\(stream): no checkpoint is whole: "
        + [5, 4, 3].map { "\(path($0)): \(reason)" }.joined(separator: "; ") + "; and 2 more")
  }

  @Test func `a damaged newest is not written over`() throws {
    let store = try store()
    try store.write(checkpoint(1))
    try put([1, 2, 3], at: path(2))
    #expect(try store.write(checkpoint(3)) == path(3))
    #expect(try files.contents(of: path(2), limit: 10) == [1, 2, 3])
    #expect(try store.newest()?.checkpoint == checkpoint(3))
  }

  @Test func `what is gone back to is the newest, and what was passed over for it is gone`() throws
  {
    let store = try store(keep: 3)
    for number in 1...4 { try store.write(checkpoint(number)) }
    let whole = try files.contents(of: path(3), limit: 1 << 20)
    for number in 3...4 { try put([1], at: path(number)) }
    let found = try #require(try store.newest())
    try store.goBack(to: found, as: checkpoint(20))
    // The damaged ones count no more among those that stay.
    #expect(try names == [name(2), name(5)])
    #expect(
      try store.newest() == .init(checkpoint: checkpoint(20), path: path(5), skipped: []))
    // A bad sector may be readable again; then another is damaged.
    try put(whole, at: path(3))
    try store.goBack(to: try #require(try store.newest()), as: checkpoint(21))
    #expect(try names == [name(3), name(5), name(6)])
  }

  @Test func `a newer format version is an error and no reason to fall back`() throws {
    let store = try store()
    try store.write(checkpoint(1))
    try put(inVersion3(checkpoint(2)), at: path(2))
    #expect(
      throws: StorageError.content(path: path(2), .newerVersion(found: "3", supported: 2))
    ) { try store.newest() }
    // A damaged one above it changes nothing.
    try put([], at: path(3))
    #expect(message { try store.newest() }.contains("format version 3"))
    // A file older than a whole one does not matter.
    try store.write(checkpoint(4))
    #expect(try store.newest()?.checkpoint == checkpoint(4))
  }

  /// The bytes of a checkpoint that says it is of format version 3, with a checksum that fits.
  private func inVersion3(_ checkpoint: Checkpoint) throws -> [UInt8] {
    var bytes = try checkpoint.serialized()
    let key = Array(#""evenkeel.version":""#.utf8)
    let start = try #require(bytes.indices.first { bytes[$0...].starts(with: key) })
    bytes[start + key.count] = UInt8(ascii: "3")
    let digits = try FileChecksum.range(in: bytes)
    bytes.replaceSubrange(digits, with: FileChecksum.blank.utf8)
    bytes.replaceSubrange(digits, with: FileChecksum.compute(bytes).utf8)
    return bytes
  }

  @Test func `a bad sector is damage, a file that may not be read is an error`() throws {
    for number in 1...2 { try store().write(checkpoint(number)) }
    let found = try store(in: FailingFileSystem(.read, on: [path(2)])).newest()
    #expect(found?.checkpoint == checkpoint(1))
    #expect(
      found?.skipped == [.file(FileError(operation: .read, path: path(2), errno: EIO))])
    for errno in [EACCES, EMFILE] {
      #expect(
        throws: StorageError.file(FileError(operation: .open, path: path(2), errno: errno))
      ) { try store(in: FailingFileSystem(.open, errno: errno, on: [path(2)])).newest() }
    }
    #expect(
      message { try store(in: FailingFileSystem(.list)) }
        == "cannot list \(stream): Input/output error")
  }

  @Test func `names of other files are passed over and stay`() throws {
    try files.createDirectories(stream)
    let foreign = [
      ".evenkeel-notes", "checkpoint-+000000009.safetensors", "checkpoint-000000009.safetensors",
      "checkpoint-00000000009.safetensors", "checkpoint-0000000009.safetensors.bak",
      "checkpoint-000000000a.safetensors", "checkpoint-0000000٩.safetensors",
      "checkpoint-v2.safetensors", "dead-letters.ndjson", "xcheckpoint-0000000009.safetensors",
    ]
    for name in foreign { try put([1], at: stream + "/" + name) }
    let store = try store(keep: 1)
    #expect(try store.newest() == nil)
    #expect(try store.write(checkpoint(1)) == path(1))
    #expect(try store.write(checkpoint(2)) == path(2))
    #expect(try store.newest()?.skipped == [])
    #expect(try Set(names) == Set(foreign + [name(2)]))
  }

  @Test func `temporary files of dead runs are never read, and removed at the start`() throws {
    try store().write(checkpoint(1))
    let leftovers = [".evenkeel-1-1.tmp", ".evenkeel-\(getpid())-999999.tmp"]
    for name in leftovers { try put([1, 2], at: stream + "/" + name) }
    _ = try store(in: FailingFileSystem(.remove))
    #expect(try names.count == 3, "a leftover that cannot be removed is no error")
    #expect(try store().newest()?.checkpoint == checkpoint(1))
    #expect(try names == [name(1)])
  }

  @Test func `after the last number nothing is written`() throws {
    let store = try store(keep: 1)
    try store.write(checkpoint(1))
    try files.rename(path(1), to: path(9_999_999_998))
    #expect(try store.write(checkpoint(2)) == path(9_999_999_999))
    #expect(
      message { try store.write(checkpoint(3)) }
        == "\(path(9_999_999_999)): no number is left for the next checkpoint")
    #expect(try names == [name(9_999_999_999)])
    #expect(try store.newest()?.checkpoint == checkpoint(2))
  }

  @Test(arguments: [FileError.Operation.create, .write, .sync, .close, .rename])
  func `a full disk leaves the older generations`(operation: FileError.Operation) throws {
    for number in 1...2 { try store().write(checkpoint(number)) }
    let full = try store(keep: 1, in: FailingFileSystem(operation, errno: ENOSPC))
    #expect(message { try full.write(checkpoint(3)) }.hasSuffix("No space left on device"))
    #expect(try names == [name(1), name(2)])
    #expect(
      try store().newest() == .init(checkpoint: checkpoint(2), path: path(2), skipped: []))
    #expect(try store().write(checkpoint(3)) == path(3), "once there is room again")
  }

  @Test func `a directory that cannot be synced is an error, and nothing is removed`() throws {
    for number in 1...2 { try store().write(checkpoint(number)) }
    let failing = try store(
      keep: 1, in: FailingFileSystem(.syncDirectory, on: [stream], sparing: 1))
    #expect(
      message { try failing.write(checkpoint(3)) }
        == "cannot sync directory \(stream): Input/output error")
    #expect(try names == [name(1), name(2), name(3)])
    #expect(try store().write(checkpoint(4)) == path(4), "the number is not given twice")
  }

  @Test func `a checkpoint that is not valid is not written`() throws {
    var invalid = checkpoint(1)
    invalid.weight = [.nan]
    #expect(message { try store().write(invalid) }.hasPrefix("\(path(1)): weight of feature 'a'"))
    #expect(try names == [])
  }

  @Test func `a read-only or unusable directory is an error`() throws {
    #expect(
      message { try store(in: FailingFileSystem(.createDirectory, errno: EROFS)) }
        == "cannot create directory \(stream): Read-only file system")
    let readOnly = try store(in: FailingFileSystem(.create, errno: EROFS))
    #expect(
      message { try readOnly.write(checkpoint(1)) }
        == "cannot create \(path(1)): Read-only file system")
    try put([], at: directory.file("file"))
    #expect(
      message { try CheckpointStore(directory: directory.file("file"), keep: 1, in: files) }
        == "cannot create directory \(directory.file("file")): File exists")
  }

  // Root may write anywhere.
  @Test(.enabled(if: geteuid() != 0))
  func `a directory without the right to write is an error`() throws {
    let store = try store()
    try store.write(checkpoint(1))
    #expect(chmod(stream, 0o500) == 0)
    defer { chmod(stream, 0o700) }
    #expect(
      message { try store.write(checkpoint(2)) } == "cannot create \(path(2)): Permission denied")
    #expect(try store.newest()?.checkpoint == checkpoint(1))
  }

  @Test func `the names of new directories are made durable, level by level`() throws {
    let deep = directory.file("x/y/z")
    for parent in [directory.path, directory.file("x"), directory.file("x/y")] {
      let failing = FailingFileSystem(.syncDirectory, on: [parent])
      #expect(
        message { try CheckpointStore(directory: deep, keep: 1, in: failing) }
          == "cannot sync directory \(parent): Input/output error")
    }
    let closed = FailingFileSystem(.syncDirectory, errno: EACCES, on: [directory.file("x/y")])
    #expect(throws: Never.self) { try CheckpointStore(directory: deep, keep: 1, in: closed) }
  }
}
