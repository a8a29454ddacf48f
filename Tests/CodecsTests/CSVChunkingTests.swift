import Features
import Testing

@testable import Codecs

/// The same bytes give the same records, however they come.
@Suite struct CSVChunkingTests {
  private static let pieces = [
    "1", "-2.5", "3e2", "+4", "nan", "inf", "1e400", "NA", "", "x", " 5 ", "\"6\"", "\"7\n8\"",
    "\"a\"\"b\"", "\"\"", "\"x,y\"", "\"\r\n\"", "\"", "a\"b", "\"c\"d", "ü", "\r", " ",
  ]

  /// A stream of mostly good records.
  private static func stream(_ random: inout SplitMix64) -> [UInt8] {
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

  private static func options(_ random: inout SplitMix64) -> DecoderOptions {
    var options = DecoderOptions()
    options.hasHeader = Int.random(in: 0..<4, using: &random) > 0
    options.features = Bool.random(using: &random) ? [] : [FeaturePattern("*")]
    options.onMissing = MissingPolicy.allCases.randomElement(using: &random) ?? .keep
    options.onInvalid = Bool.random(using: &random) ? .reject : .missing
    options.missingTokens = Bool.random(using: &random) ? ["NA"] : ["NA", "8"]
    if Bool.random(using: &random) { options.limits.recordBytes = 24 }
    return options
  }

  @Test func `windows of any size give the same batches, texts, spans and faults`() throws {
    let seed = UInt64.random(in: 0 ... .max)
    var random = SplitMix64(state: seed)
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
    // Else the streams were not what this test is about.
    #expect(records > 200 && faults > 50 && failures > 20, "seed \(seed)")
  }

  @Test func `all that was taken, kept and refused together is the input`() throws {
    let seed = UInt64.random(in: 0 ... .max)
    var random = SplitMix64(state: seed)
    for _ in 0..<200 {
      let input = Self.stream(&random)
      var options = Self.options(&random)
      options.limits = DecoderLimits()
      let reading = try FormatReading(.csv, input, options, batchSize: 2, chunk: 5)
      guard let opening = reading.outcome.opening, reading.outcome.failure == nil else { continue }
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
  }

  @Test(.timeLimit(.minutes(1)))
  func `a record that comes byte by byte is looked through once`() throws {
    // Each byte looked at again for each new one would be 2 · 10^10 looks.
    let field = String(repeating: "y", count: 200_000)
    for line in ["1,\(field)\n", "1,\"\(field)\"\n"] {
      let bytes = Array(("a,k\n" + line).utf8)
      var options = DecoderOptions()
      options.features = [FeaturePattern("a")]
      var decoder = try RecordFormat.csv.makeDecoder(options)
      var batch = RecordBatch(
        features: FeatureBatch(featureCount: 1, capacity: 1, precision: .float64))
      try bytes.withUnsafeBufferPointer { bytes in
        let opening = try decoder.open(InputWindow(bytes: bytes, isLast: false))
        #expect(opening != nil)
        for end in 5...bytes.count {
          var progress = DecodeProgress()
          _ = decoder.decode(
            InputWindow(bytes: UnsafeBufferPointer(rebasing: bytes[4..<end]), isLast: false),
            into: &batch, limit: 1, progress: &progress)
          #expect((progress.consumed > 0) == (end == bytes.count))
        }
      }
      #expect(batch.features.count == 1)
    }
  }
}
