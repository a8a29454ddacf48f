internal import CNumberText
internal import Records

/// Appends runs of records, which a C function reads at once, to the columns and the text of a block.
struct PlainRows: Sendable {
  /// The approximate number of spans that are gathered before they are added to the batch.
  private static let spanCount = 4096

  let featureCount: Int
  let keepsText: Bool
  private let spans = ByteBuffer()

  init(featureCount: Int, keepsText: Bool) {
    self.featureCount = featureCount
    self.keepsText = keepsText
  }

  /// Appends records from the start of `bytes` until `columns` contain `limit` records, or `read` takes no more.
  ///
  /// - Parameter read: reads records between two addresses, like `csv_rows_read`.
  /// - Returns: the number of records and their bytes.
  func append(
    _ bytes: UnsafeBufferPointer<UInt8>, to columns: inout FeatureColumns,
    _ text: inout SplicedText, limit: Int,
    read: (UnsafePointer<CChar>, UnsafePointer<CChar>, UnsafePointer<RowTarget>) -> RowsRead
  ) -> (records: Int, bytes: Int) {
    let most = max(1, Self.spanCount / max(1, featureCount))
    var taken = (records: 0, bytes: 0)
    while columns.count < limit {
      let rows = appendValues(
        UnsafeBufferPointer(rebasing: bytes[taken.bytes...]), to: &columns, &text,
        textOffset: text.bytes.count + taken.bytes, most: min(most, limit - columns.count),
        read: read)
      guard rows.records > 0 else { break }
      columns.count += rows.records
      taken.records += rows.records
      taken.bytes += rows.bytes
    }
    if keepsText {
      text.bytes.append(contentsOf: UnsafeBufferPointer(rebasing: bytes[..<taken.bytes]))
    }
    return taken
  }

  private func appendValues(
    _ bytes: UnsafeBufferPointer<UInt8>, to columns: inout FeatureColumns,
    _ text: inout SplicedText, textOffset: Int, most: Int,
    read: (UnsafePointer<CChar>, UnsafePointer<CChar>, UnsafePointer<RowTarget>) -> RowsRead
  ) -> RowsRead {
    let (stride, first) = (columns.capacity, columns.count)
    let spanBytes = UnsafeMutableRawPointer(
      spans.reserve(most * featureCount * ValueSpan.byteCount))
    let rows = columns.withFloat64Columns { values in
      precondition(first + most <= stride && featureCount * stride <= values.count)
      return values.withUnsafeMutableBufferPointer { values in
        bytes.withMemoryRebound(to: CChar.self) { bytes in
          guard let start = bytes.baseAddress, let values = values.baseAddress else {
            return RowsRead()
          }
          let target = RowTarget(
            values: values, stride: stride, first_record: first, most_records: most,
            spans: keepsText ? spanBytes.assumingMemoryBound(to: TextSpan.self) : nil,
            text_offset: UInt32(truncatingIfNeeded: textOffset))
          return withUnsafePointer(to: target) { read(start, start + bytes.count, $0) }
        }
      }
    }
    if keepsText {
      // The same three numbers, as another type.
      text.spans.append(
        contentsOf: UnsafeRawBufferPointer(
          start: spanBytes, count: rows.records * featureCount * ValueSpan.byteCount
        ).assumingMemoryBound(to: ValueSpan.self))
    }
    return rows
  }
}
