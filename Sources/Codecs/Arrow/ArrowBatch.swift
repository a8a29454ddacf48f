internal import Records

// Invariants:
// - The decoder reads before it shares the batch. After that, only the worker that encodes its unit changes it.
// - Values and bitmaps have the lengths that the number of records needs, or more.

/// A record batch on its way: its message, and the values of its features, which are normalised in place.
final class ArrowBatch: @unchecked Sendable {
  // @unchecked because one thread at a time uses a batch: the decoder's, and later that of the unit's only worker.

  /// The memory with the values of the features.
  struct Memory {
    /// The body; of a compressed one, the arrays of the features after decompressing.
    var values: [UInt8]
    /// The offsets of the features in `values`.
    var places: [ArrowBatchLayout.Column]
    /// The buffers of a compressed body one after another, without the values of features.
    var rest: [UInt8] = []
  }

  /// The nulls of one column.
  struct Nulls {
    var hasValidity: Bool
    var count: Int
    /// A new bitmap, for which the body has no room.
    var newBitmap: [UInt8]?
    /// Whether a null became a value, or a value null.
    var hasOthers = false
  }

  /// The metadata of the message, without its prefix.
  let metadata: [UInt8]
  let layout: ArrowBatchLayout
  let features: ArrowFeatures
  /// The offset of `bodyLength` in the metadata; nil if the body is empty.
  let bodyLengthPlace: Int?
  /// Empty after the message was taken.
  private(set) var memory: Memory
  private(set) var nulls: [Nulls]
  /// The columns with one value in a record and no parent.
  private let plain: ArrowPlainColumns
  /// The indices of the other columns.
  private let others: [Int]
  /// The values of columns that are no features, if the output is a text.
  let scalars: [ArrowScalarArray]
  /// The bytes of the dictionaries that this batch is the first to use.
  private let wordBytes: Int
  /// The versions that normalised the rows so far.
  private(set) var versions = ArrowStamp()

  init(
    metadata: [UInt8], _ memory: Memory, bodyLengthPlace: Int?, layout: ArrowBatchLayout,
    features: ArrowFeatures, scalars: [ArrowScalarArray] = [], wordBytes: Int = 0
  ) {
    self.scalars = scalars
    self.wordBytes = wordBytes
    self.metadata = metadata
    self.memory = memory
    self.bodyLengthPlace = bodyLengthPlace
    self.layout = layout
    self.features = features
    nulls = layout.columns.map { Nulls(hasValidity: $0.validity != nil, count: $0.nullCount) }
    plain = ArrowPlainColumns(features.columns, memory.places, records: layout.records)
    others = features.columns.indices.filter { !ArrowPlainColumns.contains(features.columns[$0]) }
  }

  /// The memory of the batch, in bytes.
  var byteCount: Int {
    metadata.count + memory.values.count + memory.rest.count + wordBytes
      + scalars.reduce(0) { $0 + $1.byteCount }
  }

  // MARK: Reading

  /// The first of some rows in which a column that is no feature has no text, and its fault; nil if there is none.
  func rowWithoutText(in rows: Range<Int>) -> (row: Int, fault: RecordFault)? {
    var found: (row: Int, fault: RecordFault)?
    for array in scalars {
      guard let row = array.rowWithoutText(from: rows.lowerBound),
        row < found?.row ?? rows.upperBound, let fault = array.fault(of: row)
      else { continue }
      found = (row, fault)
    }
    return found
  }

  /// Reads rows into columns, from index `first` on.
  func read(
    _ rows: Range<Int>, into columns: inout FeatureColumns, from first: Int
  ) -> ArrowValues.Findings {
    memory.values.withUnsafeBytes { values in
      var findings = plain.read(values, records: rows, into: &columns, from: first)
      func slice(_ range: Range<Int>) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: values[range])
      }
      for index in others {
        let place = memory.places[index]
        let found = ArrowValues.read(
          features.columns[index],
          ArrowValues.Arrays(
            values: slice(place.values), validity: place.validity.map(slice),
            parents: place.parents.map(slice)),
          records: rows, into: &columns, from: first)
        findings.hasInvalid = findings.hasInvalid || found.hasInvalid
        findings.hasMissing = findings.hasMissing || found.hasMissing
      }
      return findings
    }
  }

  // MARK: Writing

  /// Writes the features of a slice over the old values.
  ///
  /// - Parameter fillsNulls: whether a value in the place of a null makes it valid. If not, there is no such value.
  func write(_ slice: ArrowPayload.Slice, of block: RecordBlock, fillsNulls: Bool) {
    versions.take(
      block.versionMarks(of: slice.record..<slice.record + slice.rows.count),
      first: slice.rows.lowerBound, record: slice.record)
    memory.values.withUnsafeMutableBytes {
      plain.write(block.columns, from: slice.record, records: slice.rows, over: $0)
    }
    for index in others {
      withValues(of: index) {
        ArrowValues.write(
          features.columns[index], block.columns, from: slice.record, records: slice.rows, over: $0)
      }
    }
    if fillsNulls || slice.isBad || block.unnormalized?.form == .missing {
      writeNulls(slice, of: block, fillsNulls: fillsNulls)
    }
    let spoiled = (block.payload as? ArrowPayload)?.spoiled ?? []
    for record in spoiled where slice.record <= record && record < slice.record + slice.rows.count {
      let row = slice.rows.lowerBound + record - slice.record
      for (index, column) in features.columns.enumerated() {
        for element in column.elements { setMissing(row..<row + 1, index, element: Int(element)) }
      }
    }
  }

  private func writeNulls(_ slice: ArrowPayload.Slice, of block: RecordBlock, fillsNulls: Bool) {
    let unnormalized = block.unnormalized
    for (index, column) in features.columns.enumerated() {
      if fillsNulls, nulls[index].hasValidity {
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
    if !nulls[index].hasValidity {
      let bits = layout.records * column.valuesPerRecord
      nulls[index].newBitmap = Array(repeating: 0xFF, count: (bits + 7) / 8)
      nulls[index].hasValidity = true
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
    let range = memory.places[index].values
    memory.values.withUnsafeMutableBytes {
      change(UnsafeMutableRawBufferPointer(rebasing: $0[range]))
    }
  }

  /// Changes the bitmap of a column.
  ///
  /// - Parameter change: returns how many nulls became values, less the values that became null.
  private func withValidity(
    of index: Int, _ change: (UnsafeMutableRawBufferPointer) -> Int
  ) {
    var filled = 0
    if nulls[index].newBitmap != nil {
      nulls[index].newBitmap?.withUnsafeMutableBytes { filled = change($0) }
    } else if let range = memory.places[index].validity {
      memory.values.withUnsafeMutableBytes {
        filled = change(UnsafeMutableRawBufferPointer(rebasing: $0[range]))
      }
    }
    guard filled != 0 else { return }
    nulls[index].count -= filled
    nulls[index].hasOthers = true
  }

  /// Takes the memory out, for the message.
  func takeMemory() -> Memory {
    defer { memory = Memory(values: [], places: []) }
    return memory
  }
}
