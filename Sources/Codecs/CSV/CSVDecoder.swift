internal import Configuration
internal import Glibc
internal import Records

// Invariants:
// - `features` has one entry a column: the index of its feature, or -1.
// - A record enters the batch whole or not at all.

/// Reads CSV records (RFC 4180: quotes, embedded line ends, CRLF or LF, a last line without an end).
///
/// A blank line is no record where there is more than one column; it passes as it is. Blanks around
/// a number are no part of it and pass too.
struct CSVDecoder: RecordDecoder {
  private let options: DecoderOptions
  private let delimiter: UInt8
  private let hasHeader: Bool
  private let missingTokens: [[UInt8]]
  /// Whether some missing token could be read as a number, so that tokens must be looked at first.
  private let tokensLookNumeric: Bool
  private var scanner: CSVRecordScanner
  private var header: (names: [String], end: Int)?
  /// Where `open` looks for the first record; all before it is the header and blank lines.
  private var firstRecord = 0
  private var names: [String] = []
  private var features: [Int] = []
  /// Reads plain records faster; nil where tokens must be looked at before numbers.
  private var rowReader: CSVRowReader?

  init(_ options: DecoderOptions) throws(FormatError) {
    delimiter = options.settings[CSVSettings.delimiter]
    hasHeader = options.settings[CSVSettings.header]
    guard CSVSettings.isDelimiter(delimiter) else {
      throw FormatError(
        CSVSettings.delimiter,
        "expected a delimiter that stands in no number, found \(RecordFault.quote([delimiter]))")
    }
    self.options = options
    missingTokens = options.settings[CSVSettings.missingTokens].map { Array($0.utf8) }
    tokensLookNumeric = missingTokens.contains { token in
      token.withUnsafeBufferPointer { bytes in
        guard let base = bytes.baseAddress else { return false }
        // A NaN or an infinity never takes the short way.
        return NumberText.parse(base, base + bytes.count)?.value.isFinite ?? false
      }
    }
    scanner = CSVRecordScanner(delimiter: delimiter)
  }

  // MARK: The start of the stream

  mutating func open(_ window: InputWindow) throws(RecordFault) -> StreamOpening? {
    let bytes = window.bytes
    if let known = options.opening, options.header == .passed { header = (known.columns, 0) }
    if header == nil {
      if bytes.count < 3, !window.isLast { return nil }
      let markEnd = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0
      guard hasHeader else {
        header = ([], markEnd)
        firstRecord = markEnd
        return try open(window)
      }
      guard markEnd < bytes.count else {
        guard window.isLast else { return nil }
        throw RecordFault(expected: "a header line", found: "the end of the stream")
      }
      guard let record = try peekAtStart(window, at: markEnd) else { return nil }
      let fields = try fields(of: record, at: markEnd, in: bytes)
      var names = fields.map { String(decoding: $0, as: UTF8.self) }
      var end = record.end
      if let known = options.opening?.columns {
        let isRecord = options.header == .optional && !CSVColumns.isHeader(names, of: known)
        if isRecord { end = markEnd }
        if isRecord || CSVColumns.areSame(names, known) { names = known }
      }
      header = (names, end)
      firstRecord = end
    }
    guard var columns = header?.names else { return nil }
    var isNumeric: [Bool]?
    if options.features.isEmpty || !hasHeader && options.header != .passed {
      guard let first = try peekFirstRecord(window, columnCount: columns.count) else {
        guard window.isLast else { return nil }
        return try opening(options.opening?.columns ?? columns, isNumeric: [], window)
      }
      if !hasHeader { columns = FeatureSchema.unnamed(count: first.count) }
      isNumeric = first.map { isNumber($0) }
    }
    if let known = options.opening, !Set(columns).isSuperset(of: known.schema.names) {
      return StreamOpening(
        schema: known.schema, columns: columns,
        prologue: Array(window.bytes[..<(header?.end ?? 0)]))
    }
    return try opening(columns, isNumeric: isNumeric, window)
  }

