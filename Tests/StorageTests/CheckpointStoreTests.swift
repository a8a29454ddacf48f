import Foundation
import Glibc
import TestSupport
import Testing

@testable import Storage

/// The generations of a store and their names.
@Suite struct CheckpointStoreTests: CheckpointStoreSuite {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

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
