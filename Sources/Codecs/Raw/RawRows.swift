internal import CRawRows
internal import Records

/// Moves features between raw rows and the columns of a batch.
struct RawRows: Sendable {
  /// The column of each feature in a row.
  let columns: [Int32]
  /// The width of the values in a row.
  let scalar: Precision
  /// The number of values in a row.
  let columnCount: Int

  var rowBytes: Int { columnCount * scalar.byteCount }

  init(columns: [Int], of columnCount: Int, scalar: Precision) {
    precondition(columns.allSatisfy { 0 <= $0 && $0 < columnCount })
    self.columns = columns.map { Int32($0) }
    self.columnCount = columnCount
    self.scalar = scalar
  }

  /// Stores whole rows after the records of `batch`, without changing its count. An invalid value becomes NaN. The
  /// columns of the batch are as wide as the rows, or Double.
  ///
  /// - Returns: whether a value was invalid, and whether a value was missing.
  func read(
    _ rows: UnsafeRawBufferPointer, into batch: inout FeatureColumns
  ) -> (hasInvalid: Bool, hasMissing: Bool) {
    let record = batch.count
    let records = record..<record + rows.count / rowBytes
    let stride = batch.capacity
    precondition(records.upperBound <= stride && columns.count == batch.featureCount)
    guard let rows = rows.baseAddress else { return (false, false) }
    let found = columns.withUnsafeBufferPointer { columns -> RawFindings in
      guard let shape = shape(records, stride, columns) else { return RawFindings() }
      switch (batch.precision, scalar) {
      case (.float32, .float32):
        return batch.withFloat32Columns { raw_rows_read_floats(shape, rows, &$0) }
      case (.float64, .float32):
        return batch.withFloat64Columns { raw_rows_read_floats_as_doubles(shape, rows, &$0) }
      case (.float64, .float64):
        return batch.withFloat64Columns { raw_rows_read_doubles(shape, rows, &$0) }
      case (.float32, .float64): preconditionFailure("Double rows for Float columns")
      }
    }
    return (found.has_invalid, found.has_missing)
  }

  /// Writes records of `batch` over the same number of rows.
  ///
  /// - Parameter keepsMissing: whether a missing value leaves the old bytes in its place.
  func write(
    _ records: Range<Int>, of batch: FeatureColumns, keepsMissing: Bool,
    over rows: UnsafeMutableRawBufferPointer
  ) {
    precondition(records.upperBound <= batch.capacity && columns.count == batch.featureCount)
    precondition(records.count * rowBytes <= rows.count)
    guard let rows = rows.baseAddress else { return }
    columns.withUnsafeBufferPointer { columns in
      guard let shape = shape(records, batch.capacity, columns) else { return }
      switch (batch.values, scalar) {
      case (.float32(let values), .float32):
        raw_rows_write_floats(shape, values, keepsMissing, rows)
      case (.float32(let values), .float64):
        raw_rows_write_floats_as_doubles(shape, values, keepsMissing, rows)
      case (.float64(let values), .float32):
        raw_rows_write_doubles_as_floats(shape, values, keepsMissing, rows)
      case (.float64(let values), .float64):
        raw_rows_write_doubles(shape, values, keepsMissing, rows)
      }
    }
  }

  /// Nil if there is no feature.
  private func shape(
    _ records: Range<Int>, _ stride: Int, _ columns: UnsafeBufferPointer<Int32>
  ) -> RawShape? {
    guard let first = columns.baseAddress, !columns.isEmpty else { return nil }
    return RawShape(
      row_bytes: rowBytes, row_count: records.count, columns: first,
      feature_count: columns.count, first_record: records.lowerBound, stride: stride,
      greatest: FeatureColumns.greatest)
  }
}
