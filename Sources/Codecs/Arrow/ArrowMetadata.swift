internal import Records

/// The position of a message with its body in an Arrow file, from the footer.
struct ArrowBlock: Equatable, Sendable {
  /// The offset of its first byte in the file.
  var offset: Int
  /// The size of prefix, metadata and padding.
  var headBytes: Int
  var bodyBytes: Int

  var end: Int { offset + headBytes + bodyBytes }
}

/// Changes Arrow metadata without moving the rest of it: writes values over values, and puts new tables before or
/// after the old bytes.
enum ArrowMetadata {
  /// The message of a schema, with its prefix, in which integer features are floats of the same width, also for pandas.
  ///
  /// - Parameter metadata: the metadata of a schema message.
  static func withFloats(
    _ metadata: [UInt8], for features: ArrowFeatures
  ) throws(RecordFault) -> [UInt8] {
    let integers = features.columns.filter(\.number.isInteger)
    guard !integers.isEmpty else { return metadata }
    var writer = FlatWriter(metadata)
    var types: [ArrowNumber: Int] = [:]
    for column in integers where types[column.number] == nil {
      // `FloatingPoint` has one field, the precision.
      let table = writer.appendTable([4], tableBytes: 8)
      writer.set(Int16(column.number == .int32 ? 1 : 2), at: table + 4)
      types[column.number] = table
    }
    for column in integers {
      let places = try FlatBytes.read(metadata) { bytes throws(RecordFault) in
        let message = try ArrowMessage(bytes, bodyLimit: .max)
        let field = try ArrowSchema.table(at: column.path, ofSchema: message.header)
        return (
          try field.place(ofField: 2, byteCount: 1), try field.place(ofField: 3, byteCount: 4)
        )
      }
      guard let number = places.0, let type = places.1, let table = types[column.number] else {
        throw RecordFault(expected: "an Arrow field with a type", found: "none")
      }
      writer.set(UInt8(3), at: number)
      writer.setOffset(at: type, to: table)
    }
    for (place, json) in try pandasTexts(of: metadata, integers) {
      writer.setOffset(at: place, to: writer.appendString(json))
    }
    return writer.bytes
  }

  /// The metadata of pandas that tells the types of integer features: the place of its offset, and the text in which
  /// they are floats.
  private static func pandasTexts(
    of metadata: [UInt8], _ integers: [ArrowColumn]
  ) throws(RecordFault) -> [(place: Int, json: String)] {
    try FlatBytes.read(metadata) { bytes throws(RecordFault) in
      let schema = try ArrowMessage(bytes, bodyLimit: .max).header
      var names: Set<String> = []
      // Of others, pandas knows only the column that they are in.
      for column in integers where column.path.count == 1 {
        let field = try ArrowSchema.table(at: column.path, ofSchema: schema)
        if let name = try field.string(0, limit: .max) { names.insert(name) }
      }
      guard !names.isEmpty, let pairs = try schema.vector(2, stride: 4) else { return [] }
      var found: [(place: Int, json: String)] = []
      for index in 0..<pairs.count {
        let pair = try pairs.table(index)
        guard try pair.string(0, limit: .max) == PandasMetadata.key,
          let place = try pair.place(ofField: 1, byteCount: 4),
          let value = try pair.vector(1, stride: 1)
        else { continue }
        let json = Array(try bytes.slice(at: value.start, count: value.count))
        let patched = PandasMetadata.withFloats(json, of: names)
        if patched != json, let text = String(validating: patched, as: UTF8.self) {
          found.append((place, text))
        }
      }
      return found
    }
  }

  /// Makes the metadata of a schema message from a flatbuffer that contains the schema, such as a footer.
  ///
  /// - Parameter schema: the offset of the `Schema` table in `buffer`.
  static func message(aroundSchemaAt schema: Int, in buffer: [UInt8], version: Int16) -> [UInt8] {
    var writer = FlatWriter()
    writer.append(UInt32(0))
    let table = writer.appendTable([8, 10, 4], tableBytes: 12)
    writer.setOffset(at: 0, to: table)
    writer.set(version, at: table + 8)
    writer.set(ArrowMessage.Kind.schema.rawValue, at: table + 10)
    writer.pad(to: 8)
    writer.setOffset(at: table + 4, to: writer.count + schema)
    writer.append(buffer)
    return writer.bytes
  }

