import Foundation
import Records
import Storage
import Testing

@testable import Connectors

extension LiveSourceTests {
  struct FollowSourceTests {
    let folder: SourceFolder

    init() throws { folder = try SourceFolder() }

    private func follow(
      _ name: String = "log", from start: FollowSource.Start = .beginning,
      at cursor: InputCursor? = nil, capacity: Int = 64 << 10
    ) throws -> SourceDriver {
      SourceDriver(
        try FollowSource(folder(name), start: start, in: .real(cursor)), capacity: capacity)
    }

    @Test func `what is there is read, and then what is added`() throws {
      try folder.write("a\n", to: "log")
      var source = try follow()
      #expect(try source.drain() == ["0:a\n"])
      #expect(try source.after { try folder.append("b\n", to: "log") } == ["0:b\n"])
      #expect(try source.after { try folder.append("c", to: "log") } == ["0:c"])
    }

    @Test func `reading can begin at the end of the file that is there first`() throws {
      try folder.write("old\n", to: "log")
      var source = try follow(from: .end)
      #expect(try source.after { try folder.append("new\n", to: "log") } == ["0:new\n"])
      try folder.rename("log", to: "log.1")
      #expect(
        try source.after { try folder.write("next\n", to: "log") } == ["0 ended", "1:next\n"])
    }

    @Test(arguments: [FollowSource.Start.beginning, .end])
    func `a file that does not exist yet is waited for`(start: FollowSource.Start) throws {
      var source = try follow(from: start)
      #expect(try source.after { try folder.write("first\n", to: "log") } == ["0:first\n"])
      #expect(try source.after { try folder.append("more\n", to: "log") } == ["0:more\n"])
    }

    @Test func `a renamed file is read to its end before the new one`() throws {
      try folder.write("a\n", to: "log")
      var source = try follow()
      #expect(try source.drain() == ["0:a\n"])
      let log = try source.after {
        try folder.append("last\n", to: "log")
        try folder.rename("log", to: "log.1")
        try folder.write("b\n", to: "log")
      }
      #expect(log == ["0:last\n", "0 ended", "1:b\n"])
      #expect(try source.after { try folder.append("c\n", to: "log") } == ["1:c\n"])
    }

    @Test func `a writer may go on with the old file until it begins the new one`() throws {
      try folder.write("a\n", to: "log")
      var source = try follow()
      #expect(try source.drain() == ["0:a\n"])
      try folder.rename("log", to: "log.1")
      try folder.write("", to: "log")
      #expect(try source.drain() == [])
      #expect(try source.after { try folder.append("late\n", to: "log.1") } == ["0:late\n"])
      #expect(try source.after { try folder.append("b\n", to: "log") } == ["0 ended", "1:b\n"])
      // The old file is let go: what comes to it wakes nobody.
      try folder.append("too late\n", to: "log.1")
      #expect(!source.isReady())
    }

    @Test func `a deleted file's split ends when another takes its place`() throws {
      try folder.write("a\n", to: "log")
      var source = try follow()
      #expect(try source.drain() == ["0:a\n"])
      try folder.remove("log")
      #expect(try source.drain() == [])
      #expect(try source.after { try folder.write("b\n", to: "log") } == ["0 ended", "1:b\n"])
    }

    @Test func `a file moved over the path replaces the old one`() throws {
      try folder.write("a\n", to: "log")
      try folder.write("b\n", to: "other")
      var source = try follow()
      #expect(try source.drain() == ["0:a\n"])
      #expect(try source.after { try folder.rename("other", to: "log") } == ["0 ended", "1:b\n"])
    }

