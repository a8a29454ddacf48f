import Configuration
import Records
import TestSupport
import Testing

@testable import Codecs

/// The columns that make the key of a record, in every format.
struct KeyColumnTests {
  /// The keys of a reading as text; nil is none that is usable.
  private static func keys(_ reading: FormatReading) -> [String?] {
    reading.batches.flatMap { batch in
      (0..<batch.columns.count).map { record in
        guard let key = batch.columns.roles.keys?[record], !key.isEmpty else { return nil }
        return RecordKey.text(of: key)
      }
    }
  }

  private static func options(_ columns: String...) -> DecoderOptions {
    var options = DecoderOptions()
    options.roles = columns.enumerated().map { RoleColumn(.key($0), name: $1) }
    return options
  }

  private static func expect(
    _ format: RecordFormat, _ input: [UInt8], _ options: DecoderOptions, _ expected: [String?],
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    for (chunk, size) in [(1, 3), (7, 2), (Int.max, 100)] {
      let reading = try FormatReading(format, input, options, batchSize: size, chunk: chunk)
      #expect(keys(reading) == expected, sourceLocation: sourceLocation)
      #expect(reading.faults == [], sourceLocation: sourceLocation)
    }
  }

  @Test func `CSV has keys as they are spelled, without quotes`() throws {
    let long = String(repeating: "x", count: 257)
    try Self.expect(
      .csv,
      Array(
        "id,a,note\nJFK,1,x\n\"JFK\",2,x\n JFK,3,x\n,4,x\n7,5,\"a, b\"\n\(long),6,x\ncaf\u{e9},7,x\n"
          .utf8),
      Self.options("id"), ["JFK", "JFK", " JFK", nil, "7", nil, "café"])
  }

  @Test func `a key of several columns has the order of the setting, in any order of the columns`()
    throws
  {
    let expected = ["x,1", "y,2", nil]
    try Self.expect(
      .csv, Array("p,a,q\n1,5,x\n2,6,y\n3,7,\n".utf8), Self.options("q", "p"), expected)
    try Self.expect(
      .csv, Array("q,a,p\nx,5,1\ny,6,2\n,7,3\n".utf8), Self.options("q", "p"), expected)
  }

  @Test func `NDJSON has keys by their path, without quotes`() throws {
    let lines = [
      #"{"a":1,"m":{"id":"JFK"}}"#, #"{"m":{"id":7},"a":2}"#, #"{"a":3}"#,
      #"{"a":4,"m":{"id":null}}"#, #"{"a":5,"m":{"id":[1]}}"#, #"{"a":6,"m":{"id":true}}"#,
      #"{"a":7,"m":{"id":""}}"#,
    ]
    var options = Self.options("m.id")
    options.features = [FeaturePattern("a")]
    try Self.expect(
      .ndjson, Array(lines.joined(separator: "\n").utf8), options,
      ["JFK", "7", nil, nil, nil, "true", nil])
  }

  @Test func `raw rows have the numbers of a column as keys`() throws {
    var options = Self.options("f1")
    options.settings[RawSettings.columns] = 2
    options.settings[RawSettings.scalar] = .float64
    let values: [Double] = [1, 7, 2, 7, 3, .nan, 4, -0.5]
    try Self.expect(
      .raw,
      values.flatMap { value in
        withUnsafeBytes(of: value.bitPattern.littleEndian, Array.init)
      }, options, ["7", "7", nil, "-0.5"])
  }
}
