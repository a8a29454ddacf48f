import Records
import Testing

@testable import Codecs

struct NDJSONDecoderTests {
  @Test func `the numbers of the first record are the features, vectors and nested ones too`()
    throws
  {
    let reading = try NDJSONReading(
      """
      {"t":"12:00","temp":1.5,"ok":true,"engine":{"rpm":900,"id":"x","oil":{"bar":2}},\
      "v":[1,null,3],"names":["a"],"points":[{"x":1}],"grid":[[1]],"nothing":null,"empty":[]}

      """)
    #expect(reading.names == ["temp", "engine.rpm", "engine.oil.bar", "v[0]", "v[1]", "v[2]"])
    #expect(reading.rows == [[1.5, 900, 2, 1, nil, 3]])
    #expect(reading.spelled == ["1.5", "900", "2", "1", "null", "3"])
  }

  @Test func `every byte is kept, white space, order and unknown members included`() throws {
    let input = """
       { "b" : [ {"c": "}\\"{"} , [] ] , "a"\t:\t-1.50e0 }\u{20}
      {"a":2,"z":"ü€😀","b":null}
      {"a":3}
      {"b":{},"a":4.000}
      """
    let reading = try NDJSONReading(input, ndjsonOptions("a"))
    #expect(reading.text == input)
    #expect(reading.rows == [[-1.5], [2], [3], [4]])
    #expect(reading.spelled == ["-1.50e0", "2", "3", "4.000"])
  }

