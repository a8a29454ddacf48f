import Foundation
import Records
import Storage
import TestSupport
import Testing

/// The results of a stream: the text of its output, its dead letters and its last checkpoint.
struct Delivery {
  let text: [UInt8]
  let deadLetters: [UInt8]
  let checkpoint: Checkpoint

  /// Reads the results of the stream `s` of the daemon.
  ///
  /// - Parameter name: the name of the output's file. Its text follows that of the rotated files.
  init(of name: String, state: String, in place: Workplace) throws {
    try self.init(
      of: name, deadLetters: "\(state)/s/dead-letters.ndjson", checkpoints: "\(state)/s", in: place)
  }

  init(
    of name: String, deadLetters letters: String, checkpoints: String, in place: Workplace
  ) throws {
    text = try Self.text(of: name, in: place)
    deadLetters = (try? place.read(letters)) ?? []
    let found = try CheckpointStore.newest(in: place.path(checkpoints), of: POSIXFileSystem())
    checkpoint = try #require(found?.checkpoint)
    #expect(found?.skipped.isEmpty == true)
  }

  /// The decompressed text of all files of an output, with one header.
  static func text(of name: String, in place: Workplace) throws -> [UInt8] {
    var text: [UInt8] = []
    for file in files(of: name, in: place) {
      guard var part = try? place.read(file) else { continue }
      if part.starts(with: [0x28, 0xB5, 0x2F, 0xFD]) {
        part = try place.shell("zstd -dcq '\(file)' 2>/dev/null || true").output
      }
      // Every file of a rotated CSV begins with the header.
      if !text.isEmpty, let end = part.firstIndex(of: UInt8(ascii: "\n")) {
        part.removeSubrange(...end)
      }
      text += part
    }
    return text
  }

  /// The rotated files in their order, then the growing one.
  static func files(of name: String, in place: Workplace) -> [String] {
    let path = URL(fileURLWithPath: place.path(name))
    let stem = path.lastPathComponent.prefix { $0 != "." } + "-"
    let folder = path.deletingLastPathComponent().path
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    let rotated = names.filter { $0.hasPrefix(stem) }.sorted()
    return rotated.map { (name as NSString).deletingLastPathComponent + "/" + $0 }
      .map { $0.hasPrefix("/") ? String($0.dropFirst()) : $0 } + [name]
  }

  /// Expects the same results as those of another run. The frames may differ, and so the lengths and the times
  /// of the files.
  func expectEqual(
    to other: Delivery, output name: String, in place: Workplace, _ hint: String
  ) throws {
    #expect(text.count == other.text.count, "\(hint)")
    let difference = zip(text, other.text).enumerated().first { $1.0 != $1.1 }?.offset
    #expect(difference == nil, "the output differs from byte \(difference ?? 0) on; \(hint)")
    #expect(deadLetters == other.deadLetters, "\(hint)")
    var (found, expected) = (checkpoint, other.checkpoint)
    // The texts were compared, so the lengths of the files need not be equal.
    #expect(found.output?.byteCount == (try? place.read(name).count), "\(hint)")
    #expect(found.deadLetters?.byteCount ?? 0 == deadLetters.count, "\(hint)")
    for key in [\Checkpoint.output, \.deadLetters] {
      #expect((found[keyPath: key] == nil) == (expected[keyPath: key] == nil), "\(hint)")
      found[keyPath: key] = nil
      expected[keyPath: key] = nil
    }
    found.input?.forgetFiles()
    expected.input?.forgetFiles()
    found.gradients?.input.forgetFiles()
    expected.gradients?.input.forgetFiles()
    #expect(found == expected, "\(hint)")
  }
}

extension InputCursor {
  /// Removes the identity of the files, because the two runs read two copies, and the number of the list of
  /// done files: a run that is killed before its first checkpoint leaves a list, and the next begins another.
  mutating func forgetFiles() {
    doneList?.file = 0
    if done?.bytes.isEmpty == false { done = OpaqueBytes("done") }
    for index in splits.indices { splits[index].source = nil }
  }
}
