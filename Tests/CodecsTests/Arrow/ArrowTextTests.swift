import Configuration
import Records
import Testing

@testable import Codecs

/// Decoders and encoders of conversions: Arrow to text, and text to Arrow.
struct ArrowTextTests {
  private func reading(
    _ format: RecordFormat, _ input: [UInt8], _ features: [String]
  ) throws -> FormatReading {
    var options = DecoderOptions()
    options.features = features.map { FeaturePattern($0) }
    options.keepsFormat = false
    options.keepsFields = true
    return try FormatReading(format, input, options, batchSize: 10)
  }

  /// The records of a reading in another format.
  private func converted(
    _ reading: FormatReading, _ input: RecordFormat, _ output: RecordFormat
  ) throws -> [UInt8] {
    guard let opening = reading.outcome.opening else { return [] }
    var options = EncoderOptions(schema: opening.schema, prologue: nil)
    options.fields = input.fields.map { $0(opening, SettingValues()) }
    options.scalars = input.scalars.flatMap { $0(opening, SettingValues()) }
    let encoder = try output.makeEncoder(options)
    let bytes = ByteBuffer()
    encoder.encodePrologue(into: bytes)
    for block in reading.batches { encoder.encode(block, into: bytes) }
    return Array(bytes.readable)
  }

  @Test(arguments: ["pyarrow-deltas.arrows", "pyarrow-zstd.arrow"])
  func `Arrow that ends within a message is converted up to there`(name: String) throws {
    let input = try ArrowGolden.bytes(name)
    let whole = try reading(.arrow, input, ["x"])
    let lines = try converted(whole, .arrow, .ndjson).split(separator: 0x0A)
    #expect(lines.count == ArrowGolden.records)
    for count in stride(from: 0, to: input.count, by: name.hasSuffix("s") ? 1 : 7) {
      let part = try reading(.arrow, Array(input[..<count]), ["x"])
      for format in [RecordFormat.csv, .ndjson] {
        let found = try converted(part, .arrow, format).split(separator: 0x0A)
        guard format.name == "ndjson" else { continue }
        #expect(found.elementsEqual(lines.prefix(found.count)), "\(count)")
      }
    }
  }

  @Test func `NDJSON that ends within a record becomes Arrow up to there`() throws {
    let line = #"{"a":1.5,"s":"t\"\u00e9\\","o":{"b":2,"k":[1,{"x":"}"}]},"v":[1,2],"n":null}"#
    let input = Array((line + "\n " + line + "\r\n\n" + line).utf8)
    for count in 0...input.count {
      let part = try reading(.ndjson, Array(input[..<count]), ["a", "o.b"])
      let stream = try converted(part, .ndjson, .arrow)
      guard part.outcome.opening != nil else { continue }
      let again = try reading(.arrow, stream, ["a", "o.b"])
      #expect(again.outcome.failure == nil && again.rows == part.rows, "\(count)")
    }
  }

  @Test func `texts outside their buffer are refused`() throws {
    let stream = try ArrowGolden.bytes("pyarrow-none.arrows")
    let parts = try arrowParts(stream)
    let schema = try arrowSchema(parts[0].metadata)
    let features = try arrowFeatures(["x"], of: schema)
    let scalars = ArrowScalars(schema, features.schema)
    let index = try #require(parts.firstIndex { $0.kind == .recordBatch })
    let layout = try FlatBytes.read(parts[index].metadata) { bytes throws(RecordFault) in
      try ArrowBatchLayout(
        ArrowMessage(bytes, bodyLimit: 1 << 30), schema: schema, features: features,
        scalars: scalars.sources, byteLimit: 1 << 30)
    }
    let start = parts[..<index].reduce(0) { $0 + $1.frame.byteCount } + parts[index].frame.headBytes
    for name in ["text", "large", "text_view"] {
      let column = try #require(scalars.sources.firstIndex { $0.name == name })
      for value in [UInt8(0x7F), 0xFF] {
        var broken = stream
        // The high byte of an offset, or of a view's length.
        let width = name == "large" ? 8 : 4
        let place = layout.scalars[column].values.lowerBound + (name == "text_view" ? 0 : width)
        broken[start + place + width - 1] = value
        let found = try reading(.arrow, broken, ["x"])
        let told = found.outcome.failure?.fault.description
        #expect(told?.contains("within their Arrow buffer") == true, "\(name) \(value)")
      }
    }
  }

  @Test(arguments: [
    ("", "\"\""), ("plain", "\"plain\""), ("a\"b\\c", #""a\"b\\c""#),
    ("é\n\r\t\u{1}", #""é\n\r\t\u0001""#),
  ])
  func `strings are quoted, and come back`(text: String, expected: String) {
    let output = ByteBuffer()
    JSONText.append(Array(text.utf8)[...], to: output)
    let quoted = Array(output.readable)
    #expect(String(decoding: quoted, as: UTF8.self) == expected)
    #expect(JSONText.unescaped(quoted.dropFirst().dropLast()) == Array(text.utf8))
  }

  @Test(arguments: [
    "", "{", "{\"", "{\"a", "{\"a\"", "{\"a\":", "{\"a\":[", "{\"a\":\"\\", "}", "[[[", "{\"a\" 1}",
    "{,,}",
    "{\"a\":\"\\u12", "null",
  ])
  func `text that is no JSON ends a walk`(text: String) {
    var walk = JSONWalk(Array(text.utf8)[...])
    var members = 0
    while walk.nextMember() != nil { members += 1 }
    #expect(members <= 1)
    var elements = JSONWalk(Array(text.utf8)[...])
    var count = 0
    while elements.nextElement() != nil { count += 1 }
    #expect(count <= text.utf8.count)
  }
}
