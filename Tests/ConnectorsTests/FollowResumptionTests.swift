import Foundation
import Records
import Storage
import Testing

@testable import Connectors

extension LiveSourceTests {
  /// A source that resumes at the cursor of an earlier one, after its file was rotated, replaced or removed.
  struct FollowResumptionTests: FollowSuite {
    let folder: SourceFolder

    init() throws { folder = try SourceFolder() }

    @Test func `a copy that took the place of the log is read on, not again`() throws {
      try folder.write("one\ntwo\n", to: "log")
      var first = try follow()
      #expect(try first.drain() == ["0:one\ntwo\n"])
      let cursor = try first.cursor()
      try folder.write("one\ntwo\nthree\n", to: "log.new")
      try folder.rename("log.new", to: "log")
      var second = try follow(at: cursor)
      #expect(try second.drain() == ["0:three\n"])
      #expect(try second.after { try folder.append("four\n", to: "log") } == ["0:four\n"])
    }

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

    @Test func `a file with the same header is not taken for one that was done`() throws {
      try folder.write("a,b\n", to: "log")
      var first = try follow()
      #expect(try first.drain() == ["0:a,b\n"])
      try folder.rename("log", to: "log.1")
      usleep(10_000)
      try folder.write("a,b\n1,2\n", to: "log")
      #expect(try first.read().read == .ended(0))
      try first.finish()
      var second = try follow(at: InputCursor(done: first.source.done))
      #expect(try second.drain() == ["0:a,b\n1,2\n"])
    }

    @Test func `a first file of which no record was taken is read after it was renamed`() throws {
      try folder.write("one\n", to: "log")
      var first = try follow(capacity: 2)
      _ = try first.read()
      // A split that is given up before its first record has no cursor.
      let cursor = InputCursor(done: first.source.done)
      try folder.rename("log", to: "log.1")
      usleep(10_000)
      try folder.write("two\n", to: "log")
      var second = try follow(at: cursor)
      #expect(second.source.gap == nil)
      #expect(try second.drain() == ["0:one\n", "0 ended", "1:two\n"])
    }

    @Test(arguments: ["", "o"])
    func `a log that was copied and emptied before its first bytes were read is read from the copy`(
      start: String
    ) throws {
      try folder.write(start, to: "log")
      var source = try follow()
      usleep(10_000)
      try folder.append(String("one\n".dropFirst(start.count)), to: "log")
      try FileManager.default.copyItem(atPath: folder("log"), toPath: folder("log.1"))
      let handle = try #require(FileHandle(forWritingAtPath: folder("log")))
      try handle.truncate(atOffset: 0)
      try folder.append("other\n", to: "log")
      #expect(try source.drain() == ["1:one\n", "1 ended", "2:other\n"])
    }

    @Test func `neither an abandoned log that was copied and emptied nor its copy is read again`()
      throws
    {
      try folder.write("one\ntwo\n", to: "log")
      var source = try follow()
      #expect(try source.drain() == ["0:one\ntwo\n"])
      source.source.abandon(0)
      usleep(10_000)
      try FileManager.default.copyItem(atPath: folder("log"), toPath: folder("log.1"))
      let handle = try #require(FileHandle(forWritingAtPath: folder("log")))
      try handle.truncate(atOffset: 0)
      // Both have the same time if they are written in one tick of the kernel.
      var status = stat()
      #expect(stat(folder("log"), &status) == 0)
      let times = [status.st_atim, status.st_mtim]
      #expect(utimensat(AT_FDCWD, folder("log.1"), times, 0) == 0)
      #expect(try source.drain() == [])
      try folder.append("three\n", to: "log")
      #expect(try source.drain() == ["1:three\n"])
    }

    @Test(arguments: ["a,b\n", "a", String(repeating: "a,", count: 2000) + "b\n"])
    func
      `a log that was copied and emptied, and begins with the same header, is finished from the copy`(
        start: String
      ) throws
    {
      let header = start.hasSuffix("\n") ? start : "a,b\n"
      try folder.write(start, to: "log")
      var source = try follow()
      #expect(try source.drain() == ["0:\(start)"])
      usleep(10_000)
      let rest = header.dropFirst(start.count) + "1,2\n"
      try folder.append(String(rest), to: "log")
      try FileManager.default.copyItem(atPath: folder("log"), toPath: folder("log.1"))
      let handle = try #require(FileHandle(forWritingAtPath: folder("log")))
      try handle.truncate(atOffset: 0)
      try folder.append(header + "3,4\n", to: "log")
      #expect(try source.drain() == ["0:\(rest)", "0 ended", "2:\(header)3,4\n"])
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
  }
}
