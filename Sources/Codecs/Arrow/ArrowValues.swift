internal import CArrowValues
internal import Records

/// Moves values between the arrays of a record batch and the columns of a block. This is the only Swift file that
/// calls the C functions for it.
enum ArrowValues {
  /// The number of records of a list that are moved at a time, so that they stay in the cache. A multiple of 8, so
  /// that bitmaps are divided between bytes.
  private static let recordsTogether = 32

  /// Tells which special values a read has met.
  struct Findings {
    var hasInfinite = false
    var hasMissing = false
  }

  /// The values of a column, and the bitmaps of its nulls.
  struct Arrays {
    var values: UnsafeRawBufferPointer
    var validity: UnsafeRawBufferPointer?
    /// The bitmaps of parent fields, with one bit for each record.
    var parents: [UnsafeRawBufferPointer] = []
  }

  /// Reads the features of a column into a block, from record `first` on. Does not change the count of the block. A
  /// null becomes NaN.
  static func read(
    _ column: ArrowColumn, _ arrays: Arrays, records: Int, into features: inout FeatureColumns,
    from first: Int
  ) -> Findings {
    precondition(first + records <= features.capacity)
    var findings = Findings()
    let capacity = features.capacity
    for start in stride(from: 0, to: records, by: chunk(column, records)) {
      let count = min(chunk(column, records), records - start)
      for (element, feature) in zip(column.elements, column.features) {
        let place = feature * capacity + first + start
        let piece = Piece(column, Int(element), start: start, count: count)
        switch features.precision {
        case .float32:
          features.withFloat32Columns { columns in
            columns.withUnsafeMutableBufferPointer {
              findings.add(piece.read(arrays, into: $0.baseAddress.map { $0 + place }))
            }
          }
        case .float64:
          features.withFloat64Columns { columns in
            columns.withUnsafeMutableBufferPointer {
              findings.add(piece.read(arrays, into: $0.baseAddress.map { $0 + place }))
            }
          }
        }
      }
    }
    return findings
  }

  /// Writes the features of a column over its values. A NaN leaves the old value.
  static func write(
    _ column: ArrowColumn, _ features: FeatureColumns, records: Range<Int>,
    over values: UnsafeMutableRawBufferPointer
  ) {
    precondition(records.upperBound <= features.capacity)
    precondition(
      values.count >= records.count * column.valuesPerRecord * column.number.byteCount)
    for start in stride(from: 0, to: records.count, by: chunk(column, records.count)) {
      let count = min(chunk(column, records.count), records.count - start)
      for (element, feature) in zip(column.elements, column.features) {
        let place = feature * features.capacity + records.lowerBound + start
        let piece = Piece(column, Int(element), start: start, count: count)
        guard let values = values.baseAddress.map({ $0 + piece.byteOffset }) else { continue }
        switch features.values {
        case .float32(let columns):
          columns.withUnsafeBufferPointer {
            guard let base = $0.baseAddress else { return }
            arrow_values_write_floats(piece.shape, base + place, values)
          }
        case .float64(let columns):
          columns.withUnsafeBufferPointer {
            guard let base = $0.baseAddress else { return }
            arrow_values_write_doubles(piece.shape, base + place, values)
          }
        }
      }
    }
  }

  private static func chunk(_ column: ArrowColumn, _ records: Int) -> Int {
    column.valuesPerRecord == 1 ? max(1, records) : recordsTogether
  }
}

extension ArrowValues.Findings {
  fileprivate mutating func add(_ other: ArrowFindings) {
    hasInfinite = hasInfinite || other.has_infinite
    hasMissing = hasMissing || other.has_missing
  }
}

/// Several records of one feature.
private struct Piece {
  let shape: ArrowShape
  let byteOffset: Int
  private let start: Int

  init(_ column: ArrowColumn, _ element: Int, start: Int, count: Int) {
    shape = ArrowShape(
      kind: column.number.rawValue, per_record: column.valuesPerRecord, element: element,
      record_count: count)
    byteOffset = start * column.valuesPerRecord * column.number.byteCount
    self.start = start
  }

  func read(_ arrays: ArrowValues.Arrays, into column: UnsafeMutablePointer<Float>?)
    -> ArrowFindings
  {
    guard let column, let values = arrays.values.baseAddress else { return ArrowFindings() }
    var findings = arrow_values_read_floats(shape, values + byteOffset, column)
    mask(arrays, &findings) { arrow_values_mask_floats($0, $1, column) }
    return findings
  }

  func read(_ arrays: ArrowValues.Arrays, into column: UnsafeMutablePointer<Double>?)
    -> ArrowFindings
  {
    guard let column, let values = arrays.values.baseAddress else { return ArrowFindings() }
    var findings = arrow_values_read_doubles(shape, values + byteOffset, column)
    mask(arrays, &findings) { arrow_values_mask_doubles($0, $1, column) }
    return findings
  }

  private func mask(
    _ arrays: ArrowValues.Arrays, _ findings: inout ArrowFindings,
    _ apply: (ArrowShape, UnsafePointer<UInt8>) -> Bool
  ) {
    if let bitmap = arrays.validity?.assumingMemoryBound(to: UInt8.self).baseAddress,
      apply(shape, bitmap + start * shape.per_record / 8)
    {
      findings.has_missing = true
    }
    for parent in arrays.parents {
      guard let bitmap = parent.assumingMemoryBound(to: UInt8.self).baseAddress else { continue }
      let records = ArrowShape(
        kind: shape.kind, per_record: 1, element: 0, record_count: shape.record_count)
      if apply(records, bitmap + start / 8) { findings.has_missing = true }
    }
  }
}
