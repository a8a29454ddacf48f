import Records
import TestSupport
import Testing

@testable import Storage

/// The list of done splits beside the checkpoints of a stream.
@Suite struct DoneListTests {
  private static let lineBytes = 18

  private let directory: TemporaryDirectory
  private let files = POSIXFileSystem()

  init() throws { directory = try TemporaryDirectory() }

  private func open(at mark: DoneListMark? = nil, keep: Int = 2) throws -> DoneList {
    try DoneList(in: directory.path, at: mark, keep: keep, of: files)
  }

  private func name(_ number: Int) -> String {
    "done-\(String(10_000_000_000 + number).dropFirst()).list"
  }

  /// Commits changes, and expects that the file ends at the mark.
  private func commit(
    _ changes: DoneChanges, to list: inout DoneList
  ) throws -> DoneListMark {
    let mark = try #require(try list.commit(changes))
    #expect(try directory.read(name(mark.file)).count == mark.byteCount)
    return mark
  }

  @Test func `a list without changes has no mark and no file`() throws {
    var list = try open()
    #expect(try list.commit(DoneChanges()) == nil)
    list.prune()
    #expect(try directory.names == [])
  }

  @Test func `each mark leads to the hashes of its time`() throws {
    var list = try open()
    var marks: [(DoneListMark, Set<UInt64>)] = []
    for (added, removed) in [([0, 1, .max], []), ([7], [1]), ([], [0, 7]), ([1, 7], [])]
      as [(Set<UInt64>, Set<UInt64>)]
    {
      marks.append(
        (try commit(DoneChanges(added: added, removed: removed), to: &list), list.hashes))
    }
    #expect(marks.map(\.1) == [[0, 1, .max], [7, 0, .max], [.max], [.max, 1, 7]])
    #expect(marks.map(\.0.byteCount) == [3, 5, 7, 9].map { $0 * Self.lineBytes })
    // To read a list changes nothing, so that every checkpoint stays readable.
    for (mark, hashes) in marks.reversed() { #expect(try open(at: mark).hashes == hashes) }
    #expect(try directory.names == [name(1)])
  }

  @Test func `a commit without changes writes nothing`() throws {
    var list = try open()
    let mark = try commit(DoneChanges(added: [1]), to: &list)
    #expect(try list.commit(DoneChanges()) == mark)
    var again = try open(at: mark)
    #expect(try again.commit(DoneChanges()) == mark)
  }

  @Test func `lines after the mark of the newest checkpoint are cut off`() throws {
    var list = try open()
    let first = try commit(DoneChanges(added: [1]), to: &list)
    _ = try commit(DoneChanges(added: [2], removed: [1]), to: &list)
    // The process is killed before the checkpoint with the second mark is written.
    var second = try open(at: first)
    let mark = try commit(DoneChanges(added: [3]), to: &second)
    #expect(try open(at: mark).hashes == [1, 3])
  }

  @Test func `a crash within an append leaves the list of the checkpoint`() throws {
    var list = try open()
    let before = try commit(DoneChanges(added: [1, 2]), to: &list)
    let after = try commit(DoneChanges(added: [3], removed: [1]), to: &list)
    let whole = try directory.read(name(1))
    for count in before.byteCount...after.byteCount {
      // A file may also have its new size without its new bytes.
      for lost in [[], [UInt8](repeating: 0, count: after.byteCount - count)] {
        try directory.write(name(1), whole[..<count] + lost)
        var list = try open(at: before)
        #expect(list.hashes == [1, 2])
        let mark = try commit(DoneChanges(added: [4], removed: [2]), to: &list)
        #expect(try open(at: mark).hashes == [1, 4])
      }
    }
  }

  @Test func `a crash before the first checkpoint leaves a file that is not used again`() throws {
    var list = try open()
    _ = try commit(DoneChanges(added: [1]), to: &list)
    var second = try open()
    let mark = try commit(DoneChanges(added: [2]), to: &second)
    #expect(mark.file == 2)
    #expect(try open(at: mark).hashes == [2])
  }

  /// A list whose next change makes it begin another file, and the last mark.
  private func full() throws -> (list: DoneList, mark: DoneListMark) {
    var list = try open()
    _ = try commit(DoneChanges(added: [1]), to: &list)
    for number in 0..<499 {
      _ = try commit(DoneChanges(added: [UInt64(number) + 10]), to: &list)
      _ = try commit(DoneChanges(removed: [UInt64(number) + 10]), to: &list)
    }
    let mark = try commit(DoneChanges(added: [2]), to: &list)
    #expect(mark == DoneListMark(file: 1, byteCount: 1000 * Self.lineBytes))
    return (list, mark)
  }

  @Test func `a list of mostly removed hashes begins another file`() throws {
    var (list, _) = try full()
    let added = DoneChanges(added: Set(3...6))
    let last = try commit(added, to: &list)
    #expect(last.file == 1)
    let mark = try commit(DoneChanges(removed: Set(1...6)), to: &list)
    #expect(mark == DoneListMark(file: 2, byteCount: 0))
    #expect(try open(at: mark).hashes == [])
    #expect(try open(at: last).hashes == Set(1...6))
  }

  @Test func `a crash within a new file leaves the list of the checkpoint`() throws {
    var (list, before) = try full()
    let after = try commit(DoneChanges(added: [4], removed: [1, 5, 6, 7, 8, 9]), to: &list)
    #expect(after == DoneListMark(file: 2, byteCount: 2 * Self.lineBytes))
    let (old, new) = (try directory.read(name(1)), try directory.read(name(2)))
    for count in 0...new.count {
      try directory.write(name(1), old)
      try directory.write(name(2), new[..<count])
      var list = try open(at: before)
      #expect(list.hashes == [1, 2])
      let mark = try commit(DoneChanges(added: [3], removed: [2]), to: &list)
      #expect(mark.file == 1)
      #expect(try open(at: mark).hashes == [1, 3])
      // The file of the crash is not taken for the next one.
      let next = try commit(DoneChanges(removed: Set(1...9)), to: &list)
      #expect(next == DoneListMark(file: 3, byteCount: 0))
      try files.remove(directory.file(name(3)))
    }
  }

  @Test func `a file stays as long as one of the kept checkpoints names it`() throws {
    var list = try full().list
    func remaining(after removed: Set<UInt64>) throws -> [String] {
      _ = try list.commit(DoneChanges(removed: removed))
      list.prune()
      return try directory.names
    }
    #expect(try remaining(after: Set(1...9)) == [name(1), name(2)])
    #expect(try remaining(after: []) == [name(2)])
    // A process that starts again does not know the marks of the older checkpoints.
    var again = try open(at: DoneListMark(file: 2, byteCount: 0))
    try directory.write(name(1), [])
    again.prune()
    #expect(try directory.names == [name(1), name(2)])
    again.prune()
    #expect(try directory.names == [name(2)])
  }

  @Test(arguments: ["", "+00000000000000ab", "*00000000000000ab\n", "+00000000000000xy\n"])
  func `a list that is not the one of its mark is refused`(text: String) throws {
    let mark = DoneListMark(file: 1, byteCount: Self.lineBytes)
    #expect(message { try open(at: mark) }.hasPrefix("cannot open \(directory.file(name(1)))"))
    try directory.write(name(1), Array(text.utf8))
    #expect(
      message { try open(at: mark) }
        == "\(directory.file(name(1))): the list: expected 1 lines of hashes, found something else")
  }

