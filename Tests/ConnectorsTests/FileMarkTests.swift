import Records
import Storage
import TestSupport
import Testing

@testable import Connectors

/// The mark by which a later process finds an offset in a file again.
@Suite struct FileMarkTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private func file(_ text: String, named name: String = "in") throws -> any File {
    try directory.write(name, text.utf8)
    return try POSIXFileSystem().open(directory.file(name), for: .reading)
  }

  private static let long = String(repeating: "0123456789abcde\n", count: 300)

  @Test(arguments: ["", "short\n", long])
  func `a mark fits the bytes before its offset, whatever comes after`(before: String) throws {
    let mark = try FileMark(file(before + "bad,record\n"), at: before.utf8.count)
    #expect(mark.identity == (try file(before + "bad,record\n").status().identity))
    for after in ["", "b", "mended,record\n", Self.long] {
      #expect(try mark.fits(file(before + after)), "\(after.prefix(20))")
    }
  }

  @Test func `a mark fits no other bytes before its offset, and no shorter file`() throws {
    let mark = try FileMark(file(Self.long), at: 3000)
    #expect(try !mark.fits(file(String(Self.long.prefix(2999)))))
    // A KiB at each end is known.
    for offset in [0, 1023, 3000 - 1024, 2999] {
      var bytes = Array(Self.long.utf8)
      bytes[offset] ^= 1
      #expect(try !mark.fits(file(String(decoding: bytes, as: UTF8.self))), "byte \(offset)")
    }
  }

  @Test func `the mark of a file that only grows also knows bytes after its offset`() throws {
    let mark = try FileMark(file("one\ntwo\n"), at: 4, looksAhead: true)
    #expect(try mark.fits(file("one\ntwo\nthree\n")))
    #expect(try !mark.fits(file("one\n2\n")))
    #expect(try !mark.fits(file("one\n")))
    #expect(mark.begins(Array("one\ntwo\nthree".utf8)) && !mark.begins(Array("one\ntw".utf8)))
    #expect(try !FileMark(file("one\n"), at: 0).begins(Array("one\n".utf8)))
  }

  @Test func `a mark is read as it was written, and other texts are none`() throws {
    var mark = try FileMark(file(Self.long), at: 3000)
    mark.splitStart = 17
    #expect(FileMark(mark.opaque) == mark)
    let numbers = mark.opaque.text.split(separator: " ").map(String.init)
    func changed(_ index: Int, _ text: String) -> OpaqueBytes {
      var numbers = numbers
      numbers[index] = text
      return OpaqueBytes(numbers.joined(separator: " "))
    }
    // Counts above a KiB, or a tail above the offset, would be read from the disk.
    let others = [
      OpaqueBytes(), OpaqueBytes(numbers.dropLast().joined(separator: " ")),
      OpaqueBytes(mark.opaque.text + " 1"), changed(2, "x"), changed(2, "-1"),
      changed(2, "\(UInt64.max)"), changed(5, "1025"), changed(7, "1025"), changed(2, "1023"),
    ]
    for other in others { #expect(FileMark(other) == nil, "\(other.text)") }
  }
}

/// Several files as one stream.
@Suite struct FilesSourceTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private func open(_ names: [String], capacity: Int = 64 << 10) throws -> SourceDriver {
    let factory = FilesSource.factory(names.map { directory.file($0) })
    return SourceDriver(try factory(.real()), capacity: capacity)
  }

  @Test func `files are read in the order in which they are named, each to its end`() throws {
    for (name, text) in [("a", "1\n2"), ("b", ""), ("c", "3\n")] {
      try directory.write(name, text.utf8)
    }
    var source = try open(["c", "a", "b", "c"], capacity: 2)
    #expect(source.source.size == 7 && source.source.name == "4 files")
    #expect(
      try source.drain() == [
        "0:3\n", "0 ended", "1:1\n2", "1 ended", "2 ended", "3:3\n", "3 ended", "end",
      ])
    #expect((0..<4).map { source.source.start(of: $0).name } == ["c", "a", "b", "c"])
    #expect(try source.read().read == .end)
    // A later source cannot resume within several files.
    #expect(source.source.done == nil)
    #expect(try source.source.mark(of: 1, at: 2) == nil)
  }

  @Test func `the rest of an abandoned file is not read`() throws {
    for name in ["a", "b"] { try directory.write(name, "\(name)123456".utf8) }
    var source = try open(["a", "b"], capacity: 4)
    #expect(try source.read().read == .data(0, .bytes(4)))
    source.source.abandon(0)
    // It was abandoned already.
    source.source.abandon(0)
    #expect(try source.drain() == ["1:b123456", "1 ended", "end"])
  }

  @Test func `a file that is missing is an error before the first is read`() throws {
    try directory.write("a", [1])
    let missing = #expect(throws: FileError.self) { _ = try open(["a", "none"]) }
    #expect(missing?.isMissing == true && missing?.path == directory.file("none"))
  }

  @Test func `a pipe among the files is waited for, and then there is no size`() throws {
    try directory.write("a", Array("1\n".utf8))
    let writer = try directory.makeFIFO("p")
    var source = try open(["a", "p"])
    #expect(source.source.size == nil)
    #expect(try source.drain() == ["0:1\n", "0 ended"])
    #expect(!source.isReady())
    try writer.write(Array("2\n".utf8))
    #expect(source.isReady(within: hangSeconds))
    #expect(try source.drain() == ["1:2\n"])
    try writer.close()
    #expect(try source.drain() == ["1 ended", "end"])
  }
}
