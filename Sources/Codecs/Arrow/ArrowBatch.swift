internal import Records

// Invariants:
// - The decoder reads before it shares the batch. After that, only the worker that encodes its unit changes it.
// - Values and bitmaps have the lengths that the number of records needs, or more.

/// A record batch on its way: its message, and the values of its features, which are normalised in place.
final class ArrowBatch: @unchecked Sendable {
  // @unchecked because one thread at a time uses a batch: the decoder's, and later that of the unit's only worker.

  /// The arrays of one column, as far as they are not in the body.
  struct Arrays {
    /// Decompressed values; nil if they are in the body.
    var values: [UInt8]?
    /// A decompressed or a new bitmap; nil if it is in the body, or if no value is null.
    var validity: [UInt8]?
    /// The bitmaps of the parents, decompressed; empty if they are in the body.
    var parents: [[UInt8]] = []
    var hasValidity: Bool
    /// Whether the bitmap is a new one, for which the body has no room.
    var hasNewValidity = false
    /// Whether a null became a value, or a value null.
    var hasOtherNulls = false
    var nullCount: Int
  }

  /// The metadata of the message, without its prefix.
  let metadata: [UInt8]
  let layout: ArrowBatchLayout
  let features: ArrowFeatures
  /// The offset of `bodyLength` in the metadata; nil if the body is empty.
  let bodyLengthPlace: Int?
  private(set) var body: [UInt8]
  private(set) var arrays: [Arrays]
  /// The values of columns that are no features, if the output is a text.
  let scalars: [ArrowScalarArray]
  /// The versions that normalised the rows so far.
  private(set) var versions = ArrowStamp()

  /// - Parameter arrays: the decompressed arrays of all columns; nil if the body is not compressed.
  init(
    metadata: [UInt8], body: [UInt8], bodyLengthPlace: Int?, layout: ArrowBatchLayout,
    features: ArrowFeatures, arrays: [Arrays]?, scalars: [ArrowScalarArray] = []
  ) {
    self.scalars = scalars
    self.metadata = metadata
    self.body = body
    self.bodyLengthPlace = bodyLengthPlace
    self.layout = layout
    self.features = features
    self.arrays =
      arrays
      ?? layout.columns.map {
        Arrays(hasValidity: $0.validity != nil, nullCount: $0.nullCount)
      }
  }

  /// The memory of the batch, in bytes.
  var byteCount: Int {
    metadata.count + body.count
      + arrays.reduce(0) { $0 + ($1.values?.count ?? 0) + ($1.validity?.count ?? 0) }
      + scalars.reduce(0) { $0 + $1.byteCount }
  }

  // MARK: Reading

  /// Reads rows into columns, from index `first` on.
  func read(
    _ rows: Range<Int>, into columns: inout FeatureColumns, from first: Int
  ) -> ArrowValues.Findings {
    var findings = ArrowValues.Findings()
    body.withUnsafeBytes { body in
      for index in features.columns.indices {
        let found = Self.read(
          features.columns[index], layout.columns[index], arrays[index], in: body, rows,
          into: &columns, first)
        findings.hasInvalid = findings.hasInvalid || found.hasInvalid
        findings.hasMissing = findings.hasMissing || found.hasMissing
      }
    }
    return findings
  }

  private static func read(
    _ column: ArrowColumn, _ layout: ArrowBatchLayout.Column, _ arrays: Arrays,
    in body: UnsafeRawBufferPointer, _ rows: Range<Int>, into columns: inout FeatureColumns,
    _ first: Int
  ) -> ArrowValues.Findings {
    func slice(_ range: Range<Int>) -> UnsafeRawBufferPointer {
      UnsafeRawBufferPointer(rebasing: body[range])
    }
    guard let values = arrays.values else {
      return ArrowValues.read(
        column,
        ArrowValues.Arrays(
          values: slice(layout.values), validity: layout.validity.map(slice),
          parents: layout.parents.map(slice)),
        records: rows, into: &columns, from: first)
    }
    return values.withUnsafeBytes { values in
      (arrays.validity ?? []).withUnsafeBytes { validity in
        withBytes(of: arrays.parents[...], []) { parents in
          ArrowValues.read(
            column,
            ArrowValues.Arrays(
              values: values, validity: arrays.validity == nil ? nil : validity, parents: parents),
            records: rows, into: &columns, from: first)
        }
      }
    }
  }

