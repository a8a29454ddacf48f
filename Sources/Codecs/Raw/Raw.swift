internal import Features

extension RecordFormat {
  /// Rows of little-endian floating-point numbers, all of one width, without a header.
  package static let raw = RecordFormat(
    name: "raw", fileExtensions: ["raw", "f32", "f64", "bin"],
    makeDecoder: { options throws(FormatError) in try RawDecoder(options) },
    makeEncoder: { options throws(FormatError) in try RawEncoder(options) })
}

/// Reads raw rows; the columns are called `f0`, `f1`, ….
struct RawDecoder: RecordDecoder {
  /// So many rows are turned into columns at once, few enough to stay in the nearest cache.
  private static let blockRows = 16

  private let options: DecoderOptions
  private let rowBytes: Int
  private let names: [String]
  private var columns: [Int] = []
  /// Whether the rows hold what their columns do not.
  private var keepsText = true

  init(_ options: DecoderOptions) throws(FormatError) {
    guard let count = options.rawColumns else {
      throw FormatError("raw rows need the number of their columns (--columns N)")
    }
    guard count > 0, count <= options.limits.fields else {
      throw FormatError("expected 1 to \(options.limits.fields) raw columns, found \(count)")
    }
    self.options = options
    rowBytes = count * options.rawScalar.byteCount
    names = FeatureSchema.unnamed(count: count)
  }

  mutating func open(_ window: InputWindow) throws(RecordFault) -> StreamOpening? {
    do {
      columns =
        options.features.isEmpty
        ? Array(names.indices) : try FeaturePattern.select(options.features, from: names)
      keepsText =
        options.keepsText && (columns.count < names.count || options.onInvalid == .missing)
      return StreamOpening(schema: try FeatureSchema(columns.map { names[$0] }), prologue: [])
    } catch {
      throw RecordFault(error)
    }
  }

  mutating func decode(
    _ window: InputWindow, into batch: inout RecordBatch, limit: Int, progress: inout DecodeProgress
  ) -> DecodeOutcome {
    let bytes = UnsafeRawBufferPointer(window.bytes)
    while batch.features.count < limit {
      let left = bytes.count - progress.consumed
      guard left >= rowBytes else {
        guard window.isLast, left > 0 else { return .needsInput }
        return .failed(
          RecordFault(
            expected: "a row of \(rowBytes) bytes", found: "\(left) bytes at the end of the stream")
        )
      }
      let rowCount = min(Self.blockRows, left / rowBytes, limit - batch.features.count)
      let block = UnsafeRawBufferPointer(
        rebasing: bytes[progress.consumed..<progress.consumed + rowCount * rowBytes])
      // One by one where some row of them is bad.
      let rows =
        store(block, in: &batch.features)
        ? block : UnsafeRawBufferPointer(rebasing: block[..<rowBytes])
      progress.consumed += rows.count
      progress.records += rows.count / rowBytes
      if rows.count < block.count || rowCount == 1, let fault = fault(of: rows) {
        return .rejected(fault, byteCount: rowBytes)
      }
      if rows.count < block.count { _ = store(rows, in: &batch.features) }
      if keepsText { batch.text.append(contentsOf: rows) }
      batch.features.count += rows.count / rowBytes
    }
    return .batchIsFull
  }

  func finish() throws(RecordFault) {}

  /// Why a row is bad, if it is.
  private func fault(of row: UnsafeRawBufferPointer) -> RecordFault? {
    for column in columns {
      let value =
        switch options.rawScalar {
        case .float32: Double(row.loadUnaligned(fromByteOffset: column * 4, as: Float.self))
        case .float64: row.loadUnaligned(fromByteOffset: column * 8, as: Double.self)
        }
      if value.isNaN, options.onMissing == .reject {
        return RecordFault(expected: "a value of feature '\(names[column])'", found: "NaN")
      }
      if value.isInfinite, options.onInvalid == .reject {
        return RecordFault(
          expected: "a finite number in feature '\(names[column])'", found: "\(value)")
      }
    }
    return nil
  }

  /// Stores rows behind those of the batch, which does not count them yet.
  ///
  /// - Returns: whether none of them is bad.
  private func store(_ rows: UnsafeRawBufferPointer, in batch: inout FeatureBatch) -> Bool {
    let (record, capacity) = (batch.count, batch.capacity)
    // Raw columns are as wide as the rows, or Double; Float columns never take Double rows.
    switch options.rawScalar {
    case .float32 where batch.precision == .float32:
      return batch.withFloat32Columns { store(rows, Float.self, &$0, record, capacity) { $0 } }
    case .float32:
      return batch.withFloat64Columns {
        store(rows, Float.self, &$0, record, capacity) { Double($0) }
      }
    case .float64:
      return batch.withFloat64Columns { store(rows, Double.self, &$0, record, capacity) { $0 } }
    }
  }

