import Codecs
import Dispatch
import Records
import Storage
import Synchronization
import TestSupport
import Testing

@testable import Stream

@Suite struct BoundedMemoryTests {
  /// About as much text as `OperateStage` gathers in one unit, a batch more at most.
  private let unitBytes = 256 << 10
  private let batchBytes = 16 * EndlessInput.recordBytes
  /// What `IngestStage` reads and decompresses at once.
  private let windowBytes = (256 + 128) << 10

  @Test(arguments: [1, 3])
  func `a sink that takes nothing stops an endless source within a bound`(threads: Int) throws {
    let fileSystem = EndlessFileSystem()
    var configuration = csvConfiguration { $0.batch.size = 16 }
    configuration.decoder.features = [FeaturePattern("x")]
    let ending = StreamEnding()
    let run = try StreamRun(
      configuration, files: StreamFiles(input: "in", output: "out"), threads: threads,
      fileSystem: fileSystem
    ) { ending.complete($0) }
    run.start()
    #expect(fileSystem.sink.isEntered())
    // Units: in the sink, with the workers or behind them, before them, being gathered.
    let units = 1 + (2 * threads + 1) + 2 + 1
    // Batches: in the channel before, and being read.
    let batches = min(257, (1 << 20) / batchBytes + 2)
    let bound = units * (unitBytes + batchBytes) + batches * batchBytes + windowBytes
    let taken = fileSystem.input.bytesWhenQuiet(atMost: bound)
    #expect(taken <= bound)
    // More than nothing waits: the stages work ahead of the sink.
    #expect(taken > (2 * threads + 1) * unitBytes)
    run.cancel(.configuration("enough"))
    fileSystem.sink.open()
    #expect(ending.wait()?.description == "enough")
  }
}

/// A file system of one endless input and an output that takes nothing until told.
private final class EndlessFileSystem: FileSystem {
  let input = EndlessInput()
  let sink = BlockedOutput()

  func open(_ path: String, for use: FileUse) throws(FileError) -> any File {
    use == .reading ? input : sink
  }

  func status(of path: String) throws(FileError) -> FileStatus {
    throw FileError(operation: .inspect, path: path, errno: 2)
  }

  func rename(_ path: String, to newPath: String) throws(FileError) {}
  func remove(_ path: String) throws(FileError) {}
  func list(_ directory: String) throws(FileError) -> [String] { [] }
  func createDirectories(_ directory: String) throws(FileError) {}
  func syncDirectory(_ directory: String) throws(FileError) {}
  func watch() throws(FileError) -> any FileWatch { try POSIXFileSystem().watch() }

  func lock(_ path: String) throws(FileError) -> any File {
    throw FileError(operation: .lock, path: path, errno: 13)
  }
}

/// The parts of a file that the doubles here do not need.
private protocol PartialFile: File {}

extension PartialFile {
  func status() throws(FileError) -> FileStatus {
    FileStatus(kind: .other, identity: FileIdentity(device: 0, inode: 0), size: 0)
  }

  func unreadyDescriptor() -> Int32? { nil }

  func read(into buffer: UnsafeMutableRawBufferPointer) throws(FileError) -> Int { 0 }

  func read(
    into buffer: UnsafeMutableRawBufferPointer, at offset: Int
  ) throws(FileError) -> Int { 0 }

  func write(_ bytes: UnsafeRawBufferPointer) throws(FileError) {}
  func seek(to offset: Int) throws(FileError) {}
  func truncate(to size: Int) throws(FileError) {}
  func sync() throws(FileError) {}
  func close() throws(FileError) {}
}

/// Records of 4 KiB without end, counted as they are taken.
private final class EndlessInput: PartialFile {
  static let recordBytes = 4096
  let path = "in"
  private let taken = Atomic(0)
  private let cycle: [UInt8]

  init() {
    // The header is a record of the same length, so that the stream can go round.
    let record = "1," + String(repeating: "n", count: Self.recordBytes - 3) + "\n"
    cycle = Array(record.utf8)
  }

  func read(into buffer: UnsafeMutableRawBufferPointer) throws(FileError) -> Int {
    let start = taken.load(ordering: .relaxed)
    let header = Array("x,note\n".utf8)
    if start == 0 {
      buffer.copyBytes(from: header)
      taken.store(header.count, ordering: .relaxed)
      return header.count
    }
    var offset = (start - header.count) % cycle.count
    var count = 0
    while count < buffer.count {
      let part = cycle[offset...].prefix(buffer.count - count)
      UnsafeMutableRawBufferPointer(rebasing: buffer[count...]).copyBytes(from: part)
      count += part.count
      offset = 0
    }
    taken.add(count, ordering: .relaxed)
    return count
  }

  /// The bytes taken once no more are for a while, or once there are more than expected.
  func bytesWhenQuiet(atMost bound: Int) -> Int {
    let never = DispatchSemaphore(value: 0)
    var (last, quiet) = (-1, 0)
    while quiet < 10, last <= bound {
      _ = never.wait(timeout: .now() + .milliseconds(20))
      let now = taken.load(ordering: .relaxed)
      quiet = now == last ? quiet + 1 : 0
      last = now
    }
    return last
  }
}

/// Blocks in its first write until it is opened.
private final class BlockedOutput: PartialFile {
  let path = "out"
  private let entered = DispatchSemaphore(value: 0)
  private let gate = DispatchSemaphore(value: 0)

  func write(_ bytes: UnsafeRawBufferPointer) throws(FileError) {
    entered.signal()
    gate.wait()
    gate.signal()
  }

  func isEntered() -> Bool { entered.wait(timeout: .now() + hangSeconds) == .success }
  func open() { gate.signal() }
}
