internal import Records

/// A column of an Arrow schema that is no feature and has an obvious text.
struct ArrowScalarColumn: Equatable, Sendable {
  var name: String
  /// The type of its values. For a dictionary-encoded column, that of its dictionary.
  var type: ArrowType
  /// Nil if the record batch contains the values themselves.
  var dictionary: ArrowDictionary?
  var place: ArrowPlace
  /// The struct fields around it, outermost first.
  var parents: [ArrowPlace]
  /// The column of the elements of its lists; none if its values are no lists.
  var elements: [ArrowScalarColumn] = []

  /// The type of its buffers in a record batch.
  var storedType: ArrowType { dictionary?.indexType ?? type }
}

/// The columns of an Arrow stream as those of a text: features, and the others that have an obvious text.
struct ArrowScalars: ScalarFields {
  private(set) var columns: [ScalarColumn] = []
  /// The columns that are no features, in the order of `columns`.
  private(set) var sources: [ArrowScalarColumn] = []
  /// The columns that have no obvious text.
  private(set) var leftOut: [String] = []
  /// For each column, its index in `sources`; -1 for a feature.
  private var indices: [Int] = []
  /// The types of the dictionaries by their ids.
  private var dictionaries: [Int64: ArrowType] = [:]

  init(_ schema: ArrowSchema, _ features: FeatureSchema) {
    let features = Dictionary(
      features.names.enumerated().map { (Name($1), $0) }, uniquingKeysWith: { first, _ in first })
    for (field, name) in zip(schema.fields, ArrowNames.columns(of: schema)) {
      add(field, name: name, parents: [], features)
    }
  }

  /// The columns of a stream that was opened.
  init(of opening: StreamOpening, _ limits: DecoderLimits) throws(RecordFault) {
    self.init(
      try ArrowMetadata.schema(of: ArrowMetadata.firstMessage(of: opening.prologue), limits),
      opening.schema)
  }

  private mutating func add(
    _ field: ArrowField, name: String, parents: [ArrowPlace], _ features: [Name: Int]
  ) {
    if let feature = features[Name(name)] { return add(name, .feature(feature)) }
    switch field.type {
    case _ where field.dictionary != nil: addScalar(field, name, parents)
    case .structure where !field.children.isEmpty:
      for child in field.children {
        let path = ArrowNames.child(child.name, of: name)
        add(child, name: path, parents: parents + [field.place], features)
      }
    case .fixedList(let count):
      // Of other lists nothing is a feature, and their length has no bound.
      guard let child = field.children.first, child.dictionary == nil,
        let number = ArrowNumber(child.type), !number.isInteger
      else { return leftOut.append(name) }
      let elements = (0..<count).map { "\(name)[\($0)]" }
      let chosen = elements.filter { features[Name($0)] != nil }
      if chosen.count < count { leftOut.append(name) }
      for element in chosen {
        if let feature = features[Name(element)] { add(element, .feature(feature)) }
      }
    default: addScalar(field, name, parents)
    }
  }

  /// Adds a column of values that have an obvious text. Columns that share a dictionary have one type of values.
  private mutating func addScalar(_ field: ArrowField, _ name: String, _ parents: [ArrowPlace]) {
    guard let kind = field.type.scalarKind else { return leftOut.append(name) }
    if let id = field.dictionary?.id {
      guard dictionaries[id] ?? field.type == field.type else { return leftOut.append(name) }
      dictionaries[id] = field.type
    }
    indices.append(sources.count)
    columns.append(ScalarColumn(name, kind))
    sources.append(
      ArrowScalarColumn(
        name: name, type: field.type, dictionary: field.dictionary, place: field.place,
        parents: parents))
  }

  private mutating func add(_ name: String, _ kind: ScalarColumn.Kind) {
    indices.append(-1)
    columns.append(ScalarColumn(name, kind))
  }

  /// Tells the columns that are left out; nil if there are none.
  var warning: String? {
    guard !leftOut.isEmpty else { return nil }
    return "columns that have no text are left out: " + listed(leftOut, atMost: 20)
  }

