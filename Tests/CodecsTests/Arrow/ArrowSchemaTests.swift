import Testing

@testable import Codecs
@testable import Records

struct ArrowSchemaTests {
  private func schema(_ name: String) throws -> ArrowSchema {
    try arrowSchema(#require(arrowParts(ArrowGolden.bytes(name)).first).metadata)
  }

  @Test func `a schema of 27 types has their names, types and places`() throws {
    let schema = try schema("pyarrow-none.arrows")
    #expect(schema.fields.count == 27)
    let fields = Dictionary(uniqueKeysWithValues: schema.fields.map { ($0.name, $0) })
    let expected: [(String, ArrowType)] = [
      ("x", .float(bits: 32)), ("half", .float(bits: 16)), ("y", .float(bits: 64)),
      ("e", .fixedList(count: 3)), ("n32", .integer(bits: 32, isSigned: true)),
      ("n64", .integer(bits: 64, isSigned: true)), ("tiny", .integer(bits: 8, isSigned: true)),
      ("flag", .bool), ("text", .utf8), ("large", .largeUtf8), ("text_view", .utf8View),
      ("binary_view", .binaryView), ("price", .decimal(precision: 12, scale: 2, bits: 128)),
      ("time", .timestamp(.microseconds, zone: "Europe/Berlin")), ("list", .list),
      ("s", .structure), ("map", .map), ("null", .null), ("list_view", .listView),
      ("runs", .runEndEncoded), ("union", .union(isDense: true)),
      ("duration", .duration(.microseconds)), ("fixed", .fixedBinary(byteCount: 5)),
      ("colour", .utf8), ("size", .utf8),
    ]
    for (name, type) in expected { #expect(fields[name]?.type == type, "\(name)") }
    #expect(fields["colour"]?.dictionary?.indexType == .integer(bits: 8, isSigned: true))
    #expect(fields["size"]?.dictionary?.id == 1)
    #expect(fields["text"]?.dictionary == nil)
    // Nodes: each field once, and children of e, list, s (2), map (3), list_view, runs (2), union (2).
    #expect(schema.nodeCount == 27 + 12)
    #expect(schema.viewCount == 2)
    #expect(fields["plain"]?.place.views == 2)
  }

  @Test(arguments: ArrowGolden.streams)
  func `every record batch of a stream has the nodes and buffers of its schema`(
    name: String
  ) throws {
    let parts = try arrowParts(ArrowGolden.bytes(name))
    let schema = try arrowSchema(#require(parts.first).metadata)
    let features = try arrowFeatures(["x", "y"], of: schema)
    var records = 0
    for part in parts where part.kind == .recordBatch {
      records += try arrowLayout(part.metadata, schema, features).records
    }
    #expect(records == ArrowGolden.records)
  }

  @Test func `floats are features, of lists and structs too, and nothing else`() throws {
    let features = try arrowFeatures([], of: schema("pyarrow-none.arrows"))
    #expect(
      features.schema.names == ["x", "y", "e[0]", "e[1]", "e[2]", "plain", "s.a", "last"])
    #expect(!features.fitsFloat)
    let list = try #require(features.columns.first { $0.valuesPerRecord == 3 })
    #expect(list.elements == [0, 1, 2])
    #expect(list.features == [2, 3, 4])
    #expect(list.parents.count == 1)
  }

  @Test func `features are chosen by name, and integers by their name alone`() throws {
    let schema = try schema("pyarrow-none.arrows")
    let features = try arrowFeatures(["n64", "e[2]", "x", "e[0]", "s.*"], of: schema)
    #expect(features.schema.names == ["n64", "e[2]", "x", "e[0]", "s.a"])
    #expect(features.columns.map(\.number) == [.int64, .float32, .float32, .float64])
    #expect(features.columns[1].elements == [2, 0])
    #expect(features.columns[1].features == [1, 3])
    #expect(try arrowFeatures(["x", "e[*]"], of: schema).fitsFloat)
  }

  private func field(_ name: String, _ children: [ArrowField] = []) -> ArrowField {
    ArrowField(
      name: name, isNullable: true, type: children.isEmpty ? .float(bits: 32) : .structure,
      dictionary: nil, place: ArrowPlace(node: 0, buffer: 0, views: 0), children: children)
  }

  @Test func `names with dots stay different, and each can be chosen`() throws {
    let schema = ArrowSchema(fields: [
      field("s", [field("a.b"), field("a", [field("b"), field("c[0]")])]),
      field("t.u", [field("\\v")]), field("s.a.b"), field("engine.rpm"),
    ])
    let names = [
      "s.a\\.b", "s.a.b", "s.a.c\\[0]", "t\\.u.\\\\v", "s\\.a\\.b", "engine.rpm",
    ]
    #expect(try arrowFeatures([], of: schema).schema.names == names)
    let paths = [[0, 0], [0, 1, 0], [0, 1, 1], [1, 0], [2], [3]]
    for (name, path) in zip(names, paths) {
      let features = try arrowFeatures([name], of: schema)
      #expect(features.columns.map(\.path) == [path])
      let scalars = ArrowScalars(schema, features.schema)
      #expect(scalars.columns.map(\.name) == names)
    }
  }

  @Test func `a number of another type is refused with what to do`() throws {
    let schema = try schema("pyarrow-none.arrows")
    #expect(
      throws: RecordFault(
        expected: "features of type Float32, Float64, Int32 or Int64",
        found: "'half' of type Float16: cast it before it is written")
    ) { try arrowFeatures(["half"], of: schema) }
    #expect(
      throws: RecordFault(
        expected: "a column that 'plan' matches",
        found: "none among 'x', 'y', 'e[0]', 'e[1]', 'e[2]', 'n32', 'n64', 'plain', 's.a', 'last'; "
          + "did you mean 'plain'?")
    ) { try arrowFeatures(["plan"], of: schema) }
  }

