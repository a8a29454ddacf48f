internal import Records

/// The compression of the buffers of a record batch. Each buffer is compressed by itself.
enum ArrowCompression: Equatable, Sendable {
  case none, lz4Frame, zstd
}

/// The offsets of the features in a record batch.
///
/// Offsets of nodes and buffer structs count from the start of the metadata. Offsets of buffers count from the start
/// of the body.
struct ArrowBatchLayout: Equatable, Sendable {
  /// The buffers of one column.
  struct Column: Equatable, Sendable {
    /// The offset of the node of the values, in the metadata.
    var node: Int
    var nullCount: Int
    /// Index of the validity buffer.
    var validityIndex: Int
    var valuesIndex: Int { validityIndex + 1 }
    /// Nil if no value is null.
    var validity: Range<Int>?
    var values: Range<Int>
    /// The bitmaps of those parent fields that contain a null.
    var parents: [Range<Int>] = []
    /// The indices of the buffers of `parents`.
    var parentIndices: [Int] = []
  }

  /// The buffers of a column that is no feature.
  struct Scalar: Equatable, Sendable {
    /// The number of its values: one a record, or the elements of all lists.
    var count: Int
    /// Nil if no value is null.
    var validity: Range<Int>?
    /// The bitmaps of those parent fields that contain a null.
    var parents: [Range<Int>] = []
    var values: Range<Int>
    /// The bytes of texts.
    var data: [Range<Int>] = []
    /// The elements of lists.
    var elements: [Scalar] = []
  }

  static let structBytes = 16

  private(set) var records = 0
  private(set) var compression = ArrowCompression.none
  /// The offset of the first buffer struct, in the metadata.
  private(set) var buffersPlace = 0
  private(set) var bufferCount = 0
  private(set) var bodyBytes = 0
  private(set) var columns: [Column] = []
  private(set) var scalars: [Scalar] = []

  /// Reads a record batch and checks it against its schema.
  ///
  /// - Parameters:
  ///   - scalars: columns that are no features, whose values are read too.
  ///   - byteLimit: the most bytes of the values of one column.
  init(
    _ message: ArrowMessage, schema: ArrowSchema, features: ArrowFeatures,
    scalars: [ArrowScalarColumn] = [], byteLimit: Int
  ) throws(RecordFault) {
    try self.init(
      message.header, bodyBytes: message.bodyBytes, schema: schema, features: features,
      scalars: scalars, byteLimit: byteLimit)
  }

  /// Reads the `RecordBatch` table of a record batch, or of a dictionary, which has no features.
  init(
    _ table: FlatTable, bodyBytes: Int, schema: ArrowSchema, features: ArrowFeatures?,
    scalars: [ArrowScalarColumn], byteLimit: Int
  ) throws(RecordFault) {
    let length: Int64 = try table.integer(0, absent: 0)
    self.bodyBytes = bodyBytes
    guard length >= 0, length <= Int64(byteLimit) else {
      throw RecordFault(
        expected: "an Arrow record batch of 0 to \(byteLimit) records", found: "\(length)")
    }
    records = Int(length)
    compression = try Self.compression(of: table)
    let nodes = try table.vector(1, stride: Self.structBytes)
    guard (nodes?.count ?? 0) == schema.nodeCount else {
      throw RecordFault(
        expected: "an Arrow record batch of \(schema.nodeCount) nodes, as the schema has",
        found: "\(nodes?.count ?? 0)")
    }
    let viewBuffers = try Self.viewBuffers(of: table, schema)
    let buffers = try table.vector(2, stride: Self.structBytes)
    bufferCount = buffers?.count ?? 0
    buffersPlace = buffers?.start ?? 0
    guard bufferCount == schema.bufferCount + (viewBuffers.last ?? 0) else {
      throw RecordFault(
        expected: "an Arrow record batch of \(schema.bufferCount + (viewBuffers.last ?? 0)) "
          + "buffers, as the schema has", found: "\(bufferCount)")
    }
    guard let nodes, let buffers else {
      throw RecordFault(expected: "an Arrow record batch with buffers", found: "none")
    }
    try checkBuffers(buffers)
    let reader = Reader(
      nodes: nodes, buffers: buffers, viewBuffers: viewBuffers, layout: self, byteLimit: byteLimit)
    if let features {
      columns.reserveCapacity(features.columns.count)
      for column in features.columns {
        columns.append(try reader.column(column, name: features.schema.names[column.features[0]]))
      }
    }
    for scalar in scalars { self.scalars.append(try reader.scalar(scalar, count: records)) }
  }

