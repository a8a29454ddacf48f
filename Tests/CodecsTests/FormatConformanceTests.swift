import Configuration
import Records
import TestSupport
import Testing

@testable import Codecs

/// The contract of every format. A line in `BuiltInFormats.all` is enough to test a new one.
@Suite struct FormatConformanceTests {
  private static let names = BuiltInFormats.all.map(\.name)
  /// The names of raw columns.
  private static let features = ["f0", "f1", "f2"]
  /// Characters that mean something in a format.
  private static let pieces = "\"\n\r,{}[]:\\ +-.eE0nN\u{FEFF}".map { Array(String($0).utf8) }

  private static func format(_ name: String) throws -> RecordFormat {
    try #require(BuiltInFormats.all.named(name))
  }

  private static func decoderOptions(_ scalar: Precision = .float64) -> DecoderOptions {
    var options = DecoderOptions()
    options.settings[RawSettings.columns] = features.count
    options.settings[RawSettings.scalar] = scalar
    return options
  }

  private static func batch(_ rows: [[Double]]) -> RecordBlock {
    var features = FeatureColumns(
      featureCount: features.count, capacity: rows.count + 3, precision: .float64)
    features.count = rows.count
    for (record, row) in rows.enumerated() {
      for (feature, value) in row.enumerated() {
        let cell = feature * features.capacity + record
        features.withFloat64Columns { $0[cell] = value }
      }
    }
    return RecordBlock(columns: features)
  }

  /// A stream that has only features, written by the format's own encoder.
  private static func stream(
    _ format: RecordFormat, _ batches: [[[Double]]], _ precision: Precision = .float64
  ) throws -> [UInt8] {
    var options = EncoderOptions(schema: try FeatureSchema(features), prologue: nil)
    options.precision = precision
    let encoder = try format.makeEncoder(options)
    let output = ByteBuffer()
    encoder.encodePrologue(into: output)
    for batch in batches { encoder.encode(Self.batch(batch), into: output) }
    return Array(output.readable)
  }

  private static func randomRows(_ count: Int, _ random: inout SeededGenerator) -> [[Double]] {
    (0..<count).map { row in
      features.map { _ in
        let value = Double(bitPattern: random.next())
        // The first record has all features, because the decoder chooses the features by it.
        if row == 0 { return random.fraction(upTo: 99, over: 4) }
        return abs(value) <= FeatureColumns.greatest ? value : .nan
      }
    }
  }

  private static func missingAsNil(_ rows: [[Double]]) -> [[Double?]] {
    rows.map { $0.map { $0.isNaN ? nil : $0 } }
  }

