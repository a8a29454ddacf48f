import Configuration
import Records
import TestSupport
import Testing

@testable import Codecs

/// Numbers that no column holds, in every format.
@Suite struct GreatestValueTests {
  private static let above = FeatureColumns.greatest.nextUp
  private let values: [Double] = [1, 1e100, above, 2, -1e100, -1e300, 3, -above]
  private let kept: [Double?] = [1, 1e100, 2, -1e100, 3]
  private let lenient: [Double?] = [1, 1e100, nil, 2, -1e100, nil, 3, nil]

  private func faults(_ spell: (Double) -> String) -> [String] {
    [Self.above, -1e300, -Self.above].map {
      "expected a number of at most 1e+100 in size in feature 'a', found \(spell($0)); "
        + "--on-invalid missing takes such numbers as missing"
    }
  }

  @Test(arguments: [false, true])
  func `a number above the greatest is invalid in CSV, quoted or not`(isQuoted: Bool) throws {
    let quote = isQuoted ? "\"" : ""
    let text = "a,k\n" + values.map { "\(quote)\($0)\(quote),x\n" }.joined()
    var options = DecoderOptions()
    options.features = [FeaturePattern("a")]
    let strict = try FormatReading(.csv, Array(text.utf8), options)
    #expect(strict.rows == kept.map { [$0] })
    #expect(strict.faults == faults { "'\($0)'" })
    options.onInvalid = .missing
    let lenient = try FormatReading(.csv, Array(text.utf8), options)
    #expect(lenient.rows == self.lenient.map { [$0] })
  }

  @Test func `a number above the greatest is invalid in JSON`() throws {
    let lines = values.map { "{\"a\":\($0)}" }.joined(separator: "\n")
    var options = ndjsonOptions("a")
    let strict = try NDJSONReading(lines, options)
    #expect(strict.rows == kept.map { [$0] })
    #expect(strict.rejections.map(\.fault.description) == faults { "'\($0)'" })
    options.onInvalid = .missing
    #expect(try NDJSONReading(lines, options).rows == lenient.map { [$0] })
  }

  @Test func `a number above the greatest is invalid in raw rows of one column and of five`() throws
  {
    for width in [1, 5] {
      var bytes: [UInt8] = []
      for value in values {
        for _ in 0..<width { withUnsafeBytes(of: value.bitPattern.littleEndian) { bytes += $0 } }
      }
      var options = DecoderOptions()
      options.settings[RawSettings.columns] = width
      options.settings[RawSettings.scalar] = .float64
      let strict = try FormatReading(.raw, bytes, options)
      #expect(strict.rows == kept.map { Array(repeating: $0, count: width) })
      #expect(
        strict.faults
          == faults { "\($0)" }.map { $0.replacing("feature 'a'", with: "feature 'f0'") })
      options.onInvalid = .missing
      let lenient = try FormatReading(.raw, bytes, options)
      #expect(lenient.rows == self.lenient.map { Array(repeating: $0, count: width) })
    }
  }
}
