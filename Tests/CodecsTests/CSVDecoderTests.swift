import Configuration
import Records
import Testing

@testable import Codecs

/// Records of CSV (RFC 4180): their values, and their bytes, which are kept.
@Suite struct CSVDecoderTests {
  @Test func `numbers are read by column, and the text is kept byte for byte`() throws {
    let reading = try FormatReading(csv: "a,key,b\n1.50,x,-2e1\n3,\"y, z\",+.5\n")
    #expect(reading.names == ["a", "b"])
    #expect(reading.rows == [[1.5, -20], [3, 0.5]])
    #expect(reading.text == "1.50,x,-2e1\n3,\"y, z\",+.5\n")
    #expect(reading.spelled == ["1.50", "-2e1", "3", "+.5"])
    #expect(reading.outcome.opening?.prologue == Array("a,key,b\n".utf8))
    #expect(reading.outcome.batches[0].spans.map(\.cell) == [0, 3, 1, 4])
  }

  @Test(arguments: ["\n", "\r\n"])
  func `a line ends with a line feed, with or without a carriage return before it`(end: String)
    throws
  {
    let reading = try FormatReading(csv: "a,b\(end)1,2\(end)3,4\(end)")
    #expect(reading.names == ["a", "b"])
    #expect(reading.rows == [[1, 2], [3, 4]])
    #expect(reading.spelled == ["1", "2", "3", "4"])
    #expect(reading.text == "1,2\(end)3,4\(end)")
  }

  @Test func `line ends may be mixed`() throws {
    let reading = try FormatReading(csv: "a,b\r\n1,2\n3,4\r\n5,\"6\"\n\"7\",\"8\"\r\n")
    #expect(reading.rows == [[1, 2], [3, 4], [5, 6], [7, 8]])
    #expect(reading.text == "1,2\n3,4\r\n5,\"6\"\n\"7\",\"8\"\r\n")
  }

  @Test(arguments: ["3,4", "3,\"4\"", "\"3\",4"])
  func `the last line needs no line end`(last: String) throws {
    let reading = try FormatReading(csv: "a,b\n1,2\n" + last)
    #expect(reading.rows == [[1, 2], [3, 4]])
    #expect(reading.text == "1,2\n" + last)
  }

  @Test func `the number inside quotes is the value, and the quotes are not part of it`() throws {
    let reading = try FormatReading(csv: "a,b\n\"1.5\",\" -2 \"\n")
    #expect(reading.rows == [[1.5, -2]])
    #expect(reading.spelled == ["1.5", "-2"])
  }

  @Test func `delimiters, line ends and doubled quotes within quotes are text`() throws {
    let csv =
      "k,a\n\"x,\r\ny\n\"\"z\"\"\",1\n\"\"\"\",2\n\"\",3\n\",,,\",4\n\"\n\n\",5\n\"a\"\"\nb\",6\n"
    let reading = try FormatReading(csv: csv)
    #expect(reading.names == ["a"])
    #expect(reading.rows == [[1], [2], [3], [4], [5], [6]])
    #expect(reading.text == csv.dropFirst(4))
    #expect(reading.outcome.recordCount == 6)
  }

  @Test func `blanks around a number are ignored`() throws {
    let reading = try FormatReading(csv: "a,b\n 1 ,\t2\t\n  3,4  \n")
    #expect(reading.rows == [[1, 2], [3, 4]])
    #expect(reading.spelled == ["1", "2", "3", "4"])
    #expect(reading.text == " 1 ,\t2\t\n  3,4  \n")
  }

  @Test func `a byte order mark is not part of the first name or number`() throws {
    let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
    let named = try FormatReading(.csv, mark + Array("a,b\n1,2\n".utf8))
    #expect(named.names == ["a", "b"])
    #expect(named.outcome.opening?.prologue == mark + Array("a,b\n".utf8))
    #expect(named.rows == [[1, 2]])
    var options = DecoderOptions()
    options.settings[CSVSettings.header] = false
    let unnamed = try FormatReading(.csv, mark + Array("1,2\n".utf8), options)
    #expect(unnamed.names == ["f0", "f1"])
    #expect(unnamed.outcome.opening?.prologue == mark)
    #expect(unnamed.rows == [[1, 2]])
    let quoted = try FormatReading(.csv, mark + Array("\"a\",b\n1,2\n".utf8))
    #expect(quoted.names == ["a", "b"])
  }

  @Test(arguments: [" ", "\t", ","])
  func `blanks within quotes are ignored with every delimiter`(delimiter: String)
    throws
  {
    let reading = try FormatReading(csv: "a\(delimiter)b\n\" 1\t\"\(delimiter)\"\t 2\"\n") {
      $0.settings[CSVSettings.delimiter] = Array(delimiter.utf8)[0]
    }
    #expect(reading.rows == [[1, 2]])
    #expect(reading.spelled == ["1", "2"])
  }

  @Test(arguments: [";", "|", "\t", " ", ":", "~", "'", "_"])
  func `any delimiter that cannot be part of a number separates the fields`(delimiter: String)
    throws
  {
    let lines = "a#b#k\n1.5#\"2\"#\"x#y\"\n#-3#\n".replacing("#", with: delimiter)
    let reading = try FormatReading(csv: lines) {
      $0.settings[CSVSettings.delimiter] = Array(delimiter.utf8)[0]
    }
    #expect(reading.names == ["a", "b"])
    #expect(reading.rows == [[1.5, 2], [nil, -3]])
  }

