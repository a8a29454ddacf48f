internal import Configuration
internal import Records

// Invariants:
// - `features` has one entry a column: the index of its feature, or -1.
// - A record enters the block whole or not at all.

/// Reads CSV records (RFC 4180: quotes, embedded line ends, CRLF or LF, a last line without an end).
///
/// A blank line is no record if there is more than one column, and a comment never is; they pass as they are.
/// Blanks around a number are no part of it and pass too.
struct CSVDecoder: RecordDecoder {
  let options: DecoderOptions
  let values: CSVValues
  let hasHeader: Bool
  private var scanner: CSVRecordScanner
  let comment: UInt8?
  private var commentLines: LineCutter
  /// The lines before the header; nil before the first look at the split.
  var preamble: CSVPreamble?
  /// The columns that the header names, and its end.
  var header: (names: [String], end: Int)?
  /// The offset of the line that `open` looks at next; only the header and lines that are no records are before it.
  var firstRecord = 0
  /// The records that `open` has looked at, if it chooses the features by them.
  var lookAhead: CSVLookAhead?
  /// The names of the features.
  var names: [String] = []
  /// The feature of each column, or -1.
  var features: [Int] = []
  /// The role of each column, by its index in the options, or -1; empty if no column has a role.
  var roles: [Int] = []
  /// The most plain records that are read at once, with roles: one after a bad role, then twice as many each time.
  private var plainRecords = 1024
  /// Reads plain records faster; nil if missing tokens must be looked at before numbers, or numbers have a
  /// decimal comma.
  var rowReader: CSVRowReader?

  init(_ options: DecoderOptions) throws(FormatError) {
    let delimiter = options.settings[CSVSettings.delimiter]
    hasHeader = options.settings[CSVSettings.header]
    guard CSVSettings.isDelimiter(delimiter) else {
      throw FormatError(
        CSVSettings.delimiter,
        "expected a delimiter that cannot be part of a number, found \(RecordFault.quote([delimiter]))"
      )
    }
    self.options = options
    values = CSVValues(options)
    scanner = CSVRecordScanner(delimiter: delimiter)
    comment = options.settings[CSVSettings.comment]
    commentLines = LineCutter(limit: options.limits.recordBytes)
  }

  // MARK: Records

  /// Whether a comment starts at `start`, where a line starts.
  @inline(__always)
  func isComment(_ bytes: UnsafeBufferPointer<UInt8>, at start: Int) -> Bool {
    guard let comment, start < bytes.count else { return false }
    return bytes[start] == comment
  }

  /// The comment at `start`, whose quotes mean nothing, as a record; nil if its end is not in the window.
  private mutating func peekComment(
    _ window: InputWindow, at start: Int
  ) throws(RecordFault) -> CSVRecordScanner.Record? {
    switch commentLines.line(at: start, of: window) {
    case .incomplete, .none: return nil
    case .tooLong: throw tooLong
    case .whole(let range):
      return CSVRecordScanner.Record(
        contentEnd: range.upperBound, end: range.upperBound, hasQuotes: false)
    }
  }

  /// The record or comment at `start`; nil if its end is not in the window or the stream has ended.
  mutating func peek(
    _ window: InputWindow, at start: Int
  ) throws(RecordFault) -> CSVRecordScanner.Record? {
    if isComment(window.bytes, at: start) { return try peekComment(window, at: start) }
    // First the limit: else it would depend on the windows which fault is found.
    let limit = min(window.bytes.count, start + options.limits.recordBytes + 1)
    let bytes = UnsafeBufferPointer(rebasing: window.bytes[..<limit])
    let result = scanner.next(
      in: bytes, from: start, isLast: window.isLast && limit == window.bytes.count)
    if length(of: result, from: start, in: bytes) > options.limits.recordBytes { throw tooLong }
    switch result {
    case .record(let record): return record
    case .unterminatedQuote: throw Self.unterminatedQuote
    case .incomplete: return nil
    }
  }

  /// The end and the fault of a record whose quotes are not closed: it takes the rest of the split, or the whole lines
  /// within the limit of a record. Nil if the record cannot be read for another reason, or is one long line.
  private mutating func unclosed(
    _ window: InputWindow, at start: Int
  ) -> (end: Int, fault: RecordFault)? {
    guard !isComment(window.bytes, at: start), scanner.isInQuotes else { return nil }
    let limit = options.limits.recordBytes
    guard window.bytes.count - start > limit else {
      scanner.restart()
      return (window.bytes.count, Self.unterminatedQuote)
    }
    guard let last = window.bytes[start..<start + limit].lastIndex(of: 0x0A) else { return nil }
    scanner.restart()
    return (last + 1, RecordFault(expected: "a closing quote within \(limit) bytes", found: "none"))
  }

