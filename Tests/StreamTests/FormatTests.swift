import BatchNormalization
import Codecs
import Configuration
import Records
import Storage
import TestSupport
import Testing

@testable import Stream

@Suite struct FormatTests {
  private func floats(_ bytes: [UInt8]) -> [Float] {
    stride(from: 0, to: bytes.count, by: 4).map { start in
      Float(
        bitPattern: bytes[start..<start + 4].reversed().reduce(0) { $0 << 8 | UInt32($1) })
    }
  }

  private func doubles(_ bytes: [UInt8]) -> [Double] {
    stride(from: 0, to: bytes.count, by: 8).map { start in
      Double(
        bitPattern: bytes[start..<start + 8].reversed().reduce(0) { $0 << 8 | UInt64($1) })
    }
  }

  private func rows(_ values: [Float]) -> [UInt8] {
    values.flatMap { value in withUnsafeBytes(of: value.bitPattern.littleEndian) { Array($0) } }
  }

  /// The same numbers, those missing as NaN, from whatever text or rows a format has.
  private func numbers(_ run: SerialRun, format: String, precision: Precision) -> [Double] {
    switch (format, precision) {
    case ("raw", .float32): floats(run.output).map { Double($0) }
    case ("raw", .float64): doubles(run.output)
    case ("csv", _):
      run.lines.dropFirst().filter { !$0.isEmpty }.flatMap { line in
        line.split(separator: ",", omittingEmptySubsequences: false).map { Double($0) ?? .nan }
      }
    default:
      run.lines.filter { !$0.isEmpty }.flatMap { line in
        line.split { "{}:, \"".contains($0) }.enumerated().filter { $0.offset % 2 == 1 }
          .map { Double($0.element) ?? .nan }
      }
    }
  }

  private static let conversions = TestStream.formats.flatMap { input in
    TestStream.formats.filter { $0 != input }.map { (input, $0) }
  }

  @Test(arguments: conversions)
  func `every format turns into every other with the same numbers`(
    input: String, output: String
  ) throws {
    let seed = testSeed
    for precision in Precision.allCases {
      var stream = TestStream(input, records: 60, seed: seed)
      stream.configuration.precision = precision
      stream.configuration.outputFormat = .named(output)
      let converted = try SerialRun(stream.configuration, stream.bytes)
      // To raw rows, in the other precision when the input is raw, is as direct as can be.
      stream.configuration.outputFormat = input == "raw" ? .csv : .raw
      let direct = try SerialRun(stream.configuration, stream.bytes)
      let found = numbers(converted, format: output, precision: precision)
      let expected = numbers(direct, format: input == "raw" ? "csv" : "raw", precision: precision)
      #expect(found.count == converted.metrics.records * 3 && found.count > 100, "seed \(seed)")
      let isSame = zip(found, expected).allSatisfy { found, expected in
        found.isNaN ? expected.isNaN : Float(found) == Float(expected)
      }
      #expect(isSame && found.count == expected.count, "seed \(seed), \(precision)")
      #expect(found.contains { $0.isNaN })
    }
  }

  @Test func `a conversion from CSV writes the features alone under their names`() throws {
    let configuration = csvConfiguration {
      $0.outputFormat = .csv
      $0.decoder.features = [FeaturePattern("b"), FeaturePattern("a")]
      $0.format = .csv
    }
    // To the same format all else passes, in the order of the input.
    let run = try SerialRun(configuration, csv([("a", [1, 2]), ("b", [3, 4])]))
    #expect(run.lines[0] == "key,a,b")
    #expect(run.lines[1].hasPrefix("k0,"))
  }

  @Test func `raw rows to CSV get a header of made names`() throws {
    var configuration = StreamConfiguration(name: "test", format: .raw)
    configuration.decoder.settings[RawSettings.columns] = 2
    configuration.outputFormat = .csv
    let run = try SerialRun(configuration, rows([1, 2, 3, .nan]))
    #expect(run.lines[0] == "f0,f1")
    #expect(run.lines[2].hasSuffix(","))
  }

  @Test func `raw columns that are no features pass bit for bit`() throws {
    var configuration = StreamConfiguration(name: "test", format: .raw)
    configuration.decoder.settings[RawSettings.columns] = 3
    configuration.decoder.features = [FeaturePattern("f1")]
    let nan = Float(bitPattern: 0x7FC0_1234)
    let input: [Float] = [1, 2, nan, -0.0, 3, .infinity, 5, nan, 6]
    let output = floats(try SerialRun(configuration, rows(input)).output)
    for index in [0, 2, 3, 5, 6, 7, 8] {
      #expect(output[index].bitPattern == input[index].bitPattern)
    }
    #expect(output[1] != 2 && output[4] != 3)
  }

