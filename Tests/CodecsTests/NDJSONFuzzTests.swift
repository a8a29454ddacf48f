import Records
import TestSupport
import Testing

@testable import Codecs

@Suite struct NDJSONFuzzTests {
  private static let seeds = [
    #"{"a":1.5,"o":{"b":-2e3,"p":{"c":0}},"v":[1,2,3],"s":"t\"\u00e9\\","n":null}"#,
    #" { "v" : [ 4 , null , 6 ] , "x" : [ { "y" : [ ] } , true , "" ] , "a" : 7 } "#,
    #"{"o":{"p":null},"a":"12","z":{"o":{"b":1}},"v":null}"#,
    #"{"\u0061":1,"o":{},"v":[1,2,3],"k":"ü😀","l":[[[[1]]]]}"#,
  ]
  private static let pieces =
    [
      "{", "}", "[", "]", ",", ":", "\"", "\\", "\\u", "null", "true", "7", "1e999", "-", "0.",
      "\r",
      " ",
      "\u{0}", "é", "\"a\":1", "\"o\":{", "\"v\":[", "\\ud800",
    ].map { Array($0.utf8) } + [[0xFF], [0xF0, 0x9F], [0x80]]

  private static func mutatedLine(_ index: Int, _ random: inout SeededGenerator) -> [UInt8] {
    let line = Array(seeds[index % seeds.count].utf8)
    return random.mutated(line, with: pieces, changes: 1...2).filter { $0 != 0x0A }
  }

  @Test(arguments: [
    (MissingPolicy.keep, InvalidPolicy.reject), (.impute, .missing), (.impute, .reject),
    (.reject, .missing),
  ])
  func `mutated lines are read or refused, and spans stay sound`(
    onMissing: MissingPolicy, onInvalid: InvalidPolicy
  ) throws {
    let seed = testSeed
    var random = SeededGenerator(seed: seed)
    let options = ndjsonOptions(
      "a", "o.b", "o.p.c", "v[*]", onMissing: onMissing, onInvalid: onInvalid)
    let first = Array(Self.seeds[0].utf8)
    var input = first
    for index in 0..<3000 {
      input.append(0x0A)
      input += Self.mutatedLine(index, &random)
    }
    let reading = try NDJSONReading(input, options, batchSize: 64)
    #expect(reading.failure == nil, "seed \(seed)")
    #expect(
      reading.rows.count + reading.rejections.count == reading.recordCount, "seed \(seed)")
    #expect(reading.rejections.count > 300 && reading.rows.count > 10, "seed \(seed)")
    for batch in reading.batches {
      #expect(!batch.spelled.contains { $0.hasPrefix("broken") }, "seed \(seed)")
      for (spelled, cell) in zip(batch.spelled, batch.cells) {
        guard let value = batch.rows[cell[0]][cell[1]] else { continue }
        #expect(Double(spelled) == value, "seed \(seed)")
      }
    }
    // The accepted text is JSON, with inserted members too, so reading it again changes nothing.
    let again = try NDJSONReading(reading.text, options, batchSize: 64)
    #expect(again == reading.withoutRejections, "seed \(seed)")
  }

  @Test func `a mutated first record opens or throws`() {
    let seed = testSeed
    var random = SeededGenerator(seed: seed)
    var opened = 0
    for index in 0..<1500 {
      guard let reading = try? NDJSONReading(Self.mutatedLine(index, &random)) else { continue }
      opened += 1
      #expect(reading.rows.count <= 1, "seed \(seed)")
    }
    #expect(opened > 100, "seed \(seed)")
  }
}

extension NDJSONReading {
  fileprivate var withoutRejections: NDJSONReading {
    var copy = self
    copy.recordCount -= rejections.count
    copy.rejections = []
    return copy
  }
}