  @Test(arguments: [
    ("colour", "Dictionary(Utf8)"), ("flag", "Bool"), ("binary_view", "BinaryView"),
    ("fixed", "FixedSizeBinary(5)"), ("list", "List"), ("time", "Timestamp"),
    ("col*", "Dictionary(Utf8)"),
  ])
  func `a column of a type that cannot be a feature is refused by its type`(
    pattern: String, type: String
  ) throws {
    let schema = try schema("pyarrow-none.arrows")
    let error = #expect(throws: RecordFault.self) { try arrowFeatures([pattern], of: schema) }
    let name = pattern == "col*" ? "colour" : pattern
    #expect(error?.expected == "features of type Float32, Float64, Int32 or Int64")
    #expect(error?.found.hasPrefix("'\(name)' of type \(type)") == true, "\(error?.found ?? "")")
  }

  @Test func `schemas differ by names and types, not by metadata`() throws {
    let plain = try schema("pyarrow-none.arrows")
    #expect(try plain == schema("pyarrow-zstd.arrows"))
    #expect(try plain != schema("pyarrow-legacy.arrows"))
    let metadata = try #require(arrowParts(ArrowGolden.bytes("pyarrow-none.arrows")).first)
      .metadata
    let added = try ArrowMetadata.adding([("k", "v")], to: metadata)
    #expect(try plain == arrowSchema(added))
  }

  @Test func `a big-endian schema is refused`() throws {
    let parts = try arrowParts(ArrowGolden.bytes("pyarrow-none.arrows"))
    let metadata = try #require(parts.first).metadata
    // `endianness` is absent where it is little: a table that names it is put in front.
    var writer = FlatWriter()
    writer.append(UInt32(0))
    let message = writer.appendTable([8, 10, 4], tableBytes: 12)
    writer.setOffset(at: 0, to: message)
    writer.set(Int16(4), at: message + 8)
    writer.set(UInt8(1), at: message + 10)
    let schema = writer.appendTable([4], tableBytes: 8)
    writer.setOffset(at: message + 4, to: schema)
    writer.set(Int16(1), at: schema + 4)
    #expect(
      throws: RecordFault(
        expected: "an Arrow schema of little-endian values", found: "big-endian")
    ) { try arrowSchema(writer.bytes) }
    #expect(try arrowSchema(metadata).fields.count == 27)
  }

  @Test func `more fields or levels than the limits are refused`() throws {
    let parts = try arrowParts(ArrowGolden.bytes("pyarrow-none.arrows"))
    let metadata = try #require(parts.first).metadata
    var limits = DecoderLimits()
    limits.fields = 39
    #expect(try arrowSchema(metadata, limits: limits).fields.count == 27)
    limits.fields = 38
    #expect(
      throws: RecordFault(expected: "an Arrow schema of at most 38 fields", found: "more")
    ) { try arrowSchema(metadata, limits: limits) }
  }

  /// A schema whose one field is a struct of a struct, and so on, and whose last refers to no child.
  private func nested(_ levels: Int) -> [UInt8] {
    var writer = FlatWriter()
    writer.append(UInt32(0))
    let message = writer.appendTable([8, 10, 4], tableBytes: 12)
    writer.setOffset(at: 0, to: message)
    writer.set(Int16(4), at: message + 8)
    writer.set(UInt8(1), at: message + 10)
    var parent = writer.appendTable([0, 4], tableBytes: 8)
    writer.setOffset(at: message + 4, to: parent)
    var slot = parent + 4
    for _ in 0..<levels {
      writer.pad(to: 4)
      writer.setOffset(at: slot, to: writer.count)
      // Twice the same child, so that a walk of all would not end.
      let vector = writer.count
      for number in [UInt32(2), 0, 0] { writer.append(number) }
      parent = writer.appendTable([0, 0, 12, 4, 0, 8], tableBytes: 16)
      writer.setOffset(at: vector + 4, to: parent)
      writer.setOffset(at: vector + 8, to: parent)
      writer.set(UInt8(13), at: parent + 12)
      let type = writer.appendTable([], tableBytes: 4)
      writer.setOffset(at: parent + 4, to: type)
      slot = parent + 8
    }
    writer.pad(to: 4)
    writer.setOffset(at: slot, to: writer.count)
    writer.append(UInt32(0))
    return writer.bytes
  }

  @Test func `shared tables count as often as they are visited`() throws {
    #expect(try arrowSchema(nested(3)).nodeCount == 14)
    #expect(
      throws: RecordFault(expected: "an Arrow schema of at most 100000 fields", found: "more")
    ) { try arrowSchema(nested(40)) }
    #expect(
      throws: RecordFault(expected: "an Arrow schema of at most 64 levels", found: "more")
    ) { try arrowSchema(nested(65)) }
  }
}
