import Codecs
import Configuration
import Records

/// A made-up format in one file: a record is a line of `name=value` with blanks between, always in one order.
/// A value that is no number is missing.
extension RecordFormat {
  static let pairs = RecordFormat(
    name: "pairs", fileExtensions: ["pairs"],
    settings: SettingGroup("Pairs", [PairsSettings.equals]),
    check: { values, _ in
      guard values[PairsSettings.equals] == UInt8(ascii: "x") else { return [] }
      return [
        SettingViolation(
          PairsSettings.equals, expected: .value("a sign that no name holds"), found: "'x'")
      ]
    },
    recordEnds: { _, _, _ in .lines(quote: nil) },
    makeDecoder: { PairsDecoder($0) },
    makeEncoder: { PairsEncoder($0) })
}

enum PairsSettings {
  static let equals = Setting(
    "equals", sign, default: UInt8(ascii: "="), option: .value("pairs-equals", "c"),
    effects: .outputForm, help: "The sign between a name and its value.")

  private static let sign = SettingType<UInt8>(
    expected: "one ASCII character", text: { String(UnicodeScalar($0)) },
    parse: { (text) throws(SettingRefusal) in
      guard let only = text.utf8.first, text.utf8.count == 1, only > 0x20 else {
        throw SettingRefusal()
      }
      return only
    })
}

private struct PairsDecoder: RecordDecoder {
  private let options: DecoderOptions
  private let equals: UInt8
  private var names: [String] = []
  /// The numbers of the pairs that are features.
  private var chosen: [Int] = []

  init(_ options: DecoderOptions) {
    self.options = options
    equals = options.settings[PairsSettings.equals]
  }

  mutating func open(_ window: InputWindow) throws(RecordFault) -> StreamOpening? {
    guard let first = line(of: window, at: 0) else { return nil }
    names = pairs(of: window.bytes[first]).map { $0.name }
    do throws(FeatureError) {
      chosen =
        options.features.isEmpty
        ? Array(names.indices) : try FeaturePattern.select(options.features, from: names)
      return StreamOpening(
        schema: try FeatureSchema(chosen.map { names[$0] }), columns: names, prologue: [])
    } catch {
      throw RecordFault(error)
    }
  }

  mutating func decode(
    _ window: InputWindow, into block: inout RecordBlock, limit: Int, progress: inout DecodeProgress
  ) -> DecodeOutcome {
    while block.columns.count < limit {
      guard let line = line(of: window, at: progress.consumed) else { return .needsInput }
      progress.consumed = min(line.upperBound + 1, window.bytes.count)
      progress.records += 1
      let pairs = pairs(of: window.bytes[line])
      guard pairs.map(\.name) == names else {
        return .rejected(
          RecordFault(expected: "the names of the first record", found: "others"),
          byteCount: progress.consumed - line.lowerBound)
      }
      let (record, capacity) = (block.columns.count, block.columns.capacity)
      block.columns.withFloat64Columns { values in
        for (feature, pair) in chosen.enumerated() {
          values[feature * capacity + record] = Double(pairs[pair].value) ?? .nan
        }
      }
      block.columns.count += 1
    }
    return .limitReached
  }

  func finish() throws(RecordFault) {}

  /// The line at an offset without its end; nil if the window has no whole one.
  private func line(of window: InputWindow, at start: Int) -> Range<Int>? {
    let end = window.bytes[start...].firstIndex(of: 0x0A)
    if let end { return start..<end }
    return window.isLast && start < window.bytes.count ? start..<window.bytes.count : nil
  }

  private func pairs(
    of line: Slice<UnsafeBufferPointer<UInt8>>
  ) -> [(name: String, value: String)] {
    line.split(separator: 0x20).map { word in
      let parts = word.split(separator: equals, maxSplits: 1, omittingEmptySubsequences: false)
      return (text(parts[0]), parts.count > 1 ? text(parts[1]) : "")
    }
  }

  private func text(_ bytes: some Sequence<UInt8>) -> String {
    String(decoding: Array(bytes), as: UTF8.self)
  }
}

private struct PairsEncoder: RecordEncoder {
  private let names: [String]
  private let equals: UInt8

  init(_ options: EncoderOptions) {
    names = options.schema.names
    equals = options.settings[PairsSettings.equals]
  }

  func encodePrologue(into output: ByteBuffer) {}

  func encode(_ block: RecordBlock, into output: ByteBuffer) {
    for record in block.selectedRecords {
      for (feature, name) in names.enumerated() {
        if feature > 0 { output.append(0x20) }
        output.append(Array(name.utf8) + [equals])
        let value = block.columns[record: record, feature: feature]
        output.append(Array((value.isNaN ? "-" : "\(value)").utf8))
      }
      output.append(0x0A)
    }
  }
}
