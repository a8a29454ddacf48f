import Foundation
import Glibc
import TestSupport
import Testing

@testable import Storage

/// Errors of the disk while a store writes.
@Suite struct CheckpointStoreFailureTests: CheckpointStoreSuite {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

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
}
