import Configuration
import Records
import TestSupport
import Testing

@testable import Codecs

/// Faults of CSV: their offsets, and the records after them.
@Suite struct CSVFaultTests {
  /// Reads `line` between two good records of two features and a text.
  private func fault(_ line: String) throws -> String {
    let reading = try FormatReading(csv: "a,b,k\n1,2,x\n\(line)\n3,4,y\n")
    #expect(reading.rows == [[1, 2], [3, 4]])
    #expect(reading.text == "1,2,x\n3,4,y\n")
    #expect(reading.unsoundness == nil)
    #expect(reading.outcome.recordCount == 3)
    let rejection = try #require(reading.outcome.rejections.first)
    #expect(rejection.record == 2)
    #expect(rejection.byteOffset == 12)
    #expect(rejection.bytes == Array((line + "\n").utf8))
    return rejection.fault.description
  }

  @Test func `a wrong number of fields is a bad record`() throws {
    #expect(try fault("1,2") == "expected 3 fields, found 2")
    #expect(try fault("1") == "expected 3 fields, found 1")
    #expect(try fault("1,2,x,") == "expected 3 fields, found 4")
    #expect(try fault("1,2,x,y,z") == "expected 3 fields, found 5")
    #expect(try fault("1,2,\"x\",\"y\"") == "expected 3 fields, found 4")
    #expect(try fault(" ") == "expected 3 fields, found 1")
  }

