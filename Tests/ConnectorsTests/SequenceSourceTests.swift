import Foundation
import Records
import Storage
import TestSupport
import Testing

@testable import Connectors

extension LiveSourceTests {
  /// A directory with older files, and then a file that grows.
  struct SequenceSourceTests {
    let folder: SourceFolder
    /// The changes of the list of done splits, as the stream keeps it beside a checkpoint.
    final class DoneList {
      var hashes: Set<UInt64> = []

      func take(from source: inout any Source) {
        let changes = source.takeDoneChanges()
        hashes.subtract(changes.removed)
        hashes.formUnion(changes.added)
      }
    }
    let list = DoneList()

    init() throws { folder = try SourceFolder() }

    private func open(
      _ pattern: String = "log.*", at cursor: InputCursor? = nil, capacity: Int = 64 << 10
    ) throws -> SourceDriver {
      let backlog: SourceFactory = { [path = folder.path] context throws(FileError) in
        try DirectorySource(path, pattern: Glob(pattern), isBacklog: true, in: context)
      }
      let live: SourceFactory = { [path = folder("log")] context throws(FileError) in
        try FollowSource(path, start: .beginning, in: context)
      }
      let source = try SequenceSource(
        [
          .init(open: backlog, path: folder.path), .init(open: live, path: folder("log")),
        ], in: .real(cursor, done: cursor == nil ? [] : list.hashes))
      return SourceDriver(source, capacity: capacity)
    }

    /// A checkpoint: the cursor, and the list of done splits.
    private func checkpoint(_ driver: inout SourceDriver) throws -> InputCursor {
      let cursor = try driver.cursor()
      list.take(from: &driver.source)
      return cursor
    }

    private func fill() throws {
      for (age, name) in ["log.1", "log.2", "other"].enumerated() {
        try folder.write(name + ";", to: name)
        try folder.setAge(of: name, seconds: 100 + age)
      }
      try folder.write("live;", to: "log")
      try folder.setAge(of: "log", seconds: 50)
    }

    @Test func `older files come first, and then the one that grows`() throws {
      try fill()
      var source = try open()
      #expect(
        try source.drain() == ["0:log.1;", "0 ended", "1:log.2;", "1 ended", "2:live;"])
      try source.finish()
      let more = try source.after { try folder.append("more;", to: "log") }
      #expect(more == ["2:more;"])
      // A file of the directory is no news any more.
      try folder.write("late;", to: "log.9")
      #expect(try source.drain() == [])
    }

