import Foundation
import Glibc
import Records
import Storage
import Testing

@testable import Connectors

extension LiveSourceTests {
  struct DirectorySourceTests {
    let folder: SourceFolder
    let files = POSIXFileSystem()

    init() throws { folder = try SourceFolder() }

    private func open(
      pattern: String = "*", resuming progress: [String] = []
    ) throws -> SourceDriver {
      var source = try DirectorySource(folder.path, pattern: Glob(pattern), in: files)
      source.resume(from: progress, run: nil)
      return SourceDriver(source)
    }

    private func progress(_ driver: SourceDriver) throws -> [String] {
      try #require(driver.source.progress)
    }

    @Test func `files that are there are read in the order of their names`() throws {
      for name in ["b", "c", "a", ".hidden"] { try folder.write(name, to: name) }
      var source = try open()
      #expect(
        try source.drain() == ["0:a", "0 ended", "1:b", "1 ended", "2:c", "2 ended"])
      #expect(!source.isReady())
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
      var source = SourceDriver(try DirectorySource(folder.path, in: files), capacity: 4)
      #expect(try source.read().read == .bytes(4, run: 0))
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
      let progress = try progress(first)
      #expect(progress.count == 2)
      try folder.write("late", to: "a0")
      try folder.write("new b", to: "b.new")
      try folder.rename("b.new", to: "b")
      var second = try open(resuming: progress)
      #expect(try second.drain() == ["0:late", "0 ended", "1:new b", "1 ended"])
      var third = try open(resuming: try self.progress(second))
      #expect(try third.drain() == [])
      #expect(try self.progress(third) == self.progress(second))
    }

    @Test func `the file under way goes ahead of one that came under an earlier name`() throws {
      for name in ["b", "c"] { try folder.write(name, to: name) }
      let first = try DirectorySource(folder.path, in: files)
      var driver = SourceDriver(first)
      #expect(try driver.read().read == .bytes(1, run: 0))
      let mark = try #require(driver.source.mark(ofRun: 0))
      try folder.write("late", to: "a")
      var second = try DirectorySource(folder.path, in: files)
      second.resume(from: [], run: mark)
      driver = SourceDriver(second)
      #expect(
        try driver.drain() == ["0:b", "0 ended", "1:late", "1 ended", "2:c", "2 ended"])
    }

    @Test func `the file under way goes on where it is sought, if it is so long`() throws {
      for name in ["a", "b"] { try folder.write("\(name)123456789", to: name) }
      var source = SourceDriver(try DirectorySource(folder.path, in: files), capacity: 2)
      #expect(try source.read().read == .bytes(2, run: 0))
      #expect(try !source.source.seek(run: 0, to: 11))
      #expect(try source.source.seek(run: 0, to: 8))
      #expect(try source.drain() == ["0:89", "0 ended", "1:b123456789", "1 ended"])
      #expect(try !source.source.seek(run: 1, to: 0))
    }

    @Test func `a file that is not read to its end is not remembered`() throws {
      try folder.write("0123456789", to: "a")
      var source = SourceDriver(try DirectorySource(folder.path, in: files), capacity: 4)
      #expect(try source.read().read == .bytes(4, run: 0))
      #expect(try progress(source).isEmpty)
    }

    @Test func `what is gone from the directory is forgotten, and its name is free`() throws {
      try folder.write("one", to: "a")
      var source = try open()
      #expect(try source.drain() == ["0:one", "0 ended"])
      try folder.remove("a")
      #expect(try source.drain() == [])
      #expect(try progress(source).isEmpty)
      #expect(try source.after { try folder.write("two", to: "a") } == ["1:two", "1 ended"])
    }

    @Test func `a file written to again is not read again, one moved over it is`() throws {
      try folder.write("one", to: "a")
      var source = try open()
      #expect(try source.drain() == ["0:one", "0 ended"])
      #expect(try source.after { try folder.append("more", to: "a") } == [])
      try folder.write("two", to: ".a")
      #expect(try source.after { try folder.rename(".a", to: "a") } == ["1:two", "1 ended"])
    }

    @Test func `a file replaced while it is read is read to its end, then the new one`() throws {
      try folder.write("0123456789", to: "a")
      var source = SourceDriver(
        try DirectorySource(folder.path, in: files), capacity: 4)
      #expect(try source.read().read == .bytes(4, run: 0))
      try folder.write("new", to: ".a")
      try folder.rename(".a", to: "a")
      #expect(try source.drain() == ["0:456789", "0 ended", "1:new", "1 ended"])
    }

    @Test func `an abandoned file counts as read`() throws {
      for name in ["a", "b"] { try folder.write(name, to: name) }
      var source = try open()
      #expect(try source.read().read == .bytes(1, run: 0))
      source.source.abandon(run: 0)
      #expect(try source.drain() == ["1:b", "1 ended"])
      #expect(try progress(source).map { $0.split(separator: "/").last } == ["a", "b"])
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