  /// Makes the footer of a file from the metadata of its schema message.
  static func footer(
    around metadata: [UInt8], dictionaries: [ArrowBlock], batches: [ArrowBlock]
  ) throws(RecordFault) -> [UInt8] {
    let (schema, schemaVersion) = try FlatBytes.read(metadata) { bytes throws(RecordFault) in
      let message = try ArrowMessage(bytes, bodyLimit: .max)
      return (message.header.start, message.version)
    }
    var writer = FlatWriter()
    writer.append(UInt32(0))
    let table = writer.appendTable([16, 4, 8, 12], tableBytes: 20)
    writer.setOffset(at: 0, to: table)
    writer.set(schemaVersion, at: table + 16)
    for (place, blocks) in [(table + 8, dictionaries), (table + 12, batches)] {
      // Aligns the elements, after a count of 4 bytes, to 8.
      writer.append(repeatElement(0, count: (4 - writer.count) & 7))
      writer.setOffset(at: place, to: writer.count)
      writer.append(UInt32(blocks.count))
      for block in blocks {
        writer.append(Int64(block.offset))
        writer.append(Int32(block.headBytes))
        writer.append(Int32(0))
        writer.append(Int64(block.bodyBytes))
      }
    }
    writer.pad(to: 8)
    writer.setOffset(at: table + 4, to: writer.count + schema)
    writer.append(metadata)
    return writer.bytes
  }

  /// Adds pairs of custom metadata: puts a new `Message` table before the old bytes.
  static func adding(
    _ pairs: [(key: String, value: String)], to metadata: [UInt8]
  ) throws(RecordFault) -> [UInt8] {
    let old = try FlatBytes.read(metadata) { bytes throws(RecordFault) in
      let message = try ArrowMessage(bytes, bodyLimit: .max)
      let pairs = try message.table.vector(4, stride: 4)
      var tables: [Int] = []
      for index in 0..<(pairs?.count ?? 0) {
        if let pairs { tables.append(try pairs.table(index).start) }
      }
      return (
        message.version, message.kind, message.header.start, message.bodyBytes, tables
      )
    }
    let (version, kind, header, bodyBytes, oldPairs) = old
    var writer = FlatWriter()
    let headerPlace = writer.appendMessage(kind, version, bodyBytes: bodyBytes, hasMetadata: true)
    let vector = writer.appendOffsets(
      oldPairs.count + pairs.count, at: FlatWriter.customMetadataPlace)
    for (index, pair) in pairs.enumerated() {
      let entry = writer.appendTable([4, 8], tableBytes: 12)
      writer.setOffset(at: vector + 4 * (oldPairs.count + index), to: entry)
      writer.setOffset(at: entry + 4, to: writer.appendString(pair.key))
      writer.setOffset(at: entry + 8, to: writer.appendString(pair.value))
    }
    let links = oldPairs.enumerated().map { (vector + 4 * $0, $1) }
    return writer.before(metadata, links + [(headerPlace, header)])
  }

  /// The metadata of the first message of a stream.
  static func firstMessage(of stream: [UInt8]) throws(RecordFault) -> [UInt8] {
    let start = try FlatBytes.read(stream) { bytes throws(RecordFault) in
      try ArrowFrame.start(of: bytes)
    }
    guard case .message(let prefixBytes, let metadataBytes) = start,
      stream.count - prefixBytes >= metadataBytes
    else { throw RecordFault(expected: "a whole Arrow schema", found: "a part of one") }
    return Array(stream[prefixBytes..<prefixBytes + metadataBytes])
  }

  /// The schema in the metadata of a schema message.
  static func schema(
    of metadata: [UInt8], _ limits: DecoderLimits
  ) throws(RecordFault) -> ArrowSchema {
    try FlatBytes.read(metadata) { bytes throws(RecordFault) in
      let message = try ArrowMessage(bytes, bodyLimit: limits.unitBytes)
      guard message.kind == .schema else {
        throw RecordFault(expected: "an Arrow schema first", found: "another message")
      }
      return try ArrowSchema(
        message.header, hasUnionValidity: message.hasUnionValidity, limits: limits)
    }
  }

  /// The metadata with its prefix, padded so that the bytes after it are aligned to 8.
  static func framed(_ metadata: [UInt8]) -> [UInt8] {
    var writer = FlatWriter()
    writer.append(ArrowFrame.continuation)
    writer.append(UInt32(metadata.count + (-metadata.count & 7)))
    writer.append(metadata)
    writer.pad(to: 8)
    return writer.bytes
  }
}

extension FlatWriter {
  /// The place of the offset to the custom metadata of a message that has some, at the start of the bytes.
  static let customMetadataPlace = messageTable + 16
  /// After the offset of the root, and a vtable that is aligned with it.
  private static let messageTable = 24

  /// Begins the bytes with a `Message` table.
  ///
  /// - Returns: the place of the offset to its header.
  mutating func appendMessage(
    _ kind: ArrowMessage.Kind, _ version: Int16, bodyBytes: Int, hasMetadata: Bool
  ) -> Int {
    precondition(bytes.isEmpty)
    append(UInt32(0))
    let table = appendTable([20, 22, 4, 8, hasMetadata ? 16 : 0], tableBytes: 24)
    precondition(table == Self.messageTable)
    setOffset(at: 0, to: table)
    set(Int64(bodyBytes), at: table + 8)
    set(version, at: table + 20)
    set(kind.rawValue, at: table + 22)
    return table + 4
  }
}
