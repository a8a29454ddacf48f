import Storage
import Synthetic

/// Puts files into a directory: late ones, damaged ones, and others in the place of old ones.
struct DirectoryProducer: Producer {
  static let directory = "/in"

  var ledger = Ledger()
  var steps: [Step] = []
  var turns: Int
  private let text: ProducedText
  private let loss: Loss
  /// Whether what was read before a rest is in a checkpoint after it.
  private let restIsDurable: Bool
  /// The headers that files may have.
  private let headers: [ProducedText.Header]
  /// Whether a file with other columns is read all the same.
  private let acceptsOthers: Bool
  /// Whether files may hold a frame that cannot be read.
  private let damages: Bool
  private var random: SplitMix64

  init(
    seed: UInt64, _ text: ProducedText, _ loss: Loss, restIsDurable: Bool,
    headers: [ProducedText.Header],
    acceptsOthers: Bool, damages: Bool
  ) {
    random = SplitMix64(seed: seed)
    turns = 0
    self.restIsDurable = restIsDurable
    (self.text, self.loss, self.damages) = (text, loss, damages)
    (self.headers, self.acceptsOthers) = (headers, acceptsOthers)
    turns = Int.random(in: 3...15, using: &random)
    then { producer, disk in try producer.put("in-500", .plain, isDamaged: false, disk) }
    // A stream takes the columns of the first file.
    then(needsRest: true) { _, _ in }
  }

  mutating func draw() {
    let name = "in-\(Int.random(in: 100...999, using: &random))"
    let header = text.kind(headers[Int.random(in: 0..<headers.count, using: &random)])
    let isDamaged = damages && Int.random(in: 0..<6, using: &random) == 0
    switch Int.random(in: 0..<10, using: &random) {
    case 0..<7:
      then { producer, disk in
        guard producer.ledger.contents["\(Self.directory)/\(name)"] == nil else { return }
        try producer.put(name, header, isDamaged: isDamaged, disk)
      }
    case 7, 8: replace(with: header)
    default: remove()
    }
  }

  /// The name of a file of which something may happen to the contents; nil if there is none.
  private mutating func drawVictim() -> String? {
    guard loss != .nothing else { return nil }
    return ledger.contents.keys.sorted().randomElement(using: &random)
  }

  private mutating func replace(with header: ProducedText.Header) {
    let waits = loss == .afterRest || Bool.random(using: &random)
    then(needsRest: waits) { producer, disk in
      guard let path = producer.drawVictim() else { return }
      producer.ledger.remove(path, afterRest: waits && producer.restIsDurable)
      let name = String(path.dropFirst(Self.directory.count + 1))
      try producer.put(name, header, isDamaged: false, disk, replaces: true)
    }
  }

  private mutating func remove() {
    let waits = loss == .afterRest || Bool.random(using: &random)
    then(needsRest: waits) { producer, disk in
      guard let path = producer.drawVictim() else { return }
      producer.ledger.remove(path, afterRest: waits && producer.restIsDurable)
      try disk.remove(path)
    }
  }

  /// Puts a file there, whole: written in its place, or moved there.
  private mutating func put(
    _ name: String, _ header: ProducedText.Header, isDamaged: Bool, _ disk: SimulatedFileSystem,
    replaces: Bool = false
  ) throws {
    let path = "\(Self.directory)/\(name)"
    let file = ledger.beginFile()
    var bytes = text.line(header)
    for index in 0..<Int.random(in: 1...20, using: &random) {
      let key = ledger.nextKey()
      let isBad = index > 0 && Int.random(in: 0..<10, using: &random) == 0
      let isRead = header.isSame || acceptsOthers && header.isWhole
      bytes += text.record(key, header, isBad: isBad, &random)
      ledger.write(
        key,
        Ledger.Entry(
          columns: text.columns(header), file: file, isGood: isRead && !isBad,
          isBad: isRead && isBad,
          isOptional: isDamaged), to: path)
    }
    let frameCount = Int.random(in: isDamaged ? 1...4 : 0...4, using: &random)
    if frameCount > 0 {
      var frames = try framed(bytes, count: frameCount)
      if isDamaged {
        let damaged = Int.random(in: 0..<frames.count, using: &random)
        // The first one must still be a frame, or the file would be none of zstd.
        frames[damaged] =
          damaged == 0 ? frames[0].dropLast(3) : Array("no frame".utf8)
      }
      bytes = frames.flatMap { $0 }
    }
    if replaces || Bool.random(using: &random) {
      try disk.append(bytes, to: "\(Self.directory)/.new")
      try disk.rename("\(Self.directory)/.new", to: path)
    } else {
      try disk.append(bytes, to: path)
    }
  }
}
