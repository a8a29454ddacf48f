import BatchNormalization
import Configuration
import Records
import Testing

@testable import Codecs
@testable import Stream

/// `output.columns` of Arrow that stays Arrow.
@Suite struct ArrowProjectionTests {
  private static let names = [
    "pyarrow-none.arrows", "pyarrow-zstd.arrows", "pyarrow-lz4.arrows", "pyarrow-legacy.arrows",
    "pyarrow-deltas.arrows", "polars-newest-lz4.arrows", "pandas.arrows", "duckdb.arrows",
    "pyarrow-words-zstd.arrows", "pyarrow-none.arrow", "polars-newest-none.arrow", "pandas.arrow",
  ]

  private func projected(
    _ input: [UInt8], _ columns: [String], to format: RecordFormat = .arrow, piece: Int = .max,
    _ change: (inout StreamConfiguration) -> Void = { _ in }
  ) throws -> SerialRun {
    try SerialRun(
      betweenFormats(.arrow, format, ["x"]) {
        $0.decoder.settings[RecordSettings.columns] = columns.map { FeaturePattern($0) }
        change(&$0)
      }, input, piece: piece)
  }

  /// The top-level columns that have a text, in reverse.
  private func columns(of input: [UInt8]) throws -> [String] {
    let header = try SerialRun(betweenFormats(.arrow, .csv, ["x"]), input).lines[0]
    return header.split(separator: ",").map(String.init).filter { !$0.contains(".") }.reversed()
  }

  @Test(arguments: names)
  func `the columns that are kept have the values of the input, in their new order`(name: String)
    throws
  {
    let input = try ArrowInput.golden(name)
    let all = try columns(of: input)
    let half = all.enumerated().filter { $0.offset % 2 == 0 || $0.element == "x" }
    for (kept, piece) in [(all, Int.max), (half.map(\.element), 331)] {
      let expected = try projected(input, kept, to: .csv)
      let arrow = try projected(input, kept, piece: piece)
      let text = try SerialRun(betweenFormats(.arrow, .csv, ["x"]), arrow.output)
      #expect(text.text == expected.text, "\(kept)")
    }
  }

  @Test func `columns that are left out take no room, nor do their dictionaries`() throws {
    let input = try ArrowInput.golden("pyarrow-words-none.arrows")
    let all = try projected(input, ["*"]).output
    let one = try projected(input, ["x"]).output
    #expect(try !ArrowInput.messages(one).contains { $0.kind == .dictionaryBatch })
    #expect(try ArrowInput.messages(all).contains { $0.kind == .dictionaryBatch })
    // Metadata keeps its old bytes after the new ones.
    let bodies = try ArrowInput.messages(one).filter { $0.kind == .recordBatch }
    #expect(one.count < all.count && !bodies.isEmpty)
  }

  @Test func `a stamp goes with columns that are left out`() throws {
    let input = try ArrowInput.golden("pyarrow-zstd.arrows")
    let run = try projected(input, ["y", "x"]) { $0.decoder.settings[RecordSettings.stamp] = "ek" }
    let text = String(decoding: run.output, as: UTF8.self)
    #expect(text.contains("state_version"))
    let csv = try SerialRun(betweenFormats(.arrow, .csv, ["x"]), run.output)
    #expect(try csv.text == projected(input, ["y", "x"], to: .csv).text)
  }

  @Test func `a name that there is not is refused when the stream starts`() throws {
    let error = #expect(throws: StreamError.self) {
      _ = try projected(ArrowInput.golden("pyarrow-none.arrows"), ["lake"])
    }
    let told = error.map { "\($0)" } ?? ""
    #expect(told.contains("output.columns: expected a column that 'lake' matches"), "\(told)")
    #expect(error?.exitCode == 78)
  }
}