  /// The fields of the first record, or nil where its end is not in the window or there is none.
  private mutating func peekFirstRecord(
    _ window: InputWindow, columnCount: Int
  ) throws(RecordFault) -> [[UInt8]]? {
    while let record = try peekAtStart(window, at: firstRecord) {
      let isBlank = record.contentEnd == firstRecord && columnCount != 1
      // Without a header the first line that is not blank tells the number of columns. With one, a
      // record of another length, or one that cannot be read, does not say which columns hold
      // numbers; it is refused when its turn comes.
      if !isBlank, !hasHeader {
        return try fields(of: record, at: firstRecord, in: window.bytes)
      }
      if !isBlank, let fields = try? fields(of: record, at: firstRecord, in: window.bytes),
        fields.count == columnCount
      {
        return fields
      }
      firstRecord = record.end
      // Such lines without end are refused like a record without end.
      guard firstRecord <= options.limits.recordBytes else { throw tooLong.at(header?.end ?? 0) }
    }
    return nil
  }

  private mutating func opening(
    _ columns: [String], isNumeric: [Bool]?, _ window: InputWindow
  ) throws(RecordFault) -> StreamOpening {
    let chosen: [Int]
    do {
      if options.features.isEmpty {
        chosen = zip(columns.indices, isNumeric ?? []).filter(\.1).map(\.0)
        guard !chosen.isEmpty || isNumeric?.isEmpty == true else {
          throw RecordFault(
            expected: "a number in some column of the first record", found: "none")
        }
      } else if columns.isEmpty {
        chosen = []
      } else {
        chosen = try FeaturePattern.select(options.features, from: columns)
      }
      names = chosen.map { columns[$0] }
      features = Array(repeating: -1, count: columns.count)
      for (feature, column) in chosen.enumerated() { features[column] = feature }
      if !tokensLookNumeric {
        rowReader = CSVRowReader(features: features, missingTokens: missingTokens, options)
      }
      let prologue = window.bytes[..<(header?.end ?? 0)]
      return StreamOpening(
        schema: try FeatureSchema(names), columns: columns, prologue: Array(prologue))
    } catch let error as FeatureError {
      throw RecordFault(error)
    } catch let fault as RecordFault {
      throw fault
    } catch {
      preconditionFailure("\(error)")
    }
  }

  /// The record at `start`, or nil where its end is not in the window or the stream has ended.
  private mutating func peek(
    _ window: InputWindow, at start: Int
  ) throws(RecordFault) -> CSVRecordScanner.Record? {
    let result = scanner.next(in: window.bytes, from: start, isLast: window.isLast)
    // The limit goes before all else, lest what is found depend on how the bytes come.
    if length(of: result, from: start, in: window) > options.limits.recordBytes { throw tooLong }
    switch result {
    case .record(let record): return record
    case .unterminatedQuote: throw Self.unterminatedQuote
    case .incomplete: return nil
    }
  }

  /// The same while the stream is opened, when nobody else knows where the record begins.
  private mutating func peekAtStart(
    _ window: InputWindow, at start: Int
  ) throws(RecordFault) -> CSVRecordScanner.Record? {
    do {
      return try peek(window, at: start)
    } catch {
      throw error.at(start)
    }
  }

  /// The bytes that a record is known to have, line end included.
  @inline(__always)
  private func length(
    of result: CSVRecordScanner.Result, from start: Int, in window: InputWindow
  ) -> Int {
    if case .record(let record) = result { record.end - start } else { window.bytes.count - start }
  }

  /// The contents of a record's fields, without their quotes.
  private func fields(
    of record: CSVRecordScanner.Record, at start: Int, in bytes: UnsafeBufferPointer<UInt8>
  ) throws(RecordFault) -> [[UInt8]] {
    guard let base = bytes.baseAddress else { return [] }
    var fields: [[UInt8]] = []
    var place = start
    while true {
      let field = try field(base, at: place, in: record)
      let content = UnsafeBufferPointer(rebasing: bytes[field.start..<field.end])
      fields.append(field.isQuoted ? Self.unescaped(content) : Array(content))
      guard fields.count <= options.limits.fields else {
        throw RecordFault(
          expected: "at most \(options.limits.fields) fields", found: "more"
        ).at(start)
      }
      if field.next == record.contentEnd { return fields }
      place = field.next + 1
    }
  }

