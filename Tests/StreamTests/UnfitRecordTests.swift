import BatchNormalization
import Codecs
import Configuration
import Records
import Storage
import TestSupport
import Testing

@testable import Stream

/// Records that were read well, but whose normalised values do not fit the output.
@Suite struct UnfitRecordTests {
  /// In batches of 4, the seventh value is too far away for a 4-byte float.
  private let values: [Double] = [1, 2, 3, 4, 6, 5, 1e60, 8, 9, 11]

  /// The records of a format, with things between them that a search for their ends must not trip over.
  private func records(_ format: String, _ values: [Double]) -> [[UInt8]] {
    values.enumerated().map { index, value in
      switch format {
      case "csv": Array("\"k\n\"\"\(index)\",\(value)\n".utf8)
      case "ndjson": Array("{\"k\":\"\(index)\",\"x\":\(value)}\n".utf8)
      default:
        [Double(index), value].flatMap {
          withUnsafeBytes(of: $0.bitPattern.littleEndian, Array.init)
        }
      }
    }
  }

  private func configuration(
    _ format: String, _ policy: BadRecordPolicy,
    _ change: (inout StreamConfiguration) -> Void = { _ in }
  ) -> StreamConfiguration {
    var configuration = StreamConfiguration(name: "test", format: .named(format))
    configuration.batch.size = 4
    configuration.badRecords = policy
    configuration.decoder.features = [FeaturePattern(format == "raw" ? "f1" : "x")]
    if format == "raw" {
      configuration.decoder.settings[RawSettings.columns] = 2
      configuration.decoder.settings[RawSettings.scalar] = .float64
      configuration.outputFormat = .named("csv")
    }
    configuration.normalization = NormalizationSettings(preset: .sklearn)
    configuration.normalization.updateFirst = false
    change(&configuration)
    return configuration
  }

  private func input(_ format: String) -> [UInt8] {
    (format == "csv" ? Array("k,x\n".utf8) : []) + records(format, values).joined()
  }

  /// The column of the feature in the output.
  private func normalized(_ run: SerialRun, _ format: String) -> [Double] {
    switch format {
    case "ndjson":
      run.lines.compactMap { line in
        line.split(separator: ":").last.flatMap { Double($0.dropLast()) }
      }
    case "csv":
      run.lines.compactMap { $0.hasPrefix("\"\"") ? Double($0.split(separator: ",")[1]) : nil }
    default: column(0, of: run.text)
    }
  }

  @Test(arguments: TestStream.formats, [false, true])
  func `a record whose output does not fit is left out, and later ones keep their batch`(
    format: String, isLive: Bool
  ) throws {
    let run = try SerialRun(
      configuration(format, .deadLetter), input(format), piece: isLive ? 20 : .max, isLive: isLive)
    // The first batch by μ = 0 and σ = 1; the second by 1 to 4; the third by all before it but the bad one.
    let (first, second) = (1.25.squareRoot(), [1.0, 2, 3, 4, 6, 5, 8])
    let mean = second.reduce(0, +) / 7
    let deviation =
      (second.map { ($0 - mean) * ($0 - mean) }.reduce(0, +) / 7).squareRoot()
    let expected =
      [1, 2, 3, 4] + [6, 5, 8].map { ($0 - 2.5) / first } + [9, 11].map { ($0 - mean) / deviation }
    let found = normalized(run, format)
    #expect(found.count == expected.count)
    for (y, z) in zip(found, expected) { #expect(abs(y - z) < 1e-6, "\(found)") }
    #expect(run.checkpoint?.values == [9])
    #expect(run.rejected.map(\.record) == [7])
    #expect(run.rejected.first?.bytes == records(format, values)[6])
    #expect(run.metrics.badRecords == 1 && run.metrics.recordsInFlight == 0)
    let place = input(format).count - records(format, values)[6...].joined().count
    #expect(run.rejected.first?.byteOffset == place)
  }

  @Test(arguments: TestStream.formats)
  func `a record whose output does not fit stops the stream, and the message says what to do`(
    format: String
  ) throws {
    let error = #expect(throws: StreamError.self) {
      try SerialRun(configuration(format, .fail), input(format))
    }
    #expect(error?.exitCode == 65)
    let text = error?.description ?? ""
    #expect(text.hasPrefix("test: record 7"), "\(text)")
    #expect(
      text.contains("found a greater one, from 1e+60; clip or precision: float64 keeps it in range")
    )
  }

  @Test func `the message does not name clip if it bounds no output`() throws {
    let error = #expect(throws: StreamError.self) {
      let configuration = configuration("csv", .fail) { $0.normalization.parts = .center }
      return try SerialRun(
        configuration, Array("k,x\n".utf8) + records("csv", [1e39, -1e39]).joined())
    }
    let text = error?.description ?? ""
    #expect(
      text.hasSuffix("found a greater one, from 1e+39; precision: float64 keeps it in range"),
      "\(text)")
  }

  @Test(arguments: zip([TransformParts.both, .center], ["clip", "a smaller γ"]))
  func `the message does not name precision if features keep their width`(
    parts: TransformParts, cure: String
  ) throws {
    let wide = betweenFormats(.csv, .arrow, ["x"]) { $0.precision = .float64 }
    let text = Array("k,x\n".utf8) + records("csv", [1e60, -1e60]).joined()
    let arrow = try SerialRun(wide, text).output
    let error = #expect(throws: StreamError.self) {
      let configuration = configuration("arrow", .fail) { $0.normalization.parts = parts }
      return try SerialRun(configuration, arrow)
    }
    let found = error?.description ?? ""
    #expect(found.hasSuffix("; \(cure) keeps it in range"), "\(found)")
  }

  @Test func `records are left out until the batch of the others fits`() throws {
    let configuration = configuration("csv", .skip) {
      $0.normalization = NormalizationSettings(preset: .pytorch)
      $0.normalization.mode = .batch
      $0.normalization.warmUp.records = 0
      $0.batch.size = 8
    }
    let state = Parameters(features: ["x"], weight: [3e38], bias: [0])
    let text = "k,x\n" + [-1.0, 5, 5, 5, 5, 6].map { "a,\($0)\n" }.joined()
    let run = try SerialRun(configuration, Array(text.utf8), parameters: state)
    // Without -1, the last is the farthest; without both, all are equal.
    #expect(column(1, of: run.text) == [0, 0, 0, 0])
    #expect(run.rejected.map(\.record) == [1, 6])
  }

  @Test func `a record that is held can be left out`() throws {
    let configuration = configuration("csv", .skip) {
      $0.normalization.warmUp.records = 8
      $0.normalization.warmUp.emission = .hold
      $0.normalization.estimator = .batchNorm
      $0.normalization.momentum = .weight(1)
    }
    // The moments that the start leads to are those of its second batch.
    let values = [1e60] + (0..<400).map { Double($0 % 2) }
    let input = Array("k,x\n".utf8) + records("csv", values).joined()
    let run = try SerialRun(configuration, input)
    #expect(run.rejected.map(\.record) == [1])
    #expect(normalized(run, "csv").count == 400)
  }
}
