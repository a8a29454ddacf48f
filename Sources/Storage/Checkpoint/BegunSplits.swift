package import Records

// Invariants:
// - A line is the cursor of a split at its beginning, as JSON. It is written before any output of the split.
// - The file is never synced. After a failure of the power, it is read up to the first line that is damaged.

/// The splits that a source began after a checkpoint, in a file beside it: `checkpoint-NNNNNNNNNN.begun`.
///
/// Their files may disappear before the next checkpoint. Then a restart knows by this list that the output of them
/// cannot be made again.
package struct BegunSplits: Sendable {
  private let file: any File

  /// Begins the list of a checkpoint.
  init(after checkpoint: String, in fileSystem: any FileSystem) throws(FileError) {
    file = try fileSystem.open(Self.path(after: checkpoint), for: .writing)
  }

  package func add(_ splits: [SplitCursor]) throws(FileError) {
    var lines: [UInt8] = []
    for split in splits {
      guard let line = try? JSON.encode(split) else { continue }
      lines += Array((line + "\n").utf8)
    }
    try file.write(lines)
  }

  /// The list after a checkpoint; empty if there is none.
  static func read(
    after checkpoint: String, in fileSystem: any FileSystem
  ) throws(FileError) -> [SplitCursor] {
    let bytes: [UInt8]
    do throws(FileError) {
      let file = try fileSystem.open(path(after: checkpoint), for: .reading)
      bytes = try file.bytes(from: 0, count: try file.status().size)
    } catch  where error.isMissing {
      return []
    }
    var splits: [SplitCursor] = []
    // The last part is no whole line.
    for line in bytes.split(separator: 0x0A, omittingEmptySubsequences: false).dropLast() {
      guard let split = try? JSON.decode(SplitCursor.self, from: line, part: "a begun split") else {
        break
      }
      splits.append(split)
    }
    return splits
  }

  /// Removes the list of a checkpoint, if there is one.
  static func remove(after checkpoint: String, in fileSystem: any FileSystem) {
    // A list without its checkpoint is never read.
    try? fileSystem.remove(path(after: checkpoint))
  }

  private static func path(after checkpoint: String) -> String {
    (checkpoint.hasSuffix(".safetensors") ? String(checkpoint.dropLast(12)) : checkpoint) + ".begun"
  }
}
