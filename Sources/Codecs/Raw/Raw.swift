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
  private let options: DecoderOptions
  private let rowBytes: Int
  private let names: [String]
  private var columns: [Int] = []

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
      let row = UnsafeRawBufferPointer(
        rebasing: bytes[progress.consumed..<progress.consumed + rowBytes])
      progress.consumed += rowBytes
      progress.records += 1
      if let fault = read(row, into: &batch.features) {
        return .rejected(fault, byteCount: rowBytes)
      }
      if options.keepsText { batch.text.append(contentsOf: row) }
      batch.features.count += 1
    }
    return .batchIsFull
  }

  func finish() throws(RecordFault) {}

  private func read(_ row: UnsafeRawBufferPointer, into batch: inout FeatureBatch) -> RecordFault? {
    let (record, capacity) = (batch.count, batch.capacity)
    // Raw columns are as wide as the rows, or Double; Float columns never take Double rows.
    switch options.rawScalar {
    case .float32 where batch.precision == .float32:
      return batch.withFloat32Columns { store(row, Float.self, &$0, record, capacity) { $0 } }
    case .float32:
      return batch.withFloat64Columns {
        store(row, Float.self, &$0, record, capacity) { Double($0) }
      }
    case .float64:
      return batch.withFloat64Columns { store(row, Double.self, &$0, record, capacity) { $0 } }
    }
  }

  @inline(__always)
  private func store<Read: BinaryFloatingPoint & BitwiseCopyable, Stored: BinaryFloatingPoint>(
    _ row: UnsafeRawBufferPointer, _: Read.Type, _ values: inout [Stored], _ record: Int,
    _ capacity: Int, _ convert: (Read) -> Stored
  ) -> RecordFault? {
    for (feature, column) in columns.enumerated() {
      let value = row.loadUnaligned(
        fromByteOffset: column * MemoryLayout<Read>.size, as: Read.self)
      var stored = convert(value)
      if !value.isFinite {
        if value.isNaN, options.onMissing == .reject {
          return RecordFault(expected: "a value of feature '\(names[column])'", found: "NaN")
        }
        if value.isInfinite, options.onInvalid == .reject {
          return RecordFault(
            expected: "a finite number in feature '\(names[column])'", found: "\(value)")
        }
        stored = .nan
      }
      values[feature * capacity + record] = stored
    }
    return nil
  }
}

/// Writes raw rows: those that were read with the features in place, or the features alone.
struct RawEncoder: RecordEncoder {
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

  func encode(_ batch: RecordBatch, into output: ByteBuffer) {
    let size = batch.features.count * rowBytes
    let rows = UnsafeMutableRawBufferPointer(start: output.reserve(size), count: size)
    if keepsRows { rows.copyBytes(from: batch.text) }
    if !(batch.passesThrough && keepsRows) {
      switch (batch.features.columns, precision) {
      case (.float32(let values), .float32): write(batch.features, values, rows) { $0 }
      case (.float32(let values), .float64): write(batch.features, values, rows) { Double($0) }
      case (.float64(let values), .float32): write(batch.features, values, rows) { Float($0) }
      case (.float64(let values), .float64): write(batch.features, values, rows) { $0 }
      }
    }
    output.advance(size)
  }

  @inline(__always)
  private func write<Stored: BinaryFloatingPoint, Written: BinaryFloatingPoint & BitwiseCopyable>(
    _ batch: FeatureBatch, _ values: [Stored], _ rows: UnsafeMutableRawBufferPointer,
    _ convert: (Stored) -> Written
  ) {
    for feature in 0..<batch.featureCount {
      let column = columns?[feature] ?? feature
      var place = column * MemoryLayout<Written>.size
      for index in feature * batch.capacity..<feature * batch.capacity + batch.count {
        // A missing value of a row that passes through keeps its own bits.
        if !keepsRows || !values[index].isNaN {
          rows.storeBytes(of: convert(values[index]), toByteOffset: place, as: Written.self)
        }
        place += rowBytes
      }
    }
  }
}
