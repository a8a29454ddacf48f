import Records
import Testing

@testable import Codecs

struct NDJSONFuzzTests {
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

  private static func mutated(
    _ line: [UInt8], using generator: inout SplitMix64
  ) -> [UInt8] {
    var line = line
    for _ in 0..<Int.random(in: 1...2, using: &generator) {
      let place = Int.random(in: 0...line.count, using: &generator)
      let end = min(line.count, place + Int.random(in: 0...6, using: &generator))
      switch Int.random(in: 0..<5, using: &generator) {
      case 0: line.removeSubrange(place..<end)
      case 1:
        line.insert(
          contentsOf: line[place..<end], at: Int.random(in: 0...line.count, using: &generator))
      case 2 where place < line.count:
        line[place] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
      case 3: line.removeSubrange(place...)
      default: line.insert(contentsOf: pieces.randomElement(using: &generator) ?? [], at: place)
      }
    }
    return line.filter { $0 != 0x0A }
  }

  @Test(arguments: [
    (MissingPolicy.keep, InvalidPolicy.reject), (.impute, .missing), (.impute, .reject),
    (.reject, .missing),
  ])
  func `mutated lines are read or refused, and spans stay sound`(
    onMissing: MissingPolicy, onInvalid: InvalidPolicy
  ) throws {
    let seed = UInt64.random(in: 0 ... .max)
    var generator = SplitMix64(state: seed)
    let options = ndjsonOptions(
      "a", "o.b", "o.p.c", "v[*]", onMissing: onMissing, onInvalid: onInvalid)
    let first = Array(Self.seeds[0].utf8)
    var input = first
    for index in 0..<3000 {
      input.append(0x0A)
      input += Self.mutated(Array(Self.seeds[index % Self.seeds.count].utf8), using: &generator)
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
    // What was taken is JSON, also after absent members were put in: it is taken again as it is.
    let again = try NDJSONReading(reading.text, options, batchSize: 64)
    #expect(again == reading.withoutRejections, "seed \(seed)")
  }

  @Test func `a mutated first record opens or throws`() {
    let seed = UInt64.random(in: 0 ... .max)
    var generator = SplitMix64(state: seed)
    var opened = 0
    for index in 0..<1500 {
      let line = Self.mutated(Array(Self.seeds[index % Self.seeds.count].utf8), using: &generator)
      guard let reading = try? NDJSONReading(line) else { continue }
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
