import Foundation
import Glibc
import Storage
import TestSupport
import Testing

struct FileSystemTests {
  let files = POSIXFileSystem()
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private func read(_ file: any File, _ count: Int, at offset: Int? = nil) throws -> [UInt8] {
    var buffer = [UInt8](repeating: 0xEE, count: count)
    let read = try buffer.withUnsafeMutableBytes { bytes in
      if let offset { try file.read(into: bytes, at: offset) } else { try file.read(into: bytes) }
    }
    return Array(buffer[..<read])
  }

  @Test func `written bytes are read back, in sequence and at an offset`() throws {
    let file = try files.open(directory.file("a"), for: .updating)
    try file.write(Array(0..<10))
    try file.seek(to: 2)
    #expect(try read(file, 3) == [2, 3, 4])
    #expect(try read(file, 2, at: 8) == [8, 9])
    #expect(try read(file, 100) == [5, 6, 7, 8, 9])
    #expect(try read(file, 100).isEmpty)
    #expect(try read(file, 4, at: 10).isEmpty)
    #expect(try file.status().size == 10)
  }

  @Test func `truncating and seeking let a file go on from a recorded position`() throws {
    try files.open(directory.file("a"), for: .writing).write(Array(0..<10))
    let file = try files.open(directory.file("a"), for: .updating)
    try file.truncate(to: 4)
    try file.seek(to: 4)
    try file.write([77])
    try file.sync()
    #expect(try files.contents(of: directory.file("a"), limit: 100) == [0, 1, 2, 3, 77])
  }

