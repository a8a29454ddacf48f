import Records
import Testing

@testable import Codecs

/// Arrow streams through decoder and encoder.
struct ArrowStreamTests {
  /// Streams whose buffers are not compressed, and whose prefixes have the modern form.
  static let plain = [
    "pyarrow-none.arrows", "pyarrow-deltas.arrows", "pandas.arrows", "duckdb.arrows",
  ]

  private func reading(
    _ name: String, features: [String] = ["x", "y"], batchSize: Int = 5, chunk: Int = .max,
    _ set: (inout DecoderOptions) -> Void = { _ in }
  ) throws -> FormatReading {
    var options = DecoderOptions()
    options.features = features.map { FeaturePattern($0) }
    set(&options)
    return try FormatReading(
      .arrow, try ArrowGolden.bytes(name), options, batchSize: batchSize, chunk: chunk)
  }

  /// The stream that the encoder writes, with its end.
  private func written(
    _ reading: FormatReading, _ change: (Double) -> Double = { $0 }
  ) throws -> [UInt8] {
    let options = try reading.encoderOptions(.float32)
    let end = try RecordFormat.arrow.makeEncoder(options).epilogue?.bytes ?? []
    return try reading.encoded(.arrow, options, change) + end
  }

  private func read(_ stream: [UInt8], features: [String] = ["x", "y"]) throws -> FormatReading {
    var options = DecoderOptions()
    options.features = features.map { FeaturePattern($0) }
    let reading = try FormatReading(.arrow, stream, options, batchSize: 100)
    try #require(reading.outcome.failure == nil)
    return reading
  }

  @Test(arguments: ArrowGolden.streams)
  func `the features of every writer's stream are read, in chunks of any size`(name: String) throws
  {
    for (batchSize, chunk) in [(5, Int.max), (24, 1000), (7, 61), (100, 4096)] {
      let reading = try reading(name, batchSize: batchSize, chunk: chunk)
      #expect(reading.outcome.failure == nil && reading.outcome.recordCount == ArrowGolden.records)
      guard !name.hasPrefix("pandas") && !name.hasPrefix("duckdb") else { continue }
      let expected = (0..<ArrowGolden.records).map { [ArrowGolden.x($0), ArrowGolden.y($0)] }
      #expect(reading.rows == expected)
    }
  }

  @Test(arguments: plain)
  func `an unchanged stream is written byte for byte`(name: String) throws {
    #expect(try written(reading(name)) == ArrowGolden.bytes(name))
    #expect(try written(reading(name, batchSize: 24)) == ArrowGolden.bytes(name))
  }

  @Test(arguments: plain)
  func `only the values of features change in a plain stream`(name: String) throws {
    let old = try arrowParts(ArrowGolden.bytes(name))
    let new = try arrowParts(written(reading(name)) { $0 * 2 + 1 })
    #expect(old.map(\.metadata) == new.map(\.metadata))
    let schema = try arrowSchema(old[0].metadata)
    let features = try arrowFeatures(["x", "y"], of: schema)
    for (old, new) in zip(old, new) {
      guard old.kind == .recordBatch else {
        #expect(old.body == new.body)
        continue
      }
      let layout = try arrowLayout(old.metadata, schema, features)
      var (kept, found) = (old.body, new.body)
      for column in layout.columns {
        #expect(kept[column.values] != found[column.values])
        kept.replaceSubrange(column.values, with: repeatElement(0, count: column.values.count))
        found.replaceSubrange(column.values, with: repeatElement(0, count: column.values.count))
      }
      #expect(kept == found)
    }
  }

  @Test(arguments: [
    "pyarrow-zstd.arrows", "pyarrow-lz4.arrows", "polars-newest-lz4.arrows",
    "pyarrow-legacy.arrows",
  ])
  func `a compressed or old stream keeps its other buffers`(name: String) throws {
    let before = try reading(name)
    let stream = try written(before) { $0 * 2 + 1 }
    let after = try read(stream)
    let doubled = before.rows.map { $0.map { $0.map { $0 * 2 + 1 } } }
    #expect(after.rows == doubled)
    let (old, new) = (try arrowParts(ArrowGolden.bytes(name)), try arrowParts(stream))
    let schema = try arrowSchema(old[0].metadata)
    let features = try arrowFeatures(["x", "y"], of: schema)
    for (old, new) in zip(old, new) where old.kind == .recordBatch {
      let layouts = try [old, new].map { try arrowLayout($0.metadata, schema, features) }
      #expect(layouts[0].compression == layouts[1].compression)
      let changed = Set(layouts[0].columns.map(\.valuesIndex))
      for index in 0..<layouts[0].bufferCount where !changed.contains(index) {
        #expect(buffer(index, of: old, layouts[0]) == buffer(index, of: new, layouts[1]))
      }
    }
  }

  private func buffer(
    _ index: Int, of part: ArrowPart, _ layout: ArrowBatchLayout
  ) -> ArraySlice<UInt8> {
    let place = layout.buffersPlace + index * ArrowBatchLayout.structBytes
    let writer = FlatWriter(part.metadata)
    return part.body[writer.integer(at: place)...].prefix(writer.integer(at: place + 8))
  }

