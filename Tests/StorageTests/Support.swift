import Foundation
import Glibc
import Records
import State
import Storage
import Synchronization
import TestSupport
import Testing

/// The bytes of a golden file; Tests/Oracles/make_safetensors_golden.py makes them.
func golden(_ name: String) throws -> [UInt8] {
  let url = try #require(Bundle.module.url(forResource: "Golden", withExtension: nil))
  return Array(try Data(contentsOf: url.appendingPathComponent(name)))
}

/// The path of a golden file.
func goldenPath(_ name: String) throws -> String {
  try #require(Bundle.module.url(forResource: "Golden", withExtension: nil)).path + "/" + name
}

/// The checkpoint of Golden/checkpoint.safetensors.
func sampleCheckpoint() -> Checkpoint {
  var checkpoint = Checkpoint(
    features: ["temp", "humid", "vent \"é\""],
    settings: ["momentum": "0.1", "epsilon": "1e-05"])
  checkpoint.weight = [1.5, 1, -0.5]
  checkpoint.bias = [0.25, 0, -4]
  checkpoint.runningMean = [10.1, -3.25, 1e9]
  checkpoint.runningVariance = [4.2, 0.0625, 1]
  checkpoint.batchesTracked = 12
  checkpoint.recordsTracked = 3072
  checkpoint.values = [3072, 2816, 3068]
  checkpoint.batches = [12, 11, 12]
  checkpoint.varianceValues = [3072, 2815, 3068]
  checkpoint.varianceBatches = [12, 10, 12]
  checkpoint.missing = [0, 256, 4]
  checkpoint.clipped = [0, 1, 0]
  checkpoint.stateVersion = 13
  checkpoint.parametersVersion = 5
  let names = ["temp", "humid", "vent \"é\""]
  checkpoint.input = InputCursor(
    splits: [
      SplitCursor(
        split: "in.csv.zst", source: OpaqueBytes("1 2"),
        container: ContainerOffset(offset: 4096, bytesWithin: 99), byteOffset: 123456,
        records: 3072, decoder: OpaqueBytes([0, 0xFF, 0x10]))
    ],
    opening: (try? FeatureSchema(names)).map {
      StreamOpening(
        schema: $0, columns: ["key"] + names,
        prologue: Array("key,temp,humid,\"vent \"\"é\"\"\"\n".utf8))
    }, form: "csv temp humid", done: OpaqueBytes())
  return checkpoint
}

/// The message of the error that `body` throws, or a note that it threw none.
func message(_ body: () throws -> some Any) -> String {
  do {
    _ = try body()
    return "no error"
  } catch {
    return "\(error)"
  }
}

/// The real file system, but for one operation that fails, on some files where they are given.
struct FailingFileSystem: FileSystem {
  private let failing: FileError.Operation
  private let errno: Int32
  private let paths: Set<String>?
  private let spared: Countdown
  private let times: Int
  private let real = POSIXFileSystem()

  /// - Parameters:
  ///   - errno: of errno(3), `EIO` unless told.
  ///   - spared: how many times the operation succeeds first.
  ///   - times: how many times it fails after that.
  init(
    _ failing: FileError.Operation, errno: Int32 = EIO, on paths: Set<String>? = nil,
    sparing spared: Int = 0, times: Int = .max
  ) {
    self.failing = failing
    self.errno = errno
    self.paths = paths
    self.spared = Countdown(spared)
    self.times = times
  }

  func check(_ operation: FileError.Operation, _ path: String) throws(FileError) {
    if operation == failing, paths?.contains(path) ?? true, spared.isOver(for: times) {
      throw FileError(operation: operation, path: path, errno: errno)
    }
  }

  func open(_ path: String, for use: FileUse) throws(FileError) -> any File {
    try check(use == .creating ? .create : .open, path)
    return FailingFile(try real.open(path, for: use), self)
  }
  func status(of path: String) throws(FileError) -> FileStatus { try real.status(of: path) }
  func rename(_ path: String, to newPath: String) throws(FileError) {
    try check(.rename, path)
    try real.rename(path, to: newPath)
  }
  func remove(_ path: String) throws(FileError) {
    try check(.remove, path)
    try real.remove(path)
  }
  func list(_ directory: String) throws(FileError) -> [String] {
    try check(.list, directory)
    return try real.list(directory)
  }
  func createDirectories(_ directory: String) throws(FileError) {
    try check(.createDirectory, directory)
    try real.createDirectories(directory)
  }
  func lock(_ path: String) throws(FileError) -> any File {
    try check(.lock, path)
    return FailingFile(try real.lock(path), self)
  }
  func watch() throws(FileError) -> any FileWatch { try POSIXFileSystem().watch() }

  func syncDirectory(_ directory: String) throws(FileError) {
    try check(.syncDirectory, directory)
    try real.syncDirectory(directory)
  }
}

private final class Countdown: Sendable {
  private let left: Atomic<Int>

  init(_ count: Int) { left = Atomic(count) }

  /// Counts down.
  ///
  /// - Returns: whether zero was passed, and at most so many times.
  func isOver(for times: Int) -> Bool {
    (-times..<0).contains(left.wrappingSubtract(1, ordering: .relaxed).newValue)
  }
}

private final class FailingFile: File {
  let real: any File
  let fileSystem: FailingFileSystem
  var path: String { real.path }

  init(_ real: any File, _ fileSystem: FailingFileSystem) {
    self.real = real
    self.fileSystem = fileSystem
  }

  private func check(_ operation: FileError.Operation) throws(FileError) {
    try fileSystem.check(operation, path)
  }

  func status() throws(FileError) -> FileStatus { try real.status() }
  func unreadyDescriptor() -> Int32? { real.unreadyDescriptor() }
  func read(into buffer: UnsafeMutableRawBufferPointer) throws(FileError) -> Int {
    try check(.read)
    return try real.read(into: buffer)
  }
  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(FileError) -> Int {
    try check(.read)
    return try real.read(into: buffer, at: offset)
  }
  func write(_ bytes: UnsafeRawBufferPointer) throws(FileError) {
    do throws(FileError) {
      try check(.write)
    } catch {
      // As a full disk does, take a part first.
      try real.write(UnsafeRawBufferPointer(rebasing: bytes.prefix(bytes.count / 2)))
      throw error
    }
    try real.write(bytes)
  }
  func seek(to offset: Int) throws(FileError) { try real.seek(to: offset) }
  func truncate(to size: Int) throws(FileError) {
    try check(.truncate)
    try real.truncate(to: size)
  }
  func sync() throws(FileError) {
    try check(.sync)
    try real.sync()
  }
  func close() throws(FileError) {
    try check(.close)
    try real.close()
  }
}
