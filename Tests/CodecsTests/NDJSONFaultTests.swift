import Records
import Testing

@testable import Codecs

struct NDJSONFaultTests {
  /// The fault of `line` as the second record of a stream whose first record has a feature `a`.
  private func fault(
    _ line: [UInt8], _ options: DecoderOptions = ndjsonOptions("a")
  ) throws -> String? {
    let reading = try NDJSONReading(Array("{\"a\":0}\n".utf8) + line, options)
    #expect(reading.rows.count == (reading.rejections.isEmpty ? 2 : 1))
    #expect(reading.spelled.count == reading.rows.count)
    return reading.rejections.first?.fault.description
  }

  @Test(arguments: [
    #"{"a":1}"#, #" {"a" : 1 , "x" : 2 } "#, #"{"a":1,"x":"\"\\\/\b\f\n\r\t\u12aB"}"#,
    #"{"a":1,"x":"\ud83d\ude00"}"#, #"{"a":1,"x":[],"y":{},"z":[[],{}]}"#,
    #"{"x":[0,-0,1.5,-1.5e+10,1E-2,0e0,true,false,null,"",{"a":[1]}],"a":1}"#,
    "{\"a\":1,\"x\":\"\u{7f}\u{2028}😀\"}", #"{"a":1,"x":1e999,"x":2}"#, #"{"a":1,"":0}"#,
  ])
  func `valid JSON is taken`(line: String) throws {
    #expect(try fault(Array(line.utf8)) == nil)
  }

  @Test(arguments: [
    #"{"a":1,}"#, #"{"a":1"#, #"{"a":1}}"#, #"{"a":1} x"#, #"{"a":1}{"a":2}"#, #"{"a":1,,"b":2}"#,
    #"{"a" 1}"#, #"{"a"::1}"#, #"{"a":}"#, #"{:1}"#, #"{a:1}"#, #"{'a':1}"#, #"{"a":1 "b":2}"#,
    #"{"a":1,"x":[1,]}"#, #"{"a":1,"x":[1 2]}"#, #"{"a":1,"x":[1}"#, #"{"a":1,"x":{"y":1]}"#,
    #"{"a":1,"x":[}"#, #"{"a":1,"x":]}"#, #"{"a":1,"x":[,1]}"#, #"{"a":1,"x":{,}}"#,
    #"{"a":1,"x":01}"#, #"{"a":1,"x":+1}"#, #"{"a":1,"x":1.}"#, #"{"a":1,"x":.5}"#,
    #"{"a":1,"x":-}"#, #"{"a":1,"x":1e}"#, #"{"a":1,"x":1e+}"#, #"{"a":1,"x":0x10}"#,
    #"{"a":1,"x":1a}"#, #"{"a":1,"x":--1}"#, #"{"a":1,"x":NaN}"#, #"{"a":1,"x":Infinity}"#,
    #"{"a":1,"x":nul}"#, #"{"a":1,"x":nulll}"#, #"{"a":1,"x":tru}"#, #"{"a":1,"x":True}"#,
    #"{"a":1,"x":"y}"#, #"{"a":1,"x":"\q"}"#, #"{"a":1,"x":"\u12g4"}"#, #"{"a":1,"x":"\ud80"}"#,
    #"{"a":1,"\q":2}"#, #"{"a":1,"x":{"\u12":2}}"#, #"{"a":1,"x":true"y"}"#, #"{"a":1,"x":1"y"}"#,
    #"{"a":1,"x":"y"1}"#, #"{\"a":1}"#, #"{"a":1,"x":1\"y":2}"#, "{\"a\":1,\"x\":\"\u{1}\"}",
    "{\"a\":1,\"x\":\"\t\"}", "{\"a\":1}\u{0}", "{\"a\":1,\"x\":\u{a0}1}", #"{"a":01}"#,
    #"{"a":1.}"#, #"{"a":-}"#, #"{"a":1e}"#, #"{"a":nan}"#, #"{"a":inf}"#, #"{"a":1/**/}"#,
    #"{"x":{"y":}},"a":1}"#, "{", "{\"", "{\"a", "{\"a\"", "{\"a\":",
  ])
  func `a line that is not JSON is refused`(line: String) throws {
    let fault = try #require(try fault(Array(line.utf8)))
    #expect(fault.hasPrefix("expected valid JSON, found "), "\(fault)")
  }

