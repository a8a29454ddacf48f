import Foundation
import Glibc
import Storage
import TestSupport
import Testing

// One at a time: until it has replaced itself, a process being started holds our locks too.
@Suite(.serialized) struct StateDirectoryLockTests {
  let files = POSIXFileSystem()
  let directory: TemporaryDirectory
  private var state: String { directory.file("state") }
  private var path: String { state + "/lock" }

  init() throws { directory = try TemporaryDirectory() }

  private func content() throws -> String {
    String(decoding: try files.contents(of: path, limit: 99), as: UTF8.self)
  }

  @Test func `the directory is made and the holder's number stands in the lock`() throws {
    let lock = try StateDirectoryLock(state, in: files)
    #expect(try content() == "\(getpid())\n")
    lock.release()
    lock.release()
    #expect(try files.list(state) == ["lock"])
  }

  @Test func `a second lock is refused with the path and the holder until the first is released`()
    throws
  {
    let first = try StateDirectoryLock(state, in: files)
    let text = message { try StateDirectoryLock(state, in: files) }
    #expect(text == "\(path): the state directory is in use by process \(getpid())")
    first.release()
    let second = try StateDirectoryLock(state, in: files)
    #expect(throws: StorageError.stateDirectoryInUse(lock: path, holder: Int(getpid()))) {
      try StateDirectoryLock(state, in: files)
    }
    second.release()
  }

  @Test func `a lock that is let go is released`() throws {
    for _ in 0..<3 { _ = try StateDirectoryLock(state, in: files) }
    let other = try StateDirectoryLock(directory.file("other"), in: files)
    #expect(throws: Never.self) { try StateDirectoryLock(state, in: files) }
    other.release()
  }

  @Test func `reading the lock file or opening and closing it does not release it`() throws {
    let lock = try StateDirectoryLock(state, in: files)
    _ = try content()
    try files.open(path, for: .updating).close()
    #expect(message { try StateDirectoryLock(state, in: files) }.contains("in use"))
    lock.release()
  }

  @Test func `the text of a dead process in the lock is replaced, whatever its length`() throws {
    try files.createDirectories(state)
    try files.open(path, for: .writing).write(Array("12345678901234567890\nmore\n".utf8))
    let lock = try StateDirectoryLock(state, in: files)
    #expect(try content() == "\(getpid())\n")
    lock.release()
  }

  @Test func `a holder that is not known is not named`() throws {
    let held = try StateDirectoryLock(state, in: files)
    for text in ["", "\n", "x\n", String(repeating: "1", count: 1000)] {
      try files.open(path, for: .writing).write(Array(text.utf8))
      #expect(
        message { try StateDirectoryLock(state, in: files) }
          == "\(path): the state directory is in use by another process")
    }
    held.release()
  }

  @Test func `a lock that cannot be taken is an error, one that cannot be signed is held`() throws {
    for errno in [EROFS, EACCES, EMFILE] {
      let failing = FailingFileSystem(.lock, errno: errno)
      #expect(
        throws: StorageError.file(FileError(operation: .lock, path: path, errno: errno))
      ) { try StateDirectoryLock(state, in: failing) }
    }
    for operation in [FileError.Operation.write, .truncate] {
      let lock = try StateDirectoryLock(state, in: FailingFileSystem(operation, errno: ENOSPC))
      #expect(message { try StateDirectoryLock(state, in: files) }.contains("in use"))
      lock.release()
    }
    try files.createDirectories(directory.file("odd/lock"))
    #expect(
      message { try StateDirectoryLock(directory.file("odd"), in: files) }
        == "cannot lock \(directory.file("odd"))/lock: Is a directory")
  }

  /// util-linux's flock(1), which stands for another process.
  private static let flock = "/usr/bin/flock"
  private static let hasFlock = FileManager.default.isExecutableFile(atPath: flock)

  private func runFlock(_ arguments: [String], input: Pipe? = nil, output: Pipe? = nil) throws
    -> Process
  {
    let process = Process()
    process.executableURL = URL(filePath: Self.flock)
    process.arguments = arguments
    if let input { process.standardInput = input }
    if let output { process.standardOutput = output }
    try process.run()
    return process
  }

  @Test(.enabled(if: hasFlock))
  func `another process cannot take a lock that is held here`() throws {
    func attempt() throws -> Int32 {
      let process = try runFlock(["--nonblock", "--conflict-exit-code", "9", path, "true"])
      process.waitUntilExit()
      return process.terminationStatus
    }
    let lock = try StateDirectoryLock(state, in: files)
    #expect(try attempt() == 9)
    lock.release()
    #expect(try attempt() == 0)
  }

  @Test(.enabled(if: hasFlock))
  func `a lock held by another process is refused until that process is killed`() throws {
    try files.createDirectories(state)
    let (input, output) = (Pipe(), Pipe())
    let other = try runFlock(
      ["--nonblock", "--no-fork", path, "cat"], input: input, output: output)
    defer { other.terminate() }
    // The text comes back from cat once flock has the lock.
    try input.fileHandleForWriting.write(contentsOf: Array("go".utf8))
    #expect(output.fileHandleForReading.availableData.count == 2)
    try files.open(path, for: .writing).write(Array("\(other.processIdentifier)\n".utf8))
    #expect(
      message { try StateDirectoryLock(state, in: files) }
        == "\(path): the state directory is in use by process \(other.processIdentifier)")
    #expect(kill(other.processIdentifier, SIGKILL) == 0)
    other.waitUntilExit()
    #expect(throws: Never.self) { try StateDirectoryLock(state, in: files) }
  }
}
