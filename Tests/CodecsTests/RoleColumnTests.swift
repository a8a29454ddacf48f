import Configuration
import Records
import TestSupport
import Testing

@testable import Codecs

/// Columns that are no features and tell something about each record, in every format.
@Suite struct RoleColumnTests {
  private static func weights(_ reading: FormatReading) -> [Double] {
    reading.batches.flatMap { batch in
      (0..<batch.columns.count).map { batch.columns.roles.weights?[$0] ?? -1 }
    }
  }

  private static func options(
    _ column: String, _ change: (inout DecoderOptions) -> Void = { _ in }
  ) -> DecoderOptions {
    var options = DecoderOptions()
    options.roles = [RoleColumn(.weight, name: column)]
    change(&options)
    return options
  }

  private static func expectSame(
    _ format: RecordFormat, _ input: [UInt8], _ options: DecoderOptions,
    weights: [Double], faults: [String], sourceLocation: SourceLocation = #_sourceLocation
  ) throws -> FormatReading {
    let whole = try FormatReading(format, input, options)
    for (chunk, size) in [(1, 3), (7, 2), (Int.max, 100)] {
      let reading = try FormatReading(format, input, options, batchSize: size, chunk: chunk)
      #expect(Self.weights(reading) == weights, sourceLocation: sourceLocation)
      #expect(reading.faults == faults, sourceLocation: sourceLocation)
      #expect(reading.text == whole.text && reading.rows == whole.rows)
    }
    return whole
  }

  private static let expected = "expected a weight of 0 to 1, true or false in column 'w', found "

  @Test(arguments: ["\n", "\r\n"])
  func `CSV reads weights of plain and of quoted records`(end: String) throws {
    let lines = [
      "a,w,b,note", "1,0.5,2,x", "3,true,4,y", "5,False,6,\"q, z\"", "7,\"0.25\",8,x", "9, 1 ,10,",
      "11,,12,x", "13,1.5,14,x", "15,-0.1,16,x", "17,NA,18,x", "19,0,20,\"z\"", "21,one,22,x",
      "23,1e-3,24,x",
    ]
    let text = lines.map { $0 + end }.joined()
    let reading = try Self.expectSame(
      .csv, Array(text.utf8), Self.options("w"), weights: [0.5, 1, 0, 0.25, 1, 0, 0.001],
      faults: ["''", "'1.5'", "'-0.1'", "'NA'", "'one'"].map { Self.expected + $0 })
    #expect(reading.names == ["a", "b"])
    #expect(
      reading.rows == [[1, 2], [3, 4], [5, 6], [7, 8], [9, 10], [19, 20], [23, 24]])
    let good = [1, 2, 3, 4, 5, 10, 12].map { lines[$0] + end }.joined()
    #expect(reading.text == good)
    #expect(reading.spelled.count == 14)
  }

  @Test func `a weight may be the last column, or the first, and have a decimal comma`() throws {
    _ = try Self.expectSame(
      .csv, Array("a,w\n1,0.5\n2,1".utf8), Self.options("w"), weights: [0.5, 1], faults: [])
    _ = try Self.expectSame(
      .csv, Array("w,a\n0.5,1\n1,2".utf8), Self.options("w"), weights: [0.5, 1], faults: [])
    let comma = Self.options("w") {
      $0.settings[CSVSettings.decimal] = UInt8(ascii: ",")
      $0.settings[CSVSettings.delimiter] = UInt8(ascii: ";")
    }
    _ = try Self.expectSame(
      .csv, Array("w;a\n0,5;1,5\n0.5;2\n".utf8), comma, weights: [0.5],
      faults: [Self.expected + "'0.5'"])
  }

  @Test func `NDJSON reads weights by their path`() throws {
    let lines = [
      #"{"x":1,"m":{"w":0.5}}"#, #"{"m":{"w":true},"x":2}"#, #"{"x":3}"#,
      #"{"x":4,"m":{"w":null}}"#,
      #"{"x":5,"m":{"w":"0.5"}}"#, #"{"x":null,"m":{"w":0}}"#, #"{"x":7,"m":3}"#,
    ]
    let expected = "expected a weight of 0 to 1, true or false in column 'm.w', found "
    let reading = try Self.expectSame(
      .ndjson, Array(lines.joined(separator: "\n").utf8),
      Self.options("m.w") { $0.features = [FeaturePattern("x")] },
      weights: [0.5, 1, 0],
      faults: ["no such member", "'null'", "'\"0.5\"'", "no such member"].map { expected + $0 })
    #expect(reading.names == ["x"])
    #expect(reading.rows == [[1], [2], [nil]])
    // Absent features are completed, weights are not.
    let imputing = Self.options("w") { $0.onMissing = .impute }
    _ = try Self.expectSame(
      .ndjson, Array("{\"x\":1,\"w\":1}\n{\"w\":0}\n{\"x\":1}\n".utf8), imputing,
      weights: [1, 0], faults: [Self.expected + "'null'"])
    let quotedNumbers = Self.options("w") { $0.settings[NDJSONSettings.quotedNumbers] = true }
    _ = try Self.expectSame(
      .ndjson, Array("{\"x\":1,\"w\":\"0.5\"}\n".utf8), quotedNumbers, weights: [0.5], faults: [])
  }

  @Test(arguments: Precision.allCases)
  func `raw rows and NumPy files have weights in a column`(scalar: Precision) throws {
    func bytes(_ values: [Double]) -> [UInt8] {
      values.flatMap { value in
        scalar == .float32
          ? withUnsafeBytes(of: Float(value).bitPattern.littleEndian, Array.init)
          : withUnsafeBytes(of: value.bitPattern.littleEndian, Array.init)
      }
    }
    let options = Self.options("f1") {
      $0.settings[RawSettings.columns] = 3
      $0.settings[RawSettings.scalar] = scalar
    }
    let rows = [
      [1, 0.5, 2], [3, .nan, 4], [5, 0, 6], [.infinity, 1, 7], [8, 2, 9], [10, 1, 11],
    ]
    let reading = try Self.expectSame(
      .raw, bytes(rows.flatMap(\.self)), options, weights: [0.5, 0, 1],
      faults: [
        "expected a weight of 0 to 1, true or false in column 'f1', found nan",
        "expected a finite number in feature 'f0', found inf",
        "expected a weight of 0 to 1, true or false in column 'f1', found 2.0",
      ])
    #expect(reading.names == ["f0", "f2"])
    #expect(reading.rows == [[1, 2], [5, 6], [10, 11]])
  }

  @Test func `a role that has no column of its own is refused`() throws {
    func fault(_ format: RecordFormat, _ text: String, _ options: DecoderOptions) throws -> String?
    {
      try FormatReading(format, Array(text.utf8), options).outcome.openingFault?.description
    }
    #expect(
      try fault(.csv, "a,b\n1,2\n", Self.options("w"))
        == "expected the column 'w' of weight.column, found none among 'a', 'b'")
    #expect(
      try fault(.csv, "a,w,w\n1,1,1\n", Self.options("w"))
        == "expected the column 'w' of weight.column, found 2 of it")
    #expect(
      try fault(.ndjson, "{\"x\":1}\n", Self.options("w[0]"))
        == "expected a path to one value in weight.column, such as 'engine.rpm', found 'w[0]'")
    let raw = Self.options("w") { $0.settings[RawSettings.columns] = 2 }
    #expect(
      try fault(.raw, "", raw)
        == "expected the column 'w' of weight.column, found none among 'f0', 'f1'")
  }
}
