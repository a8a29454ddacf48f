internal import Configuration
internal import Records

/// Divides records of CSV into fields without their quotes. An empty field without quotes is missing.
struct CSVTextFields: TextFields {
  let columns: [String]
  private let text: CSVText

  init(_ opening: StreamOpening, _ settings: SettingValues) {
    columns = opening.columns
    text = CSVText(
      delimiter: settings[CSVSettings.delimiter], comment: settings[CSVSettings.comment],
      columnCount: opening.columns.count)
  }

  func forEachField(
    of text: ArraySlice<UInt8>, _ visit: (_ column: Int, _ field: ArraySlice<UInt8>?) -> Void
  ) {
    text.withUnsafeBufferPointer { bytes in
      self.text.forEachPart(of: bytes) { part, record in
        if let record { visitRecord(record, at: part.lowerBound, in: bytes, visit) }
      }
    }
  }

  private func visitRecord(
    _ record: CSVRecordScanner.Record, at start: Int, in bytes: UnsafeBufferPointer<UInt8>,
    _ visit: (_ column: Int, _ field: ArraySlice<UInt8>?) -> Void
  ) {
    guard let base = bytes.baseAddress else { return }
    var place = start
    for column in columns.indices {
      guard let field = try? text.fields.field(base, at: place, in: record) else { return }
      let content = UnsafeBufferPointer(rebasing: bytes[field.start..<field.end])
      let isMissing = content.isEmpty && !field.isQuoted
      visit(column, isMissing ? nil : CSVFields.content(field, content)[...])
      guard field.next < record.contentEnd else { return }
      place = field.next + 1
    }
  }
}

/// Divides text of CSV that a decoder has taken, or an encoder has written.
struct CSVText: Sendable {
  let fields: CSVFields
  private let comment: UInt8?
  private let columnCount: Int

  init(delimiter: UInt8, comment: UInt8?, columnCount: Int) {
    fields = CSVFields(delimiter: delimiter, limit: columnCount)
    self.comment = comment
    self.columnCount = columnCount
  }

  /// Visits the records, and the comments and blank lines between them, in order.
  ///
  /// - Parameter visit: gets the bytes of a part, and the record that they are, if they are one.
  func forEachPart(
    of bytes: UnsafeBufferPointer<UInt8>,
    _ visit: (_ part: Range<Int>, _ record: CSVRecordScanner.Record?) -> Void
  ) {
    var scanner = CSVRecordScanner(delimiter: fields.delimiter)
    var lines = LineCutter(limit: .max)
    var start = 0
    while start < bytes.count {
      let window = InputWindow(bytes: bytes, isLast: true)
      if bytes[start] == comment, case .whole(let line) = lines.line(at: start, of: window) {
        visit(line, nil)
        start = line.upperBound
        continue
      }
      // The decoder has taken these records, so each is whole.
      guard case .record(let record) = scanner.next(in: bytes, from: start, isLast: true) else {
        return
      }
      let isBlank = record.contentEnd == start && columnCount != 1
      visit(start..<record.end, isBlank ? nil : record)
      start = record.end
    }
  }

  /// Finds the bytes of each field of a record, quotes included.
  ///
  /// - Parameter places: gets one place a column; the same array for the next record saves memory.
  func find(
    _ places: inout [Range<Int>], of record: CSVRecordScanner.Record, at start: Int,
    in bytes: UnsafeBufferPointer<UInt8>
  ) {
    places.removeAll(keepingCapacity: true)
    var place = start
    while let base = bytes.baseAddress, places.count < columnCount, place <= record.contentEnd,
      let field = try? fields.field(base, at: place, in: record)
    {
      places.append(place..<field.next)
      place = field.next + 1
    }
    // The record has been read, or written, with all of its fields.
    while places.count < columnCount { places.append(record.contentEnd..<record.contentEnd) }
  }
}