  @Test func `100,000 files cost the same bytes each, at the start and at the end`() throws {
    var list = try open()
    var mark: DoneListMark?
    for start in stride(from: 0, to: 100_000, by: 1000) {
      let added = Set((0..<1000).map { UInt64(start + $0) })
      let next = try commit(DoneChanges(added: added), to: &list)
      #expect(next.file == 1)
      #expect(next.byteCount - (mark?.byteCount ?? 0) == 1000 * Self.lineBytes)
      mark = next
      list.prune()
    }
    // One more file costs one line, however many there are.
    let next = try commit(DoneChanges(added: [100_000]), to: &list)
    #expect(next.byteCount == 100_001 * Self.lineBytes)
    #expect(try open(at: next).hashes.count == 100_001)
  }

  @Test func `a directory that stays small has a small list, whatever has passed through`() throws {
    var list = try open()
    var written = 0
    var last = DoneListMark(file: 1, byteCount: 0)
    for start in stride(from: 0, to: 100_000, by: 1000) {
      let added = Set((0..<1000).map { UInt64(start + $0) })
      let next = try commit(DoneChanges(added: added, removed: list.hashes), to: &list)
      written += next.byteCount - (next.file == last.file ? last.byteCount : 0)
      #expect(next.byteCount <= 3000 * Self.lineBytes)
      last = next
      list.prune()
      #expect(try directory.names.count <= 2)
    }
    // Each file is added and removed once, and its hash is copied to a new file once at most.
    #expect(written <= 3 * 100_000 * Self.lineBytes)
  }
}
