import Records
import Testing

@testable import Codecs

@Suite struct NDJSONVectorTests {
  private func lines(_ lines: String...) -> [UInt8] {
    Array(lines.map { $0 + "\n" }.joined().utf8)
  }

  private func options(_ features: String..., opening: StreamOpening? = nil) -> DecoderOptions {
    var options = DecoderOptions()
    options.features = features.map { FeaturePattern($0) }
    options.opening = opening
    return options
  }

  @Test(arguments: [1, 5, Int.max])
  func `a vector that is null, empty or absent at first has the length of the first with values`(
    chunk: Int
  ) throws {
    let input = lines(
      #"{"a":1,"e":null}"#, #"{"a":2,"e":[]}"#, #"{"a":3}"#, #"{"a":4,"e":[5,6]}"#,
      #"{"a":7,"e":[8]}"#)
    let reading = try NDJSONReading(input, options("e[*]", "a"), chunk: chunk)
    #expect(reading.names == ["e[0]", "e[1]", "a"])
    #expect(reading.rows == [[nil, nil, 1], [nil, nil, 2], [nil, nil, 3], [5, 6, 4]])
    #expect(
      reading.rejections.map(\.fault.description) == [
        "expected 2 values in the array of feature 'e[0]', found 1"
      ])
  }

  @Test func `one value of a vector is waited for too`() throws {
    let reading = try NDJSONReading(
      lines(#"{"e":null}"#, #"{"e":[1,2,3]}"#), options("e[1]"))
    #expect(reading.names == ["e[1]"])
    #expect(reading.rows == [[nil], [2]])
  }

  @Test func `a value beyond the vector that came is a fault at once`() throws {
    let input = lines(#"{"e":[1,2]}"#, #"{"e":[1,2,3]}"#)
    #expect(throws: RecordFault.self) { try NDJSONReading(input, options("e[2]")) }
    var search = try JSONFeatureSearch(options("e[2]"))
    try Array(#"{"e":[1,2]}"#.utf8).withUnsafeBytes { try search.take($0) }
    let isOver = search.isOver(before: 12)
    #expect(isOver)
  }

  @Test func `a vector is waited for within bounds`() throws {
    let nulls = Array(repeating: #"{"a":1,"e":null}"#, count: 2000).joined(separator: "\n")
    let late = Array((nulls + "\n{\"a\":1,\"e\":[1]}\n").utf8)
    do {
      _ = try NDJSONReading(late, options("e[*]"))
      Issue.record("the vector of record 2001 was found")
    } catch let fault as RecordFault {
      #expect(fault.expected == "an array of numbers with 'e[*]' in the first 1024 records")
    }
    let long = lines(
      #"{"e":null,"s":"\#(String(repeating: "x", count: LookAhead.mostBytes))"}"#,
      #"{"e":[1]}"#)
    #expect(throws: RecordFault.self) { try NDJSONReading(long, options("e[*]")) }
  }

  @Test func `a length that is said needs no record to show it`() throws {
    let input = lines(#"{"e":null}"#, #"{"e":[]}"#, #"{"e":[1]}"#, #"{"e":[1,2]}"#)
    let reading = try NDJSONReading(input, options("e[0..1]"))
    #expect(reading.names == ["e[0]", "e[1]"])
    #expect(reading.rows == [[nil, nil], [nil, nil], [1, 2]])
    #expect(reading.rejections.count == 1)
    // The first record may be the one that does not fit.
    let other = try NDJSONReading(lines(#"{"e":[1,2,3]}"#, #"{"e":[4,5]}"#), options("e[0..1]"))
    #expect(other.rows == [[4, 5]])
    #expect(other.rejections.count == 1)
  }

  @Test(arguments: ["e[1..2]", "e[0..]", "e[0..-1]", "e[0..01]", "e[0...1]", "e[0..1].x", "e[..1]"])
  func `other spellings of a length are refused before anything is read`(name: String) {
    #expect(throws: FormatError.self) { try RecordFormat.ndjson.makeDecoder(options(name)) }
  }

  @Test func `a length that no record may have is refused`() {
    var limited = options("e[0..9]")
    limited.limits.fields = 10
    #expect(throws: Never.self) { try RecordFormat.ndjson.makeDecoder(limited) }
    limited.limits.fields = 9
    #expect(throws: FormatError.self) { try RecordFormat.ndjson.makeDecoder(limited) }
    let greatest = options("e[0..\(Int.max)]")
    #expect(throws: FormatError.self) { try RecordFormat.ndjson.makeDecoder(greatest) }
  }

  @Test func `an empty vector is imputed like a null one`() throws {
    var imputing = options("e[*]")
    imputing.onMissing = .impute
    let reading = try NDJSONReading(
      lines(#"{"e":[1,2]}"#, #"{"e": [ ] ,"k":1}"#, #"{"e":null}"#), imputing)
    #expect(reading.rows == [[1, 2], [nil, nil], [nil, nil]])
    #expect(
      reading.text == "{\"e\":[1,2]}\n{\"e\": [null,null] ,\"k\":1}\n{\"e\":[null,null]}\n")
    #expect(reading.spelled == ["1", "2", "null", "null", "null", "null"])
    var rejecting = options("e[*]")
    rejecting.onMissing = .reject
    let strict = try NDJSONReading(lines(#"{"e":[1,2]}"#, #"{"e":[]}"#), rejecting)
    #expect(strict.rejections.count == 1)
  }

  // MARK: A later split

  private func opening(_ input: [UInt8], _ options: DecoderOptions) throws -> StreamOpening {
    var decoder = try RecordFormat.ndjson.makeDecoder(options)
    let opening = try input.withUnsafeBufferPointer {
      try decoder.open(InputWindow(bytes: $0, isLast: true))
    }
    return try #require(opening)
  }

  @Test func `in a later split a vector of another length makes a bad record`() throws {
    for pattern in ["e[*]", "e[0]", "e[0..1]"] {
      let first = try opening(lines(#"{"a":1,"e":[1,2]}"#), options("a", pattern))
      #expect(first.columns == ["a", "e[0]", "e[1]"])
      var later = options(opening: first)
      later.features = first.schema.names.map { FeaturePattern($0) }
      for length in [1, 3] {
        let values = (0..<length).map(String.init).joined(separator: ",")
        let input = lines("{\"a\":5,\"e\":[\(values)]}", #"{"a":6,"e":[7,8]}"#)
        let reading = try NDJSONReading(input, later)
        #expect(reading.names == first.schema.names)
        #expect(reading.rejections.count == 1, "\(pattern), \(length) values")
        #expect(reading.rows == [pattern == "e[0]" ? [6, 7] : [6, 7, 8]])
      }
    }
  }

  @Test func `a later split may begin with a record that cannot be read`() throws {
    let first = try opening(lines(#"{"a":1}"#), options())
    let reading = try NDJSONReading(lines("{", #"{"a":2}"#), options(opening: first))
    #expect(reading.names == ["a"])
    #expect(reading.rows == [[2]])
    #expect(reading.rejections.count == 1)
  }

  @Test func `an opening that is none of JSON is refused`() throws {
    let schema = try FeatureSchema(["a[x]"])
    let foreign = StreamOpening(schema: schema, prologue: [])
    #expect(throws: RecordFault.self) {
      try NDJSONReading(lines(#"{"a":1}"#), options(opening: foreign))
    }
  }
}