  private static func withBytes<Result>(
    of arrays: ArraySlice<[UInt8]>, _ views: [UnsafeRawBufferPointer],
    _ body: ([UnsafeRawBufferPointer]) -> Result
  ) -> Result {
    guard let next = arrays.first else { return body(views) }
    return next.withUnsafeBytes { withBytes(of: arrays.dropFirst(), views + [$0], body) }
  }

  // MARK: Writing

  /// Writes the features of a slice over the old values.
  ///
  /// - Parameter fillsNulls: whether a value in the place of a null makes it valid. If not, there is no such value.
  func write(_ slice: ArrowPayload.Slice, of block: RecordBlock, fillsNulls: Bool) {
    let unnormalized = block.unnormalized
    versions.take(
      block.versionMarks(of: slice.record..<slice.record + slice.rows.count),
      first: slice.rows.lowerBound, record: slice.record)
    for (index, column) in features.columns.enumerated() {
      withValues(of: index) {
        ArrowValues.write(
          column, block.columns, from: slice.record, records: slice.rows, over: $0)
      }
      if fillsNulls, arrays[index].hasValidity {
        withValidity(of: index) { validity in
          ArrowValues.fill(
            column, block.columns, from: slice.record, records: slice.rows, validity: validity)
        }
      }
      for (element, feature) in zip(column.elements, column.features)
      where slice.isBad || unnormalized?.form == .missing && unnormalized?.features[feature] == true
      {
        setMissing(slice.rows, index, element: Int(element))
      }
    }
  }

  /// Makes values null, or NaN if the field is not nullable.
  private func setMissing(_ rows: Range<Int>, _ index: Int, element: Int) {
    let column = features.columns[index]
    let width = column.number.byteCount
    guard column.isNullable else {
      withValues(of: index) { values in
        for row in rows {
          let offset = (row * column.valuesPerRecord + element) * width
          if width == 4 {
            values.storeBytes(of: Float.nan, toByteOffset: offset, as: Float.self)
          } else {
            values.storeBytes(of: Double.nan, toByteOffset: offset, as: Double.self)
          }
        }
      }
      return
    }
    if !arrays[index].hasValidity {
      let bits = layout.records * column.valuesPerRecord
      arrays[index].validity = Array(repeating: 0xFF, count: (bits + 7) / 8)
      arrays[index].hasValidity = true
      arrays[index].hasNewValidity = true
    }
    withValidity(of: index) { validity in
      var nulls = 0
      for row in rows {
        let bit = row * column.valuesPerRecord + element
        let mask = UInt8(1) << UInt8(bit % 8)
        if validity[bit / 8] & mask != 0 { nulls += 1 }
        validity[bit / 8] &= ~mask
      }
      return -nulls
    }
  }

  private func withValues(of index: Int, _ change: (UnsafeMutableRawBufferPointer) -> Void) {
    if arrays[index].values != nil {
      arrays[index].values?.withUnsafeMutableBytes(change)
    } else {
      let range = layout.columns[index].values
      body.withUnsafeMutableBytes { change(UnsafeMutableRawBufferPointer(rebasing: $0[range])) }
    }
  }

  /// Changes the bitmap of a column.
  ///
  /// - Parameter change: returns how many nulls became values, less the values that became null.
  private func withValidity(
    of index: Int, _ change: (UnsafeMutableRawBufferPointer) -> Int
  ) {
    var filled = 0
    if arrays[index].validity != nil {
      arrays[index].validity?.withUnsafeMutableBytes { filled = change($0) }
    } else if let range = layout.columns[index].validity {
      body.withUnsafeMutableBytes {
        filled = change(UnsafeMutableRawBufferPointer(rebasing: $0[range]))
      }
    }
    guard filled != 0 else { return }
    arrays[index].nullCount -= filled
    arrays[index].hasOtherNulls = true
  }
}
