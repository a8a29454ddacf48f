import Records
import Testing

@testable import Codecs

struct NDJSONEncoderTests {
  private func encoded(
    _ names: [String], _ rows: [[Double]], _ precision: Precision
  ) throws -> String {
    var options = EncoderOptions(schema: try FeatureSchema(names), prologue: nil)
    options.precision = precision
    var features = FeatureColumns(
      featureCount: names.count, capacity: rows.count + 1, precision: .float64)
    features.count = rows.count
    features.withFloat64Columns { columns in
      for (record, row) in rows.enumerated() {
        for (feature, value) in row.enumerated() {
          columns[feature * (rows.count + 1) + record] = value
        }
      }
    }
    let output = ByteBuffer()
    let encoder = try RecordFormat.ndjson.makeEncoder(options)
    encoder.encodePrologue(into: output)
    encoder.encode(RecordBlock(columns: features), into: output)
    return String(decoding: output.readable, as: UTF8.self)
  }

  @Test func `a record of another format becomes an object of its features`() throws {
    #expect(
      try encoded(["a", "b c"], [[0.1, -2], [.nan, 1e300]], .float64)
        == "{\"a\":0.1,\"b c\":-2}\n{\"a\":null,\"b c\":1e+300}\n")
  }

  @Test func `a number beyond the precision is null, for JSON has no infinity`() throws {
    #expect(try encoded(["a"], [[1e300], [0.1]], .float32) == "{\"a\":null}\n{\"a\":0.1}\n")
    #expect(try encoded(["a"], [[-.infinity]], .float64) == "{\"a\":null}\n")
  }

  @Test func `names are escaped, and what is written can be read`() throws {
    let names = ["a\"b", "c\\d", "\n\t\u{1}", "ü😀", "plain"]
    let text = try encoded(names, [[1, 2, 3, 4, 5]], .float32)
    #expect(
      text == #"{"a\"b":1,"c\\d":2,"\n\t\u0001":3,"ü😀":4,"plain":5}"# + "\n")
    #expect(try NDJSONReading(text).rows == [[1, 2, 3, 4, 5]])
  }

  @Test func `records of this format keep all but the numbers`() throws {
    let input = Array("\u{FEFF}{\"x\":\"1\",\"a\": 1.0 ,\"b\":null}\r\n\n{\"a\":2}".utf8)
    var decoder = try RecordFormat.ndjson.makeDecoder(ndjsonOptions("a", "b"))
    let output = ByteBuffer()
    try input.withUnsafeBufferPointer { bytes in
      let opening = try #require(try decoder.open(InputWindow(bytes: bytes, isLast: true)))
      var batch = RecordBlock(
        columns: FeatureColumns(featureCount: 2, capacity: 4, precision: .float64))
      var progress = DecodeProgress()
      progress.consumed = opening.prologue.count
      _ = decoder.decode(
        InputWindow(bytes: bytes, isLast: true), into: &batch, limit: 4, progress: &progress)
      batch.columns.withFloat64Columns { $0 = $0.map { $0 + 0.5 } }
      let encoder = try RecordFormat.ndjson.makeEncoder(
        EncoderOptions(schema: opening.schema, prologue: opening.prologue))
      encoder.encodePrologue(into: output)
      encoder.encode(batch, into: output)
    }
    #expect(
      String(decoding: output.readable, as: UTF8.self)
        == "\u{FEFF}{\"x\":\"1\",\"a\": 1.5 ,\"b\":null}\r\n\n{\"a\":2.5}")
  }
}