  @Test func `formats are found by name and by the extension of a file`() {
    #expect(Set(Self.names).count == Self.names.count)
    let extensions = BuiltInFormats.all.flatMap(\.fileExtensions)
    #expect(Set(extensions).count == extensions.count)
    for format in BuiltInFormats.all {
      #expect(BuiltInFormats.all.named(format.name)?.name == format.name)
      for suffix in format.fileExtensions {
        #expect(BuiltInFormats.all.ofFile(named: "x." + suffix)?.name == format.name)
        #expect(
          BuiltInFormats.all.ofFile(named: "a/B.c/X.\(suffix.uppercased()).ZST")?.name
            == format.name)
        #expect(BuiltInFormats.all.ofFile(named: suffix)?.name == nil)
      }
    }
    #expect(BuiltInFormats.all.named("CSV") == nil)
    #expect(BuiltInFormats.all.ofFile(named: "-") == nil)
    #expect(BuiltInFormats.all.ofFile(named: "x.zst") == nil)
    #expect(BuiltInFormats.all.ofFile(named: "x.csv.gz")?.name == "csv")
    #expect(BuiltInFormats.all.ofFile(named: "x.ndjson.lz4")?.name == "ndjson")
    #expect(BuiltInFormats.all.ofFile(named: "x.csv.xz")?.name == "csv")
  }

  @Test(arguments: names)
  func `a format reads what it writes`(name: String) throws {
    let seed = testSeed
    var random = SeededGenerator(seed: seed)
    let format = try Self.format(name)
    let rows = Self.randomRows(60, &random)
    let batches = [Array(rows[..<1]), [], Array(rows[1..<40]), Array(rows[40...])]
    let stream = try Self.stream(format, batches)
    for chunk in [1, 7, 4096] {
      let reading = try FormatReading(
        format, stream, Self.decoderOptions(), batchSize: 7, chunk: chunk)
      #expect(reading.names == Self.features)
      #expect(reading.rows == Self.missingAsNil(rows), "seed \(seed)")
      #expect(reading.unsoundness == nil, "seed \(seed)")
      #expect(reading.outcome.batches.last?.endByte == stream.count)
    }
  }

  @Test(arguments: names)
  func `4-byte floats are written and read without a change`(name: String) throws {
    let format = try Self.format(name)
    let rows: [[Double]] = [[0.1, -1e30, 3], [.nan, 1.0 / 3, -0.0]]
    let stream = try Self.stream(format, [rows], .float32)
    let reading = try FormatReading(format, stream, Self.decoderOptions(.float32))
    #expect(
      reading.rows.map { $0.map { $0.map { Float($0) } } }
        == Self.missingAsNil(rows).map { $0.map { $0.map { Float($0) } } })
  }

  @Test(arguments: names)
  func `unchanged records are written byte for byte`(name: String) throws {
    let seed = testSeed
    var random = SeededGenerator(seed: seed)
    let format = try Self.format(name)
    let stream = try Self.stream(format, [Self.randomRows(40, &random)])
    let reading = try FormatReading(format, stream, Self.decoderOptions())
    var options = try reading.encoderOptions(.float64)
    options.settings[RawSettings.columns] = Self.features.count
    options.settings[RawSettings.scalar] = .float64
    #expect(try reading.encoded(format, options) == stream, "seed \(seed)")
  }

  @Test(arguments: names)
  func `features may be chosen by name, in any order`(name: String) throws {
    let format = try Self.format(name)
    let stream = try Self.stream(format, [[[1, 2, 3], [4, 5, 6]]])
    var options = Self.decoderOptions()
    options.features = [FeaturePattern("f2"), FeaturePattern("f*")]
    let reading = try FormatReading(format, stream, options)
    #expect(reading.names == ["f2", "f0", "f1"])
    #expect(reading.rows == [[3, 1, 2], [6, 4, 5]])
    #expect(reading.unsoundness == nil)
  }

  @Test(arguments: names)
  func `a decoder that keeps no text gives no spans`(name: String) throws {
    let format = try Self.format(name)
    var options = Self.decoderOptions()
    options.keepsText = false
    let reading = try FormatReading(format, try Self.stream(format, [[[1, 2, 3]]]), options)
    #expect(reading.rows == [[1, 2, 3]])
    #expect(reading.batches.allSatisfy { $0.text.isEmpty && $0.spans.isEmpty })
  }

  @Test(arguments: names)
  func `any bytes give records or faults, and chunks of any size give the same`(name: String) throws
  {
    let seed = testSeed
    var random = SeededGenerator(seed: seed)
    let format = try Self.format(name)
    let rows = Self.randomRows(1, &random) + [[1, 2, 3], [.nan, -0.5, 4], [5, 6, 7]]
    let valid = try Self.stream(format, [rows])
    var (recordCount, faultCount) = (0, 0)
    for round in 0..<2000 {
      let input = random.mutated(valid, with: Self.pieces, changes: 1...3)
      var options = Self.decoderOptions()
      options.onInvalid = Bool.random(using: &random) ? .reject : .missing
      options.onMissing = MissingPolicy.allCases.randomElement(using: &random) ?? .keep
      let reading = try FormatReading(format, input, options)
      recordCount += reading.rows.count
      faultCount += reading.faults.count
      faultCount += reading.outcome.failure == nil ? 0 : 1
      faultCount += reading.outcome.openingFault == nil ? 0 : 1
      if let unsoundness = reading.unsoundness {
        Issue.record("seed \(seed), round \(round): \(unsoundness) in \(input)")
      }
      if round % 4 == 0 {
        let chunked = try FormatReading(
          format, input, options, chunk: Int.random(in: 1...9, using: &random))
        guard chunked.outcome == reading.outcome else {
          Issue.record("seed \(seed), round \(round): \(input) by chunks")
          return
        }
      }
      // Every record that was read can be written.
      var encoding = try reading.encoderOptions(.float64)
      encoding.settings[RawSettings.columns] = Self.features.count
      encoding.settings[RawSettings.scalar] = .float64
      if reading.names != nil { _ = try reading.encoded(format, encoding) }
    }
    // Otherwise the mutations are not what this test is about.
    #expect(recordCount > 500 && faultCount > 100, "seed \(seed)")
  }
}