  @inline(__always)
  private func store<Read: BinaryFloatingPoint & BitwiseCopyable, Stored: BinaryFloatingPoint>(
    _ rows: UnsafeRawBufferPointer, _: Read.Type, _ values: inout [Stored], _ record: Int,
    _ capacity: Int, _ convert: (Read) -> Stored
  ) -> Bool {
    let rowBytes = rowBytes
    let count = rows.count / rowBytes
    precondition(columns.count * capacity <= values.count && record + count <= capacity)
    var (infinite, missing) = (0, 0)
    values.withUnsafeMutableBufferPointer { values in
      guard let base = rows.baseAddress, let first = values.baseAddress else { return }
      for (feature, column) in columns.enumerated() {
        let source = base + column * MemoryLayout<Read>.size
        let target = first + feature * capacity + record
        var place = source
        for row in 0..<count {
          let value = place.loadUnaligned(as: Read.self)
          place += rowBytes
          // Counted rather than branched on: the loop has no other branch.
          let isInfinite = value.magnitude == .infinity
          infinite &+= isInfinite ? 1 : 0
          missing &+= value.isNaN ? 1 : 0
          target[row] = isInfinite ? .nan : convert(value)
        }
      }
    }
    return (infinite == 0 || options.onInvalid != .reject)
      && (missing == 0 || options.onMissing != .reject)
  }
}

/// Writes raw rows: those that were read with the features in place, or the features alone.
struct RawEncoder: RecordEncoder {
  private static let blockRows = 16

  /// The column of each feature within a row; nil where rows hold the features alone, in order.
  private let columns: [Int]?
  /// Whether rows are written over those that were read, which have the same width.
  private let keepsRows: Bool
  private let rowBytes: Int
  private let precision: Precision

  init(_ options: EncoderOptions) throws(FormatError) {
    precision = options.precision
    guard let rawColumns = options.rawColumns, options.prologue != nil else {
      columns = nil
      keepsRows = false
      rowBytes = options.schema.count * options.precision.byteCount
      return
    }
    keepsRows = options.rawScalar == options.precision
    guard keepsRows || rawColumns == options.schema.count else {
      throw FormatError(
        "columns that are no features pass as they are, in \(options.rawScalar.rawValue), but "
          + "the output is \(options.precision.rawValue): "
          + "pass --precision \(options.rawScalar.rawValue), or make every column a feature")
    }
    let index = Dictionary(
      uniqueKeysWithValues: FeatureSchema.unnamed(count: rawColumns).enumerated().map {
        ($1, $0)
      })
    columns = options.schema.names.compactMap { index[$0] }
    rowBytes = rawColumns * options.precision.byteCount
  }

  func encodePrologue(into output: ByteBuffer) {}

  func encode(_ slice: RecordSlice, into output: ByteBuffer) {
    let batch = slice.batch
    let size = slice.records.count * rowBytes
    let rows = UnsafeMutableRawBufferPointer(start: output.reserve(size), count: size)
    // Where there is no text, the columns hold every bit of the rows.
    let keepsText = keepsRows && !batch.text.isEmpty
    if keepsText {
      batch.text.withUnsafeBytes {
        rows.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[slice.text]))
      }
    }
    if !(batch.passesThrough && keepsText) {
      switch (batch.features.columns, precision) {
      case (.float32(let values), .float32): write(slice, values, rows) { $0 }
      case (.float32(let values), .float64): write(slice, values, rows) { Double($0) }
      case (.float64(let values), .float32): write(slice, values, rows) { Float($0) }
      case (.float64(let values), .float64): write(slice, values, rows) { $0 }
      }
    }
    output.advance(size)
  }

  @inline(__always)
  private func write<Stored: BinaryFloatingPoint, Written: BinaryFloatingPoint & BitwiseCopyable>(
    _ slice: RecordSlice, _ values: [Stored], _ rows: UnsafeMutableRawBufferPointer,
    _ convert: (Stored) -> Written
  ) {
    let features = slice.batch.features
    precondition(
      features.featureCount * features.capacity <= values.count
        && slice.records.upperBound <= features.capacity
        && slice.records.count * rowBytes <= rows.count)
    // A missing value of a row that passes through keeps its own bits.
    let keepsMissing = keepsRows && !slice.batch.text.isEmpty
    let rowBytes = rowBytes
    values.withUnsafeBufferPointer { values in
      guard let base = rows.baseAddress, let start = values.baseAddress else { return }
      // By blocks of rows, so that what is written stays in the nearest cache.
      for first in stride(from: 0, to: slice.records.count, by: Self.blockRows) {
        let last = min(first + Self.blockRows, slice.records.count)
        for feature in 0..<features.featureCount {
          let column = columns?[feature] ?? feature
          let source = start + feature * features.capacity + slice.records.lowerBound
          var target = base + first * rowBytes + column * MemoryLayout<Written>.size
          for row in first..<last {
            if !keepsMissing || !source[row].isNaN {
              target.storeBytes(of: convert(source[row]), as: Written.self)
            }
            target += rowBytes
          }
        }
      }
    }
  }
}
