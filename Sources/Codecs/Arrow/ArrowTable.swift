internal import Records

/// Lays out Arrow messages of our own: a schema, and record batches of columns.
struct ArrowTable: Sendable {
  /// A column, and where its values come from.
  enum Column: Sendable, Equatable {
    case feature(Int)
    case text
  }

  private static let metadataVersion: Int16 = 4

  /// The names and columns, in the order of the output.
  let columns: [(name: String, column: Column)]
  /// The width of features.
  let precision: Precision
  /// Divides the text of records into the fields of all columns; nil if there are only features.
  private let fields: (any TextFields)?

  /// A table of the features alone.
  init(_ schema: FeatureSchema, _ precision: Precision) {
    columns = schema.names.enumerated().map { ($1, .feature($0)) }
    self.precision = precision
    fields = nil
  }

  /// A table of all columns of a text format: the features, and the others as text.
  init(_ schema: FeatureSchema, _ fields: any TextFields, _ precision: Precision) {
    let features = Dictionary(
      schema.names.enumerated().map { (Name($1), $0) }, uniquingKeysWith: { first, _ in first })
    columns = fields.columns.map { name in
      (name, features[Name(name)].map { .feature($0) } ?? .text)
    }
    self.precision = precision
    self.fields = fields
  }

  // MARK: Schema

  /// The metadata of the schema message. Each column may have nulls.
  var schemaMessage: [UInt8] {
    var writer = FlatWriter()
    let header = Self.appendMessage(.schema, bodyBytes: 0, to: &writer)
    // `Schema`: the fields.
    let schema = writer.appendTable([0, 4], tableBytes: 8)
    writer.setOffset(at: header, to: schema)
    let fields = Self.appendVector(of: columns.count, at: schema + 4, to: &writer)
    for (index, (name, column)) in columns.enumerated() {
      // `Field`: name, nullable, type_type, type, dictionary, children.
      let field = writer.appendTable([4, 8, 9, 12, 0, 16], tableBytes: 20)
      writer.setOffset(at: fields + 4 * index, to: field)
      writer.set(UInt8(1), at: field + 8)
      writer.setOffset(at: field + 4, to: writer.appendString(name))
      let type: Int
      switch column {
      case .feature:
        writer.set(UInt8(3), at: field + 9)
        type = writer.appendTable([4], tableBytes: 8)
        writer.set(Int16(precision == .float32 ? 1 : 2), at: type + 4)
      case .text:
        writer.set(UInt8(5), at: field + 9)
        type = writer.appendTable([], tableBytes: 4)
      }
      writer.setOffset(at: field + 12, to: type)
      _ = Self.appendVector(of: 0, at: field + 16, to: &writer)
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

  // MARK: Record batches

  /// Appends a record batch of the selected records, with a null for each NaN.
  func appendBatch(_ block: RecordBlock, to output: ByteBuffer) {
    let records = block.selectedRecords
    guard !records.isEmpty else { return }
    let texts = texts(of: block)
    var body = ArrowBody(records: records.count)
    for (index, (_, column)) in columns.enumerated() {
      switch column {
      case .feature(let feature):
        body.append(block.columns, feature: feature, records, precision)
      case .text: body.append(texts[index])
      }
    }
    body.pad()
    output.append(ArrowMetadata.framed(Self.batchMessage(body)))
    output.append(body.bytes.readable)
  }

  /// The texts of all columns; those of features are empty.
  private func texts(of block: RecordBlock) -> [ArrowText] {
    guard let fields, let payload = block.payload as? SplicedText else { return [] }
    var texts = [ArrowText](repeating: ArrowText(), count: columns.count)
    let part = block.selection
    let bytes = payload.bytes[part.lowerBound.payload.bytes..<part.upperBound.payload.bytes]
    let isText = columns.map { $0.column == .text }
    fields.forEachField(of: bytes) { column, field in
      if isText[column] { texts[column].append(field) }
    }
    return texts
  }

  /// The metadata of a record batch.
  private static func batchMessage(_ body: ArrowBody) -> [UInt8] {
    var writer = FlatWriter()
    let header = appendMessage(.recordBatch, bodyBytes: body.bytes.count, to: &writer)
    // `RecordBatch`: length, nodes, buffers.
    let batch = writer.appendTable([8, 4, 16], tableBytes: 20)
    writer.setOffset(at: header, to: batch)
    writer.set(Int64(body.records), at: batch + 8)
    appendStructs(body.nullCounts.map { (body.records, $0) }, at: batch + 4, to: &writer)
    appendStructs(body.buffers.map { ($0.lowerBound, $0.count) }, at: batch + 16, to: &writer)
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
}
