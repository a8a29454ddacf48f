import Codecs
import Records
import Storage
import TestSupport

@testable import Stream

/// Reads the output of a live stream, and compares it with what producers have written.
struct LiveOutput {
  /// A record in the output.
  struct Record {
    var key: Int
    /// The names in the header before it.
    var columns: [String]
  }

  private static let growing = Scenario.outputDirectory + "/out.data"
  private let text: ProducedText
  private let directory: String
  private let reading: StateReading

  init(_ scenario: LiveScenario) {
    text = scenario.text
    directory = scenario.directory
    reading = scenario.definition.stream.stateReading
  }

  // MARK: Reading

  /// All records, in their order.
  ///
  /// - Throws: `Failure` for what is no record.
  func records(on disk: SimulatedFileSystem) throws -> [Record] {
    try files(on: disk).flatMap { try records(of: try decompressed($0)) }
  }

  /// The keys of the whole records that are there after a process died.
  func keys(on disk: SimulatedFileSystem) throws -> Set<Int> {
    Set(try records(on: disk).map(\.key))
  }

  func newestCheckpoint(on disk: SimulatedFileSystem) -> Checkpoint? {
    disk.look { try? CheckpointStore.newest(in: directory, of: $0)?.checkpoint }
  }

  /// The position in the output of each checkpoint, by the path of its file.
  func positions(on disk: SimulatedFileSystem) -> [String: OutputPosition] {
    let paths = disk.files(under: directory).keys.filter { $0.contains("/checkpoint-") }
    return disk.look { disk in
      var positions: [String: OutputPosition] = [:]
      for path in paths {
        positions[path] = (try? CheckpointFile.read(path, reading, in: disk))?.output
      }
      return positions
    }
  }

  /// The keys in the output before a position, and those after it. Both are empty without a position.
  func keys(
    on disk: SimulatedFileSystem, around position: OutputPosition?
  ) -> (before: Set<Int>, after: Set<Int>) {
    guard let position else { return ([], []) }
    var (before, after): (Set<Int>, Set<Int>) = ([], [])
    for (index, file) in files(on: disk).enumerated() {
      let whole = ((try? records(of: decompressed(file))) ?? []).map(\.key)
      var known = index < position.sequence ? whole.count : 0
      if index == position.sequence {
        let start = Array(file.prefix(position.byteCount))
        known = (try? records(of: decompressed(start)).count) ?? 0
      }
      before.formUnion(whole.prefix(known))
      after.formUnion(whole.dropFirst(known))
    }
    return (before, after)
  }

  /// The keys of the dead letters. A split that was skipped has one without a key.
  func rejectedKeys(on disk: SimulatedFileSystem) -> [Int] {
    let files = disk.files(under: directory).filter { $0.key.contains("letters") }
    return files.sorted { $0.key < $1.key }.flatMap { file in
      file.value.split(separator: 0x0A).compactMap { line in
        let letter = String(decoding: line, as: UTF8.self)
        guard let start = letter.firstRange(of: "\"text\":\"") else { return nil }
        return text.key(of: letter[start.upperBound...].utf8)
      }
    }
  }

  /// The contents of the files, the oldest first.
  private func files(on disk: SimulatedFileSystem) -> [[UInt8]] {
    let files = disk.files(under: Scenario.outputDirectory).filter { !$0.key.hasSuffix("/.there") }
    let names = files.keys.filter { $0 != Self.growing }.sorted() + [Self.growing]
    return names.compactMap { files[$0] }
  }

  private func records(of bytes: [UInt8]) throws -> [Record] {
    var lines = bytes.split(separator: 0x0A)
    guard !lines.isEmpty else { return [] }
    let columns = text.isJSON ? [] : names(lines.removeFirst())
    return try lines.map { line in
      guard let key = text.key(of: line), line.first == UInt8(ascii: text.isJSON ? "{" : "k") else {
        throw Failure("output: expected a record, found \(String(decoding: line, as: UTF8.self))")
      }
      return Record(key: key, columns: columns)
    }
  }

  private func names(_ header: some Collection<UInt8>) -> [String] {
    String(decoding: header, as: UTF8.self).split(separator: ",").map { name in
      String(
        name.unicodeScalars.filter { !"\u{FEFF}\" \r".unicodeScalars.contains($0) }.map(
          Character.init))
    }
  }

  // MARK: Comparing

  /// Compares what came out with what was written: nothing is lost or doubled but what had to be, and
  /// nothing is there that was to be refused.
  ///
  /// - Parameters:
  ///   - mayComeTwice: the keys that were kept over a gap.
  ///   - inOrder: whether the order of all keys is that in which they were written, not only within a file.
  func check(
    on disk: SimulatedFileSystem, _ ledger: Ledger, mayComeTwice: Set<Int>, inOrder: Bool
  ) throws {
    let records = try records(on: disk)
    var seen: Set<Int> = []
    var last: [Int: Int] = [:]
    for record in records {
      guard let entry = ledger.entries[record.key], entry.isGood else {
        throw Failure("record \(record.key): expected it to be refused, found it in the output")
      }
      guard entry.columns == record.columns else {
        throw Failure(
          "record \(record.key): expected it after the header \(entry.columns), "
            + "found it after \(record.columns)")
      }
      guard seen.insert(record.key).inserted else {
        guard mayComeTwice.contains(record.key) else {
          throw Failure("record \(record.key): expected it once, found it again")
        }
        continue
      }
      let order = inOrder ? 0 : entry.file
      guard record.key > last[order] ?? 0 || !mayComeTwice.isEmpty else {
        throw Failure("record \(record.key): expected it before record \(last[order] ?? 0)")
      }
      last[order] = record.key
    }
    let missing = ledger.due.subtracting(seen).sorted()
    guard missing.isEmpty else {
      throw Failure("records \(missing): expected them in the output, found them not")
    }
    try checkDeadLetters(on: disk, ledger, mayComeTwice)
  }

  /// Each bad record that the stream has read must have one dead letter, and no other record may have any.
  private func checkDeadLetters(
    on disk: SimulatedFileSystem, _ ledger: Ledger, _ mayComeTwice: Set<Int>
  ) throws {
    var told: Set<Int> = []
    for key in rejectedKeys(on: disk) {
      // A log that is cut may leave the first bytes of a record.
      guard ledger.entries[key]?.isBad == true || ledger.lost.contains(key) else {
        throw Failure("record \(key): expected no dead letter, found one")
      }
      guard told.insert(key).inserted || mayComeTwice.contains(key) else {
        throw Failure("record \(key): expected one dead letter, found another")
      }
    }
    let missing = ledger.dueDeadLetters.subtracting(told).sorted()
    guard missing.isEmpty else {
      throw Failure("records \(missing): expected a dead letter for each, found none")
    }
  }
}

/// Something that a simulated stream must not do.
struct Failure: Error, CustomStringConvertible {
  var description: String

  init(_ description: String) { self.description = description }
}
