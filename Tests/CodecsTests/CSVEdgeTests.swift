import Configuration
import Records
import TestSupport
import Testing

@testable import Codecs

/// Lines that are no records, numbers of other countries, and files that are no CSV.
@Suite struct CSVEdgeTests {
  /// Reads the same text in one piece and byte by byte.
  private func reading(
    _ csv: [UInt8], _ set: (inout DecoderOptions) -> Void = { _ in }
  ) throws -> FormatReading {
    var options = DecoderOptions()
    set(&options)
    let whole = try FormatReading(.csv, csv, options)
    #expect(try FormatReading(.csv, csv, options, chunk: 1).outcome == whole.outcome)
    #expect(whole.unsoundness == nil)
    if whole.outcome.openingFault == nil, whole.outcome.rejections.isEmpty {
      let written = try whole.encoded(.csv, whole.csvOptions(options)) { $0 }
      #expect(try FormatReading(.csv, written, options).rows == whole.rows)
    }
    return whole
  }

  private func reading(
    _ csv: String, _ set: (inout DecoderOptions) -> Void = { _ in }
  ) throws -> FormatReading {
    try reading(Array(csv.utf8), set)
  }

  private func fault(
    _ csv: String, _ set: (inout DecoderOptions) -> Void = { _ in }
  ) throws -> String? {
    try reading(csv, set).outcome.openingFault?.description
  }

  // MARK: Comments

  @Test func `comments are no records wherever they stand, and pass`() throws {
    let csv = "# a \"note\n#\na,b\n1,2\n# \"x\",y\n#1,2\n3,4\n#end"
    let reading = try reading(csv) { $0.settings[CSVSettings.comment] = UInt8(ascii: "#") }
    #expect(reading.names == ["a", "b"])
    #expect(reading.rows == [[1, 2], [3, 4]])
    #expect(reading.outcome.recordCount == 2)
    let prologue = String(decoding: reading.outcome.opening?.prologue ?? [], as: UTF8.self)
    #expect(prologue + reading.text == csv)
  }

  @Test func `a comment may look like a record of other columns than features`() throws {
    let reading = try reading("k,a\nx,1\n#,2\ny,3\n") {
      $0.settings[CSVSettings.comment] = UInt8(ascii: "#")
    }
    #expect(reading.rows == [[1], [3]])
    let plain = try self.reading("k,a\nx,1\n#,2\ny,3\n")
    #expect(plain.rows == [[1], [2], [3]])
  }

  @Test func `a comment that is too long is refused`() throws {
    let csv = "a\n1\n#" + String(repeating: "x", count: 100) + "\n2\n"
    let reading = try reading(csv) {
      $0.settings[CSVSettings.comment] = UInt8(ascii: "#")
      $0.limits.recordBytes = 50
    }
    #expect(reading.rows == [[1]])
    #expect(reading.outcome.failure != nil)
  }

  // MARK: Before the header

  @Test func `rows are skipped before the header, whatever is in them`() throws {
    let csv = "Report \"x\r\nof, today\n\na,b\n1,2\n"
    let reading = try reading(csv) { $0.settings[CSVSettings.skipRows] = 2 }
    #expect(reading.names == ["a", "b"])
    #expect(reading.rows == [[1, 2]])
    let unnamed = try self.reading("note\n1,2\n3,4\n") {
      $0.settings[CSVSettings.skipRows] = 1
      $0.settings[CSVSettings.header] = false
    }
    #expect(unnamed.names == ["f0", "f1"])
    #expect(unnamed.rows == [[1, 2], [3, 4]])
  }