  @Test func `raw rows that end within one are refused with the place`() throws {
    var configuration = StreamConfiguration(name: "test", format: .raw)
    configuration.decoder.settings[RawSettings.columns] = 2
    let error = #expect(throws: StreamError.self) {
      try SerialRun(configuration, Array(rows([1, 2, 3, 4]).dropLast()))
    }
    #expect(
      error?.description
        == "test: record 2, byte 8: expected a row of 8 bytes, found 7 bytes at the end of the stream"
    )
  }

  // MARK: Sizes

  @Test func `one feature is enough`() throws {
    let run = try SerialRun(
      csvConfiguration {
        $0.decoder.settings[CSVSettings.header] = false
        $0.precision = .float64
        $0.normalization.mode = .batch
        $0.normalization.epsilon = .absolute(1e-5)
      }, Array("1\n2\n3\n4\n".utf8))
    #expect(run.checkpoint?.features == ["f0"])
    #expect(run.checkpoint?.runningMean == [2.5])
    let deviation = (1.25 + 1e-5).squareRoot()
    let expected = [-1.5, -0.5, 0.5, 1.5].map { $0 / deviation }
    let found = run.lines.compactMap { Double($0) }
    #expect(zip(found, expected).allSatisfy { abs($0 - $1) < 1e-12 } && found.count == 4)
  }

  @Test func `twenty thousand features are not too many`() throws {
    let count = 20_000
    let header = FeatureSchema.unnamed(count: count).joined(separator: ",")
    let records = (1...3).map { record in
      (0..<count).map { "\(record * ($0 + 1))" }.joined(separator: ",")
    }
    let text = ([header] + records).joined(separator: "\n") + "\n"
    let run = try SerialRun(
      csvConfiguration {
        $0.batch.size = 3
        $0.normalization.mode = .batch
      }, Array(text.utf8))
    let checkpoint = try #require(run.checkpoint)
    #expect(checkpoint.features.count == count)
    #expect(checkpoint.runningMean[count - 1] == Double(2 * count))
    #expect(checkpoint.values.allSatisfy { $0 == 3 })
    let middle = run.lines[2].split(separator: ",")
    #expect(middle.count == count && middle.allSatisfy { $0 == "0" })
  }

  @Test(arguments: ["key,a,b\n", "key,a,b", "\u{FEFF}key,a,b\r\n"])
  func `a header alone passes as it is`(header: String) throws {
    let run = try SerialRun(
      csvConfiguration { $0.decoder.features = [FeaturePattern("a")] }, Array(header.utf8))
    #expect(run.output == Array(header.utf8))
    #expect(run.metrics.records == 0 && run.metrics.batches == 0)
    #expect(run.checkpoint?.batchesTracked == 0)
    #expect(run.checkpoint?.cursor?.byteOffset == header.utf8.count)
  }

  @Test(arguments: ["raw", "ndjson"])
  func `an empty stream of a format without a header is empty`(format: String) throws {
    var configuration = StreamConfiguration(name: "test", format: .named(format))
    configuration.decoder.settings[RawSettings.columns] = 2
    let run = try SerialRun(configuration, [])
    #expect(run.output.isEmpty && run.metrics.records == 0)
    configuration.compressionLevel = 1
    let compressed = try SerialRun(configuration, [])
    #expect(!compressed.output.isEmpty)
    #expect(try decompressed(compressed.output).isEmpty)
  }

  @Test func `compressed output holds the same bytes in frames of their own`() throws {
    let note = String(repeating: "n", count: 1000)
    let text = "x,note\n" + (0..<2000).map { "\($0 % 13),\(note)\n" }.joined()
    var configuration = csvConfiguration()
    configuration.decoder.features = [FeaturePattern("x")]
    let plain = try SerialRun(configuration, Array(text.utf8))
    configuration.compressionLevel = 3
    let compressed = try SerialRun(configuration, Array(text.utf8))
    let isSame = try decompressed(compressed.output) == plain.output
    #expect(isSame)
    #expect(compressed.unitByteCounts.count == plain.unitByteCounts.count)
    #expect(plain.unitByteCounts.count >= 3)
  }
}