  @Test(arguments: ["\"", "+", "-", ".", "e", "0", "\n", "\r", "\u{0}", "\u{7f}"])
  func `a delimiter that a number or a line end may contain is refused`(delimiter: String) {
    #expect(throws: FormatError.self) {
      try FormatReading(csv: "") { $0.settings[CSVSettings.delimiter] = Array(delimiter.utf8)[0] }
    }
  }

  @Test func `a comma is text if the delimiter is a tab`() throws {
    let reading = try FormatReading(csv: "a\tb,c\n1\t2\n") {
      $0.settings[CSVSettings.delimiter] = 9
    }
    #expect(reading.names == ["a", "b,c"])
    #expect(reading.rows == [[1, 2]])
  }

  @Test func `without a header the columns are numbered and the first line is a record`() throws {
    let reading = try FormatReading(csv: "1,x,3\n4,y,6\n") {
      $0.settings[CSVSettings.header] = false
    }
    #expect(reading.names == ["f0", "f2"])
    #expect(reading.outcome.opening?.prologue == [])
    #expect(reading.rows == [[1, 3], [4, 6]])
  }

  @Test
  func `with one column, a line without a delimiter is a value, and a blank line is a missing one`()
    throws
  {
    let reading = try FormatReading(csv: "a\n1\n\n3\n\r\n")
    #expect(reading.rows == [[1], [nil], [3], [nil]])
    #expect(reading.text == "1\n\n3\n\r\n")
    #expect(reading.outcome.recordCount == 4)
  }

  @Test func `with more columns, a blank line is not a record and is kept`() throws {
    let reading = try FormatReading(csv: "a,b\n1,2\n\n\r\n3,4\n\n")
    #expect(reading.rows == [[1, 2], [3, 4]])
    #expect(reading.text == "1,2\n\n\r\n3,4\n\n")
    #expect(reading.outcome.recordCount == 2)
    #expect(reading.spelled == ["1", "2", "3", "4"])
  }

  @Test func `blank lines before the first record do not hide its numbers`() throws {
    let named = try FormatReading(csv: "a,b\n\n\r\n1,2\n")
    #expect(named.names == ["a", "b"])
    #expect(named.rows == [[1, 2]])
    #expect(named.text == "\n\r\n1,2\n")
    let unnamed = try FormatReading(csv: "\n\n1,2\n") { $0.settings[CSVSettings.header] = false }
    #expect(unnamed.names == ["f0", "f1"])
    #expect(unnamed.rows == [[1, 2]])
    #expect(unnamed.text == "\n\n1,2\n")
  }

  @Test func `blank lines alone give no records`() throws {
    let named = try FormatReading(csv: "a,b\n\n\n") { $0.features = [FeaturePattern("a")] }
    #expect(named.rows == [])
    #expect(named.text == "\n\n")
    let unnamed = try FormatReading(csv: "\n\r\n") { $0.settings[CSVSettings.header] = false }
    #expect(unnamed.names == [])
    #expect(unnamed.rows == [])
    #expect(unnamed.faults == [])
    #expect(unnamed.text == "\n\r\n")
  }

  @Test func `a line of empty fields is a record`() throws {
    let reading = try FormatReading(csv: "a,b\n1,2\n,\n\"\",\"\"\n")
    #expect(reading.rows == [[1, 2], [nil, nil], [nil, nil]])
  }

  @Test func `text is kept only if the options ask for it`() throws {
    let reading = try FormatReading(csv: "a,b\n1,2\n\n3,x\n5,6\n") { $0.keepsText = false }
    #expect(reading.rows == [[1, 2], [5, 6]])
    #expect(reading.text.isEmpty)
    #expect(reading.spelled.isEmpty)
    #expect(reading.faults.count == 1)
  }

  @Test func `batches are cut after records, and a blank line belongs to the record after it`()
    throws
  {
    let reading = try FormatReading(csv: "a,b\n1,2\n3,4\n\n5,6\n7,8\n\n", batchSize: 2)
    #expect(reading.outcome.batches.map(\.rows.count) == [2, 2, 0])
    #expect(
      reading.outcome.batches.map { String(decoding: $0.text, as: UTF8.self) }
        == ["1,2\n3,4\n", "\n5,6\n7,8\n", "\n"])
    #expect(reading.outcome.batches.map(\.endRecord) == [2, 4, 4])
    #expect(reading.outcome.batches.map(\.endByte) == [12, 21, 22])
  }

  @Test func `twenty thousand columns are read like two`() throws {
    let count = 20_000
    let header = FeatureSchema.unnamed(count: count).joined(separator: ",")
    let line = (0..<count).map { String($0) }.joined(separator: ",")
    let reading = try FormatReading(csv: header + "\n" + line + "\n" + line + "\n", batchSize: 2)
    #expect(reading.names?.count == count)
    #expect(reading.rows == Array(repeating: (0..<count).map { Double($0) }, count: 2))
    #expect(reading.outcome.batches[0].spans.count == 2 * count)
    #expect(reading.unsoundness == nil)
  }
}
