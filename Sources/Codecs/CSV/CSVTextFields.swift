internal import Configuration
internal import Records

/// Divides records of CSV into fields without their quotes. An empty field without quotes is missing.
struct CSVTextFields: TextFields {
  let columns: [String]
  private let fields: CSVFields
  private let comment: UInt8?

  init(_ opening: StreamOpening, _ settings: SettingValues) {
    columns = opening.columns
    fields = CSVFields(delimiter: settings[CSVSettings.delimiter], limit: opening.columns.count)
    comment = settings[CSVSettings.comment]
  }

  func forEachField(
    of text: ArraySlice<UInt8>, _ visit: (_ column: Int, _ field: ArraySlice<UInt8>?) -> Void
  ) {
    text.withUnsafeBufferPointer { bytes in
      var scanner = CSVRecordScanner(delimiter: fields.delimiter)
      var lines = LineCutter(limit: .max)
      var start = 0
      while start < bytes.count {
        let window = InputWindow(bytes: bytes, isLast: true)
        if bytes[start] == comment, case .whole(let line) = lines.line(at: start, of: window) {
          start = line.upperBound
          continue
        }
        // The decoder has taken these records, so each is whole.
        guard case .record(let record) = scanner.next(in: bytes, from: start, isLast: true) else {
          return
        }
        let isBlank = record.contentEnd == start && columns.count != 1
        if !isBlank { visitRecord(record, at: start, in: bytes, visit) }
        start = record.end
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
      guard let field = try? fields.field(base, at: place, in: record) else { return }
      let content = UnsafeBufferPointer(rebasing: bytes[field.start..<field.end])
      let isMissing = content.isEmpty && !field.isQuoted
      visit(column, isMissing ? nil : CSVFields.content(field, content)[...])
      guard field.next < record.contentEnd else { return }
      place = field.next + 1
    }
  }
}
