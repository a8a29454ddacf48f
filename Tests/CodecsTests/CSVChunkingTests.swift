import Configuration
import Records
import TestSupport
import Testing

@testable import Codecs

/// The same bytes give the same records, in chunks of any size.
@Suite struct CSVChunkingTests {
  private static let pieces = [
    "1", "-2.5", "3e2", "+4", "nan", "inf", "1e400", "NA", "", "x", " 5 ", "\"6\"", "\"7\n8\"",
    "\"a\"\"b\"", "\"a\"\"\nb\"", "\"\"", "\"x,y\"", "\"\r\n\"", "\"", "a\"b", "\"c\"d", "ü", "\r",
    " ",
  ]

  /// A stream of mostly good records.
  private static func stream(_ random: inout SeededGenerator) -> [UInt8] {
    let columns = Int.random(in: 1...4, using: &random)
    let ends = ["\n", "\r\n"]
    var csv = Bool.random(using: &random) ? "\u{FEFF}" : ""
    csv += (0..<columns).map { "c\($0)" }.joined(separator: ",") + "\n"
    for _ in 0..<Int.random(in: 0...12, using: &random) {
      let isOdd = Int.random(in: 0..<4, using: &random) == 0
      let fields = (0..<(isOdd ? Int.random(in: 0...5, using: &random) : columns)).map { _ in
        isOdd
          ? pieces.randomElement(using: &random) ?? ""
          : Bool.random(using: &random) ? "\(Int.random(in: -99...99, using: &random)).5" : "\"8\""
      }
      csv += fields.joined(separator: ",") + (ends.randomElement(using: &random) ?? "")
    }
    if Int.random(in: 0..<3, using: &random) == 0 { csv += "9,\"9" }
    return Array(csv.utf8)
  }

  private static func options(_ random: inout SeededGenerator) -> DecoderOptions {
    var options = DecoderOptions()
    options.settings[CSVSettings.header] = Int.random(in: 0..<4, using: &random) > 0
    options.features = Bool.random(using: &random) ? [] : [FeaturePattern("*")]
    options.onMissing = MissingPolicy.allCases.randomElement(using: &random) ?? .keep
    options.onInvalid = Bool.random(using: &random) ? .reject : .missing
    options.settings[CSVSettings.missingTokens] =
      Bool.random(using: &random) ? ["NA"] : ["NA", "8"]
    if Bool.random(using: &random) { options.limits.recordBytes = 24 }
    return options
  }

  @Test func `windows of any size give the same batches, texts, spans and faults`() throws {
    let seed = testSeed
    var random = SeededGenerator(seed: seed)
    var (records, faults, failures) = (0, 0, 0)
    for round in 0..<400 {
      let input = Self.stream(&random)
      let options = Self.options(&random)
      let batchSize = Int.random(in: 1...5, using: &random)
      let whole = try FormatReading(.csv, input, options, batchSize: batchSize)
      #expect(whole.unsoundness == nil, "seed \(seed), round \(round)")
      records += whole.rows.count
      faults += whole.faults.count
      failures += whole.outcome.failure == nil ? 0 : 1
      for chunk in [1, 7, 4096] {
        let chunked = try FormatReading(.csv, input, options, batchSize: batchSize, chunk: chunk)
        guard chunked.outcome == whole.outcome else {
          let text = String(decoding: input, as: UTF8.self).debugDescription
          Issue.record("seed \(seed), round \(round), chunks of \(chunk): \(text)")
          return
        }
      }
      var sizes = random
      let ragged = try FormatReading(.csv, input, options, batchSize: batchSize) {
        Int.random(in: 1...20, using: &sizes)
      }
      guard ragged.outcome == whole.outcome else {
        Issue.record("seed \(seed), round \(round), ragged chunks")
        return
      }
    }
    // Otherwise the streams are not what this test is about.
    #expect(records > 200 && faults > 50 && failures > 2, "seed \(seed)")
  }

  @Test func `the kept and the refused bytes together are the input`() throws {
    let seed = testSeed
    var random = SeededGenerator(seed: seed)
    var readCount = 0
    for _ in 0..<200 {
      let input = Self.stream(&random)
      var options = Self.options(&random)
      options.limits = DecoderLimits()
      let reading = try FormatReading(.csv, input, options, batchSize: 2, chunk: 5)
      guard let opening = reading.outcome.opening, reading.outcome.failure == nil else { continue }
      readCount += 1
      let kept = opening.prologue.count + reading.batches.reduce(0) { $0 + $1.text.count }
      let refused = reading.outcome.rejections.reduce(0) { $0 + $1.bytes.count }
      #expect(kept + refused == input.count, "seed \(seed)")
      for rejection in reading.outcome.rejections {
        let end = rejection.byteOffset + rejection.bytes.count
        #expect(Array(input[rejection.byteOffset..<end]) == rejection.bytes, "seed \(seed)")
      }
      #expect(
        reading.outcome.recordCount == reading.rows.count + reading.outcome.rejections.count,
        "seed \(seed)")
    }
    #expect(readCount > 50, "seed \(seed)")
  }

  @Test(arguments: ["1,yyyyyy", "1,\"yyyyy", "\"\"\"\",yyy"])
  func `the scanner looks at each byte of a record once`(start: String) throws {
    var scanner = CSVRecordScanner(delimiter: UInt8(ascii: ","))
    var bytes = Array(start.utf8)
    func next() -> CSVRecordScanner.Result {
      bytes.withUnsafeBufferPointer { scanner.next(in: $0, from: 0, isLast: false) }
    }
    for end in "zz" {
      guard case .incomplete = next() else { return #expect(Bool(false), "no end has come") }
      // A scanner that looks at the earlier bytes again finds the end of a record there.
      bytes = Array(repeating: 0x0A, count: bytes.count) + Array(String(end).utf8)
    }
    guard case .incomplete = next() else { return #expect(Bool(false), "no end has come") }
    bytes += start.hasSuffix("\"yyyyy") ? [0x22, 0x0A] : [0x0A]
    guard case .record(let record) = next() else { return #expect(Bool(false), "the end came") }
    #expect(record.end == bytes.count)
    #expect(record.hasQuotes == start.contains("\""))
  }
}
