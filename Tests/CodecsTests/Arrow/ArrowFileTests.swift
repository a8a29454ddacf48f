import Configuration
import Records
import Testing

@testable import Codecs

/// Arrow files, which are read by their footers.
struct ArrowFileTests {
  private func options(_ set: (inout DecoderOptions) -> Void = { _ in }) -> DecoderOptions {
    var options = DecoderOptions()
    options.features = [FeaturePattern("x"), FeaturePattern("y")]
    set(&options)
    return options
  }

  private func reader(_ file: [UInt8]) -> SplitBytes {
    SplitBytes(byteCount: file.count) { Array(file.dropFirst($0).prefix($1)) }
  }

  @Test(arguments: ArrowGolden.files)
  func `a file is read by its footer, as a whole or from its end`(name: String) throws {
    let file = try ArrowGolden.bytes(name)
    for elsewhere in [nil, reader(file)] {
      for (batchSize, chunk) in [(5, Int.max), (100, 700)] {
        let reading = try FormatReading(
          .arrow, file, options { $0.elsewhere = elsewhere }, batchSize: batchSize, chunk: chunk)
        #expect(reading.outcome.openingFault == nil && reading.outcome.failure == nil)
        #expect(reading.rows.count == ArrowGolden.records)
        guard !name.hasPrefix("pandas") else { continue }
        let expected = (0..<ArrowGolden.records).map { [ArrowGolden.x($0), ArrowGolden.y($0)] }
        #expect(reading.rows == expected)
      }
    }
  }

  /// The file that the encoder writes, with the footer that its end makes.
  private func written(_ reading: FormatReading) throws -> [UInt8] {
    var options = try reading.encoderOptions(.float32)
    options.settings[ArrowSettings.container] = .file
    var file = try reading.encoded(.arrow, options) { $0 + 1 }
    var end = try #require(RecordFormat.arrow.makeEncoder(options).epilogue)
    #expect(end.needsFile)
    while let range = end.wants(ofBytes: file.count) { end.take(Array(file[range])) }
    file += end.bytes
    return file
  }

  @Test(arguments: ArrowGolden.streams + ArrowGolden.files)
  func `a written file has a footer that lists its messages`(name: String) throws {
    let before = try FormatReading(
      .arrow, try ArrowGolden.bytes(name), options(), batchSize: 7)
    let file = try written(before)
    let after = try FormatReading(.arrow, file, options { $0.elsewhere = reader(file) })
    let raised = before.rows.map { $0.map { $0.map { $0 + 1 } } }
    #expect(after.rows == raised)
    #expect(file.starts(with: ArrowFooter.fileStart) && file.suffix(6) == ArrowFooter.magic[...])
    let parts = try arrowParts(Array(file.dropFirst(8)))
    let expected = before.batches.flatMap { ($0.payload as? ArrowPayload)?.items ?? [] }
    let dictionaries = expected.count { if case .dictionary = $0 { true } else { false } }
    #expect(parts.count { $0.kind == .dictionaryBatch } == dictionaries)
    #expect(parts.first?.kind == .schema)
  }

  @Test func `only the footer decides which batches a file has`() throws {
    let file = try ArrowGolden.bytes("pyarrow-none.arrow")
    // Other bytes in the place of the schema message, which readers of streams need.
    var damaged = file
    for index in 8..<200 { damaged[index] = 0xFF }
    let reading = try FormatReading(
      .arrow, damaged, options { $0.elsewhere = reader(damaged) }, batchSize: 100)
    #expect(reading.rows.count == ArrowGolden.records)
  }

  @Test func `a file that ends early is refused at every byte`() throws {
    let file = try ArrowGolden.bytes("polars-lazy.arrow")
    for count in 6..<file.count {
      let cut = Array(file[..<count])
      let reading = try FormatReading(.arrow, cut, options { $0.elsewhere = reader(cut) })
      #expect(reading.outcome.openingFault != nil, "\(count)")
    }
  }
}
