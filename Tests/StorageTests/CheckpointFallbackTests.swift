import Foundation
import Glibc
import TestSupport
import Testing

@testable import Storage

/// If the newest checkpoint is damaged, the store uses the one before it.
@Suite struct CheckpointFallbackTests: CheckpointStoreSuite {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  @Test func `every truncation of the newest falls back to the one before and says so`() throws {
    let store = try store()
    try store.write(checkpoint(1))
    try store.write(checkpoint(2))
    let bytes = try files.contents(of: path(2), limit: 1 << 20)
    for count in dose(bytes.indices) {
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
    for index in dose(bytes.indices) {
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
        "\(path(4)): expected at most \(Safetensors.fileLimit) bytes, found \(Safetensors.fileLimit + 1)",
        "\(path(3)): file: expected a safetensors file of 8 bytes or more, found 0",
      ])
  }

  @Test func `if every checkpoint is damaged, the error names the newest ones`() throws {
    let store = try store()
    try store.write(checkpoint(1))
    try put([], at: path(1))
    let reason = "file: expected a safetensors file of 8 bytes or more, found 0"
    #expect(
      message { try store.newest() }
        == "\(stream): no checkpoint is intact: \(path(1)): \(reason)")
    for number in 2...5 { try put([], at: path(number)) }
    #expect(
      message { try store.newest() }
        == "\(stream): no checkpoint is intact: "
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

  @Test func `an older checkpoint becomes the newest, and the skipped ones are removed`() throws {
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

  @Test func `a checkpoint that cannot be read once is read again`() throws {
    for number in 1...2 { try store().write(checkpoint(number)) }
    let found = try store(in: FailingFileSystem(.read, on: [path(2)], times: 1)).newest()
    #expect(found?.checkpoint == checkpoint(2) && found?.skipped == [])
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
}