  @Test func `writing starts a file afresh, creating refuses one that exists`() throws {
    try files.open(directory.file("a"), for: .creating).write([1, 2, 3])
    #expect(throws: FileError(operation: .create, path: directory.file("a"), errno: EEXIST)) {
      _ = try files.open(directory.file("a"), for: .creating)
    }
    try files.open(directory.file("a"), for: .writing).write([9])
    #expect(try files.contents(of: directory.file("a"), limit: 9) == [9])
  }

  @Test func `an error says what was tried on which path and why`() throws {
    #expect(
      message { try files.open("missing/x.csv", for: .reading) }
        == "cannot open missing/x.csv: No such file or directory")
    #expect(
      message { try files.list("missing") } == "cannot list missing: No such file or directory")
    #expect(message { try files.remove(directory.path) }.hasSuffix(": Is a directory"))
  }

  @Test func `a file is closed once, and when it is let go`() throws {
    let before = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count
    for _ in 0..<200 { _ = try files.open(directory.file("a"), for: .updating) }
    let file = try files.open(directory.file("a"), for: .updating)
    try file.close()
    try file.close()
    let after = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count
    // Other tests open files at the same time, but not hundreds.
    #expect(after < before + 100)
    #expect(
      message { try file.write([1]) } == "cannot write \(directory.file("a")): Bad file descriptor")
  }

  @Test func `identity and kind tell files apart whatever their names`() throws {
    _ = try files.open(directory.file("a"), for: .writing)
    _ = try files.open(directory.file("b"), for: .writing)
    try FileManager.default.createSymbolicLink(
      atPath: directory.file("link"), withDestinationPath: directory.file("a"))
    #expect(mkfifo(directory.file("fifo"), 0o600) == 0)
    let status = try files.status(of: directory.file("a"))
    #expect(try files.status(of: directory.file("link")) == status)
    #expect(try files.open(directory.file("a"), for: .reading).status() == status)
    #expect(try files.status(of: directory.file("b")).identity != status.identity)
    #expect(status.kind == .regular)
    #expect(try files.status(of: directory.path).kind == .directory)
    #expect(try files.status(of: directory.file("fifo")).kind == .fifo)
    #expect(try files.status(of: "/dev/null").kind == .other)
    #expect(try files.list(directory.path) == ["a", "b", "fifo", "link"])
    try files.rename(directory.file("b"), to: directory.file("a"))
    #expect(try files.list(directory.path) == ["a", "fifo", "link"])
  }

  @Test func `directories are made with those above them, and may exist`() throws {
    try files.createDirectories(directory.file("x/y/z"))
    try files.createDirectories(directory.file("x/y/z"))
    try files.createDirectories(directory.file("x/y/w/"))
    #expect(try files.list(directory.file("x/y")) == ["w", "z"])
    try files.syncDirectory(directory.file("x/y"))
    _ = try files.open(directory.file("file"), for: .writing)
    #expect(
      message { try files.createDirectories(directory.file("file")) }.hasSuffix("File exists"))
    #expect(
      message { try files.createDirectories(directory.file("file/x")) }.contains("Not a directory"))
  }

  @Test(arguments: [
    ("x", "."), ("a/x", "a"), ("/x", "/"), ("/a/b/x", "/a/b"), ("a/b/", "a"), ("./x", "."),
    ("/", "/"),
  ])
  func `the parent of a path is the directory that holds it`(path: String, parent: String) {
    #expect(parentDirectory(of: path) == parent)
  }

  @Test func `a file above the limit is refused before it is read`() throws {
    let file = try files.open(directory.file("a"), for: .writing)
    try file.truncate(to: 1 << 40)
    #expect(throws: StorageError.tooLarge(path: directory.file("a"), size: 1 << 40, limit: 100)) {
      _ = try files.contents(of: directory.file("a"), limit: 100)
    }
    try file.truncate(to: 100)
    #expect(try files.contents(of: directory.file("a"), limit: 100).count == 100)
  }

  @Test(.timeLimit(.minutes(1)))
  func `only a regular file is read as a whole, and a FIFO without a writer keeps nobody waiting`()
    throws
  {
    #expect(mkfifo(directory.file("fifo"), 0o600) == 0)
    let refused: [(path: String, found: FileStatus.Kind)] = [
      (directory.file("fifo"), .fifo), (directory.path, .directory), ("/dev/zero", .other),
    ]
    for (path, found) in refused {
      #expect(throws: StorageError.notRegular(path: path, found: found)) {
        _ = try files.contents(of: path, limit: 100)
      }
    }
    #expect(
      message { try files.contents(of: directory.file("fifo"), limit: 1) }
        == "\(directory.file("fifo")): expected a regular file, found a FIFO")
  }
}

struct AtomicFileTests {
  let files = POSIXFileSystem()
  let directory: TemporaryDirectory

  init() throws {
    directory = try TemporaryDirectory()
    try files.open(directory.file("a"), for: .writing).write(Array("old".utf8))
  }

  private var content: String {
    get throws {
      String(decoding: try files.contents(of: directory.file("a"), limit: 99), as: UTF8.self)
    }
  }

  @Test func `the new file appears whole when it is committed`() throws {
    let file = try AtomicFile(replacing: directory.file("a"), in: files)
    try file.write(Array("ne".utf8))
    try file.write(Array("w".utf8))
    #expect(try content == "old")
    try file.commit()
    try file.commit()
    file.discard()
    #expect(try content == "new")
    #expect(try files.list(directory.path) == ["a"])
  }

  @Test func `a file keeps its permissions when it is replaced`() throws {
    #expect(chmod(directory.file("a"), 0o600) == 0)
    try files.replace(directory.file("a"), with: Array("new".utf8))
    #expect(try files.status(of: directory.file("a")).permissions == 0o600)
    #expect(try content == "new")
  }