  @Test func `rows that are all skipped leave no header`() throws {
    #expect(
      try fault("a\nb\n") { $0.settings[CSVSettings.skipRows] = 5 }
        == "expected a header line, found the end of the stream")
  }

  @Test(arguments: ["\n", "\r\n", " \t\n\n", "\u{FEFF}\n"])
  func `blank lines may come before the header`(blank: String) throws {
    let reading = try reading(blank + "a,b\n1,2\n")
    #expect(reading.names == ["a", "b"])
    #expect(reading.rows == [[1, 2]])
    let prologue = String(decoding: reading.outcome.opening?.prologue ?? [], as: UTF8.self)
    #expect(Array((prologue + reading.text).utf8) == Array((blank + "a,b\n1,2\n").utf8))
  }

  @Test func `without a header, a blank line is a record of one column`() throws {
    let reading = try reading("\n1\n") { $0.settings[CSVSettings.header] = false }
    #expect(reading.outcome.recordCount == 2)
  }

  @Test func `a preamble without end is refused like a record without end`() throws {
    let csv = String(repeating: "\n", count: 100) + "a\n1\n"
    #expect(
      try fault(csv) { $0.limits.recordBytes = 50 }
        == "expected a record of at most 50 bytes, found a longer one")
  }

  // MARK: Numbers

  @Test func `a decimal comma is read and written`() throws {
    let csv = "a;b;t\n1,5;2;x,y\n-0,25; 1e3 ;\n;,5;z\n"
    func set(_ options: inout DecoderOptions) {
      options.settings[CSVSettings.delimiter] = UInt8(ascii: ";")
      options.settings[CSVSettings.decimal] = UInt8(ascii: ",")
    }
    let reading = try reading(csv, set)
    #expect(reading.names == ["a", "b"])
    #expect(reading.rows == [[1.5, 2], [-0.25, 1000], [nil, 0.5]])
    var options = DecoderOptions()
    set(&options)
    let doubled = try reading.encoded(.csv, reading.csvOptions(options)) { 2 * $0 }
    #expect(
      String(decoding: doubled, as: UTF8.self)
        == "a;b;t\n3;4;x,y\n-0,5; 2000 ;\n;1;z\n")
    let faults = try self.reading("a;b\n1,5;2\n1.5;2\n1,2,3;4\n") {
      set(&$0)
      $0.features = [FeaturePattern("a"), FeaturePattern("b")]
    }.faults
    #expect(
      faults == ["'1.5'", "'1,2,3'"].map { "expected a number in feature 'a', found \($0)" })
  }

  @Test func `features alone are written with a decimal comma too`() throws {
    var options = EncoderOptions(schema: try FeatureSchema(["a", "b"]), prologue: nil)
    options.settings[CSVSettings.delimiter] = UInt8(ascii: ";")
    options.settings[CSVSettings.decimal] = UInt8(ascii: ",")
    let reading = try FormatReading(csv: "a,b\n1.5,-2e-9\n")
    let written = try reading.encoded(.csv, options)
    #expect(String(decoding: written, as: UTF8.self) == "a;b\n1,5;-2e-09\n")
  }

  @Test func `the usual spellings of a missing value are known`() throws {
    let spellings = ["NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "None", "\\N", ""]
    // A column with hardly a number is no feature unless it is named.
    let reading = try reading("a,b\n1,2\n" + spellings.map { "\($0),3.5\n" }.joined())
    #expect(reading.faults == [])
    #expect(reading.rows == [[1, 2]] + spellings.map { _ in [nil, 3.5] })
    #expect(try self.reading("a,b\n1,2\nnone,3\n").faults.count == 1)
  }

  // MARK: No CSV

  @Test func `lines that end in a carriage return alone are told`() throws {
    let found = "found lines that end in a carriage return alone; `tr '\\r' '\\n'` corrects them"
    #expect(try fault("a,b\r1,2\r") == "expected lines that end in a line feed, " + found)
    let fault = try fault("1,2\r3,4\r") { $0.settings[CSVSettings.header] = false }
    #expect(fault == "expected lines that end in a line feed, " + found)
    #expect(try self.fault("a,\"b\rc\"\r\n1,2\r\n") == nil)
  }

  @Test func `zero bytes are no CSV`() throws {
    #expect(
      try fault("a\u{0},b\n1,2\n")
        == "expected lines of text, found a byte of value 0: this is no CSV")
  }

  @Test func `a header alone tells no columns of numbers`() throws {
    let fault = try fault("a,b\n")
    #expect(
      fault == "expected a record after the header, which tells the columns of numbers, "
        + "found none; name the features (--features) to read a header alone")
    #expect(
      try self.fault("a,b\n3\n")
        == "expected a record of 2 fields, as the header has, found the first with 1")
    #expect(try self.fault("a,b\n") { $0.features = [FeaturePattern("b")] } == nil)
  }

  // MARK: Names

  @Test func `names in Latin-1 that differ stay different, and pass`() throws {
    let bytes: [UInt8] = [0x61, 0xE9, 0x2C, 0x61, 0xE8, 0x0A] + Array("1,2\n".utf8)
    let reading = try reading(bytes)
    #expect(reading.names == ["a\\xE9", "a\\xE8"])
    #expect(reading.outcome.opening?.prologue == Array(bytes.prefix(6)))
    let chosen = try self.reading(bytes) { $0.features = [FeaturePattern("a\\xE8")] }
    #expect(chosen.rows == [[2]])
  }

  @Test func `names that Unicode takes for equal are two names`() throws {
    let reading = try reading("e\u{301},\u{E9}\n1,2\n")
    #expect(reading.names?.map { Array($0.utf8) } == [[0x65, 0xCC, 0x81], [0xC3, 0xA9]])
    #expect(reading.rows == [[1, 2]])
    let fault = try fault("\u{E9},b\n1,2\n") { $0.features = [FeaturePattern("e\u{301}")] }
    #expect(
      fault?.contains("looks the same and is spelled in other bytes") == true, "\(fault ?? "")")
  }

  @Test func `two columns of one name are told with what to do`() throws {
    #expect(
      try fault("a,b,a\n1,2,3\n") == "expected feature names that differ, found 'a' twice; "
        + "rename one of them, or leave that name out of the features")
    #expect(try fault("a,b,a\n1,2,3\n") { $0.features = [FeaturePattern("b")] } == nil)
  }
}

