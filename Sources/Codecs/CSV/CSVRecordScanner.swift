internal import Glibc

/// Finds the ends of CSV records (RFC 4180): the line feeds that are not in quotes.
///
/// Remembers how far it has scanned, so that it scans each byte of a record once, even if the record arrives byte by
/// byte.
struct CSVRecordScanner {
  /// One record in a window.
  struct Record {
    /// The position after the last byte of the last field.
    var contentEnd: Int
    /// The position after the line end.
    var end: Int
    var hasQuotes: Bool
  }

  enum Result {
    case record(Record)
    case incomplete
    /// The stream ends inside quotes.
    case unterminatedQuote
  }

  private enum State {
    case fieldStart
    case unquoted
    case quoted
    /// After a quote in a quoted field: the end of the field, or half of a doubled quote.
    case quoteInQuoted
  }

  private let delimiter: UInt8
  private var scanned = 0
  /// The state of the scan in a record with quotes; nil before the first quote.
  private var state: State?

  init(delimiter: UInt8) {
    self.delimiter = delimiter
  }

  /// Whether the scan of the record has stopped within quotes.
  var isInQuotes: Bool { state == .quoted }

  /// Begins with another record.
  mutating func restart() {
    scanned = 0
    state = nil
  }

  /// Looks for the end of the record that starts at `start`.
  mutating func next(in bytes: UnsafeBufferPointer<UInt8>, from start: Int, isLast: Bool) -> Result
  {
    guard let base = bytes.baseAddress, start < bytes.count else { return .incomplete }
    let count = bytes.count - start
    let record = base + start
    if state == nil {
      let lineEnd = memchr(record + scanned, 0x0A, count - scanned)
        .map { UnsafeRawPointer($0) - UnsafeRawPointer(record) }
      let lineCount = lineEnd ?? count
      if memchr(record + scanned, 0x22, lineCount - scanned) == nil {
        guard lineEnd != nil || isLast else {
          scanned = count
          return .incomplete
        }
        return found(
          record, start: start, lineEnd: lineCount, hasQuotes: false, terminated: lineEnd != nil)
      }
      state = .fieldStart
      scanned = 0
    }
    return scanQuoted(record, count: count, start: start, isLast: isLast)
  }

  private mutating func scanQuoted(
    _ record: UnsafePointer<UInt8>, count: Int, start: Int, isLast: Bool
  ) -> Result {
    var state = self.state ?? .fieldStart
    for index in scanned..<count {
      let byte = record[index]
      switch state {
      case .quoted:
        if byte == 0x22 { state = .quoteInQuoted }
        continue
      case .fieldStart where byte == 0x22, .quoteInQuoted where byte == 0x22:
        state = .quoted
        continue
      case .fieldStart, .unquoted, .quoteInQuoted:
        if byte == 0x0A {
          return found(record, start: start, lineEnd: index, hasQuotes: true, terminated: true)
        }
        state = byte == delimiter ? .fieldStart : .unquoted
      }
    }
    self.state = state
    scanned = count
    guard isLast else { return .incomplete }
    if state == .quoted { return .unterminatedQuote }
    return found(record, start: start, lineEnd: count, hasQuotes: true, terminated: false)
  }

  private mutating func found(
    _ record: UnsafePointer<UInt8>, start: Int, lineEnd: Int, hasQuotes: Bool, terminated: Bool
  ) -> Result {
    scanned = 0
    state = nil
    let endsInReturn = terminated && lineEnd > 0 && record[lineEnd - 1] == 0x0D
    return .record(
      Record(
        contentEnd: start + lineEnd - (endsInReturn ? 1 : 0),
        end: start + lineEnd + (terminated ? 1 : 0), hasQuotes: hasQuotes))
  }
}