  /// The bytes that a record is known to have, line end included.
  @inline(__always)
  private func length(
    of result: CSVRecordScanner.Result, from start: Int, in bytes: UnsafeBufferPointer<UInt8>
  ) -> Int {
    if case .record(let record) = result { record.end - start } else { bytes.count - start }
  }

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
    // Before this offset is a record that is not UTF-8, so records are taken one by one.
    var plainFrom = 0
    while columns.count < limit {
      let start = progress.consumed
      let record: CSVRecordScanner.Record
      do throws(RecordFault) {
        guard let found = try peek(window, at: start) else { return .needsInput }
        record = found
      } catch {
        guard let (end, fault) = unclosed(window, at: start) else { return .failed(error) }
        progress.consumed = end
        progress.records += 1
        return .rejected(fault, byteCount: end - start)
      }
      let isComment = isComment(window.bytes, at: start)
      if let rowReader, !record.hasQuotes, !isComment, start >= plainFrom {
        let rest = UnsafeBufferPointer(rebasing: window.bytes[start...])
        let before = (records: columns.count, bytes: text.bytes.count, spans: text.spans.count)
        let taken =
          roles.isEmpty
          ? rowReader.read(rest, into: &columns, &text, limit: limit)
          : readPlain(rest, rowReader, into: &columns, &text, limit: limit)
        if isSound(rest[..<taken.bytes]) {
          progress.consumed += taken.bytes
          progress.records += taken.records
          if taken.records > 0 { continue }
        } else {
          columns.count = before.records
          text.bytes.removeLast(text.bytes.count - before.bytes)
          text.spans.removeLast(text.spans.count - before.spans)
          plainFrom = start + taken.bytes
        }
      }
      progress.consumed = record.end
      let isBlank = record.contentEnd == start && features.count != 1
      if !isBlank, !isComment {
        progress.records += 1
        guard isSound(window.bytes[start..<record.end]) else {
          return .rejected(Self.notUTF8, byteCount: record.end - start)
        }
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

  /// Reads plain records with their roles, up to the first with a bad role.
  private mutating func readPlain(
    _ bytes: UnsafeBufferPointer<UInt8>, _ rowReader: CSVRowReader,
    into columns: inout FeatureColumns, _ text: inout SplicedText, limit: Int
  ) -> (records: Int, bytes: Int) {
    let (first, textStart) = (columns.count, text.bytes.count)
    let taken = rowReader.read(
      bytes, into: &columns, &text, limit: min(limit, first + plainRecords))
    guard taken.records > 0 else { return taken }
    let good = values.roles(
      ofPlain: UnsafeBufferPointer(rebasing: bytes[..<taken.bytes]), roles, options.roles
    ) { columns.setRoles($1, of: first + $0) }
    guard good.records < taken.records else {
      plainRecords = min(2 * plainRecords, 1024)
      return taken
    }
    plainRecords = 1
    columns.count = first + good.records
    if options.keepsText {
      text.bytes.removeLast(text.bytes.count - textStart - good.bytes)
      // A plain record has a span for each feature.
      text.spans.removeLast((taken.records - good.records) * columns.featureCount)
    }
    return good
  }

  func finish() throws(RecordFault) {}

  func parts(of records: [Int], in block: RecordBlock) -> [RecordPart]? {
    var scanner = self
    scanner.scanner = CSVRecordScanner(delimiter: options.settings[CSVSettings.delimiter])
    return block.textParts(
      of: records, isRecord: { _, hasSpan in hasSpan },
      next: { text, start in
        text.withUnsafeBufferPointer { bytes in
          let found = try? scanner.peek(InputWindow(bytes: bytes, isLast: true), at: start)
          return found.flatMap { $0 }.map { start..<$0.end }
        }
      })
  }

  private func read(
    _ base: UnsafePointer<UInt8>, _ start: Int, _ record: CSVRecordScanner.Record,
    into columns: inout FeatureColumns, _ text: inout SplicedText
  ) -> RecordFault? {
    let (index, capacity) = (columns.count, columns.capacity)
    let spanCount = text.spans.count
    // From an offset in the window to that in the text.
    let shift = text.bytes.count - start
    var told = RecordRoles()
    do {
      try columns.withFloat64Columns { values throws(RecordFault) in
        var column = 0
        var place = start
        while true {
          let feature = column < features.count ? features[column] : -1
          if feature >= 0 {
            let value = try self.values.value(base, at: place, in: record, name: names[feature])
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
            let field = try self.values.fields.field(base, at: place, in: record)
            if column < roles.count, roles[column] >= 0 {
              try self.values.read(options.roles[roles[column]], base, field, into: &told)
            }
            place = field.next
          }
          column += 1
          if place == record.contentEnd { break }
          place += 1
        }
        guard column == features.count else {
          let line = UnsafeBufferPointer(start: base + start, count: record.contentEnd - start)
          throw RecordFault(
            expected: "\(features.count) field\(features.count == 1 ? "" : "s")", found: "\(column)"
          )
          .advising(self.values.hints.advice(record: line))
        }
      }
      if !roles.isEmpty { columns.setRoles(told, of: index) }
      return nil
    } catch {
      text.spans.removeLast(text.spans.count - spanCount)
      return error
    }
  }

  /// Whether the output can have the texts of records: those of Arrow are UTF-8.
  private func isSound(_ records: Slice<UnsafeBufferPointer<UInt8>>) -> Bool {
    guard options.keepsFields else { return true }
    return records.allSatisfy { $0 < 0x80 } || String(validating: records, as: UTF8.self) != nil
  }

  // MARK: Faults

  private static let notUTF8 = RecordFault(
    expected: "a record in UTF-8, as Arrow has it",
    found: "other bytes: convert the input first, for example by iconv")

  private static let unterminatedQuote = RecordFault(
    expected: "a closing quote", found: "the end of the stream")

  var tooLong: RecordFault {
    RecordFault(
      expected: "a record of at most \(options.limits.recordBytes) bytes", found: "a longer one")
  }

}