  @Test(arguments: ["pyarrow-none.arrows", "pyarrow-lz4.arrows", "pyarrow-zstd.arrows"])
  func `values in the place of nulls make them valid`(name: String) throws {
    let stream = try written(reading(name)) { $0.isNaN ? 42 : $0 }
    let schema = try arrowSchema(try arrowParts(stream)[0].metadata)
    let features = try arrowFeatures(["x", "y"], of: schema)
    for part in try arrowParts(stream) where part.kind == .recordBatch {
      #expect(
        try arrowLayout(part.metadata, schema, features).columns.allSatisfy { $0.nullCount == 0 })
      let nullCounts = arrowNullCounts(part, try arrowLayout(part.metadata, schema, features))
      #expect(nullCounts == [0, 0])
    }
    let expected = (0..<ArrowGolden.records).map {
      [ArrowGolden.x($0) ?? 42, ArrowGolden.y($0) ?? 42]
    }
    #expect(try read(stream).rows == expected)
  }

  @Test(arguments: ["pyarrow-none.arrows", "pyarrow-lz4.arrows"])
  func `lists, children of structs and integers are features`(name: String) throws {
    let names = ["e[*]", "s.a", "n32", "n64"]
    let before = try reading(name, features: names)
    #expect(before.names == ["e[0]", "e[1]", "e[2]", "s.a", "n32", "n64"])
    #expect(before.rows[0] == [0, 0.5, 1, -7, 0, 0])
    #expect(before.rows[6][3] == nil && before.rows[3][4] == nil)
    #expect(before.rows[7][5] == -7000)
    let stream = try written(before) { $0 / 2 }
    let schema = try arrowSchema(try arrowParts(stream)[0].metadata)
    #expect(schema.fields.first { $0.name == "n32" }?.type == .float(bits: 32))
    #expect(schema.fields.first { $0.name == "n64" }?.type == .float(bits: 64))
    let halves = before.rows.map { $0.map { $0.map { $0 / 2 } } }
    #expect(try read(stream, features: names).rows == halves)
  }

  @Test(arguments: ["pyarrow-none.arrows", "pyarrow-zstd.arrows"])
  func `a bad record stays, without its features`(name: String) throws {
    let before = try reading(name, features: ["x", "plain"]) { $0.onMissing = .reject }
    let bad = (0..<ArrowGolden.records).filter { ArrowGolden.x($0) == nil }
    #expect(before.outcome.rejections.map(\.record) == bad.map { $0 + 1 })
    #expect(before.faults.first == "expected a value of feature 'x', found null")
    let after = try read(written(before), features: ["x", "plain", "last"])
    #expect(after.rows.count == ArrowGolden.records)
    for (index, row) in after.rows.enumerated() {
      #expect(row[0] == ArrowGolden.x(index))
      #expect((row[1] == nil) == bad.contains(index))
      // A column that is no feature.
      #expect((row[2] == nil) == (index % 3 == 2))
    }
  }

  @Test func `infinities are bad, or missing on request`() throws {
    let infinite = try written(reading("pyarrow-none.arrows")) { $0 == -7 ? .infinity : $0 }
    let strict = try read(infinite)
    #expect(strict.faults.first == "expected a finite number in feature 'x', found inf")
    #expect(strict.rows[0] == [nil, nil])
    var options = DecoderOptions()
    options.features = [FeaturePattern("x"), FeaturePattern("y")]
    options.onInvalid = .missing
    let lax = try FormatReading(.arrow, infinite, options, batchSize: 9)
    #expect(lax.faults.isEmpty && lax.rows[0] == [nil, nil] && lax.rows[1] == [2.25, -34.75])
    #expect(try written(lax) == infinite)
  }

  @Test func `a bad record is left out of another format`() throws {
    let kept = try reading("pyarrow-none.arrows") {
      $0.keepsFormat = false
      $0.onMissing = .reject
    }
    let good = (0..<ArrowGolden.records).filter {
      ArrowGolden.x($0) != nil && ArrowGolden.y($0) != nil
    }
    #expect(kept.rows == good.map { [ArrowGolden.x($0), ArrowGolden.y($0)] })
    #expect(kept.outcome.recordCount == ArrowGolden.records)
  }

  @Test func `the features are the floats of the schema, and the others are told`() throws {
    let found = try reading("duckdb.arrows", features: [])
    #expect(found.names == ["x", "y", "s.a"])
    let choice = try #require(found.outcome.opening?.choice)
    #expect(choice.leftOut.map(\.name) == ["id", "pair", "s.b", "price", "at", "even"])
    let fewer = try reading("duckdb.arrows", features: []) { $0.exclude = [FeaturePattern("s.*")] }
    #expect(fewer.names == ["x", "y"])
    #expect(
      fewer.outcome.opening?.choice?.leftOut.filter { $0.reason == .excluded }.map(\.name)
        == ["s.a", "s.b"])
    let typo = try reading("duckdb.arrows", features: []) { $0.exclude = [FeaturePattern("idd")] }
    let fault = try #require(typo.outcome.openingFault?.description)
    #expect(fault.hasPrefix("expected a column that 'idd' matches, found none"))
    #expect(fault.hasSuffix("did you mean 'id'?"))
  }

  @Test func `a stream that ends within a message is refused at every byte`() throws {
    let stream = try ArrowGolden.bytes("pyarrow-deltas.arrows")
    let ends = try arrowParts(stream).reduce(into: [0]) {
      $0.append($0[$0.count - 1] + $1.frame.byteCount)
    }
    for count in 0..<stream.count - ArrowEncoder.endMark.count {
      var options = DecoderOptions()
      options.features = [FeaturePattern("x")]
      let reading = try FormatReading(.arrow, Array(stream[..<count]), options, batchSize: 100)
      let isFault = reading.outcome.openingFault != nil || reading.outcome.failure != nil
      #expect(isFault == !ends.dropFirst().contains(count), "\(count)")
    }
  }
}

/// The null counts of the features' nodes.
private func arrowNullCounts(_ part: ArrowPart, _ layout: ArrowBatchLayout) -> [Int] {
  layout.columns.map { FlatWriter(part.metadata).integer(at: $0.node + 8) }
}
