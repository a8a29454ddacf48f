import Storage
import Synthetic
import TestSupport

/// Writes a log and rotates it, as programs and logrotate(8) do.
struct LogProducer: Producer {
  /// How a log is rotated.
  enum Rotation: CaseIterable {
    /// `log.csv.1` is the newest; all others move up.
    case numbered
    /// The old file gets the date into its name.
    case dated
    /// The log is copied to `log.csv.1`, and then emptied.
    case copyTruncate
  }

  static let directory = "/in"
  static let path = "/in/log.csv"

  var ledger = Ledger()
  var steps: [Step] = []
  var turns: Int
  private let text: ProducedText
  private let rotation: Rotation
  private let loss: Loss
  /// Whether what was read before a rest is in a checkpoint after it.
  private let restIsDurable: Bool
  /// The headers that files may have.
  private let headers: [ProducedText.Header]
  /// Whether a file with other columns is read all the same.
  private let acceptsOthers: Bool
  private var random: SplitMix64
  private var header = ProducedText.Header.plain
  private var file = 0
  private var rotations = 0
  private var hasEdits = false
  /// The names of the old files, the newest first.
  private var siblings: [String] = []

  init(
    seed: UInt64, _ text: ProducedText, _ rotation: Rotation, _ loss: Loss,
    restIsDurable: Bool, headers: [ProducedText.Header], acceptsOthers: Bool
  ) {
    random = SplitMix64(seed: seed)
    turns = 0
    self.restIsDurable = restIsDurable
    (self.text, self.rotation, self.loss) = (text, rotation, loss)
    (self.headers, self.acceptsOthers) = (headers, acceptsOthers)
    turns = Int.random(in: 5...25, using: &random)

    create(withRecords: 2...6)
    // A stream takes the columns of the first file.
    then(needsRest: true) { _, _ in }
  }

  mutating func draw() {
    switch Int.random(in: 0..<22, using: &random) {
    case 0..<10: appendSome()
    case 10..<16: rotate()
    case 16: compress()
    case 17, 18: removeOldest()
    case 19: cut()
    default: edit()
    }
  }

  // MARK: Records

  /// The bytes of some records, which go to a file that the ledger knows by a path.
  private mutating func records(_ count: ClosedRange<Int>, to path: String) -> [UInt8] {
    var bytes: [UInt8] = []
    for index in 0..<Int.random(in: count, using: &random) {
      let key = ledger.nextKey()
      let isBad = key > 1 && index > 0 && Int.random(in: 0..<10, using: &random) == 0
      let isRead = header.isSame || acceptsOthers && header.isWhole
      bytes += text.record(key, header, isBad: isBad, &random)
      ledger.write(
        key,
        Ledger.Entry(
          columns: text.columns(header), file: file, isGood: isRead && !isBad,
          isBad: isRead && isBad), to: path)
    }
    return bytes
  }

  /// Appends in two writes, which divide a record most of the time.
  private mutating func appendSome() {
    then { producer, disk in
      let bytes = producer.records(1...8, to: Self.path)
      let part = Int.random(in: 0...bytes.count, using: &producer.random)
      try disk.append(Array(bytes[..<part]), to: Self.path)
      producer.steps.insert(
        Step { _, disk in try disk.append(Array(bytes[part...]), to: Self.path) }, at: 0)
    }
  }

  /// Begins the log.
  private mutating func create(withRecords count: ClosedRange<Int>) {
    then { producer, disk in
      producer.file = producer.ledger.beginFile()
      let bytes = producer.text.line(producer.header) + producer.records(count, to: Self.path)
      try disk.append(bytes, to: Self.path)
    }
  }

  private mutating func drawHeader() {
    header = text.kind(headers[Int.random(in: 0..<headers.count, using: &random)])
  }

  /// Replaces the log by a copy of it, perhaps with more records, as an editor does.
  private mutating func edit() {
    hasEdits = true
    then { producer, disk in
      let more = Bool.random(using: &producer.random) ? producer.records(1...3, to: Self.path) : []
      try disk.append(try disk.contents(of: Self.path) + more, to: Self.directory + "/.edited")
      try disk.rename(Self.directory + "/.edited", to: Self.path)
    }
  }

  // MARK: Rotation

