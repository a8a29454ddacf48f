import Foundation
import Glibc
import Records
import Storage
import Synchronization
import Testing

@testable import Connectors

/// The real file system, on which another process acts between two looks of the source.
private final class ShiftingFileSystem: FileSystem {
  private let real = POSIXFileSystem()
  private let calls = Mutex(0)
  private let call: Int
  private let act: @Sendable () -> Void
  private let name: String

  /// - Parameter act: called before the status of a file of this name is asked for the `call`th time.
  init(before call: Int, of name: String, _ act: @escaping @Sendable () -> Void) {
    (self.call, self.name, self.act) = (call, name, act)
  }

  func status(of path: String) throws(FileError) -> FileStatus {
    let isDue =
      path.hasSuffix("/" + name)
      && calls.withLock { calls in
        calls += 1
        return calls == call
      }
    if isDue { act() }
    return try real.status(of: path)
  }

  func open(_ path: String, for use: FileUse) throws(FileError) -> any File {
    try real.open(path, for: use)
  }
  func rename(_ path: String, to newPath: String) throws(FileError) {
    try real.rename(path, to: newPath)
  }
  func remove(_ path: String) throws(FileError) { try real.remove(path) }
  func list(_ directory: String) throws(FileError) -> [String] { try real.list(directory) }
  func createDirectories(_ directory: String) throws(FileError) {
    try real.createDirectories(directory)
  }
  func lock(_ path: String) throws(FileError) -> any File { try real.lock(path) }
  func syncDirectory(_ directory: String) throws(FileError) { try real.syncDirectory(directory) }
  func watch() throws(FileError) -> any FileWatch { try real.watch() }
}

extension LiveSourceTests {
  /// A followed file that is emptied, copied, compressed or renamed at the worst moment.
  struct FollowCutTests: FollowSuite {
    let folder: SourceFolder

    init() throws { folder = try SourceFolder() }

    /// Empties the log in place and writes to it.
    private func refill(_ text: String) throws {
      let handle = try #require(FileHandle(forWritingAtPath: folder("log")))
      try handle.truncate(atOffset: 0)
      try handle.write(contentsOf: Data(text.utf8))
      try handle.close()
    }

    private func loss(after offset: Int) -> String {
      "\(folder("log")) was cut after byte \(offset) was read: unread bytes from before the cut are lost"
    }

    @Test func `a cut between two reads gives no byte of the new contents to the old split`()
      throws
    {
      try folder.write("aaaabbbb", to: "log")
      var source = try follow(capacity: 4)
      #expect(try source.read().read == .data(0, .bytes(4)))
      try refill("xxxxyyyyzzzz")
      #expect(try source.drain() == ["0 ended", loss(after: 4), "1:xxxxyyyyzzzz"])
    }

    @Test func `a file that is cut again before its first byte is read is seen to be cut`() throws {
      try folder.write("one\n", to: "log")
      var source = try follow()
      #expect(try source.drain() == ["0:one\n"])
      try refill("two\n")
      // The source opens the file again, and has not read from it.
      #expect(try source.read().read == .ended(0))
      #expect(try source.read().read == .gap(loss(after: 4)))
      try refill("three\n")
      #expect(try source.drain() == [loss(after: 0), "2:three\n"])
    }

    @Test func `copies of later rotations are read after a cut without a copy`() throws {
      try folder.write("one\n", to: "log")
      var source = try follow()
      #expect(try source.drain() == ["0:one\n"])
      try refill("two\n")
      usleep(10_000)
      try FileManager.default.copyItem(atPath: folder("log"), toPath: folder("log.1"))
      usleep(10_000)
      try refill("three\n")
      #expect(
        try source.drain() == [
          "0 ended", loss(after: 4), "1:two\n", "1 ended", "2:three\n",
        ])
    }

    @Test func `a look at an empty log does not forget the copy of what it held`() throws {
      try folder.write("one\n", to: "log")
      var source = try follow()
      #expect(try source.drain() == ["0:one\n"])
      try refill("")
      #expect(try source.drain() == ["0 ended", loss(after: 4)])
      for (old, text) in [("log.2", "two\n"), ("log.1", "three\n")] {
        usleep(10_000)
        try folder.append(text, to: "log")
        usleep(10_000)
        try FileManager.default.copyItem(atPath: folder("log"), toPath: folder(old))
        usleep(10_000)
        try refill("")
        #expect(try source.drain() == [])
      }
      usleep(10_000)
      try folder.append("four\n", to: "log")
      let found = try source.drain()
      #expect(found == ["2:two\n", "2 ended", "3:three\n", "3 ended", "4:four\n"])
    }

