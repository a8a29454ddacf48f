import Records
import TestSupport
import Testing

@testable import Codecs

/// An encoder that replaces numbers in the text and writes all other bytes unchanged.
@Suite struct SpliceEncoderTests {
  private func spliced(
    _ csv: String, _ precision: Precision = .float64, options: DecoderOptions = DecoderOptions(),
    _ change: (Double) -> Double = { $0 }
  ) throws -> String {
    let reading = try FormatReading(.csv, Array(csv.utf8), options)
    return String(
      decoding: try reading.encoded(.csv, reading.encoderOptions(precision), change),
      as: UTF8.self)
  }

  private func options(_ set: (inout DecoderOptions) -> Void) -> DecoderOptions {
    var options = DecoderOptions()
    set(&options)
    return options
  }

  @Test func `new numbers replace the old ones, and nothing else changes`() throws {
    #expect(
      try spliced("a,k,b\r\n 1 ,\"x,\n\",\"2\"\r\n\r\n-3.0,,4e0", .float64) { $0 * 10 }
        == "a,k,b\r\n 10 ,\"x,\n\",\"20\"\r\n\r\n-30,,40")
  }

  @Test func `unchanged values change nothing but the spelling of numbers`() throws {
    #expect(
      try spliced("\u{FEFF}a,k,b\n1.50,x,+2\n\n0.10,\"1.0\ny\",1e2\n")
        == "\u{FEFF}a,k,b\n1.5,x,2\n\n0.1,\"1.0\ny\",100\n")
  }

  @Test func `columns that are not features keep their spelling`() throws {
    #expect(
      try spliced(
        "a,k,b\n1.50,1.50,007\n2.0,\"2.0\",+8\n",
        options: options { $0.features = [FeaturePattern("b"), FeaturePattern("a")] })
        == "a,k,b\n1.5,1.50,7\n2,\"2.0\",8\n")
  }

  @Test func `a missing value keeps its bytes`() throws {
    #expect(
      try spliced("a,b\n1,2\nNA,\" \"\n,nan\n\"\", NaN \n") { $0 + 1 }
        == "a,b\n2,3\nNA,\" \"\n,nan\n\"\", NaN \n")
    #expect(
      try spliced("a,b\n1,2\ninf,x\n", options: options { $0.onInvalid = .missing }) { $0 + 1 }
        == "a,b\n2,3\ninf,x\n")
  }

  @Test func `an imputed value replaces the missing one`() throws {
    #expect(
      try spliced("a,b\n1,2\nNA,\"\"\n,\" \"\n", options: options { $0.onMissing = .impute }) {
        $0.isNaN ? 0.5 : $0
      } == "a,b\n1,2\n0.5,\"0.5\"\n0.5,\" 0.5\"\n")
  }

  @Test func `a value that becomes missing keeps its bytes`() throws {
    #expect(try spliced("a,b\n1.0,2.0\n") { $0 == 1 ? .nan : 3 } == "a,b\n1.0,3\n")
  }

  @Test func `numbers are as short as their precision allows`() throws {
    #expect(try spliced("a\n1\n", .float32) { _ in 1.0 / 3 } == "a\n0.33333334\n")
    #expect(try spliced("a\n1\n", .float64) { _ in 1.0 / 3 } == "a\n0.3333333333333333\n")
  }

  @Test func `a batch that passes through is written byte for byte`() throws {
    let csv = "a,b\n1.50,NA\n\"2.0\", 3\n"
    let reading = try FormatReading(csv: csv) { $0.features = [FeaturePattern("*")] }
    var batch = try #require(reading.batches.first)
    batch.unnormalized = UnnormalizedFeatures([true, true], .asRead)
    let encoder = try RecordFormat.csv.makeEncoder(reading.encoderOptions(.float32))
    let output = ByteBuffer()
    encoder.encodePrologue(into: output)
    encoder.encode(batch, into: output)
    #expect(String(decoding: output.readable, as: UTF8.self) == csv)
    for (unnormalized, text) in [
      (nil, "1.5,NA\n\"2\", 3\n"),
      (UnnormalizedFeatures([true, false], .asRead), "1.50,NA\n\"2.0\", 3\n"),
      (UnnormalizedFeatures([true, false], .missing), ",NA\n\"\", 3\n"),
      (UnnormalizedFeatures([false, true], .missing), "1.5,\n\"2\", \n"),
    ] {
      output.removeAll()
      batch.unnormalized = unnormalized
      encoder.encode(batch, into: output)
      #expect(String(decoding: output.readable, as: UTF8.self) == text)
    }
  }

  @Test func `a batch is appended to the output`() throws {
    let reading = try FormatReading(csv: "a\n1\n2\n3\n", batchSize: 1)
    let encoder = try RecordFormat.csv.makeEncoder(reading.encoderOptions(.float32))
    let output = ByteBuffer(capacity: 64)
    for _ in 0..<100 { for batch in reading.batches { encoder.encode(batch, into: output) } }
    let expected = String(repeating: "1\n2\n3\n", count: 100)
    #expect(String(decoding: output.readable, as: UTF8.self) == expected)
  }

  @Test func `columns of either width are written in either precision`() throws {
    for stored in Precision.allCases {
      for (written, expected) in [(Precision.float32, "<0.1>\n"), (.float64, nil)] {
        var features = FeatureColumns(featureCount: 1, capacity: 1, precision: stored)
        features.count = 1
        switch stored {
        case .float32: features.withFloat32Columns { $0[0] = 0.1 }
        case .float64: features.withFloat64Columns { $0[0] = 0.1 }
        }
        var batch = RecordBlock(columns: features)
        batch.text = Array("<7>\n".utf8)
        batch.spans = [ValueSpan(start: 1, end: 2, cell: 0)]
        let output = ByteBuffer()
        SpliceEncoder(prologue: [], precision: written).encode(batch, into: output)
        let exact = stored == .float32 ? "<0.10000000149011612>\n" : "<0.1>\n"
        #expect(String(decoding: output.readable, as: UTF8.self) == expected ?? exact)
      }
    }
  }

  @Test func `a number out of range is written as infinity in CSV and as null in JSON`() throws {
    #expect(try spliced("a\n1\n", .float32) { _ in -1e300 } == "a\n-inf\n")
    let line = Array("{\"a\":1,\"b\":2}\n".utf8)
    let reading = try FormatReading(.ndjson, line)
    let written = try reading.encoded(.ndjson, reading.encoderOptions(.float32)) {
      $0 == 1 ? 1e300 : $0
    }
    #expect(String(decoding: written, as: UTF8.self) == "{\"a\":null,\"b\":2}\n")
  }

  @Test func `the output reads back as the values that were read`() throws {
    let seed = testSeed
    var random = SeededGenerator(seed: seed)
    for _ in 0..<50 {
      var csv = "a,k,b\n"
      for _ in 0..<20 {
        let fields = ["a", "b"].map { _ in
          let number = Double(bitPattern: random.next())
          let text = abs(number) <= FeatureColumns.greatest ? "\(number)" : "NA"
          return Bool.random(using: &random) ? "\"\(text)\"" : " " + text
        }
        csv += "\(fields[0]),\"\(random.next())\n\",\(fields[1])\r\n"
      }
      let reading = try FormatReading(csv: csv) {
        $0.features = ["a", "b"].map { FeaturePattern($0) }
      }
      let written = try reading.encoded(.csv, reading.encoderOptions(.float64))
      var options = DecoderOptions()
      options.features = ["a", "b"].map { FeaturePattern($0) }
      let again = try FormatReading(.csv, written, options)
      #expect(again.rows == reading.rows, "seed \(seed)")
      #expect(again.rows.count == 20, "seed \(seed)")
      #expect(try again.encoded(.csv, again.encoderOptions(.float64)) == written, "seed \(seed)")
      // All other bytes are unchanged.
      #expect(Self.frame(of: again) == Self.frame(of: reading), "seed \(seed)")
    }
  }

  /// The text without the numbers of the features.
  private static func frame(of reading: FormatReading) -> [[UInt8]] {
    reading.batches.map { batch in
      var frame: [UInt8] = []
      var end = 0
      for span in batch.spans {
        frame += batch.text[end..<Int(span.start)]
        end = Int(span.end)
      }
      return frame + batch.text[end...]
    }
  }
}