  @Test func `a quote within an unquoted field is a bad record`() throws {
    #expect(
      try fault("1,2,x\"y") == "expected quotes around a whole field, found one within 'x\"y'")
    #expect(
      try fault("1,2, \"x\"") == "expected quotes around a whole field, found one within ' \"x\"'")
    #expect(
      try fault("1\",2,x") == "expected quotes around a whole field, found one within '1\",2,x'")
  }

  @Test func `junk after a closing quote is a bad record`() throws {
    #expect(
      try fault("1,2,\"x\"y") == "expected a delimiter after the closing quote, found '\"x\"y'")
    #expect(
      try fault("1,\"2\" ,x") == "expected a delimiter after the closing quote, found '\"2\" ,x'")
    #expect(
      try fault("\"1\"\"2\"\"\"3,2,x")
        == "expected a delimiter after the closing quote, found '\"1\"\"2\"\"\"3,2,x'")
  }

  @Test(arguments: [1, 5, .max])
  func `a quote that is never closed makes the rest one bad record`(chunk: Int) throws {
    let csv = Array("a,k\n1,x\n2,\"y\n3,z\n".utf8)
    let reading = try FormatReading(.csv, csv, chunk: chunk)
    #expect(reading.rows == [[1]])
    #expect(reading.outcome.failure == nil)
    let rejection = try #require(reading.outcome.rejections.first)
    #expect(reading.outcome.rejections.count == 1)
    #expect(
      rejection.fault.description == "expected a closing quote, found the end of the stream")
    #expect(rejection.record == 2)
    #expect(rejection.byteOffset == 8)
    #expect(rejection.bytes == Array("2,\"y\n3,z\n".utf8))
  }

  @Test(arguments: [1, 7, 64, .max])
  func `a quote that is not closed within the limit takes whole lines up to it`(chunk: Int) throws {
    var options = DecoderOptions()
    options.limits.recordBytes = 40
    options.features = [FeaturePattern("a")]
    // The quote closes far later, so that large windows show its end and small ones do not.
    let lines = (1...30).map { "\($0),x\n" }.joined()
    let csv = "a,k\n0,x\n7,\"y\n" + lines + "8,y\"\n9,z\n"
    let reading = try FormatReading(.csv, Array(csv.utf8), options, chunk: chunk)
    #expect(reading.outcome.failure == nil)
    let first = try #require(reading.outcome.rejections.first)
    #expect(first.fault.description == "expected a closing quote within 40 bytes, found none")
    #expect(first.byteOffset == 8)
    #expect(first.bytes == Array("7,\"y\n1,x\n2,x\n3,x\n4,x\n5,x\n6,x\n7,x\n8,x\n".utf8))
    let values: [Double] = [0] + (9...30).map { Double($0) } + [9]
    #expect(reading.rows == values.map { [$0] })
    #expect(reading.outcome.rejections.dropFirst().map(\.bytes) == [Array("8,y\"\n".utf8)])
  }

  @Test(arguments: [1, 5, .max])
  func `a record of the greatest length is read and a longer one is refused`(chunk: Int) throws {
    var options = DecoderOptions()
    options.limits.recordBytes = 10
    options.features = [FeaturePattern("a")]
    let good = try FormatReading(.csv, Array("a,k\n1,3456789\n2,y\n".utf8), options, chunk: chunk)
    #expect(good.rows == [[1], [2]])
    for long in ["1,34567890\n2,y\n", "1,34567890x", "1,\"\n\n\n\n\n\n\n\"\n", "1,\"34567890"] {
      let reading = try FormatReading(
        .csv, Array("a,k\n0,x\n\(long)".utf8), options, chunk: chunk)
      #expect(reading.rows == [[0]])
      let failure = try #require(reading.outcome.failure)
      #expect(
        failure.fault.description == "expected a record of at most 10 bytes, found a longer one")
      #expect(failure.byteOffset == 8)
    }
  }

  @Test(arguments: [1, 5, .max])
  func `the limit also holds for the header, the first record and blank lines`(chunk: Int) throws {
    var options = DecoderOptions()
    options.limits.recordBytes = 10
    for (csv, offset) in [
      ("abcdefghijk,b\n1,2\n", 0), ("\"abcdefghi\",\"\n", 0), ("a,b\n1,234567890\n", 4),
      ("a,b\n\n\n\n\n\n\n\n\n\n1,2\n", 4),
    ] {
      let reading = try FormatReading(.csv, Array(csv.utf8), options, chunk: chunk)
      #expect(
        reading.outcome.openingFault?.description
          == "expected a record of at most 10 bytes, found a longer one", "\(csv)")
      #expect(reading.outcome.openingFault?.offset == offset, "\(csv)")
    }
  }

  @Test func `a record whose end has not come is refused as soon as it is longer than the limit`()
    throws
  {
    var decoder = try RecordFormat.csv.makeDecoder(
      {
        var options = DecoderOptions()
        options.limits.recordBytes = 100
        options.features = [FeaturePattern("a")]
        return options
      }())
    let bytes = Array("a\n".utf8) + Array(repeating: UInt8(ascii: "1"), count: 101)
    try bytes.withUnsafeBufferPointer { bytes in
      let all = InputWindow(bytes: bytes, isLast: false)
      let opening = try decoder.open(all)
      #expect(opening?.prologue.count == 2)
      var batch = RecordBlock(
        columns: FeatureColumns(featureCount: 1, capacity: 1, precision: .float64))
      var progress = DecodeProgress()
      let most = InputWindow(bytes: UnsafeBufferPointer(rebasing: bytes[2..<102]), isLast: false)
      guard
        case .needsInput = decoder.decode(most, into: &batch, limit: 1, progress: &progress)
      else { return #expect(Bool(false), "100 bytes are within the limit") }
      let more = InputWindow(bytes: UnsafeBufferPointer(rebasing: bytes[2...]), isLast: false)
      guard case .failed = decoder.decode(more, into: &batch, limit: 1, progress: &progress)
      else { return #expect(Bool(false), "101 bytes are not") }
    }
  }

  @Test func `more fields than the limit are refused in the header`() throws {
    for hasHeader in [true, false] {
      for (csv, isGood) in [("1,2,3\n4,5,6\n", true), ("1,2,3,4\n5,6,7,8\n", false)] {
        let reading = try FormatReading(csv: csv) {
          $0.settings[CSVSettings.header] = hasHeader
          $0.limits.fields = 3
        }
        #expect(
          reading.outcome.openingFault?.description
            == (isGood ? nil : "expected at most 3 fields, found more"))
      }
    }
  }

  @Test func `a fault quotes a short text without control characters`() throws {
    let reading = try FormatReading(
      csv: "a\n1\n\u{1B}[31m\(String(repeating: "x", count: 5000))\n\"2\n3\"\n"
    ) { $0.features = [FeaturePattern("a")] }
    #expect(reading.faults.count == 2)
    #expect(reading.faults[0].hasPrefix("expected a number in feature 'a', found '\\u{1B}[31mxxx"))
    #expect(reading.faults[0].hasSuffix("x…'"))
    #expect(reading.faults[0].count < 100)
    #expect(reading.faults[1] == "expected a number in feature 'a', found '2\\n3'")
  }

  @Test func `bytes that are not UTF-8 pass, and a fault shows them escaped`()
    throws
  {
    let reading = try FormatReading(
      .csv, Array("a,k\n1,".utf8) + [0xFF, 0xFE, 0x0A] + [0xC3] + Array(",x\n2,y\n".utf8))
    #expect(reading.rows == [[1], [2]])
    #expect(reading.batches[0].text == Array("1,".utf8) + [0xFF, 0xFE, 0x0A] + Array("2,y\n".utf8))
    #expect(reading.faults == ["expected a number in feature 'a', found '\u{FFFD}'"])
  }
}
