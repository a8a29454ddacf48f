internal import Configuration
internal import Records

extension RecordFormat {
  /// Rows of little-endian floating-point numbers of one width, without a header.
  package static let raw = RecordFormat(
    name: "raw", fileExtensions: ["raw", "f32", "f64", "npy"], vagueExtensions: ["bin"],
    settings: RawSettings.group,
    isText: false,
    suggest: { name, role, values in
      switch (name, role) {
      case ("f64", .input): values.suggest(RawSettings.scalar, .float64)
      case ("f32", .output): values.suggest(RecordSettings.precision, .float32)
      case ("f64", .output): values.suggest(RecordSettings.precision, .float64)
      case ("npy", .input): values.suggest(RawSettings.npy, true)
      default: break
      }
    },
    precision: { $0[RawSettings.npy] ? .float64 : $0[RawSettings.scalar] },
    featureCount: RawSettings.featureCount,
    check: RawSettings.violations,
    recordEnds: { settings, features, precision in
      let columns = settings.flatMap { $0[RawSettings.columns] } ?? features
      return .rows(byteCount: columns * precision.byteCount)
    },
    makeDecoder: { options throws(FormatError) in try RawDecoder(options) },
    makeEncoder: { options throws(FormatError) in try RawEncoder(options) })
}

/// Reads raw rows, also those of a NumPy file after its header; the columns are called `f0`, `f1`, ….
struct RawDecoder: RecordDecoder {
  /// The most rows that are read at once.
  private static let mostRows = 1024

  private let options: DecoderOptions
  private var scalar: Precision
  private var names: [String]
  /// The header of a NumPy file, once it was seen.
  private var header: NumPyHeader?
  private var rowsTaken = 0
  private var rows: RawRows
  /// The column of each role in a row.
  private var roles: [Int] = []
  /// The number of rows that are read at once: one after a bad row, then twice as many each time.
  private var blockRows = mostRows
  /// Whether to keep the rows, because the columns do not contain all of their bits.
  private var keepsText = true

  init(_ options: DecoderOptions) throws(FormatError) {
    let count = options.settings[RawSettings.npy] ? 1 : options.settings[RawSettings.columns]
    guard let count else {
      throw FormatError(RawSettings.columns, "expected the number of columns, found nothing")
    }
    guard count > 0, count <= options.limits.fields else {
      throw FormatError(
        RawSettings.columns, "expected 1 to \(options.limits.fields) columns, found \(count)")
    }
    self.options = options
    scalar = options.settings[RawSettings.scalar]
    names = FeatureSchema.unnamed(count: count)
    rows = RawRows(columns: [], of: count, scalar: scalar)
  }

  mutating func open(_ window: InputWindow) throws(RecordFault) -> StreamOpening? {
    guard options.settings[RawSettings.npy] else {
      if NumPyHeader.magic.starts(with: window.bytes), !window.isLast { return nil }
      guard !window.bytes.starts(with: NumPyHeader.magic) else {
        throw RecordFault(expected: "raw floats", found: "a NumPy file; pass --npy")
      }
      return try open(after: [])
    }
    // After a restart, the stream's own prologue is the header.
    let known = options.header == .passed ? options.opening?.prologue : nil
    let bytes = known ?? Array(window.bytes.prefix(NumPyHeader.mostBytes + 12))
    guard let found = try NumPyHeader(bytes, limit: options.limits.fields) else {
      guard window.isLast else { return nil }
      throw RecordFault(expected: "the header of a NumPy file", found: "the end of the stream")
    }
    header = found
    scalar = found.scalar
    names = FeatureSchema.unnamed(count: found.columns)
    return try open(after: known == nil ? Array(bytes.prefix(found.byteCount)) : [])
  }

  /// Chooses the features.
  private mutating func open(after prologue: [UInt8]) throws(RecordFault) -> StreamOpening {
    let columns: [Int]
    do {
      columns = try options.select(from: names)
    } catch {
      throw RecordFault(error)
    }
    roles = try options.rolePlaces(in: names, features: columns.map { names[$0] })
    do {
      rows = RawRows(columns: columns, of: names.count, scalar: scalar)
      keepsText =
        options.keepsText && header == nil
        && (columns.count < names.count || options.onInvalid == .missing)
      return StreamOpening(
        schema: try FeatureSchema(columns.map { names[$0] }), prologue: prologue)
    } catch {
      throw RecordFault(error)
    }
  }