  private static func unescaped(_ content: UnsafeBufferPointer<UInt8>) -> [UInt8] {
    var bytes: [UInt8] = []
    var afterQuote = false
    for byte in content {
      if byte != 0x22 || !afterQuote { bytes.append(byte) }
      afterQuote = byte == 0x22 && !afterQuote
    }
    return bytes
  }

  private func isNumber(_ field: [UInt8]) -> Bool {
    field.withUnsafeBufferPointer { bytes in
      guard let base = bytes.baseAddress else { return false }
      let token = trimmed(base, 0, bytes.count)
      guard !isMissing(base, token.start, token.end),
        let (value, end) = NumberText.parse(base + token.start, base + token.end)
      else { return false }
      return end == base + token.end && value.isFinite
    }
  }

  // MARK: Records

  mutating func decode(
    _ window: InputWindow, into block: inout RecordBlock, limit: Int, progress: inout DecodeProgress
  ) -> DecodeOutcome {
    guard options.keepsText else {
      var none = SplicedText()
      return decode(window, into: &block.columns, &none, limit: limit, progress: &progress)
    }
    var text = block.takePayload(SplicedText.self)
    defer { block.payload = text }
    return decode(window, into: &block.columns, &text, limit: limit, progress: &progress)
  }

  private mutating func decode(
    _ window: InputWindow, into columns: inout FeatureColumns, _ text: inout SplicedText,
    limit: Int, progress: inout DecodeProgress
  ) -> DecodeOutcome {
    guard let base = window.bytes.baseAddress else { return .needsInput }
    while columns.count < limit {
      let start = progress.consumed
      let record: CSVRecordScanner.Record
      do throws(RecordFault) {
        guard let found = try peek(window, at: start) else { return .needsInput }
        record = found
      } catch {
        return .failed(error)
      }
      if let rowReader, !record.hasQuotes {
        let rest = UnsafeBufferPointer(rebasing: window.bytes[start...])
        let taken = rowReader.read(rest, into: &columns, &text, limit: limit)
        progress.consumed += taken.bytes
        progress.records += taken.records
        if taken.records > 0 { continue }
      }
      progress.consumed = record.end
      let isBlank = record.contentEnd == start && features.count != 1
      if !isBlank {
        progress.records += 1
        if let fault = read(base, start, record, into: &columns, &text) {
          return .rejected(fault, byteCount: record.end - start)
        }
        columns.count += 1
      }
      if options.keepsText {
        text.bytes.append(
          contentsOf: UnsafeBufferPointer(rebasing: window.bytes[start..<record.end]))
      }
    }
    return .limitReached
  }

  func finish() throws(RecordFault) {}

  private func read(
    _ base: UnsafePointer<UInt8>, _ start: Int, _ record: CSVRecordScanner.Record,
    into columns: inout FeatureColumns, _ text: inout SplicedText
  ) -> RecordFault? {
    let (index, capacity) = (columns.count, columns.capacity)
    let spanCount = text.spans.count
    // From an offset in the window to that in the text.
    let shift = text.bytes.count - start
    do {
      try columns.withFloat64Columns { values throws(RecordFault) in
        var column = 0
        var place = start
        while true {
          let feature = column < features.count ? features[column] : -1
          if feature >= 0 {
            let value = try value(base, at: place, in: record, feature: feature)
            let cell = feature * capacity + index
            values[cell] = value.number
            if options.keepsText {
              text.spans.append(
                ValueSpan(
                  start: UInt32(truncatingIfNeeded: value.start + shift),
                  end: UInt32(truncatingIfNeeded: value.end + shift),
                  cell: UInt32(truncatingIfNeeded: cell)))
            }
            place = value.next
          } else {
            place = try field(base, at: place, in: record).next
          }
          column += 1
          if place == record.contentEnd { break }
          place += 1
        }
        guard column == features.count else {
          throw RecordFault(expected: "\(features.count) fields", found: "\(column)")
        }
      }
      return nil
    } catch {
      text.spans.removeLast(text.spans.count - spanCount)
      return error
    }
  }

  /// The bytes of a field within its quotes, if any, and the place of the delimiter behind it.
  private struct Field {
    var start: Int
    var end: Int
    var next: Int
    var isQuoted: Bool
  }

