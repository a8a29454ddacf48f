import Configuration
import Records
import TestSupport
import Testing

@testable import Codecs

/// JSON as programs write it that bend its rules, and what is told of it.
@Suite struct NDJSONEdgeTests {
  /// Reads the same lines in one piece and byte by byte.
  private func reading(
    _ lines: [String], _ set: (inout DecoderOptions) -> Void = { _ in }
  ) throws -> NDJSONReading {
    var options = DecoderOptions()
    set(&options)
    let bytes = Array((lines.joined(separator: "\n") + "\n").utf8)
    let whole = try NDJSONReading(bytes, options)
    #expect(try NDJSONReading(bytes, options, chunk: 1) == whole)
    return whole
  }

  private func openingFault(
    _ line: String, _ set: (inout DecoderOptions) -> Void = { _ in }
  ) throws -> RecordFault? {
    do {
      _ = try reading([line], set)
      return nil
    } catch let fault as RecordFault {
      return fault
    }
  }

  // MARK: NaN and infinities

  @Test func `NaN and infinities are missing if invalid values are`() throws {
    let lines = [
      #"{"a":1,"b":2,"c":0}"#, #"{"a":NaN,"b":-Infinity,"c":Infinity}"#, #"{"a":3,"b":4,"c":NaN}"#,
    ]
    let lenient = try reading(lines) {
      $0.onInvalid = .missing
      $0.features = [FeaturePattern("a"), FeaturePattern("b")]
    }
    #expect(lenient.rows == [[1, 2], [nil, nil], [3, 4]])
    #expect(lenient.spelled == ["1", "2", "NaN", "-Infinity", "3", "4"])
    #expect(lenient.text == lines.joined(separator: "\n") + "\n")
    let strict = try reading(lines)
    #expect(strict.rows == [[1, 2, 0]])
    #expect(
      strict.rejections.first?.fault.description
        == "expected valid JSON, found NaN or an infinity, which JSON does not know (--on-invalid "
        + "missing takes it for a missing value) at byte 5 of the line: "
        + "'NaN,\"b\":-Infinity,\"c\":Infinity}\\n'")
  }

  @Test func `a number may be NaN in the first record, in vectors too`() throws {
    let reading = try reading([#"{"a":NaN,"v":[1,NaN]}"#, #"{"a":2,"v":[3,4]}"#]) {
      $0.onInvalid = .missing
    }
    // In the order of their first numbers.
    #expect(reading.names == ["v[0]", "v[1]", "a"])
    #expect(reading.rows == [[1, nil, nil], [3, 4, 2]])
  }

  @Test(arguments: ["nan", "NAN", "Infinit", "+Infinity", "-NaN", "Infinity1", "N"])
  func `other words are no JSON all the same`(word: String) throws {
    let reading = try reading([#"{"a":1}"#, "{\"a\":\(word)}"]) { $0.onInvalid = .missing }
    #expect(reading.rows == [[1]])
  }

  // MARK: Numbers in quotes

  @Test func `numbers in quotes are read if asked for, and keep their quotes`() throws {
    let lines = [
      #"{"a":"1.5","s":"x","v":["1",2]}"#, #"{"a":"-2e3","s":"y","v":[3,"4"]}"#,
      #"{"a":7,"s":"z","v":["5","6"]}"#, #"{"a":"8","s":"9","v":["1","2"]}"#,
    ]
    let reading = try reading(lines) { $0.settings[NDJSONSettings.quotedNumbers] = true }
    #expect(reading.names == ["a", "v[0]", "v[1]"])
    #expect(reading.rows == [[1.5, 1, 2], [-2000, 3, 4], [7, 5, 6], [8, 1, 2]])
    #expect(reading.spelled.prefix(3) == ["1.5", "1", "2"])
    #expect(reading.text == lines.joined(separator: "\n") + "\n")
    #expect(throws: RecordFault.self) { try self.reading([#"{"a":"1.5"}"#]) }
  }

  @Test(arguments: ["", " 1", "1 ", "1x", "NaN", "1e999", "0x1", "\\u0031", "null"])
  func `a string that is no number is invalid`(text: String) throws {
    let lines = [#"{"a":"1"}"#, "{\"a\":\"\(text)\"}"]
    let strict = try reading(lines) { $0.settings[NDJSONSettings.quotedNumbers] = true }
    #expect(strict.rejections.count == 1)
    let lenient = try reading(lines) {
      $0.settings[NDJSONSettings.quotedNumbers] = true
      $0.onInvalid = .missing
    }
    #expect(lenient.rows == [[1], [nil]])
    #expect(lenient.text == lines.joined(separator: "\n") + "\n")
  }

  // MARK: Half surrogate pairs

  @Test func `half of a surrogate pair passes in what is no feature`() throws {
    let lines = [
      #"{"a":1,"s":"\ud800","\udc00":5,"o":{"\ud800":6}}"#, #"{"a":2,"s":"x\udfffy"}"#,
      #"{"a":3,"s":["\ud83d\ud83d"],"\ud800":1}"#,
    ]
    let reading = try reading(lines)
    #expect(reading.names == ["a"])
    #expect(reading.rows == [[1], [2], [3]])
    #expect(reading.text == lines.joined(separator: "\n") + "\n")
  }

  // MARK: Reasons and places

  @Test(arguments: [
    (#"{"a":1},"#, "a comma after the object at byte 7 of the line: ',\\n'"),
    (#"{"a":1} // c"#, "a comment after the object at byte 8 of the line: '// c\\n'"),
    (#"{"a":1} # c"#, "a comment after the object at byte 8 of the line: '# c\\n'"),
    (#"{"a":"}"} x"#, "more text after the object at byte 10 of the line: 'x\\n'"),
    (#"{"a":[1}"#, "a missing comma, colon, quote or bracket at byte 7 of the line: '}\\n'"),
    ("{", "no end of the object in its line (one record, one line)"),
    (#"{"a":"x\"}"#, "a string without its end"),
    (#"{"a":[{}],"#, "no end of the object in its line (one record, one line)"),
  ])
  func `a fault has the right reason and place`(line: String, reason: String) throws {
    let reading = try reading([#"{"a":1}"#, line])
    #expect(
      reading.rejections.map(\.fault.description) == ["expected valid JSON, found \(reason)"])
  }

  @Test func `an array of records is told with a way around`() throws {
    let reading = try reading([#"{"a":1}"#, #" [{"a":1}]"#])
    #expect(
      reading.rejections.first?.fault.description
        == "expected a JSON object in each line, found ' [{\"a\":1}]\\n'; `jq -c '.[]'` writes each "
        + "element of an array on a line")
  }

  @Test func `a member twice in the first record has its place`() throws {
    let twice = try self.reading(["", #"{"a":1,"a":2}"#, #"{"a":3}"#])
    #expect(
      twice.rejections.map(\.fault.description)
        == ["expected the member of feature 'a' once, found it twice"])
    #expect(twice.rows == [[3]])
    let other = try reading([#"{"a":1,"x":2,"x":3}"#]) { $0.features = [FeaturePattern("a")] }
    #expect(other.rows == [[1]])
  }

  @Test func `nested vectors are said not to be supported`() throws {
    let hint =
      "an array of arrays or objects ('o.v') cannot be a feature: flatten it before, as with "
      + "`jq -c '.v |= flatten'`"
    for value in ["[[1,2],[3,4]]", "[{\"x\":1}]"] {
      let line = "{\"o\":{\"v\":\(value)}}"
      #expect(
        try openingFault(line)?.description
          == "expected numbers in the first records, found none; " + hint)
      let named = try openingFault(line) { $0.features = [FeaturePattern("o.v[*]")] }
      #expect(named?.description.hasSuffix("found none; " + hint) == true, "\(named as Any)")
    }
  }

  // MARK: Names

  @Test func `members that Unicode takes for equal are two features`() throws {
    let reading = try reading(["{\"e\u{301}\":1,\"\u{E9}\":2}"])
    #expect(reading.rows == [[1, 2]])
    let one = try self.reading(["{\"e\u{301}\":1,\"\u{E9}\":2}"]) {
      $0.features = [FeaturePattern("\u{E9}")]
    }
    #expect(one.rows == [[2]])
  }
}
