internal import Records

// Invariant: records before `next` are in the profiles, unless they cannot be read or have another number of
// fields.

/// Looks at the first records of a stream, to choose its features by their values.
///
/// It sees the same records however the stream is divided into windows, unless one says that it is enough.
struct CSVLookAhead {
  private let values: CSVValues
  private let start: Int
  private var next: Int
  private var scanner: CSVRecordScanner
  /// The first byte of a comment, and the lines of comments, whose quotes mean nothing.
  private let comment: UInt8?
  private var commentLines: LineCutter
  private(set) var records = 0
  private(set) var profiles: [ColumnProfile]
  /// The values of the record under way.
  private var row: [ColumnProfile.Value] = []

  /// - Parameter start: the offset of the first record in the window.
  init(_ values: CSVValues, comment: UInt8?, columnCount: Int, from start: Int) {
    self.comment = comment
    commentLines = LineCutter(limit: LookAhead.mostBytes)
    self.values = values
    self.start = start
    next = start
    scanner = CSVRecordScanner(delimiter: values.fields.delimiter)
    profiles = Array(repeating: ColumnProfile(), count: columnCount)
  }

  /// Looks at the records that the window shows.
  ///
  /// - Returns: false if it must see more.
  mutating func look(at window: InputWindow) -> Bool {
    while records < LookAhead.mostRecords {
      if let comment, next < window.bytes.count, window.bytes[next] == comment {
        switch commentLines.line(at: next, of: window) {
        case .incomplete: return isOver(window)
        case .tooLong, .none: return true
        case .whole(let range): next = range.upperBound
        }
        continue
      }
      guard
        case .record(let record) = scanner.next(
          in: window.bytes, from: next, isLast: window.isLast)
      else {
        // The rest is the start of a record, or of none.
        return isOver(window)
      }
      if records > 0, record.end - start > LookAhead.mostBytes { return true }
      take(record, window.bytes)
      next = record.end
    }
    return true
  }

  /// Whether nothing more is to be seen although a line goes on.
  private func isOver(_ window: InputWindow) -> Bool {
    window.isLast
      || records > 0 && (window.isEnough || window.bytes.count - start > LookAhead.mostBytes)
  }

  private mutating func take(
    _ record: CSVRecordScanner.Record, _ bytes: UnsafeBufferPointer<UInt8>
  ) {
    guard let base = bytes.baseAddress, profiles.count == 1 || record.contentEnd > next else {
      return
    }
    row.removeAll(keepingCapacity: true)
    var place = next
    while row.count <= profiles.count {
      guard let field = try? values.fields.field(base, at: place, in: record) else { return }
      row.append(values.look(base, field))
      if field.next == record.contentEnd { break }
      place = field.next + 1
    }
    // It is refused when its turn comes.
    guard row.count == profiles.count else { return }
    records += 1
    for column in profiles.indices { profiles[column].take(row[column]) }
  }
}