  mutating func decode(
    _ window: InputWindow, into block: inout RecordBlock, limit: Int, progress: inout DecodeProgress
  ) -> DecodeOutcome {
    let before = progress.records
    defer { rowsTaken += progress.records - before }
    guard keepsText else {
      var none = RowBytes()
      return decode(window, into: &block.columns, &none, limit: limit, progress: &progress)
    }
    var kept = block.takePayload(RowBytes.self)
    defer { block.payload = kept }
    return decode(window, into: &block.columns, &kept, limit: limit, progress: &progress)
  }

  private mutating func decode(
    _ window: InputWindow, into columns: inout FeatureColumns, _ kept: inout RowBytes, limit: Int,
    progress: inout DecodeProgress
  ) -> DecodeOutcome {
    let bytes = UnsafeRawBufferPointer(window.bytes)
    let rowBytes = rows.rowBytes
    while columns.count < limit {
      let left = bytes.count - progress.consumed
      guard left >= rowBytes else {
        guard window.isLast, left > 0 else { return .needsInput }
        return .failed(
          RecordFault(
            expected: "a row of \(rowBytes) bytes", found: "\(left) bytes at the end of the stream")
        )
      }
      let rowCount = min(blockRows, left / rowBytes, limit - columns.count)
      let block = UnsafeRawBufferPointer(
        rebasing: bytes[progress.consumed..<progress.consumed + rowCount * rowBytes])
      var goodCount = rowCount
      var fault: RecordFault?
      let found = rows.read(block, into: &columns)
      let isSound =
        !(found.hasInvalid && options.onInvalid == .reject)
        && !(found.hasMissing && options.onMissing == .reject)
      if !isSound { (goodCount, fault) = firstFault(of: block) }
      if !roles.isEmpty, let bad = readRoles(of: block, goodCount, into: &columns) {
        (goodCount, fault) = bad
      }
      blockRows = fault == nil && isSound ? min(2 * blockRows, Self.mostRows) : 1
      if keepsText { kept.bytes.append(contentsOf: block[..<(goodCount * rowBytes)]) }
      columns.count += goodCount
      progress.consumed += goodCount * rowBytes
      progress.records += goodCount
      if let fault {
        progress.consumed += rowBytes
        progress.records += 1
        return .rejected(fault, byteCount: rowBytes)
      }
    }
    return .limitReached
  }

  func finish() throws(RecordFault) {
    guard let header, header.rows != rowsTaken else { return }
    throw RecordFault(
      expected: "\(header.rows) rows, as the header of the NumPy file says", found: "\(rowsTaken)")
  }

  func parts(of records: [Int], in block: RecordBlock) -> [RecordPart]? {
    let kept = block.payload as? RowBytes
    return records.map { record in
      guard let kept else {
        let none = PayloadOffset()..<PayloadOffset()
        return RecordPart(record: record, payload: none, bytes: row(record, of: block.columns))
      }
      let bytes = record * rows.rowBytes..<(record + 1) * rows.rowBytes
      return RecordPart(
        record: record,
        payload: PayloadOffset(bytes: bytes.lowerBound)..<PayloadOffset(bytes: bytes.upperBound),
        bytes: Array(kept.bytes[bytes]))
    }
  }

  /// A row of which the columns contain every value; empty if they do not.
  private func row(_ record: Int, of columns: FeatureColumns) -> [UInt8] {
    guard columns.featureCount == rows.columnCount else { return [] }
    return (0..<columns.featureCount).flatMap { feature -> [UInt8] in
      let value = columns[record: record, feature: feature]
      return scalar == .float32
        ? withUnsafeBytes(of: Float(value).bitPattern.littleEndian, Array.init)
        : withUnsafeBytes(of: value.bitPattern.littleEndian, Array.init)
    }
  }

