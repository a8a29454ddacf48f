import Configuration
import Foundation
import Records
import Testing

@testable import Codecs

/// The features that are chosen where the user names none.
@Suite struct FeatureChoiceTests {
  private func csv(_ rows: [String], header: String) -> [UInt8] {
    Array(([header] + rows).map { $0 + "\n" }.joined().utf8)
  }

  private func options(
    _ features: [String] = [], exclude: [String] = [], noHeader: Bool = false
  ) -> DecoderOptions {
    var values = SettingValues()
    if !features.isEmpty {
      values[RecordSettings.features] = features.map { FeaturePattern($0) }
    }
    values[RecordSettings.exclude] = exclude.map { FeaturePattern($0) }
    values[CSVSettings.header] = !noHeader
    return DecoderOptions(values)
  }

  private func opening(
    _ format: RecordFormat, _ input: [UInt8], _ options: DecoderOptions = DecoderOptions(),
    chunk: Int = .max
  ) throws -> StreamOpening {
    let outcome = try FormatReading(format, input, options, chunk: chunk).outcome
    if let fault = outcome.openingFault { throw fault }
    return try #require(outcome.opening)
  }

  private func reasons(_ opening: StreamOpening) -> [String: FeatureChoice.Reason] {
    let leftOut = opening.choice?.leftOut ?? []
    return Dictionary(uniqueKeysWithValues: leftOut.map { ($0.name, $0.reason) })
  }

  /// Rows of an id, a constant, a falling number, a text, a measure, one that is missing at first, and nothing.
  private func rows(_ count: Int) -> [String] {
    (0..<count).map {
      "\(1000 + $0),7,\(-$0),x\($0),\($0 % 3).5,\($0 == 0 ? "NA" : "\($0 % 5)"),"
    }
  }

  private let header = "id,year,age,name,temp,gust,none"

