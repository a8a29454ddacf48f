import Configuration
import Records
import Testing

@testable import Codecs

/// How the features of a CSV stream are chosen.
@Suite struct CSVHeaderTests {
  private func reading(_ csv: String, features: String...) throws -> FormatReading {
    try FormatReading(csv: csv) { $0.features = features.map { FeaturePattern($0) } }
  }

  private func openingFault(_ csv: String, _ set: (inout DecoderOptions) -> Void = { _ in }) throws
    -> String?
  {
    try FormatReading(csv: csv, set).outcome.openingFault?.description
  }

  @Test func `features may come in another order than the columns`() throws {
    let reading = try reading("a,b,c\n1,2,3\n4,5,6\n", features: "c", "a")
    #expect(reading.names == ["c", "a"])
    #expect(reading.rows == [[3, 1], [6, 4]])
    // Spans stand in the order of the text all the same.
    #expect(reading.spelled == ["1", "3", "4", "6"])
    #expect(reading.outcome.batches[0].spans.map(\.cell) == [3, 0, 4, 1])
    #expect(reading.unsoundness == nil)
  }

  @Test func `globs choose columns`() throws {
    let reading = try reading("wind_a,t,wind_b\n1,2,3\n", features: "wind_*")
    #expect(reading.names == ["wind_a", "wind_b"])
    #expect(reading.rows == [[1, 3]])
  }

  @Test func `a named feature need hold no number in the first record`() throws {
    let reading = try reading("a,b\n,NA\n1,2\n", features: "a", "b")
    #expect(reading.rows == [[nil, nil], [1, 2]])
  }

  @Test func `by default every column that holds numbers is a feature`() throws {
    let reading = try FormatReading(
      csv: "n,text,empty,na,nan,inf,quoted,blanks,sign\n1,x,,NA,nan,inf,\"2\", 3 ,+4\n"
    ) { $0.onInvalid = .missing }
    #expect(reading.names == ["n", "quoted", "blanks", "sign"])
    #expect(reading.rows == [[1, 2, 3, 4]])
  }

  @Test func `names may be quoted, and hold delimiters, line ends and quotes`() throws {
    let reading = try FormatReading(csv: "\"a,b\",\"c\nd\",\"e\"\"f\",\" g \",\n1,2,3,4,5\n")
    #expect(reading.names == ["a,b", "c\nd", "e\"f", " g ", ""])
    #expect(reading.rows == [[1, 2, 3, 4, 5]])
  }

  @Test func `a feature that matches nothing is refused with the nearest name`() throws {
    #expect(
      try openingFault("temp,humid\n1,2\n") { $0.features = [FeaturePattern("tmp")] }
        == "expected a column that 'tmp' matches, found none among 'temp', 'humid'; did you mean 'temp'?"
    )
    #expect(
      try openingFault("temp,humid\n") { $0.features = [FeaturePattern("pressure")] }
        == "expected a column that 'pressure' matches, found none among 'temp', 'humid'")
    #expect(
      try openingFault("1,2\n") {
        $0.settings[CSVSettings.header] = false
        $0.features = [FeaturePattern("f2")]
      } == "expected a column that 'f2' matches, found none among 'f0', 'f1'")
  }

  @Test func `two features of one name are refused, two other columns are not`() throws {
    #expect(
      try openingFault("a,b,a\n1,2,3\n")?.hasPrefix(
        "expected feature names that differ, found 'a' twice") == true)
    let reading = try reading("k,a,k\n1,2,3\n", features: "a")
    #expect(reading.rows == [[2]])
  }

  @Test func `records without a number give no features`() throws {
    #expect(
      try openingFault("a,b\nx,\ny,2\nz,w\nu,v\n")
        == "expected numbers in some column of the first records, found none")
  }

  @Test(arguments: ["1,2\n", "1,2,3,4\n"])
  func `a first record of another length does not choose features`(line: String) throws {
    let count = line.split(separator: ",").count
    // The next one does; this one is but a bad record.
    let chosen = try reading("a,b,c\n" + line + "1,x,3\n")
    #expect(chosen.faults == ["expected 3 fields, found \(count)"])
    #expect(chosen.rows == [[1, 3]])
    let named = try reading("a,b,c\n" + line + "1,2,3\n", features: "a", "c")
    #expect(named.faults == ["expected 3 fields, found \(count)"])
    #expect(named.rows == [[1, 3]])
  }

  @Test(arguments: ["", "\u{FEFF}"])
  func `an empty stream has no header`(input: String) throws {
    #expect(try openingFault(input) == "expected a header line, found the end of the stream")
  }

  @Test(arguments: ["", "\u{FEFF}"])
  func `an empty stream without a header is a stream without records`(input: String) throws {
    for features in [[], [FeaturePattern("x")]] {
      let reading = try FormatReading(csv: input) {
        $0.settings[CSVSettings.header] = false
        $0.features = features
      }
      #expect(reading.names == [])
      #expect(reading.rows == [])
      #expect(reading.outcome.opening?.prologue == Array(input.utf8))
    }
  }

  @Test(arguments: ["a,b", "a,b\n", "a,b\r\n", "\"a\",\"b\""])
  func `a header alone is a stream without records`(header: String) throws {
    let chosen = try reading(header, features: "b")
    #expect(chosen.names == ["b"])
    #expect(chosen.rows == [])
    #expect(chosen.outcome.opening?.prologue == Array(header.utf8))
  }

  @Test func `a broken header is refused`() throws {
    #expect(
      try openingFault("a,\"b\n1,2\n") == "expected a closing quote, found the end of the stream")
    #expect(
      try openingFault("a,b\"c\n1,2\n")
        == "expected quotes around a whole field, found one within 'b\"c'")
    #expect(
      try openingFault("a,\"b\"c\n1,2\n")
        == "expected a delimiter after the closing quote, found '\"b\"c'")
  }
}