  private static func compression(of table: FlatTable) throws(RecordFault) -> ArrowCompression {
    guard let compression = try table.table(3) else { return .none }
    let codec: UInt8 = try compression.integer(0, absent: 0)
    let method: UInt8 = try compression.integer(1, absent: 0)
    guard codec <= 1, method == 0 else {
      throw RecordFault(
        expected: "Arrow buffers compressed by LZ4 or zstd, each by itself",
        found: "codec \(codec), method \(method)")
    }
    return codec == 0 ? .lz4Frame : .zstd
  }

  /// For each view column, the number of variadic buffers up to and with its own. Empty without view columns.
  private static func viewBuffers(
    of table: FlatTable, _ schema: ArrowSchema
  ) throws(RecordFault) -> [Int] {
    guard schema.viewCount > 0 else { return [] }
    let counts = try table.vector(4, stride: 8)
    guard let counts, counts.count == schema.viewCount else {
      throw RecordFault(
        expected: "\(schema.viewCount) counts of view buffers in an Arrow record batch",
        found: "\(counts?.count ?? 0)")
    }
    var sums: [Int] = []
    for index in 0..<counts.count {
      let count: Int64 = try table.bytes.integer(at: counts.place(index))
      guard count >= 0, count <= Int64(Int32.max) else {
        throw RecordFault(expected: "a count of view buffers of 0 or more", found: "\(count)")
      }
      sums.append((sums.last ?? 0) + Int(count))
    }
    return sums
  }

  /// Checks that all buffers are within the body, and that together they are not longer than the body.
  private func checkBuffers(_ buffers: FlatVector) throws(RecordFault) {
    var left = bodyBytes
    for index in 0..<buffers.count {
      let range = try Self.buffer(buffers, index, bodyBytes: bodyBytes)
      left -= range.count
      guard left >= 0 else {
        throw RecordFault(
          expected: "Arrow buffers that share no bytes of their body of \(bodyBytes)",
          found: "longer ones")
      }
    }
  }

  /// The bytes of a buffer in the body, which were checked.
  func buffer(_ index: Int, in metadata: [UInt8]) -> Range<Int> {
    let place = buffersPlace + index * Self.structBytes
    let writer = FlatWriter(metadata)
    let start = writer.integer(at: place)
    return start..<start + writer.integer(at: place + 8)
  }

  fileprivate static func buffer(
    _ buffers: FlatVector, _ index: Int, bodyBytes: Int
  ) throws(RecordFault) -> Range<Int> {
    let place = buffers.place(index)
    let offset: Int64 = try buffers.bytes.integer(at: place)
    let length: Int64 = try buffers.bytes.integer(at: place + 8)
    guard offset >= 0, length >= 0, offset <= Int64(bodyBytes), length <= Int64(bodyBytes) - offset
    else {
      throw RecordFault(
        expected: "an Arrow buffer within its body of \(bodyBytes) bytes",
        found: "\(length) bytes at \(offset)")
    }
    return Int(offset)..<Int(offset + length)
  }
}

/// Finds the buffers of a column.
private struct Reader {
  let nodes: FlatVector
  let buffers: FlatVector
  let viewBuffers: [Int]
  let layout: ArrowBatchLayout
  let byteLimit: Int

  func column(
    _ column: ArrowColumn, name: String
  ) throws(RecordFault) -> ArrowBatchLayout.Column {
    let (values, overflow) = layout.records.multipliedReportingOverflow(by: column.valuesPerRecord)
    guard !overflow, values <= byteLimit / column.number.byteCount else {
      throw RecordFault(
        expected: "at most \(byteLimit) bytes of feature '\(name)' in an Arrow record batch",
        found: "more")
    }
    let nullCount = try nullCount(column.place, length: values, name)
    let index = index(column.place)
    let validity = try bitmap(index, nullCount: nullCount, bits: values, name)
    let range = try buffer(index + 1)
    if layout.compression == .none, range.count < values * column.number.byteCount {
      throw RecordFault(
        expected: "\(values * column.number.byteCount) bytes of feature '\(name)'",
        found: "\(range.count)")
    }
    var found = ArrowBatchLayout.Column(
      node: nodes.place(column.place.node), nullCount: validity == nil ? 0 : nullCount,
      validityIndex: index, validity: validity, values: range)
    for parent in column.parents {
      let nullCount = try self.nullCount(parent, length: layout.records, name)
      let index = self.index(parent)
      if let bitmap = try bitmap(index, nullCount: nullCount, bits: layout.records, name) {
        found.parents.append(bitmap)
        found.parentIndices.append(index)
      }
    }
    return found
  }