  @Test func `bytes that are not UTF-8 are refused`() throws {
    for bytes: [UInt8] in [[0xFF], [0xC0, 0x80], [0xE2, 0x82], [0xED, 0xA0, 0x80], [0x80]] {
      let line = Array("{\"a\":1,\"x\":\"".utf8) + bytes + Array("\"}".utf8)
      #expect(try fault(line) == "expected valid JSON, found bytes that are not UTF-8")
    }
  }

  @Test(arguments: ["[1]", "1", "null", "\"a\"", "a,b", "}", "true {}", "\u{FEFF}{\"a\":1}"])
  func `a line that is no object is refused and shown`(line: String) throws {
    let fault = try #require(try fault(Array(line.utf8)))
    #expect(fault.hasPrefix("expected a JSON object in each line, found '"), "\(fault)")
  }

  @Test func `a fault says where it is and what stands there`() throws {
    #expect(
      try fault(Array(#"{"a":1,"x":nul,"y":2}"#.utf8))
        == "expected valid JSON, found a word unknown to JSON at byte 11 of the line: 'nul,\"y\":2}'"
    )
    #expect(
      try fault(Array(#"{"a":1} {"a":2}"#.utf8))
        == "expected valid JSON, found more text after the object at byte 8 of the line: '{\"a\":2}'"
    )
  }

  @Test(arguments: [
    (#""abc""#, #"'"abc"'"#), ("true", "'true'"), ("{\"x\":[1]}", "'{\"x\":[1]}'"),
    ("[ 1 ]", "'[ 1 ]'"), ("1e999", "'1e999'"), ("-1e999", "'-1e999'"),
  ])
  func `a value that is not a number is invalid`(value: String, shown: String) throws {
    let line = Array("{\"a\": \(value) ,\"x\":0}".utf8)
    #expect(try fault(line) == "expected a number in feature 'a', found \(shown)")
    let input = Array("{\"a\":0}\n".utf8) + line
    let reading = try NDJSONReading(input, ndjsonOptions("a", onInvalid: .missing))
    #expect(reading.rows == [[0], [nil]])
    #expect(reading.spelled == ["0", value])
    #expect(Array(reading.text.utf8) == input)
  }

  @Test func `long values are cut in a fault, and control characters escaped`() throws {
    let long = String(repeating: "é", count: 1000)
    let text = try #require(try fault(Array("{\"a\":\"\u{7f}\(long)\"}".utf8)))
    #expect(text.utf8.count < 120)
    #expect(text.contains("\\u{7F}"))
  }

  @Test func `missing values can be refused`() throws {
    let options = ndjsonOptions("a", "o.b", onMissing: .reject)
    let input = [
      #"{"a":1,"o":{"b":1}}"#, #"{"a":null,"o":{"b":1}}"#, #"{"a":1,"o":{}}"#, #"{"a":1}"#,
      #"{"a":1,"o":null}"#,
    ]
    let reading = try NDJSONReading(input.joined(separator: "\n"), options)
    #expect(reading.rows == [[1, 1]])
    #expect(
      reading.rejections.map(\.fault.description)
        == ["expected a number in feature 'a', found 'null'"]
        + Array(repeating: "expected a number in feature 'o.b', found no such member", count: 3))
  }

  @Test func `an object or array of another kind on the path is invalid`() throws {
    for value in ["5", "\"x\"", "[1]", "false"] {
      let line = "{\"a\":0,\"o\":{\"b\":1}}\n{\"a\":2,\"o\":\(value)}"
      let strict = try NDJSONReading(line, ndjsonOptions("a", "o.b"))
      #expect(
        strict.rejections.map(\.fault.description) == [
          "expected a place for feature 'o.b', found '\(value)'"
        ])
      for policy in [MissingPolicy.keep, .impute] {
        let lenient = try NDJSONReading(
          line, ndjsonOptions("a", "o.b", onMissing: policy, onInvalid: .missing))
        #expect(lenient.rows == [[0, 1], [2, nil]])
        #expect(lenient.text == line)
      }
      let neither = try NDJSONReading(
        line, ndjsonOptions("a", "o.b", onMissing: .reject, onInvalid: .missing))
      #expect(neither.rows == [[0, 1]])
    }
    let vector = try NDJSONReading(
      "{\"v\":[1,2]}\n{\"v\":{\"x\":1}}\n{\"v\":3}", ndjsonOptions("v[*]"))
    #expect(vector.rejections.count == 2)
    let nested = try NDJSONReading(
      "{\"v\":[1,2]}\n{\"v\":[[1],2]}\n{\"v\":[{\"x\":1},2]}", ndjsonOptions("v[*]"))
    #expect(
      nested.rejections.map(\.fault.description) == [
        "expected a number in feature 'v[0]', found '[1]'",
        "expected a number in feature 'v[0]', found '{\"x\":1}'",
      ])
  }

