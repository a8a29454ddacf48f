import Codecs
import Dispatch
import Records
import Storage
import Synchronization
import TestSupport
import Testing

@testable import Stream

@Suite struct BoundedMemoryTests {
  /// The text that `OperateStage` gathers in one unit, up to one batch.
  private let unitBytes = 256 << 10
  private let batchBytes = 16 * EndlessInput.recordBytes
  /// The bytes that `IngestStage` reads and decompresses at once.
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
    // Units: one in the sink, those with and after the workers, two before them, one that is being gathered.
    let units = 1 + (2 * threads + 1) + 2 + 1
    // Batches: those in the channel and the open one.
    let batches = min(257, (1 << 20) / batchBytes + 2)
    let bound = units * (unitBytes + batchBytes) + batches * batchBytes + windowBytes
    // The stages work while the sink waits.
    let least = (2 * threads + 1) * unitBytes
    #expect(eventually { fileSystem.input.byteCount > least })
    #expect(fileSystem.input.bytesWhenQuiet(atMost: bound) <= bound)
    run.cancel(.configuration("enough"))
    fileSystem.sink.open()
    #expect(ending.wait()?.description == "enough")
  }
}

/// A file system with one endless input and one output whose first write blocks.
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

/// The parts of a file that these tests do not need.
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

/// An endless input of records of 4 KiB, which counts the bytes that are read.
private final class EndlessInput: PartialFile {
  static let recordBytes = 4096
  let path = "in"
  private let taken = Atomic(0)
  private let cycle: [UInt8]

  init() {
    // All records have one length, so that the input can repeat them.
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

  /// The bytes that were read so far.
  var byteCount: Int { taken.load(ordering: .relaxed) }

  /// Waits until no bytes are read for a while, or more than `bound` were.
  ///
  /// - Returns: the bytes that were read. A loaded machine may hide a mistake; it cannot make one.
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

/// An output whose first write blocks until `open` is called.
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
