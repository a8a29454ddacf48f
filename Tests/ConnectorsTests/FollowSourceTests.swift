import Foundation
import Records
import Storage
import Testing

@testable import Connectors

/// Tests of a followed file, in a folder of their own.
protocol FollowSuite {
  var folder: SourceFolder { get }
}

extension FollowSuite {
  func follow(
    _ name: String = "log", from start: FollowSource.Start = .beginning,
    at cursor: InputCursor? = nil, capacity: Int = 64 << 10
  ) throws -> SourceDriver {
    SourceDriver(
      try FollowSource(folder(name), start: start, in: .real(cursor)), capacity: capacity)
  }
}

extension LiveSourceTests {
  struct FollowSourceTests: FollowSuite {
    let folder: SourceFolder

    init() throws { folder = try SourceFolder() }

    @Test func `the source reads the file, and then the bytes that are appended`() throws {
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
          "0 ended", loss + "8 was read: unread bytes from before the cut are lost",
        ])
      #expect(try source.after { try folder.append("x\n", to: "log") } == ["1:x\n"])
      #expect(source.source.start(of: 1).header == .optional)
      let log = try source.after {
        try handle.truncate(atOffset: 0)
        try folder.append("y", to: "log")
      }
      #expect(
        log == ["1 ended", loss + "2 was read: unread bytes from before the cut are lost", "2:y"])
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
