import Storage
import TestSupport

/// Tests of the checkpoints of one stream, in a directory of their own.
protocol CheckpointStoreSuite {
  var directory: TemporaryDirectory { get }
}

extension CheckpointStoreSuite {
  var files: POSIXFileSystem { POSIXFileSystem() }
  var stream: String { directory.file("stream") }

  func store(
    keep: Int = 5, in fileSystem: any FileSystem = POSIXFileSystem()
  ) throws -> CheckpointStore {
    try CheckpointStore(directory: stream, keep: keep, in: fileSystem)
  }

  /// A small checkpoint that its number of batches tells from others.
  func checkpoint(_ batches: Int) -> Checkpoint {
    var checkpoint = Checkpoint(features: ["a"])
    checkpoint.batchesTracked = batches
    return checkpoint
  }

  func name(_ number: Int) -> String {
    let digits = String(number)
    return "checkpoint-" + String(repeating: "0", count: 10 - digits.count) + digits
      + ".safetensors"
  }

  func path(_ number: Int) -> String { stream + "/" + name(number) }

  var names: [String] { get throws { try files.list(stream) } }

  func put(_ bytes: [UInt8], at path: String) throws {
    let file = try files.open(path, for: .writing)
    try file.write(bytes)
  }
}