  @Test func `patterns choose by name and set the order`() throws {
    let line = #"{"wind":1,"temp":2,"wave":3,"e":[4,5],"deep":{"wind":6}}"#
    #expect(try NDJSONReading(line, ndjsonOptions("temp", "w*")).names == ["temp", "wind", "wave"])
    #expect(try NDJSONReading(line, ndjsonOptions("w?nd", "*wind")).names == ["wind", "deep.wind"])
    #expect(
      try NDJSONReading(line, ndjsonOptions("e[*]", "temp")).names == ["e[0]", "e[1]", "temp"])
    let second = try NDJSONReading(line, ndjsonOptions("e[1]"))
    #expect(second.names == ["e[1]"])
    #expect(second.rows == [[5]])
    #expect(second.spelled == ["5"])
  }

  @Test func `a member may be absent from the first record if it is named`() throws {
    let reading = try NDJSONReading(
      #"{"a":1}"# + "\n" + #"{"a":2,"o":{"b":7}}"#, ndjsonOptions("o.b", "a"))
    #expect(reading.rows == [[nil, 1], [7, 2]])
    #expect(reading.batches[0].cells == [[0, 1], [1, 1], [1, 0]])
  }

  @Test func `a named member that never comes is a fault at the end, and null is coming`() throws {
    #expect(
      throws: RecordFault(
        expected: "feature 'o.b' in at least one record", found: "it in none")
    ) {
      try NDJSONReading(#"{"a":1,"o":{}}"#, ndjsonOptions("a", "o.b"))
    }
    #expect(
      try NDJSONReading(#"{"a":1,"o":{"b":null}}"#, ndjsonOptions("a", "o.b")).rows == [[1, nil]])
  }

  @Test func `a feature that matches nothing is a fault at once`() {
    #expect(throws: RecordFault.self) { try NDJSONReading(#"{"temp":1}"#, ndjsonOptions("x*")) }
    #expect(throws: RecordFault.self) { try NDJSONReading(#"{"e":null}"#, ndjsonOptions("e[0]")) }
    #expect(throws: RecordFault.self) { try NDJSONReading(#"{"e":[1]}"#, ndjsonOptions("e[1]")) }
    #expect(throws: RecordFault.self) { try NDJSONReading(#"{"name":"x"}"#) }
  }

  @Test func `features that contain each other are refused`() {
    for names in [("a", "a.b"), ("a.b", "a"), ("e[0]", "e"), ("e", "e[0]"), ("e[0]", "e.x")] {
      #expect(throws: RecordFault.self) {
        try NDJSONReading(#"{"e":[1],"a":1}"#, ndjsonOptions(names.0, names.1))
      }
    }
  }

  @Test func `a vector may be null or absent but keeps its length`() throws {
    let input = [#"{"v":[1,2]}"#, #"{"v":null}"#, #"{}"#, #"{"v":[3]}"#, #"{"v":[4,5,6]}"#]
    let reading = try NDJSONReading(input.joined(separator: "\n"), ndjsonOptions("v[*]"))
    #expect(reading.rows == [[1, 2], [nil, nil], [nil, nil]])
    #expect(
      reading.rejections.map(\.fault.description) == [
        "expected 2 values in the array of feature 'v[0]', found 1",
        "expected 2 values in the array of feature 'v[0]', found 3",
      ])
  }

  @Test func `special characters of keys are escaped in names`() throws {
    let reading = try NDJSONReading(#"{"a.b":1,"c[0]":2,"d\\e":3,"f\"g":4,"":5,"h":{"":6}}"#)
    #expect(reading.names == [#"a\.b"#, #"c\[0]"#, #"d\\e"#, #"f"g"#, "", "h."])
    #expect(reading.rows == [[1, 2, 3, 4, 5, 6]])
    let again = try NDJSONReading(
      #"{"a.b":1,"a":{"b":2},"c[0]":3,"c":[4]}"#, ndjsonOptions(#"c\[0]"#, "c[0]", "a.b", #"a\.b"#))
    #expect(again.rows == [[3, 4, 2, 1]])
  }

  @Test(arguments: ["a\\b", "a[", "a[x]", "a[01]", "a[0].b", "a[-1]", "a\\", "a[+1]", "a[]"])
  func `a name that is no path is refused before anything is read`(name: String) {
    #expect(throws: FormatError.self) {
      try RecordFormat.ndjson.makeDecoder(ndjsonOptions(name))
    }
  }

  @Test func `keys compare by what they spell`() throws {
    let input = [
      #"{"temp":1,"ü":2,"a\"b":3}"#, #"{"te\u006dp":4,"\u00fc":5,"a\u0022b":6}"#,
      #"{"a\"b":9,"tem":0,"tempo":0,"ü":8,"temp":7}"#,
    ]
    let reading = try NDJSONReading(
      input.joined(separator: "\n"), ndjsonOptions("temp", "ü", "a\"b"))
    #expect(reading.names == ["temp", "ü", "a\"b"])
    #expect(reading.rows == [[1, 2, 3], [4, 5, 6], [7, 8, 9]])
  }

  @Test func `numbers are read to the nearest double`() throws {
    let spellings = [
      "0", "-0", "0.1", "9007199254740993", "123456789012345678901234567890", "1e-400", "5e-324",
      // simdjson 3.0.1 itself reads these two wrongly or not at all.
      "0.123456789012345678901234567890", "1e00000000000000000000001", "1e100", "-1e100",
    ]
    for spelling in spellings {
      let reading = try NDJSONReading("{\"a\":\(spelling) }")
      #expect(reading.rows == [[Double(spelling)]], "\(spelling)")
      #expect(reading.spelled == [spelling])
    }
  }

  @Test func `lines may end with CR LF, and the last one with nothing`() throws {
    let input = "{\"a\":1}\r\n{\"a\":2 \r\n{\"a\":3}\r\n{\"a\":4}"
    let reading = try NDJSONReading(input)
    #expect(reading.rows == [[1], [3], [4]])
    #expect(reading.rejections.map(\.text) == ["{\"a\":2 \r\n"])
    #expect(reading.text == "{\"a\":1}\r\n{\"a\":3}\r\n{\"a\":4}")
  }

  @Test func `blank lines are no records and go with what follows, or last`() throws {
    let reading = try NDJSONReading(
      "\n \t\r\n{\"a\":1}\n\n{\"a\":2}\n\n{\"a\":3}\n\r\n\n", batchSize: 2)
    #expect(reading.recordCount == 3)
    #expect(
      reading.batches.map(\.text) == [
        "\n \t\r\n{\"a\":1}\n\n{\"a\":2}\n", "\n{\"a\":3}\n\r\n\n",
      ])
    let full = try NDJSONReading("{\"a\":1}\n\n", batchSize: 1)
    #expect(full.batches.map(\.text) == ["{\"a\":1}\n", "\n"])
    #expect(full.batches.map(\.rows) == [[[1]], []])
  }

  @Test func `a byte order mark is passed on before the records`() throws {
    for chunk in [1, 2, 100] {
      let reading = try NDJSONReading("\u{FEFF}{\"a\":1}", chunk: chunk)
      #expect(reading.prologue == [0xEF, 0xBB, 0xBF])
      #expect(reading.text == "{\"a\":1}")
    }
    #expect(try NDJSONReading("\u{FEFF}").names == [])
  }

  @Test func `an empty stream has the features that were named`() throws {
    #expect(try NDJSONReading("").names == [])
    #expect(try NDJSONReading("\n\n").text == "\n\n")
    #expect(try NDJSONReading("", ndjsonOptions("a", "w*", "e[0]")).names == ["a"])
  }

  @Test func `no text and no spans are kept for another output format`() throws {
    var options = ndjsonOptions("a", "b", onMissing: .impute)
    options.keepsText = false
    let reading = try NDJSONReading("{\"a\":1,\"b\":2}\n\n{\"a\":3}\n", options)
    #expect(reading.text.isEmpty)
    #expect(reading.spelled.isEmpty)
    #expect(reading.rows == [[1, 2], [3, nil]])
  }

  @Test func `any chunking gives the same records, batches and faults`() throws {
    var input = ""
    for index in 0..<200 {
      switch index % 10 {
      case 3: input += "\n"
      case 5: input += "{\"a\":\(index),\"v\":[1]}\n"
      case 7: input += "  \r\n{\"v\":[1,\(index)]}\r\n"
      default: input += "{\"x\":\"é\(index)\",\"a\":\(index).5,\"v\":[\(index),null]}\n"
      }
    }
    for end in ["", "\n\n", "{\"a\":1}"] {
      let options = ndjsonOptions("a", "v[*]", onMissing: .impute)
      let whole = try NDJSONReading(input + end, options, batchSize: 16)
      #expect(whole.rows.count > 150)
      #expect(whole.rejections.count == 20)
      for chunk in [1, 7, 4096] {
        #expect(
          try NDJSONReading(input + end, options, batchSize: 16, chunk: chunk) == whole,
          "chunks of \(chunk) bytes")
      }
    }
  }

  @Test func `a line beyond the limit ends the stream, whether its end is seen or not`() throws {
    var options = ndjsonOptions("a")
    options.limits.recordBytes = 20
    let fits = "{\"a\":1,\"b\":\"012345\"}"
    #expect(fits.utf8.count == 20)
    #expect(try NDJSONReading(fits + "\n" + fits, options).failure == nil)
    let expected = RecordFault(expected: "lines of at most 20 bytes", found: "a longer one")
    let atStart = expected.at(0)
    for long in [fits + "0\n", fits + "0"] {
      for chunk in [1, 7, 4096] {
        let reading = try NDJSONReading(fits + "\n" + long, options, chunk: chunk)
        #expect(reading.failure == expected)
        #expect(reading.rows == [[1]])
        #expect(throws: atStart) { try NDJSONReading(long, options, chunk: chunk) }
        #expect(throws: expected.at(1)) { try NDJSONReading("\n" + long, options, chunk: chunk) }
        let blanks = String(repeating: "\n", count: 30)
        #expect(throws: atStart) { try NDJSONReading(blanks + fits, options, chunk: chunk) }
      }
    }
  }

  @Test func `the bytes of an incomplete line are scanned once`() {
    var lines = LineCutter(limit: 100)
    func line(in bytes: [UInt8]) -> Range<Int>? {
      bytes.withUnsafeBufferPointer { bytes in
        let window = InputWindow(bytes: bytes, isLast: false)
        if case .whole(let range) = lines.line(at: 0, of: window) { return range }
        return nil
      }
    }
    var bytes = Array("0123456789".utf8)
    #expect(line(in: bytes) == nil)
    // A line end that was not there before tells whether these bytes are looked at twice.
    bytes[3] = 0x0A
    bytes += Array("01234\n".utf8)
    #expect(line(in: bytes) == 0..<16)
    #expect(line(in: bytes) == 0..<4)
  }
}
