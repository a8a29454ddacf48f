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

  @Test func `a class is one of some names, and a record without one counts for nothing`() throws {
    func expect(
      _ format: RecordFormat, _ input: String, _ names: [String], _ expected: [String?],
      in column: String = "c"
    ) throws {
      var options = DecoderOptions()
      options.features = [FeaturePattern("a")]
      options.roles = [
        RoleColumn(.weight, name: "w"),
        RoleColumn(.className(among: names.map { Array($0.utf8) }), name: column),
      ]
      for (chunk, size) in [(1, 3), (Int.max, 100)] {
        let reading = try FormatReading(
          format, Array(input.utf8), options, batchSize: size, chunk: chunk)
        #expect(Self.keys(reading) == expected)
        let weights = reading.batches.flatMap { batch in
          (0..<batch.columns.count).map { batch.columns.roles.weights?[$0] ?? -1 }
        }
        #expect(weights == expected.map { $0 == nil ? 0 : 0.5 })
        #expect(reading.faults == [])
      }
    }
    let long = String(repeating: "x", count: 257)
    for header in ["c,a,w", "w,a,c"] {
      let lines = ["yes", "no", "", " yes", "\"yes\"", "maybe", long].map {
        header == "c,a,w" ? "\($0),1,0.5" : "0.5,1,\($0)"
      }
      let text = ([header] + lines).joined(separator: "\n") + "\n"
      try expect(.csv, text, ["yes", "no"], ["yes", "no", nil, nil, "yes", nil, nil])
      try expect(.csv, text, [], ["yes", "no", nil, " yes", "yes", "maybe", nil])
    }
    let lines = [
      #"{"a":1,"w":0.5,"m":{"c":"yes"}}"#, #"{"m":{"c":1},"w":0.5,"a":2}"#, #"{"w":0.5,"a":3}"#,
      #"{"a":4,"m":{"c":null},"w":0.5}"#, #"{"a":5,"m":{"c":"no"},"w":0.5}"#,
    ]
    try expect(
      .ndjson, lines.joined(separator: "\n"), ["yes", "1"], ["yes", "1", nil, nil, nil], in: "m.c")
  }

  @Test func `a class may be a number of raw rows, and needs no weight beside it`() throws {
    var options = DecoderOptions()
    options.roles = [RoleColumn(.className(among: [Array("7".utf8)]), name: "f1")]
    options.settings[RawSettings.columns] = 2
    options.settings[RawSettings.scalar] = .float64
    let values: [Double] = [1, 7, 2, 8, 3, .nan, 4, 7]
    let bytes = values.flatMap { value in
      withUnsafeBytes(of: value.bitPattern.littleEndian, Array.init)
    }
    let reading = try FormatReading(.raw, bytes, options, batchSize: 100)
    #expect(Self.keys(reading) == ["7", nil, nil, "7"])
    let columns = try #require(reading.batches.first).columns
    #expect(columns.roles.weights?.prefix(4) == [1, 0, 0, 1])
  }
}