  private mutating func rotate() {
    rotations += 1
    let newest =
      rotation == .dated
      ? "\(Self.path)-20261127-\(String("00000\(rotations)".suffix(6)))" : "\(Self.path).1"
    if rotation != .dated { moveUp() }
    let readsContinued = header.isSame || acceptsOthers && header.isWhole
    if rotation == .copyTruncate, readsContinued {
      copyAndCut(to: newest)
    } else {
      then { producer, disk in
        try disk.rename(Self.path, to: newest)
        producer.ledger.rename(Self.path, to: newest)
      }
      if Bool.random(using: &random) {
        // The program has not opened the new file yet.
        then { producer, disk in
          try disk.append(producer.records(1...3, to: newest), to: newest)
        }
      }
      then { producer, _ in producer.drawHeader() }
      create(withRecords: 0...4)
    }
    siblings.insert(newest, at: 0)
  }

  private mutating func copyAndCut(to newest: String) {
    // A large log is copied in pieces.
    then { producer, disk in
      let bytes = try disk.contents(of: Self.path)
      let part = Int.random(in: 0...bytes.count, using: &producer.random)
      try disk.append(Array(bytes[..<part]), to: newest)
    }
    then { producer, disk in
      let start = try disk.status(of: newest).size
      try disk.append(Array(try disk.contents(of: Self.path)[start...]), to: newest)
      producer.ledger.copy(Self.path, to: newest)
    }
    then { producer, disk in
      try disk.open(Self.path, for: .writing).close()
      producer.ledger.remove(Self.path, afterRest: false)
      producer.file = producer.ledger.beginFile()
    }
    // Nobody knows the columns of a log whose header was lost before anyone saw it.
    let needsHeader = acceptsOthers && loss == .anything
    if Int.random(in: 0..<3, using: &random) == 0 || needsHeader {
      then { producer, disk in
        try disk.append(producer.text.line(producer.header), to: Self.path)
      }
    }
    appendSome()
  }

  /// Gives each old file the next number, from the oldest on.
  private mutating func moveUp() {
    for index in siblings.indices.reversed() {
      let old = siblings[index]
      let new = "\(Self.path).\(index + 2)" + (old.hasSuffix(".zst") ? ".zst" : "")
      guard old != new else { continue }
      siblings[index] = new
      then { producer, disk in
        try disk.rename(old, to: new)
        producer.ledger.rename(old, to: new)
      }
    }
  }

  // MARK: Old files

  /// Compresses an old file: the new one is written, gets the time of the old one, and then that goes.
  private mutating func compress() {
    guard let index = siblings.indices.randomElement(using: &random) else { return }
    let plain = siblings[index]
    guard !plain.hasSuffix(".zst") else { return }
    let compressed = plain + ".zst"
    siblings[index] = compressed
    let frames = Int.random(in: 1...4, using: &random)
    // A running stream goes on only in a copy that is not compressed, of a log that was emptied or replaced.
    then(needsRest: rotation == .copyTruncate || hasEdits) { _, disk in
      let bytes = try framed(try disk.contents(of: plain), count: frames).flatMap { $0 }
      try disk.append(Array(bytes[..<(bytes.count / 2)]), to: compressed)
    }
    then { producer, disk in
      let bytes = try framed(try disk.contents(of: plain), count: frames).flatMap { $0 }
      try disk.append(Array(bytes[(bytes.count / 2)...]), to: compressed)
      disk.setModified(compressed, try disk.status(of: plain).modifiedNanoseconds)
      producer.ledger.copy(plain, to: compressed)
    }
    then { producer, disk in
      try disk.remove(plain)
      producer.ledger.remove(plain, afterRest: false)
    }
  }

  private mutating func removeOldest() {
    guard loss != .nothing, let oldest = siblings.popLast() else { return }
    let waits = loss == .afterRest || Bool.random(using: &random)
    // The last old file ends when the log holds something.
    if waits, siblings.isEmpty { appendSome() }
    then(needsRest: waits) { producer, disk in
      try disk.remove(oldest)
      producer.ledger.remove(oldest, afterRest: waits && producer.restIsDurable)
    }
  }

  /// Empties or replaces the log without a copy.
  private mutating func cut() {
    guard loss == .anything else { return appendSome() }
    // Nobody knows the columns of a log that was emptied before anyone saw its header.
    if Bool.random(using: &random), header.isSame, !acceptsOthers {
      then { producer, disk in
        try disk.open(Self.path, for: .writing).close()
        producer.ledger.remove(Self.path, afterRest: false)
        producer.file = producer.ledger.beginFile()
      }
      appendSome()
    } else {
      then { producer, disk in
        try disk.remove(Self.path)
        producer.ledger.remove(Self.path, afterRest: false)
        producer.drawHeader()
      }
      create(withRecords: 0...4)
    }
  }
}
