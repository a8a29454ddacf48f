internal import Glibc

/// Finds where CSV records end (RFC 4180): at a line feed that is not within quotes.
///
/// It remembers how far it has looked, so that a record that arrives byte by byte is still looked
/// through once.
struct CSVRecordScanner {
  /// One record within a window.
  struct Record {
    /// Just after the last byte of the last field.
    var contentEnd: Int
    /// Just after the line end.
    var end: Int
    var hasQuotes: Bool
  }

  enum Result {
    case record(Record)
    case incomplete
    /// The stream ends within quotes.
    case unterminatedQuote
  }

  private enum Place {
    case fieldStart
    case unquoted
    case quoted
    /// After a quote within a quoted field: the end of the field, or half of a doubled quote.
    case quoteInQuoted
  }

  private let delimiter: UInt8
  private var scanned = 0
  /// Where in a record with quotes the scan stands; nil while no quote was met.
  private var place: Place?

  init(delimiter: UInt8) {
    self.delimiter = delimiter
  }

  /// Looks for the end of the record that starts at `start`.
  mutating func next(in bytes: UnsafeBufferPointer<UInt8>, from start: Int, isLast: Bool) -> Result
  {
    guard let base = bytes.baseAddress, start < bytes.count else { return .incomplete }
    let count = bytes.count - start
    let record = base + start
    if place == nil {
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
      place = .fieldStart
      scanned = 0
    }
    return scanQuoted(record, count: count, start: start, isLast: isLast)
  }

  private mutating func scanQuoted(
    _ record: UnsafePointer<UInt8>, count: Int, start: Int, isLast: Bool
  ) -> Result {
    var place = self.place ?? .fieldStart
    for index in scanned..<count {
      let byte = record[index]
      switch place {
      case .quoted:
        if byte == 0x22 { place = .quoteInQuoted }
        continue
      case .fieldStart where byte == 0x22, .quoteInQuoted where byte == 0x22:
        place = .quoted
        continue
      case .fieldStart, .unquoted, .quoteInQuoted:
        if byte == 0x0A {
          return found(record, start: start, lineEnd: index, hasQuotes: true, terminated: true)
        }
        place = byte == delimiter ? .fieldStart : .unquoted
      }
    }
    self.place = place
    scanned = count
    guard isLast else { return .incomplete }
    if place == .quoted { return .unterminatedQuote }
    return found(record, start: start, lineEnd: count, hasQuotes: true, terminated: false)
  }

  private mutating func found(
    _ record: UnsafePointer<UInt8>, start: Int, lineEnd: Int, hasQuotes: Bool, terminated: Bool
  ) -> Result {
    scanned = 0
    place = nil
    let endsInReturn = terminated && lineEnd > 0 && record[lineEnd - 1] == 0x0D
    return .record(
      Record(
        contentEnd: start + lineEnd - (endsInReturn ? 1 : 0),
        end: start + lineEnd + (terminated ? 1 : 0), hasQuotes: hasQuotes))
  }
}
