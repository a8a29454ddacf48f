internal import CArrowValues
internal import Records

/// Moves values between the arrays of a record batch and the columns of a block. This is the only Swift file that
/// calls the C functions for it.
enum ArrowValues {
  /// The number of records of a list that are moved at a time, so that they stay in the cache.
  private static let recordsTogether = 32

  /// Tells which special values a read has met.
  struct Findings {
    var hasInvalid = false
    var hasMissing = false
  }

  /// The values of a column, and the bitmaps of its nulls.
  struct Arrays {
    var values: UnsafeRawBufferPointer
    var validity: UnsafeRawBufferPointer?
    /// The bitmaps of parent fields, with one bit for each record.
    var parents: [UnsafeRawBufferPointer] = []
  }

  /// Reads the features of a column into a block, from index `first` on. Does not change the count of the block. A
  /// null becomes NaN.
  ///
  /// - Parameter records: the records of the arrays to read.
  static func read(
    _ column: ArrowColumn, _ arrays: Arrays, records: Range<Int>,
    into features: inout FeatureColumns, from first: Int
  ) -> Findings {
    precondition(first + records.count <= features.capacity)
    precondition(arrays.values.count >= column.byteCount(ofRecords: records.upperBound))
    var findings = Findings()
    let capacity = features.capacity
    forEachPiece(column, records) { piece in
      let place = piece.feature * capacity + first + piece.first - records.lowerBound
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
    return findings
  }

  /// Writes the features of a column over its values. A NaN leaves the old value.
  ///
  /// - Parameters:
  ///   - first: the index in `features` of the first record.
  ///   - records: the records of the array to write.
  static func write(
    _ column: ArrowColumn, _ features: FeatureColumns, from first: Int, records: Range<Int>,
    over values: UnsafeMutableRawBufferPointer
  ) {
    precondition(values.count >= column.byteCount(ofRecords: records.upperBound))
    guard let target = values.baseAddress else { return }
    forEachPiece(column, features, from: first, records) { piece, column in
      switch column {
      case .float32(let column): arrow_values_write_floats(piece.shape, column, target)
      case .float64(let column): arrow_values_write_doubles(piece.shape, column, target)
      }
    }
  }

  /// Makes nulls valid for which a column has a value.
  ///
  /// - Returns: the number of them.
  static func fill(
    _ column: ArrowColumn, _ features: FeatureColumns, from first: Int, records: Range<Int>,
    validity: UnsafeMutableRawBufferPointer
  ) -> Int {
    precondition(validity.count >= (records.upperBound * column.valuesPerRecord + 7) / 8)
    guard let bitmap = validity.assumingMemoryBound(to: UInt8.self).baseAddress else { return 0 }
    var filled = 0
    forEachPiece(column, features, from: first, records) { piece, column in
      switch column {
      case .float32(let column):
        filled += arrow_values_fill_floats(piece.shape, column, bitmap)
      case .float64(let column):
        filled += arrow_values_fill_doubles(piece.shape, column, bitmap)
      }
    }
    return filled
  }

  private enum Column {
    case float32(UnsafePointer<Float>)
    case float64(UnsafePointer<Double>)
  }

  private static func forEachPiece(
    _ column: ArrowColumn, _ features: FeatureColumns, from first: Int, _ records: Range<Int>,
    _ visit: (Piece, Column) -> Void
  ) {
    precondition(first + records.count <= features.capacity)
    forEachPiece(column, records) { piece in
      let place = piece.feature * features.capacity + first + piece.first - records.lowerBound
      switch features.values {
      case .float32(let columns):
        columns.withUnsafeBufferPointer {
          if let base = $0.baseAddress { visit(piece, .float32(base + place)) }
        }
      case .float64(let columns):
        columns.withUnsafeBufferPointer {
          if let base = $0.baseAddress { visit(piece, .float64(base + place)) }
        }
      }
    }
  }

  /// Visits pieces of the records that stay in the cache, and in each its features.
  private static func forEachPiece(
    _ column: ArrowColumn, _ records: Range<Int>, _ visit: (Piece) -> Void
  ) {
    let together = column.valuesPerRecord == 1 ? max(1, records.count) : recordsTogether
    for start in stride(from: records.lowerBound, to: records.upperBound, by: together) {
      for index in column.elements.indices {
        visit(
          Piece(
            column, Int(column.elements[index]), feature: column.features[index], first: start,
            count: min(together, records.upperBound - start)))
      }
    }
  }
}

/// The columns of a batch with one value in a record and without parents. They are moved together.
struct ArrowPlainColumns: Sendable {
  private var columns: [ArrowPlain] = []
  private var features = 0
  private let records: Int
  /// The size of the memory, in bytes, that the columns need.
  private var memoryBytes = 0

  static func contains(_ column: ArrowColumn) -> Bool {
    column.valuesPerRecord == 1 && column.parents.isEmpty && column.features.count == 1
  }

