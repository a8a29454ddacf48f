import Testing

@testable import Codecs
@testable import Records

struct ArrowMetadataTests {
  private func parts(_ name: String = "pyarrow-none.arrows") throws -> [ArrowPart] {
    try arrowParts(ArrowGolden.bytes(name))
  }

  @Test func `integer features become floats of their width, and nothing else changes`() throws {
    let metadata = try #require(parts().first).metadata
    let schema = try arrowSchema(metadata)
    let features = try arrowFeatures(["n32", "n64", "x"], of: schema)
    let changed = try arrowSchema(ArrowMetadata.withFloats(metadata, for: features))
    for (before, after) in zip(schema.fields, changed.fields) {
      switch before.name {
      case "n32": #expect(after.type == .float(bits: 32))
      case "n64": #expect(after.type == .float(bits: 64))
      default: #expect(after == before)
      }
    }
    #expect(
      try ArrowMetadata.withFloats(metadata, for: arrowFeatures(["x"], of: schema)) == metadata)
  }

  @Test func `the metadata of pandas tells floats for integer features, byte for byte else`() {
    let before = #"""
      {"columns": [ {"name": "n", "field_name": "n", "pandas_type": "int64", "numpy_type": "Int64", "metadata": null},
      {"name":"m\u00e9","pandas_type":"int32","numpy_type":"int32[pyarrow]"}, {"name": "k", "pandas_type": "int64"},
      {"field_name": "int64", "pandas_type": "int64", "numpy_type": "category"}], "x": {"pandas_type": "int64"}}
      """#
    let after = #"""
      {"columns": [ {"name": "n", "field_name": "n", "pandas_type": "float64", "numpy_type": "Float64", "metadata": null},
      {"name":"m\u00e9","pandas_type":"float32","numpy_type":"float[pyarrow]"}, {"name": "k", "pandas_type": "int64"},
      {"field_name": "int64", "pandas_type": "float64", "numpy_type": "category"}], "x": {"pandas_type": "int64"}}
      """#
    func patched(_ json: String) -> String {
      String(
        decoding: PandasMetadata.withFloats(Array(json.utf8), of: ["n", "mé", "int64"]),
        as: UTF8.self)
    }
    #expect(patched(before) == after)
    for broken in ["", "{", #"{"columns": [{"name": "n", "pandas_type": "int64"#, "[1]", "columns"]
    {
      #expect(patched(broken) == broken)
    }
  }

  @Test(arguments: ArrowGolden.files)
  func `the footer of a file names its messages, and its schema makes a message`(
    name: String
  ) throws {
    let file = try ArrowGolden.bytes(name)
    let footer = try arrowFooter(file)
    let schema = try arrowSchema(footer.schemaMessage)
    let features = try arrowFeatures(["x", "y"], of: schema)
    var records = 0
    for message in footer.messages {
      let block = message.block
      let part = try #require(arrowParts(Array(file[block.offset..<block.end])).first)
      #expect(part.frame.headBytes == block.headBytes)
      #expect(part.frame.bodyBytes == block.bodyBytes)
      #expect(part.kind == (message.isBatch ? .recordBatch : .dictionaryBatch))
      if message.isBatch { records += try arrowLayout(part.metadata, schema, features).records }
    }
    #expect(records == ArrowGolden.records)
  }

  @Test func `a footer around the schema of a stream reads back`() throws {
    let metadata = try #require(parts().first).metadata
    let dictionaries = [ArrowBlock(offset: 8, headBytes: 16, bodyBytes: 24)]
    let batches = [
      ArrowBlock(offset: 48, headBytes: 8, bodyBytes: 0),
      ArrowBlock(offset: 56, headBytes: 64, bodyBytes: 8),
    ]
    let bytes = try ArrowMetadata.footer(
      around: metadata, dictionaries: dictionaries, batches: batches)
    let footer = try ArrowFooter(bytes, start: 128)
    #expect(
      footer.messages == [
        .init(block: dictionaries[0], isBatch: false), .init(block: batches[0], isBatch: true),
        .init(block: batches[1], isBatch: true),
      ])
    #expect(try arrowSchema(footer.schemaMessage) == arrowSchema(metadata))
  }

  @Test func `a footer whose messages overlap, go back or leave the file is refused`() throws {
    let metadata = try #require(parts().first).metadata
    func footer(_ dictionaries: [ArrowBlock], _ batches: [ArrowBlock]) throws(RecordFault) {
      let bytes = try ArrowMetadata.footer(
        around: metadata, dictionaries: dictionaries, batches: batches)
      _ = try ArrowFooter(bytes, start: 128)
    }
    let first = ArrowBlock(offset: 8, headBytes: 16, bodyBytes: 24)
    let second = ArrowBlock(offset: 48, headBytes: 16, bodyBytes: 24)
    try footer([first], [second])
    #expect(throws: RecordFault.self) { try footer([], [second, first]) }
    #expect(throws: RecordFault.self) { try footer([first], [first]) }
    #expect(throws: RecordFault.self) {
      try footer([first], [ArrowBlock(offset: 47, headBytes: 16, bodyBytes: 8)])
    }
    #expect(throws: RecordFault.self) {
      try footer([], [ArrowBlock(offset: 96, headBytes: 16, bodyBytes: 24)])
    }
    #expect(throws: RecordFault.self) {
      try footer([], [ArrowBlock(offset: .max - 7, headBytes: 16, bodyBytes: 24)])
    }
    #expect(throws: RecordFault.self) {
      try footer([], [ArrowBlock(offset: -8, headBytes: 16, bodyBytes: 24)])
    }
  }

  @Test func `custom metadata is added to what there is`() throws {
    let batch = try #require(parts().first { $0.kind == .recordBatch })
    let added = try ArrowMetadata.adding(
      [("evenkeel", #"{"first_row":0}"#), ("é", "")], to: batch.metadata)
    #expect(try pairs(batch.metadata) == ["number=0"])
    #expect(try pairs(added) == ["number=0", #"evenkeel={"first_row":0}"#, "é="])
    let schema = try arrowSchema(#require(parts().first).metadata)
    let features = try arrowFeatures(["x", "s.a"], of: schema)
    let before = try arrowLayout(batch.metadata, schema, features)
    let after = try arrowLayout(added, schema, features)
    #expect(after.columns.map(\.values) == before.columns.map(\.values))
    #expect(after.bodyBytes == before.bodyBytes)
    #expect(added.count % 8 == 0)
  }

  private func pairs(_ metadata: [UInt8]) throws(RecordFault) -> [String] {
    try FlatBytes.read(metadata) { bytes throws(RecordFault) in
      let vector = try ArrowMessage(bytes, bodyLimit: .max).table.vector(4, stride: 4)
      var pairs: [String] = []
      for index in 0..<(vector?.count ?? 0) {
        guard let pair = try vector?.table(index) else { continue }
        let (key, value) = (try pair.string(0, limit: 100), try pair.string(1, limit: 100))
        pairs.append("\(key ?? "")=\(value ?? "")")
      }
      return pairs
    }
  }

  @Test func `metadata is framed with its length, in multiples of 8`() throws {
    #expect(
      ArrowMetadata.framed([1, 2, 3]) == [255, 255, 255, 255, 8, 0, 0, 0, 1, 2, 3, 0, 0, 0, 0, 0])
    #expect(ArrowMetadata.framed(Array(repeating: 7, count: 8)).count == 16)
  }
}

/// The footer of a file.
func arrowFooter(_ file: [UInt8]) throws(RecordFault) -> ArrowFooter {
  let length = try FlatBytes.read(Array(file.suffix(ArrowFooter.tailBytes))) {
    tail throws(RecordFault) in
    try ArrowFooter.length(fromTail: tail, fileBytes: file.count)
  }
  let start = file.count - ArrowFooter.tailBytes - length
  return try ArrowFooter(Array(file[start..<start + length]), start: start)
}
