import Foundation
import Glibc
import Records
import Storage
import Testing

@testable import Connectors

extension LiveSourceTests {
  struct DirectorySourceTests {
    let folder: SourceFolder

    init() throws { folder = try SourceFolder() }

    private func open(
      pattern: String = "*", at cursor: InputCursor? = nil, done: Set<UInt64> = [],
      capacity: Int = 64 << 10
    ) throws -> SourceDriver {
      SourceDriver(
        try DirectorySource(folder.path, pattern: Glob(pattern), in: .real(cursor, done: done)),
        capacity: capacity)
    }

    @Test func `files that are there are read in the order of their names`() throws {
      for name in ["b", "c", "a", ".hidden"] { try folder.write(name, to: name) }
      var source = try open()
      #expect(
        try source.drain() == ["0:a", "0 ended", "1:b", "1 ended", "2:c", "2 ended"])
      #expect(!source.isReady())
    }

    /// `String` takes them for equal; a file system does not.
    @Test func `two names that spell the same letters by other bytes are two files`() throws {
      let (one, other) = ("caf\u{E9}", "cafe\u{301}")
      var source = try open()
      let log = try source.after {
        try folder.write("one", to: one)
        try folder.write("other", to: other)
      }
      #expect(log == ["0:other", "0 ended", "1:one", "1 ended"])
      try folder.write("again", to: ".new")
      let late = try source.after { try folder.rename(".new", to: other) }
      #expect(late == ["2:again", "2 ended"])
    }

    @Test func `a file is taken when it is closed, not while it is written`() throws {
      var source = try open()
      let descriptor = Glibc.open(folder("a"), O_WRONLY | O_CREAT, 0o600)
      #expect(write(descriptor, "half", 4) == 4)
      #expect(try source.drain() == [])
      #expect(write(descriptor, "whole", 5) == 5)
      #expect(try source.after { close(descriptor) } == ["0:halfwhole", "0 ended"])
    }

    @Test func `a file moved in is taken, and one named with a dot only once it is renamed`() throws
    {
      let outside = try SourceFolder()
      try outside.write("in", to: "x")
      var source = try open()
      let log = try source.after {
        try #require(Glibc.rename(outside("x"), folder("x")) == 0)
      }
      #expect(log == ["0:in", "0 ended"])
      try folder.write("made", to: ".y.tmp")
      #expect(try source.drain() == [])
      #expect(try source.after { try folder.rename(".y.tmp", to: "y") } == ["1:made", "1 ended"])
    }

    @Test func `a file that arrives late is read though greater names were`() throws {
      try folder.write("later", to: "b")
      var source = try open()
      #expect(try source.drain() == ["0:later", "0 ended"])
      #expect(try source.after { try folder.write("early", to: "a") } == ["1:early", "1 ended"])
    }

