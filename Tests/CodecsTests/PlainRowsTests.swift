import Configuration
import Records
import TestSupport
import Testing

@testable import Codecs

/// Records that are read in runs give the same values as records that are read one by one.
@Suite struct PlainRowsTests {
  /// The text of a number, seldom with an exponent or many digits.
  private static func number(_ random: inout SeededGenerator) -> String {
    let sign = Bool.random(using: &random) ? "-" : ""
    let whole = String(UInt32.random(in: 0...UInt32.max, using: &random))
      .prefix(Int.random(in: 1...9, using: &random))
    switch Int.random(in: 0..<12, using: &random) {
    case 0: return sign + whole
    case 1: return sign + whole + "e\(Int.random(in: -9...9, using: &random))"
    case 2: return sign + "0.00\(UInt64.random(in: 0...UInt64.max, using: &random))"
    default:
      let decimals = String(UInt32.random(in: 0...UInt32.max, using: &random))
      return sign + whole + "." + decimals.prefix(Int.random(in: 1...9, using: &random))
    }
  }

  /// A number without a leading zero, which JSON does not allow.
  private static func jsonNumber(_ random: inout SeededGenerator) -> String {
    let number = number(&random)
    let digits = number.drop { $0 == "-" }
    let hasLeadingZero = digits.first == "0" && digits.dropFirst().first?.isNumber == true
    return hasLeadingZero ? "1" + digits : number
  }

  // MARK: CSV

  /// Rows of a key and numbers. Some numbers are missing, bad, quoted or have blanks.
  private static func csv(_ random: inout SeededGenerator, columns: Int) -> [UInt8] {
    let lineEnd = Bool.random(using: &random) ? "\n" : "\r\n"
    var text = (["key"] + (0..<columns).map { "c\($0)" }).joined(separator: ",") + lineEnd
    for _ in 0..<80 {
      var fields = [
        ["k", "", "a long key with blanks", "\"q,\"\"\n\""].randomElement(using: &random)
      ]
      for _ in 0..<columns {
        switch Int.random(in: 0..<60, using: &random) {
        case 0: fields.append(["", "NA", "nan"].randomElement(using: &random))
        case 1: fields.append([" 7 ", "\"8\"", "x", "inf", "1.5x"].randomElement(using: &random))
        default: fields.append(number(&random))
        }
      }
      if Int.random(in: 0..<40, using: &random) == 0 { fields.removeLast() }
      text += fields.compactMap(\.self).joined(separator: ",") + lineEnd
      if Int.random(in: 0..<40, using: &random) == 0 { text += lineEnd }
    }
    return Array(text.utf8)
  }

  @Test func `CSV is read in runs as it is read record by record`() throws {
    let seed = testSeed
    var random = SeededGenerator(seed: seed)
    for round in 0..<60 {
      let input = Self.csv(&random, columns: Int.random(in: 1...6, using: &random))
      var options = DecoderOptions()
      options.features = [FeaturePattern("c*")]
      options.onMissing = MissingPolicy.allCases.randomElement(using: &random) ?? .keep
      options.onInvalid = Bool.random(using: &random) ? .reject : .missing
      options.keepsText = Int.random(in: 0..<4, using: &random) > 0
      if round % 5 == 0 { options.limits.recordBytes = 60 }
      let batchSize = Int.random(in: 1...40, using: &random)
      let chunk = Int.random(in: 1...4000, using: &random)
      let runs = try FormatReading(.csv, input, options, batchSize: batchSize, chunk: chunk)
      // With a missing token that looks like a number, the decoder reads every value by itself.
      options.settings[CSVSettings.missingTokens].append("-98765.4321")
      let single = try FormatReading(.csv, input, options, batchSize: batchSize, chunk: chunk)
      #expect(runs.outcome == single.outcome, "seed \(seed), round \(round)")
      #expect(runs.unsoundness == nil, "seed \(seed), round \(round)")
    }
  }