    @Test func `the mark of a file that was emptied is that of the bytes that were read`() throws {
      try folder.write("one\ntwo\n", to: "log")
      var first = try follow()
      #expect(try first.drain() == ["0:one\ntwo\n"])
      try refill("four\nfive\nsix\n")
      // The stream takes a checkpoint before the source sees the cut.
      let cursor = try first.cursor()
      var second = try follow(at: cursor)
      #expect(
        second.source.gap == "\(folder("log")): the file that was read up to byte 8 is gone")
      #expect(try second.drain() == ["0:four\nfive\nsix\n"])
    }

    @Test func `a copy is known by the bytes that were read since the file was opened`() throws {
      try folder.write("one\n", to: "log")
      var source = try follow()
      #expect(try source.drain() == ["0:one\n"])
      #expect(try source.after { try folder.append("two\n", to: "log") } == ["0:two\n"])
      // It begins as the log did, and is no copy of it.
      try folder.write("one\nother\n", to: "log.2")
      try folder.append("three\n", to: "log")
      try FileManager.default.copyItem(atPath: folder("log"), toPath: folder("log.1"))
      try refill("x\n")
      #expect(try source.drain().prefix(2) == ["0:three\n", "0 ended"])
    }

    @Test(arguments: 1...3)
    func `names that change while the siblings are looked at hide no file and double none`(
      call: Int
    ) throws {
      let path = folder.path + "/"
      try folder.write("one\n", to: "log")
      let shifting = ShiftingFileSystem(before: call, of: "log.2") {
        for (from, to) in [("log.2", "log.3"), ("log.1", "log.2"), ("log", "log.1")] {
          _ = rename(path + from, path + to)
        }
        try? Data("four\n".utf8).write(to: URL(filePath: path + "log"))
      }
      var source = SourceDriver(
        try FollowSource(
          folder("log"), start: .beginning,
          in: SourceContext(ConnectorContext(fileSystem: shifting))))
      #expect(try source.drain() == ["0:one\n"])
      try folder.rename("log", to: "log.2")
      for (name, text) in [("log.1", "two\n"), ("log", "three\n")] {
        usleep(10_000)
        try folder.write(text, to: name)
      }
      usleep(10_000)
      let expected = ["0 ended", "1:two\n", "1 ended", "2:three\n", "2 ended", "3:four\n"]
      #expect(try source.drain() == expected)
      #expect(folder.exists("log.3"), "nothing was renamed")
    }

    // MARK: Compressed files

    /// The context of a source for which a file is compressed if it begins with `Z`.
    private func context(_ cursor: InputCursor? = nil) -> SourceContext {
      var context = SourceContext.real(cursor)
      context.decompressedStart = { $0.first == UInt8(ascii: "Z") ? Array($0.dropFirst()) : nil }
      return context
    }

    private func follow(in context: SourceContext, capacity: Int = 64 << 10) throws -> SourceDriver
    {
      SourceDriver(
        try FollowSource(folder("log"), start: .beginning, in: context), capacity: capacity)
    }

    /// Gives a file the time of another one, as programs that compress do.
    private func setTime(of name: String, as other: String) throws {
      var status = stat()
      try #require(stat(folder(other), &status) == 0)
      var times = [status.st_mtim, status.st_mtim]
      try #require(utimensat(AT_FDCWD, folder(name), &times, 0) == 0)
    }

    @Test func `a compressed copy of the file that was just read is not read again`() throws {
      try folder.write("one\n", to: "log")
      var source = try follow(in: context())
      #expect(try source.drain() == ["0:one\n"])
      try folder.rename("log", to: "log.1")
      try folder.write("Zone\n", to: "log.1.zst")
      try setTime(of: "log.1.zst", as: "log.1")
      try folder.remove("log.1")
      usleep(10_000)
      try folder.write("two\n", to: "log")
      #expect(try source.drain() == ["0 ended", "1:two\n"])
    }

    @Test func `a restart goes on within a compressed file of a rotation`() throws {
      try folder.write("one\n", to: "log")
      var first = try follow(in: context(), capacity: 4)
      #expect(try first.drain() == ["0:one\n"])
      let done = try first.cursor()
      try folder.rename("log", to: "log.2")
      usleep(10_000)
      try folder.write("Zcompressed\n", to: "log.1.zst")
      usleep(10_000)
      try folder.write("three\n", to: "log")
      var second = try follow(in: context(done), capacity: 4)
      #expect(try second.read().read == .ended(0))
      #expect(try second.read().read == .data(1, .bytes(4)))
      #expect(second.source.start(of: 1).name == folder("log.1.zst"))
      try second.finish()
      // The log is rotated once more meanwhile.
      try folder.rename("log.1.zst", to: "log.2.zst")
      var third = try follow(in: context(try second.cursor()))
      #expect(third.source.gap == nil)
      let start = third.source.start(of: 0)
      #expect(start.byteOffset == 4 && start.isReframed)
      #expect(try third.drain() == ["0:pressed\n", "0 ended", "1:three\n"])
    }
  }
}