  /// Finds the buffers of a column that is no feature, and of the elements of its lists.
  func scalar(
    _ column: ArrowScalarColumn, count: Int
  ) throws(RecordFault) -> ArrowBatchLayout.Scalar {
    let nullCount = try nullCount(column.place, length: count, column.name)
    let index = index(column.place)
    var found = ArrowBatchLayout.Scalar(
      count: count,
      validity: try bitmap(index, nullCount: nullCount, bits: count, column.name),
      values: column.storedType.hasOnlyValidity ? 0..<0 : try buffer(index + 1))
    for parent in column.parents {
      let nullCount = try self.nullCount(parent, length: layout.records, column.name)
      if let bitmap = try bitmap(
        self.index(parent), nullCount: nullCount, bits: layout.records, column.name)
      {
        found.parents.append(bitmap)
      }
    }
    switch column.storedType {
    case .utf8, .largeUtf8: found.data = [try buffer(index + 2)]
    case .utf8View:
      let before = column.place.views > 0 ? viewBuffers[column.place.views - 1] : 0
      for view in 0..<viewBuffers[column.place.views] - before {
        found.data.append(try buffer(index + 2 + view))
      }
    default: break
    }
    for elements in column.elements {
      found.elements.append(
        try scalar(elements, count: try elementCount(elements, ofLists: count, column)))
    }
    return found
  }

  /// The number of elements of a column of lists: what their type says, or else the batch.
  private func elementCount(
    _ elements: ArrowScalarColumn, ofLists count: Int, _ column: ArrowScalarColumn
  ) throws(RecordFault) -> Int {
    var found: Int64
    if case .fixedList(let each) = column.storedType {
      let (product, overflow) = Int64(count).multipliedReportingOverflow(by: Int64(each))
      found = overflow ? .max : product
    } else {
      found = try nodes.bytes.integer(at: nodes.place(elements.place.node))
    }
    guard (0...Int64(byteLimit)).contains(found) else {
      throw RecordFault(
        expected: "lists of 0 to \(byteLimit) elements in column \(quoted(column.name))",
        found: "\(found)")
    }
    return Int(found)
  }

  /// The index of a field's first buffer.
  private func index(_ place: ArrowPlace) -> Int {
    place.buffer + (place.views > 0 ? viewBuffers[place.views - 1] : 0)
  }

  private func buffer(_ index: Int) throws(RecordFault) -> Range<Int> {
    try ArrowBatchLayout.buffer(buffers, index, bodyBytes: layout.bodyBytes)
  }

  private func nullCount(
    _ place: ArrowPlace, length: Int, _ name: String
  ) throws(RecordFault) -> Int {
    let node = nodes.place(place.node)
    let found: Int64 = try nodes.bytes.integer(at: node)
    guard found == Int64(length) else {
      throw RecordFault(expected: "\(length) values of feature '\(name)'", found: "\(found)")
    }
    let nullCount: Int64 = try nodes.bytes.integer(at: node + 8)
    guard nullCount >= 0, nullCount <= Int64(length) else {
      throw RecordFault(
        expected: "0 to \(length) nulls of feature '\(name)'", found: "\(nullCount)")
    }
    return Int(nullCount)
  }

  /// The validity bitmap in a buffer; nil if no value is null.
  private func bitmap(
    _ index: Int, nullCount: Int, bits: Int, _ name: String
  ) throws(RecordFault) -> Range<Int>? {
    guard nullCount > 0 else { return nil }
    let range = try buffer(index)
    let isWhole =
      layout.compression == .none ? range.count >= (bits + 7) / 8 : range.count > 0
    guard isWhole else {
      throw RecordFault(
        expected: "a bitmap of \((bits + 7) / 8) bytes for the nulls of feature '\(name)'",
        found: "\(range.count)")
    }
    return range
  }
}
