internal import Records

/// Lays out Arrow messages of our own: a schema of float columns, and record batches of columns.
enum ArrowTable {
  private static let metadataVersion: Int16 = 4
  /// The alignment of a buffer in a body. Readers that copy nothing want 64.
  private static let alignment = 64

  /// The metadata of a schema message of nullable float columns.
  static func schemaMessage(_ names: [String], _ precision: Precision) -> [UInt8] {
    var writer = FlatWriter()
    let header = appendMessage(.schema, bodyBytes: 0, to: &writer)
    // `Schema`: the fields.
    let schema = writer.appendTable([0, 4], tableBytes: 8)
    writer.setOffset(at: header, to: schema)
    let fields = appendVector(of: names.count, at: schema + 4, to: &writer)
    for (index, name) in names.enumerated() {
      // `Field`: name, nullable, type_type, type, dictionary, children.
      let field = writer.appendTable([4, 8, 9, 12, 0, 16], tableBytes: 20)
      writer.setOffset(at: fields + 4 * index, to: field)
      writer.set(UInt8(1), at: field + 8)
      writer.set(UInt8(3), at: field + 9)
      writer.setOffset(at: field + 4, to: writer.appendString(name))
      let type = writer.appendTable([4], tableBytes: 8)
      writer.set(Int16(precision == .float32 ? 1 : 2), at: type + 4)
      writer.setOffset(at: field + 12, to: type)
      _ = appendVector(of: 0, at: field + 16, to: &writer)
    }
    return writer.bytes
  }

  /// Appends a `Message` table: version, header type, header, bodyLength.
  ///
  /// - Returns: the place of the header's offset.
  private static func appendMessage(
    _ kind: ArrowMessage.Kind, bodyBytes: Int, to writer: inout FlatWriter
  ) -> Int {
    writer.append(UInt32(0))
    let table = writer.appendTable([16, 18, 4, 8], tableBytes: 20)
    writer.setOffset(at: 0, to: table)
    writer.set(metadataVersion, at: table + 16)
    writer.set(kind.rawValue, at: table + 18)
    writer.set(Int64(bodyBytes), at: table + 8)
    return table + 4
  }

  /// Appends a vector of offsets, to which the offset at `place` points.
  ///
  /// - Returns: the place of the first offset.
  private static func appendVector(
    of count: Int, at place: Int, to writer: inout FlatWriter
  ) -> Int {
    writer.pad(to: 4)
    writer.setOffset(at: place, to: writer.count)
    writer.append(UInt32(count))
    let start = writer.count
    writer.append(repeatElement(UInt8(0), count: 4 * count))
    return start
  }

  /// Appends a record batch of some records, with a null for each NaN.
  static func appendBatch(
    _ columns: FeatureColumns, _ records: Range<Int>, _ precision: Precision,
    to output: ByteBuffer
  ) {
    guard !records.isEmpty else { return }
    let body = ByteBuffer(capacity: columns.featureCount * records.count * precision.byteCount)
    var nodes: [(length: Int, nullCount: Int)] = []
    var buffers: [Range<Int>] = []
    for feature in 0..<columns.featureCount {
      let (bitmap, nullCount) = validity(columns, feature, records)
      nodes.append((records.count, nullCount))
      buffers.append(append(nullCount == 0 ? [] : bitmap, to: body))
      body.pad(to: alignment)
      let start = body.count
      appendValues(columns, feature, records, precision, to: body)
      buffers.append(start..<body.count)
    }
    body.pad(to: 8)
    output.append(
      ArrowMetadata.framed(
        batchMessage(records: records.count, nodes, buffers, bodyBytes: body.count)))
    output.append(body.readable)
  }

  private static func append(_ bytes: [UInt8], to body: ByteBuffer) -> Range<Int> {
    body.pad(to: alignment)
    let start = body.count
    body.append(bytes)
    return start..<body.count
  }

  /// The metadata of a record batch.
  static func batchMessage(
    records: Int, _ nodes: [(length: Int, nullCount: Int)], _ buffers: [Range<Int>], bodyBytes: Int
  ) -> [UInt8] {
    var writer = FlatWriter()
    let header = appendMessage(.recordBatch, bodyBytes: bodyBytes, to: &writer)
    // `RecordBatch`: length, nodes, buffers.
    let batch = writer.appendTable([8, 4, 16], tableBytes: 20)
    writer.setOffset(at: header, to: batch)
    writer.set(Int64(records), at: batch + 8)
    appendStructs(nodes.map { ($0.length, $0.nullCount) }, at: batch + 4, to: &writer)
    appendStructs(buffers.map { ($0.lowerBound, $0.count) }, at: batch + 16, to: &writer)
    return writer.bytes
  }

  /// Appends a vector of structs of two numbers, aligned to 8.
  private static func appendStructs(
    _ pairs: [(Int, Int)], at place: Int, to writer: inout FlatWriter
  ) {
    writer.append(repeatElement(UInt8(0), count: (4 - writer.count) & 7))
    writer.setOffset(at: place, to: writer.count)
    writer.append(UInt32(pairs.count))
    for (first, second) in pairs {
      writer.append(Int64(first))
      writer.append(Int64(second))
    }
  }

  /// The bitmap of the values that are no NaN.
  private static func validity(
    _ columns: FeatureColumns, _ feature: Int, _ records: Range<Int>
  ) -> (bitmap: [UInt8], nullCount: Int) {
    var bitmap = [UInt8](repeating: 0, count: (records.count + 7) / 8)
    let start = feature * columns.capacity + records.lowerBound
    let column = ArrowColumn.plain(.float64, feature: feature)
    let filled = bitmap.withUnsafeMutableBytes {
      ArrowValues.fill(
        column, columns, from: start - feature * columns.capacity, records: 0..<records.count,
        validity: $0)
    }
    return (bitmap, records.count - filled)
  }

  private static func appendValues(
    _ columns: FeatureColumns, _ feature: Int, _ records: Range<Int>, _ precision: Precision,
    to body: ByteBuffer
  ) {
    let column = ArrowColumn.plain(precision == .float32 ? .float32 : .float64, feature: feature)
    let size = records.count * precision.byteCount
    let values = UnsafeMutableRawBufferPointer(start: body.reserve(size), count: size)
    // A NaN leaves the old value, which is 0 under a null.
    values.initializeMemory(as: UInt8.self, repeating: 0)
    ArrowValues.write(
      column, columns, from: records.lowerBound, records: 0..<records.count, over: values)
    body.advance(size)
  }
}

extension ArrowColumn {
  /// A top-level column of one feature.
  fileprivate static func plain(_ number: ArrowNumber, feature: Int) -> ArrowColumn {
    ArrowColumn(
      number: number, place: ArrowPlace(node: 0, buffer: 0, views: 0), parents: [],
      valuesPerRecord: 1, isNullable: true, path: [], elements: [0], features: [feature])
  }
}