    @Test func `names that wait are sorted, also those that come while a file is read`() throws {
      try folder.write("0123456789", to: "c")
      var source = try open(capacity: 4)
      #expect(try source.read().read == .data(0, .bytes(4)))
      for name in ["e", "b", "d"] {
        try folder.write(name, to: ".new")
        try folder.rename(".new", to: name)
      }
      #expect(
        try source.drain() == [
          "0:456789", "0 ended", "1:b", "1 ended", "2:d", "2 ended", "3:e", "3 ended",
        ])
    }

    @Test func `only names that fit the pattern are taken`() throws {
      for name in ["a.csv", "a.txt", "b.csv"] { try folder.write(name, to: name) }
      var source = try open(pattern: "*.csv")
      #expect(try source.drain() == ["0:a.csv", "0 ended", "1:b.csv", "1 ended"])
      try folder.write("c", to: "c.txt")
      #expect(try source.drain() == [])
    }

    @Test func `a source goes on where another left off`() throws {
      for name in ["a", "b"] { try folder.write(name, to: name) }
      var first = try open()
      #expect(try first.drain() == ["0:a", "0 ended", "1:b", "1 ended"])
      try first.finish()
      let changes = first.source.takeDoneChanges()
      #expect(changes.added.count == 2 && changes.removed.isEmpty)
      #expect(first.source.takeDoneChanges().isEmpty)
      try folder.write("late", to: "a0")
      try folder.write("new b", to: "b.new")
      try folder.rename("b.new", to: "b")
      let cursor = try first.cursor()
      #expect(cursor.splits.isEmpty)
      var second = try open(at: cursor, done: changes.added)
      #expect(try second.drain() == ["0:late", "0 ended", "1:new b", "1 ended"])
      try second.finish()
      let more = second.source.takeDoneChanges()
      #expect(more.added.count == 2)
      // The file that was called b is gone, and with it what was known of it.
      #expect(more.removed.count == 1 && changes.added.isSuperset(of: more.removed))
      var third = try open(
        at: cursor, done: changes.added.union(more.added).subtracting(more.removed))
      #expect(try third.drain() == [])
      #expect(third.source.takeDoneChanges().isEmpty)
    }

    @Test func `a split that is not finished is read again`() throws {
      for name in ["a", "b"] { try folder.write(name, to: name) }
      var first = try open()
      #expect(try first.drain() == ["0:a", "0 ended", "1:b", "1 ended"])
      #expect(first.source.takeDoneChanges().isEmpty)
      var second = try open(at: InputCursor(done: first.source.done))
      #expect(try second.drain() == ["0:a", "0 ended", "1:b", "1 ended"])
    }

    @Test func `the files under way go on before one that came under an earlier name`() throws {
      for name in ["b", "c"] { try folder.write("\(name)123456789", to: name) }
      var first = try open(capacity: 4)
      #expect(try first.read().read == .data(0, .bytes(4)))
      try folder.write("late", to: "a")
      var second = try open(at: try first.cursor())
      #expect(second.source.openSplits == [0])
      #expect(second.source.start(of: 0).byteOffset == 4)
      #expect(second.source.start(of: 0).header == .passed)
      #expect(
        try second.drain() == [
          "0:456789", "0 ended", "1:late", "1 ended", "2:c123456789", "2 ended",
        ])
    }

    @Test func `the file under way is found under another name`() throws {
      try folder.write("b123456789", to: "b")
      var first = try open(capacity: 4)
      _ = try first.read()
      let cursor = try first.cursor()
      try folder.rename("b", to: "z")
      try folder.write("c", to: "c")
      var second = try open(at: cursor)
      #expect(second.source.gap == nil)
      #expect(try second.drain() == ["0:456789", "0 ended", "1:c", "1 ended"])
    }

    @Test func `a file under way that is gone, or holds other bytes, is a gap`() throws {
      try folder.write("b123456789", to: "b")
      try folder.write("c", to: "c")
      var first = try open(capacity: 4)
      _ = try first.read()
      let cursor = try first.cursor()
      try folder.write("B123456789", to: "b")
      var second = try open(at: cursor)
      #expect(second.source.gap == "b: the file that was read up to byte 4 is gone")
      #expect(try second.drain() == ["0:B123456789", "0 ended", "1:c", "1 ended"])
      try folder.remove("b")
      var third = try open(at: cursor)
      #expect(third.source.gap != nil && third.source.openSplits.isEmpty)
      #expect(try third.drain() == ["0:c", "0 ended"])
    }

    @Test func `a split that is at its end ends at once`() throws {
      try folder.write("b1", to: "b")
      var first = try open()
      #expect(try first.read().read == .data(0, .bytes(2)))
      var second = try open(at: try first.cursor())
      #expect(try second.drain() == ["0 ended"])
      try second.source.finish(0)
      #expect(second.source.takeDoneChanges().added.count == 1)
    }

    @Test func `a removed file is forgotten, and its name can be used again`() throws {
      try folder.write("one", to: "a")
      var source = try open()
      #expect(try source.drain() == ["0:one", "0 ended"])
      try source.finish()
      let added = source.source.takeDoneChanges().added
      try folder.remove("a")
      #expect(try source.drain() == [])
      #expect(source.source.takeDoneChanges() == DoneChanges(removed: added))
      #expect(try source.after { try folder.write("two", to: "a") } == ["1:two", "1 ended"])
    }

    @Test func `a file written to again is not read again, one moved over it is`() throws {
      try folder.write("one", to: "a")
      var source = try open()
      #expect(try source.drain() == ["0:one", "0 ended"])
      try source.finish()
      #expect(try source.after { try folder.append("more", to: "a") } == [])
      try folder.write("two", to: ".a")
      #expect(try source.after { try folder.rename(".a", to: "a") } == ["1:two", "1 ended"])
    }

    @Test func `a file replaced while it is read is read to its end, then the new one`() throws {
      try folder.write("0123456789", to: "a")
      var source = try open(capacity: 4)
      #expect(try source.read().read == .data(0, .bytes(4)))
      try folder.write("new", to: ".a")
      try folder.rename(".a", to: "a")
      #expect(try source.drain() == ["0:456789", "0 ended", "1:new", "1 ended"])
    }

    @Test func `an abandoned file counts as read`() throws {
      for name in ["a", "b"] { try folder.write(name, to: name) }
      var source = try open()
      #expect(try source.read().read == .data(0, .bytes(1)))
      source.source.abandon(0)
      #expect(try source.drain() == ["1:b", "1 ended"])
      try source.source.finish(0)
      try source.finish()
      #expect(source.source.takeDoneChanges().added.count == 2)
      #expect(try source.drain() == [])
    }

    @Test func `empty files, subdirectories and FIFOs are no runs`() throws {
      try folder.write("", to: "a")
      try FileManager.default.createDirectory(
        atPath: folder("b"), withIntermediateDirectories: false)
      #expect(mkfifo(folder("c"), 0o600) == 0)
      try folder.write("d", to: "d")
      var source = try open()
      let log = try source.drain()
      #expect(log.count == 2 && log[0].hasSuffix(":d") && log[1].hasSuffix(" ended"))
    }

    @Test func `a directory that goes is an error`() throws {
      var source = try open()
      #expect(try source.drain() == [])
      try FileManager.default.removeItem(atPath: folder.path)
      #expect(throws: FileError(operation: .read, path: folder.path, errno: ENOENT)) {
        _ = try source.drain()
      }
      #expect(throws: FileError.self) { _ = try open() }
    }
  }
}