    @Test func `a file that is cut begins a new split at its beginning, and that is told`() throws {
      try folder.write("one\ntwo\n", to: "log")
      var source = try follow()
      #expect(try source.drain() == ["0:one\ntwo\n"])
      let handle = try #require(FileHandle(forWritingAtPath: folder("log")))
      let loss = "\(folder("log")) was cut after byte "
      #expect(
        try source.after { try handle.truncate(atOffset: 0) } == [
          "0 ended", loss + "8 was read: what was added until then is lost",
        ])
      #expect(try source.after { try folder.append("x\n", to: "log") } == ["1:x\n"])
      #expect(source.source.start(of: 1).header == .optional)
      let log = try source.after {
        try handle.truncate(atOffset: 0)
        try folder.append("y", to: "log")
      }
      #expect(
        log == ["1 ended", loss + "2 was read: what was added until then is lost", "2:y"])
    }

    @Test func `a file that was cut and has grown beyond is seen to be another`() throws {
      try folder.write("one\n", to: "log")
      var source = try follow()
      #expect(try source.drain() == ["0:one\n"])
      let handle = try #require(FileHandle(forWritingAtPath: folder("log")))
      let log = try source.after {
        try handle.truncate(atOffset: 0)
        try folder.append("ten\nmore\n", to: "log")
      }
      #expect(log.first == "0 ended" && log.last == "1:ten\nmore\n")
    }

    @Test func `a file that was copied and cut is finished from the copy`() throws {
      try folder.write("one\n", to: "log")
      var source = try follow()
      #expect(try source.drain() == ["0:one\n"])
      try folder.append("two\n", to: "log")
      let handle = try #require(FileHandle(forWritingAtPath: folder("log")))
      try FileManager.default.copyItem(atPath: folder("log"), toPath: folder("log.1"))
      try handle.truncate(atOffset: 0)
      try folder.append("x\n", to: "log")
      #expect(try source.drain() == ["0:two\n", "0 ended", "1:x\n"])
      #expect(source.source.start(of: 1).header == .optional)
    }

    @Test func `files that came and went between two looks are read in their order`() throws {
      try folder.write("a\n", to: "log")
      var source = try follow()
      #expect(try source.drain() == ["0:a\n"])
      let log = try source.after {
        for (name, text) in [("log.3", "b\n"), ("log.2", "c\n"), ("log.1", "d\n")] {
          try folder.rename("log", to: name)
          try folder.write(text, to: "log")
          usleep(10_000)
        }
      }
      #expect(log == ["0 ended", "1:b\n", "1 ended", "2:c\n", "2 ended", "3:d\n"])
    }

    // MARK: Going on

    @Test func `a later source goes on where the file's split began`() throws {
      try folder.write("old\n", to: "log")
      var first = try follow(from: .end)
      #expect(try first.after { try folder.append("0123", to: "log") } == ["0:0123"])
      let cursor = try first.cursor()
      try folder.append("456789", to: "log")
      var second = try follow(at: cursor, capacity: 2)
      #expect(second.source.gap == nil && second.source.openSplits == [0])
      #expect(second.source.start(of: 0).byteOffset == 4)
      #expect(try second.drain() == ["0:456789"])
      #expect(try second.cursor().splits.first?.byteOffset == 10)
      #expect(try second.after { try folder.append("x", to: "log") } == ["0:x"])
    }

    @Test(arguments: ["log.1", "log-20261127", "other"])
    func `a later source finishes the file under another name, then the new one`(name: String)
      throws
    {
      try folder.write("one\ntwo\n", to: "log")
      var first = try follow(capacity: 4)
      _ = try first.read()
      let cursor = try first.cursor()
      try folder.rename("log", to: name)
      usleep(10_000)
      try folder.write("three\n", to: "log")
      var second = try follow(at: cursor)
      #expect(second.source.gap == nil)
      #expect(try second.drain() == ["0:two\n", "0 ended", "1:three\n"])
    }

    @Test func `every later sibling is read, the oldest first, and no earlier one`() throws {
      try folder.write("earlier\n", to: "log.9")
      usleep(10_000)
      try folder.write("one\n", to: "log")
      var first = try follow()
      #expect(try first.drain() == ["0:one\n"])
      let cursor = try first.cursor()
      for (name, text) in [("log.3", "two\n"), ("log.2", "three\n"), ("log.1", "")] {
        try folder.rename("log", to: name)
        usleep(10_000)
        try folder.write(text, to: "log")
      }
      try folder.write("no sibling\n", to: "log.txt")
      var second = try follow(at: cursor)
      #expect(
        try second.drain() == ["0 ended", "1:two\n", "1 ended", "2:three\n"])
      #expect(
        try second.after { try folder.append("four\n", to: "log") } == ["2 ended", "3:four\n"])
    }

    @Test func `a source whose file was done goes on with those after it`() throws {
      try folder.write("one\n", to: "log")
      var first = try follow()
      #expect(try first.drain() == ["0:one\n"])
      try folder.rename("log", to: "log.1")
      usleep(10_000)
      try folder.write("two\n", to: "log")
      #expect(try first.read().read == .ended(0))
      try first.finish()
      let cursor = InputCursor(done: first.source.done)
      var second = try follow(at: cursor)
      #expect(second.source.gap == nil)
      #expect(try second.drain() == ["0:two\n"])
      try folder.remove("log.1")
      var third = try follow(at: cursor)
      #expect(third.source.gap == nil)
      #expect(try third.drain() == ["0:two\n"])
    }

    @Test func `a file that was copied and cut meanwhile is finished from the copy`() throws {
      try folder.write("one\ntwo\n", to: "log")
      var first = try follow(capacity: 4)
      _ = try first.read()
      let cursor = try first.cursor()
      let handle = try #require(FileHandle(forWritingAtPath: folder("log")))
      try FileManager.default.copyItem(atPath: folder("log"), toPath: folder("log.1"))
      try handle.truncate(atOffset: 0)
      try folder.append("one, but another\n", to: "log")
      var second = try follow(at: cursor)
      #expect(second.source.gap == nil)
      #expect(try second.drain() == ["0:two\n", "0 ended", "1:one, but another\n"])
      #expect(second.source.start(of: 1).header == .optional)
      // So it is for one that comes after it.
      var third = try follow(at: try second.cursor())
      #expect(third.source.openSplits.count == 2)
      #expect(try third.drain() == ["0 ended"])
    }

    @Test func `a file that is gone is a gap, after which later ones are read`() throws {
      try folder.write("one\ntwo\n", to: "log")
      var first = try follow(capacity: 4)
      _ = try first.read()
      let cursor = try first.cursor()
      try folder.remove("log")
      usleep(10_000)
      try folder.write("three\n", to: "log")
      var second = try follow(at: cursor)
      #expect(
        second.source.gap == "\(folder("log")): the file that was read up to byte 4 is gone")
      #expect(try second.drain() == ["0:three\n"])
    }

    @Test func `another file that begins alike is not taken for the one that is gone`() throws {
      try folder.write("x\n1\n2\n", to: "log")
      var first = try follow(capacity: 4)
      _ = try first.read()
      let cursor = try first.cursor()
      try folder.remove("log")
      usleep(10_000)
      try folder.write("x\n7\n8\n9\n", to: "log")
      var second = try follow(at: cursor)
      #expect(second.source.gap != nil)
      #expect(try second.drain() == ["0:x\n7\n8\n9\n"])
    }

    @Test func `a later file that cannot be decompressed is told`() throws {
      try folder.write("one\n", to: "log")
      var first = try follow()
      #expect(try first.drain() == ["0:one\n"])
      let cursor = try first.cursor()
      try folder.rename("log", to: "log.2")
      usleep(10_000)
      try folder.write("not gzip", to: "log.1.gz")
      try folder.write("three\n", to: "log")
      var second = try follow(at: cursor)
      #expect(
        try second.drain() == [
          "skips files that it cannot decompress: \(folder("log.1.gz"))", "0 ended", "1:three\n",
        ])
    }

    @Test func `an abandoned split gives nothing until another file or beginning`() throws {
      try folder.write("bad\n", to: "log")
      var source = try follow()
      #expect(try source.drain() == ["0:bad\n"])
      source.source.abandon(0)
      #expect(try source.after { try folder.append("worse\n", to: "log") } == [])
      try folder.rename("log", to: "log.1")
      #expect(try source.after { try folder.write("good\n", to: "log") } == ["1:good\n"])
      source.source.abandon(1)
      #expect(try source.after { try folder.append("more\n", to: "log") } == [])
      let handle = try #require(FileHandle(forWritingAtPath: folder("log")))
      let log = try source.after {
        try handle.truncate(atOffset: 0)
        try folder.append("fresh\n", to: "log")
      }
      #expect(log == ["2:fresh\n"])
    }

    @Test func `an empty file that is replaced is no split`() throws {
      try folder.write("", to: "log")
      var source = try follow()
      #expect(try source.drain() == [])
      try folder.remove("log")
      #expect(try source.after { try folder.write("a\n", to: "log") } == ["1:a\n"])
    }

    @Test func `files beside it and a directory at its path are no files to follow`() throws {
      try folder.write("a\n", to: "log")
      var source = try follow()
      #expect(try source.drain() == ["0:a\n"])
      try folder.write("b\n", to: "other")
      #expect(try source.drain() == [])
      try FileManager.default.createDirectory(
        atPath: folder("sub"), withIntermediateDirectories: false)
      #expect(throws: FileError(operation: .open, path: folder("sub"), errno: ENOTSUP)) {
        _ = try follow("sub")
      }
    }

    @Test func `a missing directory is an error, also when it goes later`() throws {
      #expect(throws: FileError(operation: .watch, path: folder("no"), errno: ENOENT)) {
        _ = try follow("no/log")
      }
      try FileManager.default.createDirectory(
        atPath: folder("sub"), withIntermediateDirectories: false)
      var source = try follow("sub/log")
      #expect(try source.drain() == [])
      try folder.remove("sub")
      #expect(throws: FileError(operation: .read, path: folder("sub"), errno: ENOENT)) {
        _ = try source.drain()
      }
    }
  }
}