  @Test func `numbers in runs have the bits that Swift reads`() throws {
    let seed = testSeed
    var random = SeededGenerator(seed: seed)
    let numbers = (0..<3000).map { _ in Self.number(&random) }
    let reading = try FormatReading(
      csv: "a\n" + numbers.joined(separator: "\n") + "\n", batchSize: 5000)
    let bits = reading.outcome.batches.flatMap(\.rows).map { $0[0] }
    for (number, bits) in zip(numbers, bits) {
      #expect(Double(number)?.bitPattern == bits, "seed \(seed): \(number)")
    }
    #expect(bits.count == numbers.count)
  }

  // MARK: NDJSON

  private static func json(_ random: inout SeededGenerator) -> String {
    let names = ["stadt", "Zürich", "a\\u0062c", "x y", ""]
    let name = names.randomElement(using: &random) ?? ""
    let others = ["true", "null", "-0", "1.5e3", "\"\""].randomElement(using: &random) ?? ""
    var values = (0..<4).map { _ in jsonNumber(&random) }
    if Int.random(in: 0..<10, using: &random) == 0 { values[2] = "null" }
    if Int.random(in: 0..<20, using: &random) == 0 {
      values[1] =
        ["\"x\"", "01", "1.", "1e999", "tru", "[]", "- 1"].randomElement(using: &random) ?? ""
    }
    let blank = Int.random(in: 0..<15, using: &random) == 0 ? " " : ""
    let record =
      "{\"n\":\"\(name)\",\"a\":\(values[0])\(blank),\"o\":{\"b\":\(values[1]),\"k\":\(others)},"
      + "\"v\":[\(values[2]),\(values[3])]}"
    switch Int.random(in: 0..<40, using: &random) {
    case 0: return String(record.dropLast())
    case 1: return record.replacing("\"a\":", with: "\"z\":")
    case 2: return record + " "
    case 3: return record.replacing("]}", with: ",1]}")
    case 4: return record + "}"
    default: return record
    }
  }

  @Test func `JSON is read in runs as it is read record by record`() throws {
    let seed = testSeed
    var random = SeededGenerator(seed: seed)
    let first = "{\"n\":\"\",\"a\":1,\"o\":{\"b\":2,\"k\":3},\"v\":[4,5]}"
    for round in 0..<40 {
      let options = ndjsonOptions(
        "a", "o.b", "v[*]",
        onMissing: MissingPolicy.allCases.randomElement(using: &random) ?? .keep,
        onInvalid: Bool.random(using: &random) ? .reject : .missing)
      let records = [first] + (0..<60).map { _ in Self.json(&random) }
      let runs = try NDJSONReading(
        records.joined(separator: "\n") + "\n", options, batchSize: 7,
        chunk: Int.random(in: 1...3000, using: &random))
      // A line with another order of members precedes each record, so that it is not read as part of a run.
      let before = first + "\n{\"v\":[4,5],\"o\":{\"b\":2},\"a\":1}\n"
      let single = try records.map { record in
        try NDJSONReading("\(before)\(record)\n", options, batchSize: 7)
      }
      let comment: Comment = "seed \(seed), round \(round)"
      #expect(runs.rows == single.flatMap { $0.rows.dropFirst(2) }, comment)
      #expect(runs.text == single.map { $0.text.dropFirst(before.count) }.joined(), comment)
      #expect(runs.spelled == single.flatMap { $0.spelled.dropFirst(8) }, comment)
      #expect(runs.rejections == single.flatMap(\.rejections), comment)
      #expect(runs.recordCount == records.count, comment)
    }
  }

  @Test func `a text equal to a feature of the line before is not read as that feature`() throws {
    let reading = try NDJSONReading(
      "{\"a\":1,\"b\":\"2\"}\n{\"a\":3,\"b\":\"a\\\":9\"}\n{\"b\":\"1\",\"a\":7}\n",
      ndjsonOptions("a"))
    #expect(reading.rows == [[1], [3], [7]])
    #expect(reading.spelled == ["1", "3", "7"])
  }
}
