internal import CNumberText
internal import Configuration
internal import Records

/// Reads runs of plain CSV records at once.
///
/// A plain record has no quotes, no blanks around numbers, no blank line and no fault. `CSVDecoder` reads all other
/// records, and reads plain ones in the same way.
struct CSVRowReader: Sendable {
  private let features: [Int32]
  private let delimiter: UInt8
  private let comment: UInt8?
  private let allowsMissing: Bool
  private let tokens: [UInt8]
  private let tokenLengths: [Int]
  private let recordBytes: Int
  private let rows: PlainRows

  /// - Parameter features: the feature of each column, or -1.
  init(features: [Int], missingTokens: [[UInt8]], _ options: DecoderOptions) {
    self.features = features.map { Int32($0) }
    delimiter = options.settings[CSVSettings.delimiter]
    comment = options.settings[CSVSettings.comment]
    allowsMissing = options.onMissing != .reject
    tokens = missingTokens.flatMap(\.self)
    tokenLengths = missingTokens.map(\.count)
    recordBytes = options.limits.recordBytes
    rows = PlainRows(
      featureCount: features.count { $0 >= 0 }, keepsText: options.keepsText)
  }

  /// Appends whole plain records from the start of `bytes` until `columns` contain `limit` records.
  ///
  /// - Returns: the number of records and their bytes.
  func read(
    _ bytes: UnsafeBufferPointer<UInt8>, into columns: inout FeatureColumns,
    _ text: inout SplicedText, limit: Int
  ) -> (records: Int, bytes: Int) {
    features.withUnsafeBufferPointer { features in
      tokens.withUnsafeBytes { tokens in
        tokenLengths.withUnsafeBufferPointer { lengths in
          // A stream that has only blank lines has no columns.
          guard let first = features.baseAddress, !features.isEmpty else { return (0, 0) }
          let plan = CsvPlan(
            features: first, column_count: features.count,
            delimiter: CChar(bitPattern: delimiter), comment: comment.map { Int32($0) } ?? -1,
            allows_missing: allowsMissing,
            tokens: tokens.assumingMemoryBound(to: CChar.self).baseAddress,
            token_lengths: lengths.baseAddress, token_count: lengths.count,
            record_bytes: recordBytes, greatest: FeatureColumns.greatest)
          return withUnsafePointer(to: plan) { plan in
            rows.append(bytes, to: &columns, &text, limit: limit) {
              csv_rows_read(plan, $0, $1, $2)
            }
          }
        }
      }
    }
  }
}