  private func field(
    _ base: UnsafePointer<UInt8>, at start: Int, in record: CSVRecordScanner.Record
  ) throws(RecordFault) -> Field {
    let end = record.contentEnd
    var place = start
    guard record.hasQuotes else {
      while place < end, base[place] != delimiter { place += 1 }
      return Field(start: start, end: place, next: place, isQuoted: false)
    }
    guard start < end, base[start] == 0x22 else {
      while place < end, base[place] != delimiter {
        guard base[place] != 0x22 else {
          throw RecordFault(
            expected: "quotes around a whole field",
            found: "one within " + quote(base, start, end))
        }
        place += 1
      }
      return Field(start: start, end: place, next: place, isQuoted: false)
    }
    place += 1
    while place < end {
      if base[place] != 0x22 {
        place += 1
      } else if place + 1 < end, base[place + 1] == 0x22 {
        place += 2
      } else {
        guard place + 1 == end || base[place + 1] == delimiter else { break }
        return Field(start: start + 1, end: place, next: place + 1, isQuoted: true)
      }
    }
    throw RecordFault(
      expected: "a delimiter after the closing quote", found: quote(base, start, end))
  }

  /// A value of a feature: NaN where missing; the bytes that spell it; the delimiter behind it.
  private struct Value {
    var number: Double
    var start: Int
    var end: Int
    var next: Int
  }

  @inline(__always)
  private func value(
    _ base: UnsafePointer<UInt8>, at start: Int, in record: CSVRecordScanner.Record, feature: Int
  ) throws(RecordFault) -> Value {
    let end = record.contentEnd
    // The common case: a number that starts here and ends at a delimiter.
    if !tokensLookNumeric, let (number, after) = NumberText.parse(base + start, base + end) {
      let next = after - base
      if next == end || base[next] == delimiter, number.isFinite {
        return Value(number: number, start: start, end: next, next: next)
      }
    }
    return try unusualValue(base, at: start, in: record, feature: feature)
  }

  private func unusualValue(
    _ base: UnsafePointer<UInt8>, at start: Int, in record: CSVRecordScanner.Record, feature: Int
  ) throws(RecordFault) -> Value {
    let field = try field(base, at: start, in: record)
    let token = trimmed(base, field.start, field.end)
    var value = Value(number: .nan, start: token.start, end: token.end, next: field.next)
    if !isMissing(base, token.start, token.end) {
      let parsed = NumberText.parse(base + token.start, base + token.end)
      if let parsed, parsed.end == base + token.end, !parsed.value.isInfinite {
        value.number = parsed.value
      } else if options.onInvalid == .reject {
        throw RecordFault(
          expected: "a number in feature '\(names[feature])'",
          found: quote(base, token.start, token.end))
      }
    }
    if value.number.isNaN, options.onMissing == .reject {
      throw RecordFault(
        expected: "a value of feature '\(names[feature])'",
        found: "a missing one, " + quote(base, token.start, token.end))
    }
    return value
  }

  private func trimmed(
    _ base: UnsafePointer<UInt8>, _ start: Int, _ end: Int
  ) -> (start: Int, end: Int) {
    var (start, end) = (start, end)
    while start < end, isBlank(base[start]) { start += 1 }
    while start < end, isBlank(base[end - 1]) { end -= 1 }
    return (start, end)
  }

  private func isBlank(_ byte: UInt8) -> Bool {
    byte == 0x20 || byte == 0x09
  }

  private func isMissing(_ base: UnsafePointer<UInt8>, _ start: Int, _ end: Int) -> Bool {
    start == end
      || missingTokens.contains {
        $0.count == end - start && memcmp($0, base + start, end - start) == 0
      }
  }

  // MARK: Faults

  private static let unterminatedQuote = RecordFault(
    expected: "a closing quote", found: "the end of the stream")

  private var tooLong: RecordFault {
    RecordFault(
      expected: "a record of at most \(options.limits.recordBytes) bytes", found: "a longer one")
  }

  private func quote(_ base: UnsafePointer<UInt8>, _ start: Int, _ end: Int) -> String {
    RecordFault.quote(UnsafeBufferPointer(start: base + start, count: end - start))
  }
}
