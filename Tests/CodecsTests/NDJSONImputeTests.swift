import Records
import TestSupport
import Testing

@testable import Codecs

struct NDJSONImputeTests {
  private static let first = #"{"a":1,"o":{"b":2,"p":{"c":3}},"v":[4,5]}"#

  /// Completes a line with the features of the first record.
  private func completed(_ line: String) throws -> NDJSONReading.Batch {
    let reading = try NDJSONReading(
      Self.first + "\n" + line, ndjsonOptions("a", "o.b", "o.p.c", "v[*]", onMissing: .impute),
      batchSize: 1)
    #expect(reading.rejections.isEmpty)
    return try #require(reading.batches.last)
  }

  @Test(arguments: [
    (#"{"a":1,"o":{"b":2,"p":{"c":3}},"v":[4,5]}"#, #"{"a":1,"o":{"b":2,"p":{"c":3}},"v":[4,5]}"#),
    ("{}", #"{"a":null,"o":{"b":null,"p":{"c":null}},"v":[null,null]}"#),
    (" { } ", #" { "a":null,"o":{"b":null,"p":{"c":null}},"v":[null,null]} "#),
    (#"{"x":{}}"#, #"{"x":{},"a":null,"o":{"b":null,"p":{"c":null}},"v":[null,null]}"#),
    (
      #"{"o":{},"v":[7,8],"a":9}"#, #"{"o":{"b":null,"p":{"c":null}},"v":[7,8],"a":9}"#
    ),
    (
      #"{"o":{"p":{"z":"}"} },"a":null}"#,
      #"{"o":{"p":{"z":"}","c":null} ,"b":null},"a":null,"v":[null,null]}"#
    ),
    (
      #"{"o":null,"v":null,"a":1}"#, #"{"o":{"b":null,"p":{"c":null}},"v":[null,null],"a":1}"#
    ),
    (
      #"{"a":1,"v":[null,2],"o":{"b":3,"p":null}}"#,
      #"{"a":1,"v":[null,2],"o":{"b":3,"p":{"c":null}}}"#
    ),
  ])
  func `missing members are inserted in their objects`(line: String, expected: String) throws {
    let batch = try completed(line)
    #expect(batch.text == expected)
    #expect(batch.spelled.count == 5)
    #expect(Set(batch.cells.map { $0[1] }) == Set(0..<5))
    for (spelled, cell) in zip(batch.spelled, batch.cells) {
      #expect(batch.rows[0][cell[1]] == (spelled == "null" ? nil : Double(spelled)))
    }
  }

  @Test func `inserted members come before the line end`() throws {
    let reading = try NDJSONReading(
      "{\"a\":1,\"b\":2}\r\n{\"a\":3}\r\n\r\n{ }\n", ndjsonOptions("a", "b", onMissing: .impute))
    #expect(
      reading.text
        == "{\"a\":1,\"b\":2}\r\n{\"a\":3,\"b\":null}\r\n\r\n{ \"a\":null,\"b\":null}\n")
    #expect(reading.spelled == ["1", "2", "3", "null", "null", "null"])
  }

  @Test func `inserted keys are escaped`() throws {
    let reading = try NDJSONReading(
      #"{"a\"\\\n\u0001ü.":1,"b":2}"# + "\n" + #"{"b":3}"#,
      ndjsonOptions("a*", "b", onMissing: .impute))
    #expect(reading.text.hasSuffix(#"{"b":3,"a\"\\\n\u0001ü.":null}"#))
  }

  @Test func `an inserted member does not count as read`() {
    #expect(throws: RecordFault.self) {
      try NDJSONReading(#"{"a":1}"#, ndjsonOptions("a", "b", onMissing: .impute))
    }
  }

  @Test func `only the values of a vector that are features have spans`() throws {
    let reading = try NDJSONReading(
      "{\"v\":[1,2,3]}\n{}", ndjsonOptions("v[2]", "v[0]", onMissing: .impute))
    #expect(reading.text == "{\"v\":[1,2,3]}\n{\"v\":[null,null,null]}")
    #expect(reading.batches[0].cells == [[0, 1], [0, 0], [1, 1], [1, 0]])
  }

  @Test func `without imputation nothing is inserted`() throws {
    let input = Self.first + "\n{}\n{\"o\":null}"
    let reading = try NDJSONReading(input)
    #expect(reading.text == input)
    #expect(reading.spelled.count == 5)
  }
}