extension FormatReading {
  /// The options with which the records are written as they were read, in the form of other options.
  fileprivate func csvOptions(_ options: DecoderOptions) throws -> EncoderOptions {
    var encoder = try encoderOptions(.float64)
    encoder.settings = options.settings
    return encoder
  }
}

/// The settings that the name of a file tells.
@Suite struct FileNameTests {
  private func values(
    _ path: String, _ format: RecordFormat, _ role: FileRole = .input,
    _ values: SettingValues = SettingValues()
  ) -> SettingValues {
    var values = values
    format.suggest(by: path, role, &values)
    return values
  }

  @Test func `tabs and the width of floats are told by a file's name`() {
    for name in ["x.tsv", "a.csv/X.TAB", "x.tsv.zst", "x.tsv.gz", "x.tsv.xz"] {
      #expect(values(name, .csv)[CSVSettings.delimiter] == 0x09)
    }
    for name in ["x.csv", "tsv", "x.tsv.csv", "x.tsv.7z", "-"] {
      #expect(values(name, .csv)[CSVSettings.delimiter] == UInt8(ascii: ","))
    }
    #expect(values("x.f64", .raw)[RawSettings.scalar] == .float64)
    #expect(values("x.f64", .raw, .output)[RecordSettings.precision] == .float64)
    #expect(values("x.f32", .raw)[RawSettings.scalar] == .float32)
  }

  @Test func `a setting that the user gave counts more than a file's name`() {
    var given = SettingValues()
    given[CSVSettings.delimiter] = UInt8(ascii: ";")
    given[RawSettings.scalar] = .float32
    #expect(values("x.tsv", .csv, .input, given)[CSVSettings.delimiter] == UInt8(ascii: ";"))
    #expect(values("x.f64", .raw, .input, given)[RawSettings.scalar] == .float32)
  }
}
