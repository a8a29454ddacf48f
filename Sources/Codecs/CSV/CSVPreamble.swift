internal import Configuration
internal import Records

// Invariant: `end` is the offset of a line; the lines before it are no records.

/// The lines before the header, or before the first record of a split without one, that are neither: the rows
/// to skip, then blank lines and comments.
struct CSVPreamble {
  private let comment: UInt8?
  private let delimiter: UInt8
  private let limit: Int
  /// Without a header, a blank line may be the record of a single column.
  private let passesBlankLines: Bool
  private var rowsToSkip: Int
  private var lines: LineCutter
  private(set) var end: Int

  /// - Parameter start: the offset of the first line.
  init(_ options: DecoderOptions, from start: Int) {
    comment = options.settings[CSVSettings.comment]
    delimiter = options.settings[CSVSettings.delimiter]
    rowsToSkip = options.settings[CSVSettings.skipRows]
    limit = options.limits.recordBytes
    passesBlankLines = options.settings[CSVSettings.header]
    lines = LineCutter(limit: limit)
    end = start
  }

  /// Finds the end of the lines.
  ///
  /// - Returns: false if it must see more bytes.
  /// - Throws: for lines that are longer than a record may be, one or all.
  mutating func pass(_ window: InputWindow, from start: Int) throws(RecordFault) -> Bool {
    while true {
      switch lines.line(at: end, of: window) {
      case .incomplete: return false
      case .none: return true
      case .tooLong: throw tooLong(at: end)
      case .whole(let range):
        guard rowsToSkip > 0 || isNoRecord(window.bytes[range]) else { return true }
        rowsToSkip = max(0, rowsToSkip - 1)
        end = range.upperBound
        guard end - start <= limit else { throw tooLong(at: start) }
      }
    }
  }

  private func isNoRecord(_ line: some Collection<UInt8>) -> Bool {
    if let comment, line.first == comment { return true }
    return passesBlankLines
      && line.allSatisfy { byte in
        byte == 0x0A || byte == 0x0D || byte != delimiter && (byte == 0x20 || byte == 0x09)
      }
  }

  private func tooLong(at offset: Int) -> RecordFault {
    RecordFault(
      expected: "a record of at most \(limit) bytes", found: "a longer one"
    ).at(offset)
  }
}
