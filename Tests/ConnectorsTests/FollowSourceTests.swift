import Foundation
import Storage
import Testing

@testable import Connectors

extension LiveSourceTests {
  struct FollowSourceTests {
    let folder: SourceFolder
    let files = POSIXFileSystem()

    init() throws { folder = try SourceFolder() }

    private func follow(
      _ name: String = "log", from start: FollowSource.Start = .beginning
    ) throws -> SourceDriver {
      SourceDriver(try FollowSource(folder(name), start: start, in: files))
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

    @Test func `a deleted file's run ends when another takes its place`() throws {
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

    @Test func `a file that is cut begins a new run at its beginning`() throws {
      try folder.write("one\ntwo\n", to: "log")
      var source = try follow()
      #expect(try source.drain() == ["0:one\ntwo\n"])
      let handle = try #require(FileHandle(forWritingAtPath: folder("log")))
      #expect(try source.after { try handle.truncate(atOffset: 0) } == ["0 ended"])
      #expect(try source.after { try folder.append("x\n", to: "log") } == ["1:x\n"])
      let log = try source.after {
        try handle.truncate(atOffset: 0)
        try folder.append("y", to: "log")
      }
      #expect(log == ["1 ended", "2:y"])
    }

    @Test func `a run is sought from where it began`() throws {
      try folder.write("old\n", to: "log")
      var first = try follow(from: .end)
      #expect(try first.after { try folder.append("0123", to: "log") } == ["0:0123"])
      let mark = try #require(first.source.mark(ofRun: 0))
      try folder.append("456789", to: "log")
      var second = SourceDriver(
        try FollowSource(folder("log"), start: .beginning, in: files), capacity: 2)
      try second.source.resume(from: [], run: mark)
      #expect(second.source.mark(ofRun: 0) == mark)
      #expect(try String(decoding: second.read().bytes, as: UTF8.self) == "01")
      #expect(try second.source.seek(run: 0, to: 4))
      #expect(try second.drain() == ["0:456789"])
      #expect(try second.after { try folder.append("x", to: "log") } == ["0:x"])
    }

    @Test func `a run that is not so long any more is followed by that of a file that was cut`()
      throws
    {
      try folder.write("01234", to: "log")
      var source = SourceDriver(
        try FollowSource(folder("log"), start: .beginning, in: files), capacity: 2)
      #expect(try source.read().read == .bytes(2, run: 0))
      #expect(try source.source.seek(run: 0, to: 6))
      #expect(source.source.mark(ofRun: 0) == nil)
      #expect(try source.drain() == ["1:01234"])
      #expect(try source.after { try folder.append("5", to: "log") } == ["1:5"])
    }

    @Test func `an abandoned run gives nothing until another file or beginning`() throws {
      try folder.write("bad\n", to: "log")
      var source = try follow()
      #expect(try source.drain() == ["0:bad\n"])
      source.source.abandon(run: 0)
      #expect(try source.after { try folder.append("worse\n", to: "log") } == [])
      try folder.rename("log", to: "log.1")
      #expect(try source.after { try folder.write("good\n", to: "log") } == ["1:good\n"])
      source.source.abandon(run: 1)
      #expect(try source.after { try folder.append("more\n", to: "log") } == [])
      let handle = try #require(FileHandle(forWritingAtPath: folder("log")))
      let log = try source.after {
        try handle.truncate(atOffset: 0)
        try folder.append("fresh\n", to: "log")
      }
      #expect(log == ["2:fresh\n"])
    }

    @Test func `an empty file that is replaced is no run`() throws {
      try folder.write("", to: "log")
      var source = try follow()
      #expect(try source.drain() == [])
      try folder.remove("log")
      #expect(try source.after { try folder.write("a\n", to: "log") } == ["0:a\n"])
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
