internal import Records

/// The fields of an Arrow stream, with the positions of their nodes and buffers in a record batch.
///
/// Two schemas are equal if record batches of one may follow those of the other. The comparison includes names,
/// types, order and dictionaries, but not custom metadata.
struct ArrowSchema: Equatable, Sendable {
  /// The top-level fields, in order.
  private(set) var fields: [ArrowField] = []
  /// The number of nodes of a record batch: one for each field, but none for the children of a dictionary-encoded
  /// field.
  private(set) var nodeCount = 0
  /// The number of buffers of a record batch, without the variadic buffers of views.
  private(set) var bufferCount = 0
  /// The number of view columns. Each has variadic buffers; the record batch tells how many.
  private(set) var viewCount = 0

  /// A schema of top-level fields, without any by default.
  init(fields: [ArrowField] = []) { self.fields = fields }

  /// The schema of the values of a dictionary: one column of a type without children.
  init(valuesOf type: ArrowType) {
    nodeCount = 1
    bufferCount = type.bufferCount(hasUnionValidity: false)
    viewCount = type.isView ? 1 : 0
  }

  /// - Parameters:
  ///   - table: a `Schema` table.
  ///   - hasUnionValidity: whether the metadata is older than format 1.0.
  init(
    _ table: FlatTable, hasUnionValidity: Bool, limits: DecoderLimits
  ) throws(RecordFault) {
    guard try table.integer(0, absent: Int16(0)) == 0 else {
      throw RecordFault(expected: "an Arrow schema of little-endian values", found: "big-endian")
    }
    var walk = Walk(hasUnionValidity: hasUnionValidity, limits: limits)
    fields = try walk.fields(table, 1, depth: 1)
    (nodeCount, bufferCount, viewCount) = (walk.nodes, walk.buffers, walk.views)
  }
}

/// A field of a schema.
struct ArrowField: Equatable, Sendable {
  var name: String
  var isNullable: Bool
  /// The type of the values. For a dictionary-encoded field, that of its dictionary.
  var type: ArrowType
  /// Nil if the record batch contains the values themselves.
  var dictionary: ArrowDictionary?
  var place: ArrowPlace
  var children: [ArrowField] = []
}

/// The dictionary of a field whose values are indices.
struct ArrowDictionary: Equatable, Sendable {
  var id: Int64
  var indexType: ArrowType
}

/// The position of a field in record batches.
struct ArrowPlace: Equatable, Sendable {
  var node: Int
  /// The index of its first buffer, not counting the variadic buffers of views before it.
  var buffer: Int
  /// The number of view columns before it.
  var views: Int
}

/// Walks fields in the order of their nodes and buffers.
private struct Walk {
  static let depthLimit = 64

  let hasUnionValidity: Bool
  let limits: DecoderLimits
  var nodes = 0
  var buffers = 0
  var views = 0
  /// The number of fields read. A field that several tables share counts each time.
  var visited = 0
  /// Whether a parent field is dictionary-encoded. Its children are in the dictionary.
  var isInDictionary = false

  mutating func fields(
    _ parent: FlatTable, _ number: Int, depth: Int
  ) throws(RecordFault) -> [ArrowField] {
    guard let vector = try parent.vector(number, stride: 4), vector.count > 0 else { return [] }
    guard depth <= Self.depthLimit else {
      throw RecordFault(
        expected: "an Arrow schema of at most \(Self.depthLimit) levels", found: "more")
    }
    guard vector.count <= limits.fields - visited else {
      throw RecordFault(
        expected: "an Arrow schema of at most \(limits.fields) fields", found: "more")
    }
    var fields: [ArrowField] = []
    for index in 0..<vector.count {
      fields.append(try field(try vector.table(index), depth: depth))
    }
    return fields
  }

  private mutating func field(_ table: FlatTable, depth: Int) throws(RecordFault) -> ArrowField {
    visited += 1
    guard visited <= limits.fields else {
      throw RecordFault(
        expected: "an Arrow schema of at most \(limits.fields) fields", found: "more")
    }
    let name = try table.string(0, limit: limits.recordBytes) ?? ""
    let isNullable = try table.integer(1, absent: UInt8(0)) != 0
    let type = try ArrowType(ofField: table, nameLimit: limits.recordBytes)
    var dictionary: ArrowDictionary?
    if let encoding = try table.table(4) {
      var indexType = ArrowType.integer(bits: 32, isSigned: true)
      if let index = try encoding.table(1) { indexType = try ArrowType.integer(index) }
      dictionary = ArrowDictionary(
        id: try encoding.integer(0, absent: 0), indexType: indexType)
    }
    let place = ArrowPlace(node: nodes, buffer: buffers, views: views)
    let wasInDictionary = isInDictionary
    if !isInDictionary {
      nodes += 1
      buffers += dictionary == nil ? type.bufferCount(hasUnionValidity: hasUnionValidity) : 2
      if dictionary == nil, type.isView { views += 1 }
      isInDictionary = dictionary != nil
    }
    let children = try fields(table, 5, depth: depth + 1)
    isInDictionary = wasInDictionary
    return ArrowField(
      name: name, isNullable: isNullable, type: type, dictionary: dictionary, place: place,
      children: children)
  }
}

extension ArrowSchema {
  /// The table of a field in the flatbuffer of a schema. `path` has the indices that lead to it.
  static func table(
    at path: [Int], ofSchema schema: FlatTable
  ) throws(RecordFault) -> FlatTable {
    var (table, number) = (schema, 1)
    for index in path {
      guard let fields = try table.vector(number, stride: 4), index < fields.count else {
        throw RecordFault(expected: "the Arrow schema that was read", found: "fewer fields")
      }
      (table, number) = (try fields.table(index), 5)
    }
    return table
  }
}
