import Configuration
import Records
import Testing

@testable import Codecs

/// The advice in errors about CSV that needs other settings.
@Suite struct CSVHintTests {
  private func fault(
    _ csv: String, features: [String] = [], set: (inout SettingValues) -> Void = { _ in }
  ) throws -> String? {
    var values = SettingValues()
    if !features.isEmpty {
      values[RecordSettings.features] = features.map { FeaturePattern($0) }
    }
    set(&values)
    let reading = try FormatReading(.csv, Array(csv.utf8), DecoderOptions(values))
    return reading.outcome.openingFault.map { "\($0)" } ?? reading.faults.first
  }

  @Test(arguments: [
    ("a;b\n1.5;2\n3;4\n", "--delimiter ';' fits the first lines"),
    ("a;b\n1,5;2,5\n3;4\n", "--delimiter ';' --decimal ',' fits the first lines"),
    ("a\tb\n1.5\t2\n3\t4\n", "--delimiter '\\t' fits the first lines"),
    ("a|b\n1.5|2\n3|4\n", "--delimiter '|' fits the first lines"),
    ("# made by x\na,b\n1.5,2\n3,4\n", "--comment '#' passes lines that start with it"),
    ("% made by x\na,b\n1.5,2\n3,4\n", "--comment '%' passes lines that start with it"),
    ("Report\na,b\n1.5,2\n3,4\n", "--skip-rows 1 passes a line before the header"),
  ])
  func `the error about the first lines names the option that they need`(
    csv: String, advice: String
  ) throws {
    let told = try fault(csv) ?? ""
    #expect(told.hasSuffix("; \(advice)"), "\(told)")
    #expect(try fault(csv, features: ["b"])?.hasSuffix("; \(advice)") == true)
  }

  @Test func `the advice fits the settings that are there`() throws {
    let told = try fault("a;b\n1,5;x\n") { $0[CSVSettings.delimiter] = UInt8(ascii: ";") }
    #expect(told?.hasSuffix("; --decimal ',' reads numbers such as 1,5") == true, "\(told ?? "")")
    let named = try fault("a;b\n1,5;x\n2,5;x\n", features: ["a"]) {
      $0[CSVSettings.delimiter] = UInt8(ascii: ";")
    }
    #expect(
      named
        == "expected a number in feature 'a', found '1,5'; --decimal ',' reads numbers such as 1,5")
    // Plain text needs no other settings.
    #expect(
      try fault("name,town\nx,y\n")
        == "expected numbers in some column of the first records, found none")
  }

  @Test func `a comment among records is told as one`() throws {
    #expect(
      try fault("a,b\n1,2\n# end\n3,4\n")
        == "expected a number in feature 'a', found '# end'; --comment '#' passes lines that start with it"
    )
    #expect(
      try fault("k,b\nx,2\n# end\ny,4\n")
        == "expected 2 fields, found 1; --comment '#' passes lines that start with it")
  }

  @Test func `a first record of another length than the header is told`() throws {
    #expect(
      try fault("a,b\n1,2,\"x\"\n")?.hasPrefix(
        "expected a record of 2 fields, as the header has, found the first with 3") == true)
    #expect(
      try fault("a,b\n")
        == "expected a record after the header, which tells the columns of numbers, "
        + "found none; name the features (--features) to read a header alone")
  }

  @Test func `a number that is too large is told as one`() throws {
    #expect(
      try fault("a\n1.5\n1e400\n", features: ["a"])
        == "expected a number in feature 'a', found '1e400', beyond the largest number, 1.8e308")
    #expect(
      try fault("a\n1.5\ninf\n", features: ["a"]) == "expected a number in feature 'a', found 'inf'"
    )
  }

  @Test func `a first line of numbers raises a warning, unless its names are given`() throws {
    func warning(_ csv: String, _ features: [String] = []) throws -> String? {
      var options = DecoderOptions()
      options.features = features.map { FeaturePattern($0) }
      return try FormatReading(.csv, Array(csv.utf8), options).outcome.opening?.warning
    }
    let told = try warning("1.5,-2,3e4\n3,4,5\n2,9,7\n")
    #expect(
      told == "the first line became the names of the columns ('1.5', '-2', '3e4'), and holds only "
        + "numbers; --no-header reads it as a record")
    #expect(try warning("1,2\n3,4\n", ["*"]) != nil)
    #expect(try warning("1,2\n3,4\n", ["1", "2"]) == nil)
    #expect(try warning("a,2\n3,4\n") == nil)
  }
}