  @Test(arguments: [("a", "link"), ("./a", "link"), ("link", "further"), ("new", "link")])
  func `a file is replaced through the links that lead to it`(target: String, link: String) throws {
    if target == "link" { #expect(symlink("a", directory.file("link")) == 0) }
    #expect(symlink(target, directory.file(link)) == 0)
    try files.replace(directory.file(link), with: Array("new".utf8))
    #expect(files.isSymbolicLink(directory.file(link)))
    let name = target == "new" ? "new" : "a"
    #expect(!files.isSymbolicLink(directory.file(name)))
    #expect(
      try files.contents(of: directory.file(name), limit: 99) == Array("new".utf8))
    #expect(try files.list(directory.path).allSatisfy { !$0.hasPrefix(".evenkeel") })
  }

  @Test func `links that lead in a circle are refused`() throws {
    #expect(symlink("y", directory.file("x")) == 0 && symlink("x", directory.file("y")) == 0)
    #expect(
      message { try AtomicFile(replacing: directory.file("x"), in: files) }
        .hasSuffix("Too many levels of symbolic links"))
  }

  @Test func `a file that is discarded or released leaves no temporary file`() throws {
    let file = try AtomicFile(replacing: directory.file("a"), in: files)
    try file.write([1])
    file.discard()
    try file.commit()
    _ = try AtomicFile(replacing: directory.file("new"), in: files)
    #expect(try content == "old")
    #expect(try files.list(directory.path) == ["a"])
  }

  @Test(arguments: [FileError.Operation.create, .write, .sync, .close, .rename])
  func `a failure leaves the old file and no other`(operation: FileError.Operation) throws {
    let text = message {
      try FailingFileSystem(operation).replace(directory.file("a"), with: [1, 2, 3])
    }
    #expect(text.hasPrefix("cannot \(operation.rawValue) \(directory.path)"))
    #expect(text.hasSuffix("Input/output error"))
    #expect(try content == "old")
    #expect(try files.list(directory.path) == ["a"])
  }

  @Test func `a directory that cannot be synced is an error, with the new file in place`() throws {
    let text = message {
      try FailingFileSystem(.syncDirectory).replace(directory.file("a"), with: [55])
    }
    #expect(text == "cannot sync directory \(directory.path): Input/output error")
    #expect(try content == "7")
  }

  @Test func `a leftover of a dead process is stepped over`() throws {
    let first = try AtomicFile(replacing: directory.file("a"), in: files)
    let name = try #require(try files.list(directory.path).first { $0 != "a" })
    let parts = name.split(whereSeparator: { "-.".contains($0) })
    let number = try #require(Int(parts[2]))
    first.discard()
    // Other tests take numbers too, so many leftovers stand in the way.
    let leftovers = (1...400).map { ".evenkeel-\(parts[1])-\(number + $0).tmp" }
    for leftover in leftovers { _ = try files.open(directory.file(leftover), for: .writing) }
    try files.replace(directory.file("a"), with: Array("new".utf8))
    #expect(try content == "new")
    #expect(try files.list(directory.path) == (leftovers + ["a"]).sorted())
  }

  @Test func `anything but a regular file is not replaced`() throws {
    #expect(mkfifo(directory.file("fifo"), 0o600) == 0)
    #expect(
      message { try AtomicFile(replacing: directory.file("fifo"), in: files) }
        == "cannot replace \(directory.file("fifo")): Operation not supported")
    #expect(
      message { try AtomicFile(replacing: directory.path, in: files) }
        == "cannot replace \(directory.path): Is a directory")
    #expect(
      message { try AtomicFile(replacing: directory.file("x/y"), in: files) }
        == "cannot create \(directory.file("x/y")): No such file or directory")
  }

  @Test func `two writers at once each leave a whole file`() async throws {
    await withTaskGroup { group in
      for byte in UInt8(0)..<16 {
        group.addTask { [files, path = directory.file("a")] in
          try? files.replace(path, with: Array(repeating: byte, count: 50_000))
        }
      }
    }
    let bytes = try files.contents(of: directory.file("a"), limit: 50_000)
    #expect(bytes.count == 50_000 && Set(bytes).count == 1)
    #expect(try files.list(directory.path) == ["a"])
  }
}
