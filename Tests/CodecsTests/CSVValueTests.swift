import Configuration
import Records
import Testing

@testable import Codecs

/// Which fields are numbers, which are missing, and which are neither.
@Suite struct CSVValueTests {
  /// Reads `field` as the value of feature `a`, with a text column on either side.
  private func read(
    _ field: String, _ onMissing: MissingPolicy = .keep, _ onInvalid: InvalidPolicy = .reject,
    tokens: [String] = ["NA"]
  ) throws -> FormatReading {
    let reading = try FormatReading(csv: "k,a,l\nx,\(field),y\n") {
      $0.features = [FeaturePattern("a")]
      $0.onMissing = onMissing
      $0.onInvalid = onInvalid
      $0.settings[CSVSettings.missingTokens] = tokens
    }
    #expect(reading.unsoundness == nil)
    #expect(reading.rows.count + reading.faults.count == 1)
    return reading
  }

  @Test(arguments: [
    ("0", 0.0), ("-0", -0.0), ("+1.5", 1.5), ("\"+1.5\"", 1.5), ("1.", 1), (".5", 0.5),
    ("1e3", 1000), ("1E+3", 1000), ("1e-3", 0.001), ("007", 7), ("1e-400", 0),
    ("9007199254740993", 9_007_199_254_740_992), ("1700000000.123", 1_700_000_000.123),
    ("1e100", 1e100), ("-1e100", -1e100), ("5e-324", .leastNonzeroMagnitude),
  ])
  func `a number is read to the nearest double`(field: String, value: Double) throws {
    let reading = try read(field)
    #expect(reading.rows == [[value]])
    #expect(reading.spelled == [field.filter { $0 != "\"" }])
  }

  @Test(arguments: [
    "", " ", "\t ", "\"\"", "\" \"", "NA", " NA ", "\"NA\"", "nan", "NaN", "NAN", "-nan", "+nan",
    "nan(0)",
  ])
  func `missing values are kept, taken for the mean or refused`(field: String) throws {
    for policy in [MissingPolicy.keep, .impute] {
      let reading = try read(field, policy)
      #expect(reading.rows == [[nil]])
      #expect(reading.spelled == [field.trimmingBlanksAndQuotes])
    }
    let refused = try read(field, .reject)
    #expect(
      refused.faults
        == [
          "expected a value of feature 'a', found a missing one, '\(field.trimmingBlanksAndQuotes)'"
        ])
    #expect(refused.outcome.rejections[0].bytes == Array("x,\(field),y\n".utf8))
  }

  @Test(arguments: [
    "inf", "Inf", "INF", "-inf", "+inf", "infinity", "-Infinity", "1e400", "-1e400", "\"inf\"", "x",
    "1x", "1 2", "1e", "--1", "+-1", "++1", "0x10", "null", "na",
    "NAN1", "-", "+", ".", "\"1\"\"2\"", "１", "1\u{A0}", "∞",
  ])
  func `infinities and text are refused, or missing where that is asked for`(field: String) throws {
    let refused = try read(field)
    #expect(refused.faults.count == 1)
    #expect(refused.faults[0].hasPrefix("expected a number in feature 'a', found '"))
    for policy in [MissingPolicy.keep, .impute] {
      let missing = try read(field, policy, .missing)
      #expect(missing.rows == [[nil]])
      #expect(missing.spelled == [field.trimmingBlanksAndQuotes])
    }
    #expect(
      try read(field, .reject, .missing).faults[0].hasPrefix("expected a value of feature 'a'"))
  }

  @Test func `a missing token may be a number`() throws {
    #expect(try read("-999", tokens: ["-999"]).rows == [[nil]])
    #expect(try read("\"-999\"", tokens: ["-999"]).rows == [[nil]])
    #expect(try read(" -999 ", tokens: ["-999"]).rows == [[nil]])
    // Tokens are spellings, not numbers.
    #expect(try read("-999.0", tokens: ["-999"]).rows == [[-999]])
    #expect(try read("-9990", tokens: ["-999"]).rows == [[-9990]])
    #expect(try read("-99", tokens: ["-999"]).rows == [[-99]])
  }

  @Test func `a missing token is a whole field`() throws {
    #expect(try read("N/A", tokens: ["?", "N/A"]).rows == [[nil]])
    #expect(try read("not measured", tokens: ["not measured"]).rows == [[nil]])
    #expect(try read("N/A1", tokens: ["N/A"]).faults.count == 1)
    #expect(try read("NA", tokens: []).faults.count == 1)
    #expect(try read("", tokens: []).rows == [[nil]])
    #expect(try read("", tokens: [""]).rows == [[nil]])
    #expect(try read("inf", tokens: ["inf"]).rows == [[nil]])
  }

  @Test func `a missing token in another column is text`() throws {
    let reading = try FormatReading(csv: "k,a\n-999,1\nNA,-999\n") {
      $0.features = [FeaturePattern("a")]
      $0.settings[CSVSettings.missingTokens] = ["-999", "NA"]
    }
    #expect(reading.rows == [[1], [nil]])
  }

  @Test func `numbers may be of any length`() throws {
    let digits = "0." + String(repeating: "3", count: 5000)
    #expect(try read(digits).rows == [[1.0 / 3]])
    #expect(try read("1" + String(repeating: "0", count: 400)).faults.count == 1)
  }

  @Test func `a refused record leaves nothing behind`() throws {
    let reading = try FormatReading(csv: "a,b,c\n1,2,3\n4,5,x\n7,8,9\n")
    #expect(reading.rows == [[1, 2, 3], [7, 8, 9]])
    #expect(reading.text == "1,2,3\n7,8,9\n")
    #expect(reading.spelled == ["1", "2", "3", "7", "8", "9"])
    #expect(reading.outcome.recordCount == 3)
    #expect(reading.unsoundness == nil)
    let rejection = try #require(reading.outcome.rejections.first)
    #expect(rejection.record == 2)
    #expect(rejection.byteOffset == 12)
    #expect(rejection.bytes == Array("4,5,x\n".utf8))
  }
}

extension String {
  fileprivate var trimmingBlanksAndQuotes: String {
    let inner = hasPrefix("\"") ? String(dropFirst().dropLast()) : self
    return String(
      inner.drop { $0 == " " || $0 == "\t" }.reversed().drop { $0 == " " || $0 == "\t" }.reversed())
  }
}