  @Test func `a feature twice in a record is refused, another member may be`() throws {
    let options = ndjsonOptions("a", "o.b")
    let input = [
      #"{"a":1,"o":{"b":1}}"#, #"{"a":1,"o":{"b":1},"a":2}"#, #"{"a":1,"\u0061":2}"#,
      #"{"a":1,"o":{"b":1,"b":1}}"#, #"{"a":1,"o":{},"o":{"b":1}}"#, #"{"a":1,"x":1,"x":2}"#,
    ]
    let reading = try NDJSONReading(input.joined(separator: "\n"), options)
    #expect(reading.rows == [[1, 1], [1, nil]])
    #expect(
      reading.rejections.map(\.fault.description)
        == ["a", "a", "o.b", "o.b"].map {
          "expected the member of feature '\($0)' once, found it twice"
        }
    )
    #expect(try NDJSONReading(#"{"a":1,"a":2}"#).rejections.count == 1)
  }

  @Test func `nesting is refused beyond its limit, however deep`() throws {
    func line(depth: Int, _ open: String, _ close: String) -> [UInt8] {
      let inner = depth - 1
      return Array(
        ("{\"a\":1,\"x\":" + String(repeating: open, count: inner) + "0"
          + String(repeating: close, count: inner) + "}").utf8)
    }
    for (open, close) in [("[", "]"), ("{\"x\":", "}")] {
      #expect(try fault(line(depth: 256, open, close)) == nil)
      for depth in [257, 100_000] {
        let fault = try #require(try fault(line(depth: depth, open, close)))
        #expect(fault.hasPrefix("expected at most 256 levels of nesting, found more at byte "))
      }
      #expect(
        try fault(Array(("{\"a\":1,\"x\":" + String(repeating: open, count: 100_000)).utf8)) != nil)
    }
    // A first record that cannot be read chooses no features, and is refused in its turn.
    let first = try NDJSONReading(line(depth: 100_000, "[", "]"))
    #expect(first.names.isEmpty && first.rejections.count == 1)
    let deep = Array(repeating: "k", count: 300).joined(separator: ".")
    #expect(throws: FormatError.self) { try RecordFormat.ndjson.makeDecoder(ndjsonOptions(deep)) }
  }

  @Test func `members and features are refused beyond their limit`() throws {
    var options = ndjsonOptions("a")
    options.limits.fields = 3
    #expect(try fault(Array(#"{"a":1,"x":{"y":2}}"#.utf8), options) == nil)
    #expect(
      try fault(Array(#"{"a":1,"x":{"y":2,"z":3}}"#.utf8), options)
        == "expected at most 3 members, found more")
    options.features = []
    #expect(throws: RecordFault.self) { try NDJSONReading(#"{"v":[1,2,3,4]}"#, options) }
  }

  @Test func `a bad record leaves nothing in the batch and the next one is read`() throws {
    let input = [
      #"{"a":1,"b":2}"#, #"{"a":3,"b":"x"}"#, #"{"a":4,"b":5,}"#, #"{"b":7,"a":6}"#,
    ]
    let reading = try NDJSONReading(input.joined(separator: "\n"))
    #expect(reading.rows == [[1, 2], [6, 7]])
    #expect(reading.spelled == ["1", "2", "7", "6"])
    #expect(reading.text == input[0] + "\n" + input[3])
    #expect(reading.recordCount == 4)
  }
}
