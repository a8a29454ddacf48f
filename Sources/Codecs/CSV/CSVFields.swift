internal import Records

/// Finds the fields of a CSV record.
struct CSVFields: Sendable {
  let delimiter: UInt8
  /// The most fields of a record.
  let limit: Int

  /// The bytes of a field, without quotes, and the offset of the delimiter after it.
  struct Field {
    var start: Int
    var end: Int
    var next: Int
    var isQuoted: Bool
  }

  func field(
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

  /// The contents of a record's fields, without their quotes.
  func fields(
    of record: CSVRecordScanner.Record, at start: Int, in bytes: UnsafeBufferPointer<UInt8>
  ) throws(RecordFault) -> [[UInt8]] {
    guard let base = bytes.baseAddress else { return [] }
    var fields: [[UInt8]] = []
    var place = start
    while true {
      let field = try field(base, at: place, in: record)
      let content = UnsafeBufferPointer(rebasing: bytes[field.start..<field.end])
      fields.append(field.isQuoted ? Self.unescaped(content) : Array(content))
      guard fields.count <= limit else {
        throw RecordFault(
          expected: "at most \(limit) fields", found: "more"
        ).at(start)
      }
      if field.next == record.contentEnd { return fields }
      place = field.next + 1
    }
  }

  /// The contents of a field, with single quotes in the place of doubled ones.
  static func content(_ field: Field, _ bytes: UnsafeBufferPointer<UInt8>) -> [UInt8] {
    field.isQuoted ? unescaped(bytes) : Array(bytes)
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

  private func quote(_ base: UnsafePointer<UInt8>, _ start: Int, _ end: Int) -> String {
    RecordFault.quote(UnsafeBufferPointer(start: base + start, count: end - start))
  }
}
