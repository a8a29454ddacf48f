/// The records that producers have written: where they are, and which of them a reader must find.
struct Ledger {
  struct Entry {
    /// The columns of its file.
    var columns: [String]
    /// The number of the file that it was written to. A log that was emptied is another file.
    var file: Int
    /// Whether the stream is to give it. Otherwise the stream must refuse it.
    var isGood: Bool
    /// Whether it is a bad record in a file that the stream reads. Then it must have a dead letter.
    var isBad: Bool
    /// Whether a good one may be missing: its file is damaged.
    var isOptional = false
  }

  private(set) var entries: [Int: Entry] = [:]
  /// The keys in each file, by path.
  private(set) var contents: [String: [Int]] = [:]
  /// Those that were removed while the stream may not have had them.
  private(set) var lost: Set<Int> = []
  private var lastKey = 0
  private(set) var fileCount = 0

  mutating func nextKey() -> Int {
    lastKey += 1
    return lastKey
  }

  mutating func beginFile() -> Int {
    fileCount += 1
    return fileCount
  }

  mutating func write(_ key: Int, _ entry: Entry, to path: String) {
    entries[key] = entry
    contents[path, default: []].append(key)
  }

  mutating func rename(_ path: String, to newPath: String, afterRest: Bool = false) {
    if contents[newPath] != nil { remove(newPath, afterRest: afterRest) }
    contents[newPath] = contents.removeValue(forKey: path)
  }

  mutating func copy(_ path: String, to newPath: String) { contents[newPath] = contents[path] }

  /// Removes a file, or what is in it.
  ///
  /// - Parameter afterRest: whether the stream had all of it, and a checkpoint after it.
  mutating func remove(_ path: String, afterRest: Bool) {
    guard let keys = contents.removeValue(forKey: path), !afterRest else { return }
    let elsewhere = Set(contents.values.joined())
    lost.formUnion(keys.filter { !elsewhere.contains($0) })
  }

  /// The keys that must be in the output.
  var due: Set<Int> {
    Set(entries.filter { $0.value.isGood && !$0.value.isOptional }.keys).subtracting(lost)
  }

  /// The keys that must have a dead letter.
  var dueDeadLetters: Set<Int> {
    Set(entries.filter { $0.value.isBad && !$0.value.isOptional }.keys).subtracting(lost)
  }
}