    @Test func `a file that is rotated meanwhile is read once, by the last source`() throws {
      try fill()
      var source = try open(capacity: 3)
      #expect(try source.read().bytes == Array("log".utf8))
      try folder.rename("log.2", to: "log.3")
      try folder.rename("log.1", to: "log.2")
      try folder.rename("log", to: "log.1")
      try folder.write("new;", to: "log")
      #expect(
        try source.drain()
          == ["0:.1;", "0 ended", "1:log.2;", "1 ended", "2:live;", "2 ended", "3:new;"])
    }

    /// Stops after each number of reads, with a checkpoint after any of them, and rotates in between.
    @Test(arguments: 0..<24)
    func `a later source goes on at the cursors, over the seam too`(stop: Int) throws {
      try fill()
      let rotates = stop % 2 == 0
      var source = try open(capacity: 4)
      var cursor = try checkpoint(&source)
      var given: [UInt8] = []
      for count in 0..<stop {
        let (event, bytes) = try source.read()
        given += bytes
        if case .idle = event { break }
        if count % 3 == 1 { try source.finish() }
      }
      cursor = try checkpoint(&source)
      if rotates {
        try folder.rename("log.2", to: "log.3")
        try folder.rename("log.1", to: "log.2")
        try folder.rename("log", to: "log.1")
        try folder.write("new;", to: "log")
      }
      var later = try open(at: cursor, capacity: 5)
      #expect(later.source.gap == nil)
      while true {
        let (event, bytes) = try later.read()
        given += bytes
        if case .idle = event { break }
        try later.finish()
      }
      let expected = "log.1;log.2;live;" + (rotates ? "new;" : "")
      #expect(String(decoding: given, as: UTF8.self) == expected)
      // Nothing is left of the directory in the list, and a third source does not open it.
      cursor = try checkpoint(&later)
      #expect(list.hashes.isEmpty)
      try folder.write("more;", to: "log.7")
      var third = try open(at: cursor)
      #expect(try third.drain().isEmpty)
    }

    @Test func `the file that grows is not taken from the directory`() throws {
      try fill()
      var source = try open("*")
      #expect(
        try source.drain()
          == [
            "0:log.1;", "0 ended", "1:log.2;", "1 ended", "2:other;", "2 ended", "3:live;",
          ])
    }

    @Test func `files that are gone or new when it goes on are left out`() throws {
      try fill()
      var source = try open(capacity: 3)
      _ = try source.read()
      let cursor = try checkpoint(&source)
      // First the new one, or it may have the inode of the other. It is older than the log, and so no rotated one.
      try folder.write("new;", to: "log.5")
      try folder.setAge(of: "log.5", seconds: 90)
      try folder.remove("log.2")
      var later = try open(at: cursor)
      #expect(try later.drain() == ["0:.1;", "0 ended", "1:live;"])
      try later.finish()
      _ = try checkpoint(&later)
      #expect(list.hashes.isEmpty)
    }

    @Test func `an empty directory is no reason to wait, and files may be parts too`() throws {
      try folder.write("a;", to: "first")
      try folder.write("", to: "empty")
      let file: (String) -> SequenceSource.Element = { name in
        .init(
          open: { [path = folder(name)] context throws(FileError) in
            try FileSource(context.fileSystem.open(path, for: .reading), cursor: context.cursor)
          }, path: folder(name))
      }
      let none: SequenceSource.Element = .init(
        open: { [path = folder.path] context throws(FileError) in
          try DirectorySource(path, pattern: Glob("no*"), isBacklog: true, in: context)
        }, path: folder.path)
      let live: SequenceSource.Element = .init(
        open: { [path = folder.path] context throws(FileError) in
          try DirectorySource(path, pattern: Glob("live*"), in: context)
        }, path: folder.path)
      let sequence = [file("first"), none, file("empty"), live]
      var source = SourceDriver(try SequenceSource(sequence, in: .real()))
      #expect(try source.drain() == ["0:a;", "0 ended"])
      let kept = try checkpoint(&source)
      #expect(kept.splits.count == 1)
      try source.finish()
      let log = try source.after { try folder.write("b;", to: "live1") }
      #expect(log == ["1:b;", "1 ended"])
      try source.finish()
      let cursor = try checkpoint(&source)
      #expect(cursor.splits.isEmpty && list.hashes.count == 1)
      for at in [cursor, kept] {
        var later = SourceDriver(try SequenceSource(sequence, in: .real(at, done: list.hashes)))
        #expect(try later.drain() == (at == cursor ? [] : ["0 ended"]))
      }
    }

    @Test func `a pipe before the last source is refused, since no one can read it again`() throws {
      #expect(mkfifo(folder("pipe"), 0o600) == 0)
      let pipe: SequenceSource.Element = .init(
        open: { [path = folder("pipe")] context throws(FileError) in
          try FileSource(context.fileSystem.openWithoutWaiting(path), cursor: nil)
        }, path: folder("pipe"))
      let error = #expect(throws: FileError.self) {
        try SequenceSource([pipe, pipe], in: .real())
      }
      #expect(error?.errno == ENOTSUP)
    }

    @Test func `progress of another sequence, or other bytes, are none`() {
      let progress = SequenceProgress(
        doneCount: 1, others: [OpaqueBytes("1 2 3"), OpaqueBytes()])
      #expect(SequenceProgress(progress.opaque, count: 3) == progress)
      for count in [1, 2, 4] { #expect(SequenceProgress(progress.opaque, count: count) == nil) }
      for text in ["", "x", "3\n\n", "-1\n\n\n\n"] {
        #expect(SequenceProgress(OpaqueBytes(text), count: 3) == nil, "\(text)")
      }
    }
  }
}