  /// - Parameter places: the offsets of the columns in the memory.
  init(_ columns: [ArrowColumn], _ places: [ArrowBatchLayout.Column], records: Int) {
    self.records = records
    for (column, place) in zip(columns, places) where Self.contains(column) {
      precondition(place.values.count >= column.byteCount(ofRecords: records))
      precondition(place.validity.map { $0.count >= (records + 7) / 8 } ?? true)
      self.columns.append(
        ArrowPlain(
          kind: column.number.rawValue, has_validity: place.validity != nil,
          values: place.values.lowerBound, validity: place.validity?.lowerBound ?? 0,
          feature: column.features[0]))
      features = max(features, column.features[0] + 1)
      memoryBytes = max(
        memoryBytes, place.values.upperBound, place.validity?.upperBound ?? 0)
    }
  }

  /// Reads features into a block, from index `first` on, as `ArrowValues.read` does.
  func read(
    _ memory: UnsafeRawBufferPointer, records: Range<Int>, into block: inout FeatureColumns,
    from first: Int
  ) -> ArrowValues.Findings {
    check(memory.count, records, block, first)
    var findings = ArrowValues.Findings()
    guard let base = memory.baseAddress else { return findings }
    let capacity = block.capacity
    switch block.precision {
    case .float32:
      block.withFloat32Columns { values in
        values.withUnsafeMutableBufferPointer {
          guard let target = $0.baseAddress else { return }
          findings.add(
            arrow_values_read_plain_floats(
              columns, columns.count, base, records.lowerBound, records.count,
              FeatureColumns.greatest, target + first, capacity))
        }
      }
    case .float64:
      block.withFloat64Columns { values in
        values.withUnsafeMutableBufferPointer {
          guard let target = $0.baseAddress else { return }
          findings.add(
            arrow_values_read_plain_doubles(
              columns, columns.count, base, records.lowerBound, records.count,
              FeatureColumns.greatest, target + first, capacity))
        }
      }
    }
    return findings
  }

  /// Writes features over their values, as `ArrowValues.write` does.
  func write(
    _ block: FeatureColumns, from first: Int, records: Range<Int>,
    over memory: UnsafeMutableRawBufferPointer
  ) {
    check(memory.count, records, block, first)
    guard let base = memory.baseAddress else { return }
    switch block.values {
    case .float32(let values):
      values.withUnsafeBufferPointer {
        guard let source = $0.baseAddress else { return }
        arrow_values_write_plain_floats(
          columns, columns.count, base, records.lowerBound, records.count, source + first,
          block.capacity)
      }
    case .float64(let values):
      values.withUnsafeBufferPointer {
        guard let source = $0.baseAddress else { return }
        arrow_values_write_plain_doubles(
          columns, columns.count, base, records.lowerBound, records.count, source + first,
          block.capacity)
      }
    }
  }

  private func check(
    _ memoryCount: Int, _ records: Range<Int>, _ block: FeatureColumns, _ first: Int
  ) {
    precondition(memoryCount >= memoryBytes && records.upperBound <= self.records)
    precondition(first + records.count <= block.capacity && features <= block.featureCount)
  }
}

extension ArrowColumn {
  /// The size of the values of so many records.
  func byteCount(ofRecords records: Int) -> Int {
    records * valuesPerRecord * number.byteCount
  }
}

extension ArrowValues.Findings {
  fileprivate mutating func add(_ other: ArrowFindings) {
    hasInvalid = hasInvalid || other.has_invalid
    hasMissing = hasMissing || other.has_missing
  }
}

/// Several records of one feature.
private struct Piece {
  let shape: ArrowShape
  /// The index of the feature in the columns.
  let feature: Int
  let first: Int

  init(_ column: ArrowColumn, _ element: Int, feature: Int, first: Int, count: Int) {
    shape = ArrowShape(
      kind: column.number.rawValue, per_record: column.valuesPerRecord, element: element,
      first_record: first, record_count: count,
      greatest: FeatureColumns.greatest)
    self.feature = feature
    self.first = first
  }

  func read(_ arrays: ArrowValues.Arrays, into column: UnsafeMutablePointer<Float>?)
    -> ArrowFindings
  {
    guard let column, let values = arrays.values.baseAddress else { return ArrowFindings() }
    var findings = arrow_values_read_floats(shape, values, column)
    mask(arrays, &findings) { arrow_values_mask_floats($0, $1, column) }
    return findings
  }

  func read(_ arrays: ArrowValues.Arrays, into column: UnsafeMutablePointer<Double>?)
    -> ArrowFindings
  {
    guard let column, let values = arrays.values.baseAddress else { return ArrowFindings() }
    var findings = arrow_values_read_doubles(shape, values, column)
    mask(arrays, &findings) { arrow_values_mask_doubles($0, $1, column) }
    return findings
  }

  private func mask(
    _ arrays: ArrowValues.Arrays, _ findings: inout ArrowFindings,
    _ apply: (ArrowShape, UnsafePointer<UInt8>) -> Bool
  ) {
    if let bitmap = arrays.validity?.assumingMemoryBound(to: UInt8.self).baseAddress,
      apply(shape, bitmap)
    {
      findings.has_missing = true
    }
    for parent in arrays.parents {
      guard let bitmap = parent.assumingMemoryBound(to: UInt8.self).baseAddress else { continue }
      let records = ArrowShape(
        kind: shape.kind, per_record: 1, element: 0, first_record: shape.first_record,
        record_count: shape.record_count, greatest: shape.greatest)
      if apply(records, bitmap) { findings.has_missing = true }
    }
  }
}
