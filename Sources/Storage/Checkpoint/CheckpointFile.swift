internal import Records

/// Reads and writes a checkpoint as a single file.
package enum CheckpointFile {
  /// Reads a checkpoint. Joins a delta to the files before it, which are in the same directory.
  package static func read(
    _ path: String, _ reading: StateReading, in fileSystem: any FileSystem = POSIXFileSystem()
  ) throws(StorageError) -> Checkpoint {
    var (path, deltas) = (path, [Checkpoint]())
    var part = try readPart(path, reading, in: fileSystem)
    while let after = part.after {
      deltas.append(part.checkpoint)
      let earlier = try self.path(before: path, in: fileSystem)
      let earlierPart = try readPart(earlier, reading, in: fileSystem)
      guard earlierPart.checksum == after else {
        throw .content(
          path: path,
          .unexpected(
            part: MetadataKey.delta, expected: "the checkpoint \(after) before it",
            found: earlierPart.checksum))
      }
      (path, part) = (earlier, earlierPart)
    }
    var checkpoint = part.checkpoint
    for delta in deltas.reversed() {
      do throws(ContentError) {
        checkpoint = try delta.joined(to: consume checkpoint)
      } catch {
        throw .content(path: path, error)
      }
    }
    return checkpoint
  }

  /// One file: a whole checkpoint, or a delta.
  private struct Part {
    var checkpoint: Checkpoint
    /// The checksum of the file before a delta; nil for a whole checkpoint.
    var after: String?
    var checksum: String
  }

  private static func readPart(
    _ path: String, _ reading: StateReading, in fileSystem: any FileSystem
  ) throws(StorageError) -> Part {
    let bytes = try fileSystem.contents(of: path, limit: Safetensors.fileLimit)
    do throws(ContentError) {
      let file = try Safetensors(serialized: bytes)
      try FileChecksum.verify(file, bytes)
      return Part(
        checkpoint: try Checkpoint(safetensors: file, reading),
        after: try file.deltaDescription()?.after,
        checksum: file.metadata[MetadataKey.checksum] ?? "")
    } catch {
      throw .content(path: path, error)
    }
  }

  /// The file before that of a delta.
  private static func path(
    before path: String, in fileSystem: any FileSystem
  ) throws(StorageError) -> String {
    let name = path.split(separator: "/").last.map(String.init) ?? path
    let directory = String(path.dropLast(name.count))
    if let generation = Generation(fileName: name) {
      for isDelta in [true, false] {
        let earlier = directory + generation.previous(isDelta: isDelta).fileName
        if (try? fileSystem.status(of: earlier)) != nil { return earlier }
      }
    }
    throw .content(
      path: path,
      .unexpected(
        part: MetadataKey.delta, expected: "the checkpoint before it in the same directory",
        found: "none"))
  }

  /// Replaces the file at `path`. At any moment, the path has the complete old file or the complete new one.
  ///
  /// - Parameter predecessor: the checksum of the checkpoint that a delta continues.
  /// - Returns: the checksum of the file.
  @discardableResult
  package static func write(
    _ checkpoint: Checkpoint, after predecessor: String? = nil, to path: String,
    in fileSystem: any FileSystem = POSIXFileSystem()
  ) throws(StorageError) -> String {
    let (bytes, checksum): ([UInt8], String)
    do throws(ContentError) {
      (bytes, checksum) = try checkpoint.serialized(after: predecessor)
    } catch {
      throw .content(path: path, error)
    }
    try fileSystem.replace(path, with: bytes)
    return checksum
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