  @Test(arguments: [1, 7, 1000, Int.max])
  func `ids, constants, texts and empty columns are left out, each for its reason`(
    chunk: Int
  ) throws {
    let found = try opening(.csv, csv(rows(20), header: header), chunk: chunk)
    #expect(found.schema.names == ["temp", "gust"])
    #expect(
      reasons(found) == [
        "id": .neverFalls, "year": .constant, "age": .neverRises, "name": .notNumbers,
        "none": .noValue,
      ])
    #expect(found.choice?.records == 20)
    #expect(
      found.choiceText == "features: temp, gust; left out: name (not numbers), none (no value), "
        + "year (a constant integer), id (integers that never fall), age (integers that never rise); "
        + "chosen by 20 records; --features and --exclude choose otherwise")
  }

  @Test func `a few integers in order prove nothing`() throws {
    let few = ColumnProfile.leastIntegers - 1
    let found = try opening(.csv, csv(rows(few), header: header))
    #expect(found.schema.names == ["id", "year", "age", "temp", "gust"])
    #expect(try opening(.csv, csv(rows(few + 1), header: header)).schema.names == ["temp", "gust"])
  }

  @Test func `integers in order are features if nothing else is`() throws {
    let found = try opening(.csv, csv((1...20).map { "\($0),k" }, header: "n,key"))
    #expect(found.schema.names == ["n"])
    #expect(reasons(found) == ["key": .notNumbers])
  }

  @Test func `numbers with a fraction may rise or stay the same`() throws {
    let found = try opening(.csv, csv((1...20).map { "\($0).0,0.0,1e3" }, header: "a,b,c"))
    #expect(found.schema.names == ["a", "b", "c"])
  }

  @Test func `a bad value among numbers is told as such, and numbers among texts are none`() throws
  {
    let mostly = (0..<20).map { $0 == 3 ? "oops,12" : "\($0 % 7),code\($0)" }
    let found = try opening(.csv, csv(mostly, header: "n,code"))
    #expect(found.schema.names == ["n"])
    let reading = try FormatReading(.csv, csv(mostly, header: "n,code"))
    #expect(reading.faults == ["expected a number in feature 'n', found 'oops'"])
  }

  @Test(arguments: [1, 3, 999, Int.max])
  func `only so many records and bytes are looked at, however the bytes come`(chunk: Int) throws {
    // The last column has numbers too late.
    let late = (0...LookAhead.mostRecords).map {
      "\($0 % 3),\($0 < LookAhead.mostRecords ? "" : "1")"
    }
    let byRecords = try opening(.csv, csv(late, header: "a,b"), chunk: chunk)
    #expect(byRecords.schema.names == ["a"])
    #expect(byRecords.choice?.records == LookAhead.mostRecords)
    guard chunk > 100 else { return }
    let wide = String(repeating: "x", count: 300 << 10)
    let long = (0..<9).map { "\($0 % 3),\($0 < 3 ? "" : "2"),\(wide)" }
    let byBytes = try opening(
      .csv, csv(long, header: "a,b,c"), chunk: chunk == .max ? chunk : chunk * 100)
    #expect(byBytes.schema.names == ["a"])
    #expect(byBytes.choice?.records == 3)
  }

  @Test func `a stream that has no time is opened by the records that came`() throws {
    for (format, whole, rest) in [
      (RecordFormat.csv, "a,b\n1,\n", "2,"), (.ndjson, "{\"a\":1}\n", "{\"a\":2,"),
    ] {
      func open(_ text: String, isEnough: Bool) throws -> StreamOpening? {
        var decoder = try format.makeDecoder(DecoderOptions())
        return try Array(text.utf8).withUnsafeBufferPointer {
          try decoder.open(InputWindow(bytes: $0, isLast: false, isEnough: isEnough))
        }
      }
      #expect(try open(whole + rest, isEnough: false) == nil)
      #expect(try open(whole + rest, isEnough: true)?.schema.names == ["a"])
      #expect(try open(rest, isEnough: true) == nil)
    }
  }

  // MARK: Exclusion

  @Test func `excluded columns are no features, chosen or named`() throws {
    let input = csv(rows(20), header: header)
    let chosen = try opening(.csv, input, options(exclude: ["gu?t"]))
    #expect(chosen.schema.names == ["temp"])
    #expect(reasons(chosen)["gust"] == .excluded)
    let named = try opening(.csv, input, options(["*"], exclude: ["name", "none"]))
    #expect(named.schema.names == ["id", "year", "age", "temp", "gust"])
    #expect(named.choice == nil)
    let mixed = try opening(.csv, input, options(["gust", "temp", "id", "!id"]))
    #expect(mixed.schema.names == ["gust", "temp"])
    let onlyNot = try opening(.csv, input, options(["!gust"]))
    #expect(onlyNot.schema.names == ["temp"])
  }

  @Test func `an exclusion that fits nothing or leaves nothing is refused`() throws {
    let input = csv(rows(20), header: header)
    let typo = #expect(throws: RecordFault.self) {
      try opening(.csv, input, options(exclude: ["tmp"]))
    }
    #expect(
      typo?.description
        == "expected a column that 'tmp' matches, found none among 'id', 'year', 'age', 'name', 'temp', "
        + "'gust', 'none'; did you mean 'temp'?")
    let all = #expect(throws: RecordFault.self) {
      try opening(.csv, input, options(["temp"], exclude: ["t*"]))
    }
    let says = "expected a column that is not excluded, found none: all are excluded"
    #expect(all?.description == says)
    for (format, text) in [(RecordFormat.csv, "a,b\n1,x\n"), (.ndjson, "{\"a\":1}\n")] {
      let none = #expect(throws: RecordFault.self) {
        try opening(format, Array(text.utf8), options(exclude: ["*"]))
      }
      #expect(none?.description == says)
    }
  }

  @Test func `columns without names and raw columns are excluded by number`() throws {
    let plain = try opening(
      .csv, Array("1,2.5,x\n".utf8), options(exclude: ["f0"], noHeader: true))
    #expect(plain.schema.names == ["f1"])
    var raw = options(exclude: ["f1"])
    raw.settings[RawSettings.columns] = 3
    let found = try opening(.raw, Array(repeating: 0, count: 24), raw)
    #expect(found.schema.names == ["f0", "f2"])
    #expect(found.choice == nil)
  }

  // MARK: NDJSON

  @Test(arguments: [1, 13, Int.max])
  func `members are chosen like columns, wherever they are first met`(chunk: Int) throws {
    let lines = (0..<20).map { record in
      "{\"ts\":\(record),\"o\":{\"t\":\(record == 0 ? "null" : "\(record % 4)"),\"s\":\"x\"},"
        + "\"on\":true\(record > 9 ? ",\"late\":\(record % 2)" : ""),\"e\":[1,2],"
        + "\"w\":[\(Array(repeating: "0", count: record + 1).joined(separator: ","))]}"
    }
    let found = try opening(.ndjson, Array(lines.joined(separator: "\n").utf8), chunk: chunk)
    #expect(found.schema.names == ["e[0]", "e[1]", "o.t", "late"])
    #expect(
      reasons(found) == [
        "ts": .neverFalls, "o.s": .notNumbers, "on": .notNumbers, "w": .lengthsDiffer,
      ])
  }

  @Test func `a place that is a number in some records and an object in others is what most say`()
    throws
  {
    let lines = (0..<9).map { $0 == 4 ? "{\"a\":{\"b\":\($0)}}" : "{\"a\":\($0 % 3)}" }
    let input = Array(lines.joined(separator: "\n").utf8)
    let found = try opening(.ndjson, input)
    #expect(found.schema.names == ["a"])
    #expect(reasons(found) == ["a.b": .mixed])
    #expect(try opening(.ndjson, input, options(["*"])).schema.names == ["a"])
  }

  @Test func `patterns of numbers look ahead too, and vectors can be excluded`() throws {
    let lines = #"{"wind_a":1,"e":[1,2]}"# + "\n" + #"{"wind_b":2,"e":[1,2]}"#
    let named = try opening(.ndjson, Array(lines.utf8), options(["wind_*"]))
    #expect(named.schema.names == ["wind_a", "wind_b"])
    let without = try opening(.ndjson, Array(lines.utf8), options(exclude: ["e"]))
    #expect(without.schema.names == ["wind_a", "wind_b"])
    let part = try opening(.ndjson, Array(lines.utf8), options(exclude: ["e[0]", "wind_a"]))
    #expect(part.schema.names == ["e[1]", "wind_b"])
  }

  // MARK: Checkpoints

  @Test func `a choice is kept with the opening, and one without it is read`() throws {
    let found = try opening(.csv, csv(rows(20), header: header))
    let text = try JSONEncoder().encode(found)
    #expect(try JSONDecoder().decode(StreamOpening.self, from: text) == found)
    let old = Data(#"{"features":["a"],"columns":["a"],"prologue":"a"}"#.utf8)
    #expect(try JSONDecoder().decode(StreamOpening.self, from: old).choice == nil)
  }
}
