/// Reads and writes a checkpoint as a single file.
package enum CheckpointFile {
  package static func read(
    _ path: String, _ reading: StateReading, in fileSystem: any FileSystem = POSIXFileSystem()
  ) throws(StorageError) -> Checkpoint {
    let bytes = try fileSystem.contents(of: path, limit: Safetensors.fileLimit)
    do throws(ContentError) {
      return try Checkpoint(serialized: bytes, reading)
    } catch {
      throw .content(path: path, error)
    }
  }

  /// Replaces the file at `path`. At any moment, the path has the complete old file or the complete new one.
  package static func write(
    _ checkpoint: Checkpoint, to path: String, in fileSystem: any FileSystem = POSIXFileSystem()
  ) throws(StorageError) {
    let bytes: [UInt8]
    do throws(ContentError) {
      bytes = try checkpoint.serialized()
    } catch {
      throw .content(path: path, error)
    }
    try fileSystem.replace(path, with: bytes)
  }
}

extension FileSystem {
  /// Replaces a whole file durably, through `AtomicFile`.
  package func replace(_ path: String, with bytes: [UInt8]) throws(StorageError) {
    do throws(FileError) {
      let file = try AtomicFile(replacing: path, in: self)
      try file.write(bytes)
      try file.commit()
    } catch {
      throw .file(error)
    }
  }
}
