import Codecs
import Configuration
import Records

/// A made-up format with a prologue that records change, and an epilogue.
///
/// A line `!k=Long name` names a key, for all the records after it; `k 1.5` is a record. A file begins with `ledger` and
/// the names so far. It ends with `end`, or with the number of its records.
extension RecordFormat {
  static let ledger = RecordFormat(
    name: "ledger", fileExtensions: ["ledger"],
    settings: SettingGroup("Ledger", [LedgerSettings.counts]),
    recordEnds: { _, _, _ in .lines(quote: nil) },
    makeDecoder: { LedgerDecoder($0) },
    makeEncoder: {
      LedgerEncoder(prologue: $0.prologue, counts: $0.settings[LedgerSettings.counts])
    })
}

enum LedgerSettings {
  static let counts = Setting(
    "counts", .bool, default: false, help: "Whether the last line counts the records of the file.")
}

/// The lines of a block without the numbers of its records.
private struct LedgerLines: Payload {
  enum Line: Sendable {
    /// A name, and all names up to it.
    case name(String, all: [String])
    case record(key: String)
  }

  var lines: [Line] = []

  var end: PayloadOffset { PayloadOffset(bytes: 1024 * lines.count, items: lines.count) }
  var byteCount: Int { 32 * lines.count }

  mutating func append(_ other: any Payload, _ part: Range<BlockOffset>, _ move: RecordMove) {
    guard let other = other as? LedgerLines else { return }
    lines += other.lines[part.lowerBound.payload.items..<part.upperBound.payload.items]
  }

  mutating func truncate(to end: PayloadOffset) { lines.removeLast(lines.count - end.items) }
  mutating func removeAll() { lines.removeAll() }
  mutating func reserve(_ end: PayloadOffset) {}
}

private let firstLine = Array("ledger\n".utf8)

private func prologue(_ names: [String]) -> [UInt8] {
  firstLine + names.flatMap { Array("!\($0)\n".utf8) }
}

private struct LedgerDecoder: RecordDecoder {
  private let options: DecoderOptions
  private var names: [String] = []

  init(_ options: DecoderOptions) { self.options = options }

  mutating func open(_ window: InputWindow) throws(RecordFault) -> StreamOpening? {
    if var known = options.opening, options.header == .passed {
      // A run that resumes begins with the names that were in force.
      names = String(decoding: known.prologue, as: UTF8.self).split(separator: "\n").dropFirst()
        .map { String($0.dropFirst()) }
      known.prologue = []
      return known
    }
    guard window.bytes.count >= firstLine.count || window.isLast else { return nil }
    guard window.bytes.starts(with: firstLine) else {
      throw RecordFault(expected: "the line 'ledger'", found: "another")
    }
    do throws(FeatureError) {
      return StreamOpening(
        schema: try FeatureSchema(["amount"]), columns: ["key", "amount"], prologue: firstLine)
    } catch {
      throw RecordFault(error)
    }
  }

  mutating func decode(
    _ window: InputWindow, into block: inout RecordBlock, limit: Int, progress: inout DecodeProgress
  ) -> DecodeOutcome {
    var payload = block.takePayload(LedgerLines.self)
    defer { block.payload = payload }
    while block.columns.count < limit {
      let start = progress.consumed
      guard let end = window.bytes[start...].firstIndex(of: 0x0A) else { return .needsInput }
      let line = String(decoding: Array(window.bytes[start..<end]), as: UTF8.self)
      progress.consumed = end + 1
      guard !line.hasPrefix("!") else {
        names.append(String(line.dropFirst()))
        payload.lines.append(.name(String(line.dropFirst()), all: names))
        progress.prologue = prologue(names)
        continue
      }
      progress.records += 1
      let words = line.split(separator: " ")
      let record = block.columns.count
      block.columns.withFloat64Columns {
        $0[record] = words.count > 1 ? Double(words[1]) ?? .nan : .nan
      }
      block.columns.count += 1
      payload.lines.append(.record(key: String(words.first ?? "")))
    }
    return .limitReached
  }

  func finish() throws(RecordFault) {}
}

private struct LedgerEncoder: RecordEncoder {
  let prologue: [UInt8]?
  let counts: Bool

  var epilogue: (any Epilogue)? {
    counts ? CountingEpilogue() : FixedEpilogue(Array("end\n".utf8))
  }

  func encodePrologue(into output: ByteBuffer) { output.append(prologue ?? firstLine) }

  func encode(_ block: RecordBlock, into output: ByteBuffer) {
    var record = block.selectedRecords.lowerBound
    for line in lines(of: block) {
      switch line {
      case .name(let name, _): output.append(Array("!\(name)\n".utf8))
      case .record(let key):
        let value = block.columns[record: record, feature: 0]
        output.append(Array("\(key) \(value)\n".utf8))
        record += 1
      }
    }
  }

  func encodePrologue(after block: RecordBlock, into output: ByteBuffer) -> Bool {
    for case .name(_, let all) in lines(of: block).reversed() {
      output.append(ExtensionTests.prologue(all))
      return true
    }
    return false
  }

  private func lines(of block: RecordBlock) -> ArraySlice<LedgerLines.Line> {
    let part = block.selection
    guard let payload = block.payload as? LedgerLines else { return [] }
    return payload.lines[part.lowerBound.payload.items..<part.upperBound.payload.items]
  }
}

/// Counts the records of the file that it ends, some bytes at a time.
private struct CountingEpilogue: Epilogue {
  private var offset = 0
  private var lines = 0
  private var others = 0
  private var isAtStart = true

  var needsFile: Bool { true }
  var bytes: [UInt8] { Array("\(lines - others) records\n".utf8) }

  mutating func wants(ofBytes byteCount: Int) -> Range<Int>? {
    offset < byteCount ? offset..<min(offset + 100, byteCount) : nil
  }

  mutating func take(_ bytes: [UInt8]) {
    offset += bytes.count
    for byte in bytes {
      if isAtStart, byte == 0x21 || byte == 0x6C { others += 1 }
      if byte == 0x0A { lines += 1 }
      isAtStart = byte == 0x0A
    }
  }
}