  /// The number of rows before the first bad one, and the fault of that row.
  private func firstFault(of block: UnsafeRawBufferPointer) -> (goodCount: Int, RecordFault?) {
    for start in stride(from: 0, to: block.count, by: rows.rowBytes) {
      let row = UnsafeRawBufferPointer(rebasing: block[start..<start + rows.rowBytes])
      if let fault = fault(of: row) { return (start / rows.rowBytes, fault) }
    }
    return (block.count / rows.rowBytes, nil)
  }

  /// Reads the roles of the first rows.
  ///
  /// - Returns: the first row with a bad one, and its fault; nil if all are good.
  private func readRoles(
    of block: UnsafeRawBufferPointer, _ count: Int, into columns: inout FeatureColumns
  ) -> (row: Int, fault: RecordFault?)? {
    for row in 0..<count {
      var told = RecordRoles()
      for (role, column) in zip(options.roles, roles) {
        do throws(RecordFault) {
          try role.read(
            value(at: row * rows.rowBytes + column * scalar.byteCount, of: block), into: &told)
        } catch {
          return (row, error)
        }
      }
      columns.setRoles(told, of: columns.count + row)
    }
    return nil
  }

  private func value(at offset: Int, of block: UnsafeRawBufferPointer) -> Double {
    switch scalar {
    case .float32: Double(block.loadUnaligned(fromByteOffset: offset, as: Float.self))
    case .float64: block.loadUnaligned(fromByteOffset: offset, as: Double.self)
    }
  }

  /// The fault of a row; nil if it is good.
  private func fault(of row: UnsafeRawBufferPointer) -> RecordFault? {
    for column in rows.columns.lazy.map(Int.init) {
      let value = value(at: column * scalar.byteCount, of: row)
      if value.isNaN, options.onMissing == .reject {
        return RecordFault(expected: "a value of feature '\(names[column])'", found: "NaN")
      }
      if !(abs(value) <= FeatureColumns.greatest), !value.isNaN, options.onInvalid == .reject {
        return value.isInfinite
          ? RecordFault(
            expected: "a finite number in feature '\(names[column])'", found: "\(value)")
          : RecordFault(tooGreat: "\(value)", feature: names[column])
      }
    }
    return nil
  }
}

/// Writes raw rows: the input rows with new features, or only the features.
struct RawEncoder: RecordEncoder {
  private let rows: RawRows
  /// Whether to write into the input rows, which have the same width.
  private let keepsRows: Bool

  init(_ options: EncoderOptions) throws(FormatError) {
    guard let rawColumns = options.settings[RawSettings.columns], options.prologue != nil else {
      // Writes only the features, in order.
      let count = options.schema.count
      rows = RawRows(columns: Array(0..<count), of: count, scalar: options.precision)
      keepsRows = false
      return
    }
    let scalar = options.settings[RawSettings.scalar]
    keepsRows = scalar == options.precision
    guard keepsRows || rawColumns == options.schema.count else {
      throw FormatError(
        RecordSettings.precision,
        RawSettings.passingColumns(scalar, found: options.precision))
    }
    let index = Dictionary(
      uniqueKeysWithValues: FeatureSchema.unnamed(count: rawColumns).enumerated().map {
        ($1, $0)
      })
    rows = RawRows(
      columns: options.schema.names.compactMap { index[$0] }, of: rawColumns,
      scalar: options.precision)
  }

  func encodePrologue(into output: ByteBuffer) {}

  func encode(_ block: RecordBlock, into output: ByteBuffer) {
    let part = block.selection
    let records = block.selectedRecords
    let size = records.count * rows.rowBytes
    let target = UnsafeMutableRawBufferPointer(start: output.reserve(size), count: size)
    // If the rows were not kept, the columns contain every bit of them.
    let kept = keepsRows ? block.payload as? RowBytes : nil
    if let kept {
      kept.bytes.withUnsafeBytes {
        let bytes = $0[part.lowerBound.payload.bytes..<part.upperBound.payload.bytes]
        target.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes))
      }
    }
    // A missing value keeps the bits of the input, unless it was a number.
    let keepsMissing = kept != nil && block.unnormalized?.form != .missing
    rows.write(records, of: block.columns, keepsMissing: keepsMissing, over: target)
    output.advance(size)
  }
}
