internal import Configuration
internal import Records

/// Lays out Arrow messages of our own: a schema, and record batches of columns.
struct ArrowTable: Sendable {
  /// A column, and where its values come from.
  enum Column: Sendable, Equatable {
    case feature(Int)
    case text
    /// Text as indices of a dictionary, which goes before each record batch.
    case words
  }

  private static let metadataVersion: Int16 = 4

  /// The names and columns, in the order of the output.
  let columns: [(name: String, column: Column)]
  /// The width of features.
  let precision: Precision
  /// Divides the text of records into the fields of all columns; nil if there are only features.
  private let fields: (any TextFields)?
  /// The place of each field in `columns`; nil if it is left out.
  private let places: [Int?]

  /// A table of the columns of a text format, the features and the others as text; or of the features alone.
  ///
  /// - Throws: an error if the columns that the user chose are none.
  init(_ options: EncoderOptions) throws(FormatError) {
    let hasDictionaries = options.settings[RecordSettings.dictionaries]
    precision = options.precision
    fields = options.fields
    let names = options.schema.names
    let all: [(name: String, column: Column)]
    if let fields {
      let features = Dictionary(
        names.enumerated().map { (Name($1), $0) }, uniquingKeysWith: { first, _ in first })
      all = zip(fields.columns, fields.outputNames).map { column, name in
        (name, features[Name(column)].map { .feature($0) } ?? (hasDictionaries ? .words : .text))
      }
    } else {
      all = names.enumerated().map { ($1, .feature($0)) }
    }
    let order =
      try ColumnChoice(options.settings).map { (choice) throws(FormatError) in
        try choice.order(of: all.map(\.name))
      } ?? Array(all.indices)
    columns = order.map { all[$0] }
    var places = [Int?](repeating: nil, count: all.count)
    for (place, column) in order.enumerated() { places[column] = place }
    self.places = places
  }

  // MARK: Schema

  /// The metadata of the schema message. Each column may have nulls.
  var schemaMessage: [UInt8] {
    var writer = FlatWriter()
    let header = Self.appendMessage(.schema, bodyBytes: 0, to: &writer)
    // `Schema`: the fields.
    let schema = writer.appendTable([0, 4], tableBytes: 8)
    writer.setOffset(at: header, to: schema)
    let fields = writer.appendOffsets(columns.count, at: schema + 4)
    for (index, (name, column)) in columns.enumerated() {
      // `Field`: name, nullable, type_type, type, dictionary, children.
      let field = writer.appendTable(
        [4, 8, 9, 12, column == .words ? 20 : 0, 16], tableBytes: column == .words ? 24 : 20)
      writer.setOffset(at: fields + 4 * index, to: field)
      writer.set(UInt8(1), at: field + 8)
      writer.setOffset(at: field + 4, to: writer.appendString(name))
      let type: Int
      switch column {
      case .feature:
        writer.set(UInt8(3), at: field + 9)
        type = writer.appendTable([4], tableBytes: 8)
        writer.set(Int16(precision == .float32 ? 1 : 2), at: type + 4)
      case .text, .words:
        writer.set(UInt8(5), at: field + 9)
        type = writer.appendTable([], tableBytes: 4)
      }
      if column == .words { Self.appendEncoding(id: index, at: field + 20, to: &writer) }
      writer.setOffset(at: field + 12, to: type)
      _ = writer.appendOffsets(0, at: field + 16)
    }
    return writer.bytes
  }

  /// Appends a `DictionaryEncoding` with indices of type Int32.
  private static func appendEncoding(id: Int, at place: Int, to writer: inout FlatWriter) {
    let encoding = writer.appendTable([8, 4], tableBytes: 16)
    writer.setOffset(at: place, to: encoding)
    writer.set(Int64(id), at: encoding + 8)
    let index = writer.appendTable([4, 8], tableBytes: 12)
    writer.setOffset(at: encoding + 4, to: index)
    writer.set(Int32(32), at: index + 4)
    writer.set(UInt8(1), at: index + 8)
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

  // MARK: Record batches

  /// Appends a record batch of the selected records, with a null for each NaN.
  ///
  /// - Parameter stamp: the name under which it tells the versions that normalised the records; nil for none.
  func appendBatch(_ block: RecordBlock, to output: ByteBuffer, stamp: String? = nil) {
    let records = block.selectedRecords
    guard !records.isEmpty else { return }
    let (texts, words) = texts(of: block)
    for (index, (_, column)) in columns.enumerated() where column == .words {
      Self.appendDictionary(words[index].words, id: index, to: output)
    }
    var body = ArrowBody(records: records.count)
    for (index, (_, column)) in columns.enumerated() {
      switch column {
      case .feature(let feature):
        body.append(block.columns, feature: feature, records, precision)
      case .text: body.append(texts[index])
      case .words: body.append(words[index])
      }
    }
    body.pad()
    var versions = ArrowStamp()
    versions.take(block.versionMarks(of: records), first: 0, record: records.lowerBound)
    output.append(
      ArrowMetadata.framed(versions.stamped(Self.message(.recordBatch, body), as: stamp)))
    output.append(body.bytes.readable)
  }

  /// The texts of all columns, and those that are words of a dictionary; those of other columns are empty.
  private func texts(of block: RecordBlock) -> ([ArrowText], [ArrowWords]) {
    var texts = [ArrowText](repeating: ArrowText(), count: columns.count)
    var words = [ArrowWords](repeating: ArrowWords(), count: columns.count)
    guard let fields, let payload = block.payload as? SplicedText else { return (texts, words) }
    let part = block.selection
    let bytes = payload.bytes[part.lowerBound.payload.bytes..<part.upperBound.payload.bytes]
    let kinds = columns.map(\.column)
    fields.forEachField(of: bytes) { field, content in
      guard let column = places[field] else { return }
      switch kinds[column] {
      case .text: texts[column].append(content)
      case .words: words[column].append(content)
      case .feature: break
      }
    }
    return (texts, words)
  }

  /// Appends the dictionary of the next record batch, which replaces the one before.
  private static func appendDictionary(_ words: ArrowText, id: Int, to output: ByteBuffer) {
    var body = ArrowBody(records: words.offsets.count - 1)
    body.append(words)
    body.pad()
    output.append(ArrowMetadata.framed(message(.dictionaryBatch, body, id: id)))
    output.append(body.bytes.readable)
  }

  /// The metadata of a record batch, or of a dictionary with its id.
  private static func message(
    _ kind: ArrowMessage.Kind, _ body: ArrowBody, id: Int = 0
  ) -> [UInt8] {
    var writer = FlatWriter()
    var header = appendMessage(kind, bodyBytes: body.bytes.count, to: &writer)
    if kind == .dictionaryBatch {
      // `DictionaryBatch`: id, data.
      let dictionary = writer.appendTable([8, 4], tableBytes: 16)
      writer.setOffset(at: header, to: dictionary)
      writer.set(Int64(id), at: dictionary + 8)
      header = dictionary + 4
    }
    // `RecordBatch`: length, nodes, buffers.
    let batch = writer.appendTable([8, 4, 16], tableBytes: 20)
    writer.setOffset(at: header, to: batch)
    writer.set(Int64(body.records), at: batch + 8)
    writer.appendPairs(body.nullCounts.map { (body.records, $0) }, at: batch + 4)
    writer.appendPairs(body.buffers.map { ($0.lowerBound, $0.count) }, at: batch + 16)
    return writer.bytes
  }
}
