import Glibc
import Records
import TestSupport
import Testing

@testable import Storage

/// The list of the splits that were begun after a checkpoint.
@Suite struct BegunSplitsTests: CheckpointStoreSuite {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private func split(_ name: String) -> SplitCursor {
    SplitCursor(split: name, source: OpaqueBytes([0xFF, 0x0A]))
  }

  private func list(_ number: Int) -> String { path(number).dropLast(12) + ".begun" }

  @Test func `the list of the newest checkpoint is found with it, and goes with it`() throws {
    let store = try store(keep: 2)
    #expect(try store.makeBegunSplits() == nil)
    try store.write(checkpoint(1))
    let first = try #require(try store.makeBegunSplits())
    try first.add([split("a"), split("line\nend")])
    try first.add([split("b")])
    #expect(try store.newest()?.begun == [split("a"), split("line\nend"), split("b")])
    try store.write(checkpoint(2))
    #expect(try store.newest()?.begun == [])
    try store.write(checkpoint(3))
    #expect(try names == [name(2), name(3)])
  }

  @Test func `after a damaged checkpoint, the lists of both count`() throws {
    let store = try store()
    for number in 1...2 {
      try store.write(checkpoint(number))
      try store.makeBegunSplits()?.add([split("\(number)")])
    }
    try put([], at: path(2))
    let found = try #require(try store.newest())
    #expect(found.begun == [split("1"), split("2")])
    try store.goBack(to: found, as: checkpoint(1))
    #expect(try names.contains { list(2).hasSuffix($0) } == false)
  }

  @Test func `a list that cannot be read is an error, and no reason for an older checkpoint`()
    throws
  {
    for number in 1...2 {
      try store().write(checkpoint(number))
      try store().makeBegunSplits()?.add([split("\(number)")])
    }
    #expect(
      throws: StorageError.file(FileError(operation: .read, path: list(2), errno: EIO)),
      performing: { try store(in: FailingFileSystem(.read, on: [list(2)])).newest() })
  }

  @Test func `a damaged line ends the list`() throws {
    let store = try store()
    try store.write(checkpoint(1))
    try store.makeBegunSplits()?.add([split("a"), split("b"), split("c")])
    let whole = try files.contents(of: list(1), limit: 1 << 20)
    let length = whole.count / 3
    for count in whole.indices {
      try put(Array(whole[..<count]), at: list(1))
      #expect(try store.newest()?.begun.count == count / length, "\(count) bytes")
    }
    var hole = whole
    for index in length + 5..<length + 20 { hole[index] = 0 }
    try put(hole, at: list(1))
    #expect(try store.newest()?.begun == [split("a")])
  }
}