  func forEachRecord(
    of block: RecordBlock,
    _ visit: (_ record: Int, _ spell: (_ column: Int, _ output: ByteBuffer) -> Bool) -> Void
  ) {
    guard let rows = block.payload as? ArrowRows else { return }
    for slice in rows.slices(of: block.selectedRecords) {
      let scalars = slice.batch.scalars
      for row in slice.rows {
        visit(slice.record + row - slice.rows.lowerBound) { column, output in
          scalars[indices[column]].spell(row, to: output)
        }
      }
    }
  }
}

extension ArrowType {
  /// How a text spells a value; nil if it has no obvious text.
  fileprivate var scalarKind: ScalarColumn.Kind? {
    switch self {
    case .integer, .bool: .literal
    case .float: .float
    case .decimal(_, let scale, let bits):
      [32, 64, 128, 256].contains(bits) && abs(scale) <= 76 ? .literal : nil
    case .time(_, let bits): bits == 32 || bits == 64 ? .text : nil
    case .utf8, .largeUtf8, .utf8View, .date, .timestamp: .text
    default: nil
    }
  }
}

/// The rows of record batches that belong to the records of a block, for an output of text.
///
/// Invariant: each record of the block has a row, in order. So offsets count records.
struct ArrowRows: Payload {
  private var slices: [ArrowPayload.Slice] = []
  private(set) var byteCount = 0

  var end: PayloadOffset {
    PayloadOffset(bytes: byteCount, items: slices.last.map { $0.record + $0.rows.count } ?? 0)
  }

  /// The rows of some records, in slices that have no others.
  func slices(of records: Range<Int>) -> [ArrowPayload.Slice] {
    slices.compactMap { slice in
      let range = slice.record..<slice.record + slice.rows.count
      guard range.overlaps(records) else { return nil }
      let kept = range.clamped(to: records)
      var part = slice
      part.record = kept.lowerBound
      let first = slice.rows.lowerBound - slice.record
      part.rows = kept.lowerBound + first..<kept.upperBound + first
      return part
    }
  }

  /// Appends the rows of messages that were decoded.
  mutating func append(_ messages: ArrowPayload) {
    for case .slice(let slice) in messages.items where !slice.rows.isEmpty { append(slice) }
  }

  private mutating func append(_ slice: ArrowPayload.Slice) {
    slices.append(slice)
    byteCount += Self.byteCount(of: slice)
  }

  /// The same for each row of a record batch, so that the bytes of any rows add up.
  private static func byteCount(of slice: ArrowPayload.Slice) -> Int {
    slice.batch.byteCount / max(1, slice.batch.layout.records) * slice.rows.count
  }

  private func byteCount(of records: Range<Int>) -> Int {
    slices(of: records).reduce(0) { $0 + Self.byteCount(of: $1) }
  }

  mutating func append(_ other: any Payload, _ part: Range<BlockOffset>, _ move: RecordMove) {
    guard let other = other as? ArrowRows else { preconditionFailure("a payload of another type") }
    for var slice in other.slices(of: part.lowerBound.records..<part.upperBound.records) {
      slice.record += move.newRecord - move.oldRecord
      append(slice)
    }
  }

  mutating func truncate(to end: PayloadOffset) {
    slices = slices(of: 0..<end.items)
    byteCount = end.bytes
  }

  mutating func removeAll() {
    slices.removeAll(keepingCapacity: true)
    byteCount = 0
  }

  mutating func reserve(_ end: PayloadOffset) {}

  /// The part of one record, so that it can be taken out. A row has no bytes of its own.
  func part(of record: Int) -> RecordPart {
    let before = byteCount(of: 0..<record)
    let start = PayloadOffset(bytes: before, items: record)
    let end = PayloadOffset(
      bytes: before + byteCount(of: record..<record + 1), items: record + 1)
    return RecordPart(record: record, payload: start..<end, bytes: [])
  }
}
