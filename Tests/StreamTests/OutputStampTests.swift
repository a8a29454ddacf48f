import BatchNormalization
import Configuration
import Foundation
import Records
import TestSupport
import Testing

@testable import Codecs
@testable import Stream

/// The versions that records of text tell.
@Suite struct OutputStampTests {
  private func stamped(
    _ format: RecordFormat, to output: RecordFormat? = nil, _ features: [String] = ["a"],
    _ change: (inout StreamConfiguration) -> Void = { _ in }
  ) -> StreamConfiguration {
    betweenFormats(format, output ?? format, features) {
      $0.decoder.settings[RecordSettings.stamp] = "ek"
      change(&$0)
    }
  }

  private func written(_ configuration: StreamConfiguration, _ text: String) throws -> String {
    try SerialRun(configuration, Array(text.utf8)).text
  }

  @Test func `a CSV record gets two fields at its end, and all other text passes`() throws {
    #expect(
      try written(
        stamped(.csv), "\u{FEFF}a,\"k\n\"\r\n1,\"x,\n\"\r\n\r\n 2 ,\"\"\"\"\n,\n3,last")
        == "\u{FEFF}a,\"k\n\",ek.state_version,ek.parameters_version\r\n"
        + "1,\"x,\n\",0,0\r\n\r\n 2 ,\"\"\"\",0,0\n,,0,0\n3,last,0,0")
    #expect(
      try written(
        stamped(.csv) {
          $0.decoder.settings[CSVSettings.comment] = UInt8(ascii: "#")
          $0.decoder.settings[CSVSettings.skipRows] = 1
          $0.decoder.settings[CSVSettings.delimiter] = UInt8(ascii: ";")
          $0.decoder.settings[RecordSettings.stamp] = "e;k"
        }, "a;b\n# \"1\n\na\n1\n#2,\"\n\n3\n")
        == "a;b\n# \"1\n\na;\"e;k.state_version\";\"e;k.parameters_version\"\n1;0;0\n#2,\"\n;0;0\n3;0;0\n"
    )
  }

  @Test func `without a header, the fields come all the same`() throws {
    let configuration = stamped(.csv, ["f0"]) { $0.decoder.settings[CSVSettings.header] = false }
    #expect(try written(configuration, "1,x\n2,y\n") == "1,x,0,0\n2,y,0,0\n")
  }

  @Test func `a header without records gets the names`() throws {
    #expect(
      try written(stamped(.csv), "a,b") == "a,b,ek.state_version,ek.parameters_version")
  }

  @Test func `an object of NDJSON gets a member at its end, and all other text passes`() throws {
    let stamp = #""ek":{"state_version":0,"parameters_version":0}"#
    #expect(
      try written(
        stamped(.ndjson),
        "\u{FEFF}{\"a\":1, \"o\":{}} \r\n\n \n{}\n { \t} \n{\"s\":\"}\\\"}\"}\n{\"b\":{\"ek\":[1]}}"
      )
        == "\u{FEFF}{\"a\":1, \"o\":{},\(stamp)} \r\n\n \n{\(stamp)}\n { \t\(stamp)} \n"
        + "{\"s\":\"}\\\"}\",\(stamp)}\n{\"b\":{\"ek\":[1]},\(stamp)}")
    let name = "\"\n\u{1}é"
    let line = try written(
      stamped(.ndjson) { $0.decoder.settings[RecordSettings.stamp] = name }, "{\"a\":1}\n")
    let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
    #expect((object?[name] as? [String: Int]) == ["state_version": 0, "parameters_version": 0])
  }

  // MARK: Versions

  /// The records of CSV by a parser of its own: a line ends outside of quotes.
  private func records(_ text: String) -> [Substring] {
    var (found, start, isQuoted) = ([Substring](), text.startIndex, false)
    for index in text.utf8.indices {
      let byte = text.utf8[index]
      if byte == UInt8(ascii: "\"") { isQuoted.toggle() }
      guard byte == 0x0A, !isQuoted else { continue }
      let next = text.utf8.index(after: index)
      found.append(text[start..<next])
      start = next
    }
    return found
  }

  // Bad records, segments of live streams and held batches move records to other blocks.
  @Test(arguments: WarmUp.Emission.allCases, UInt64(1)...8)
  func `each record tells the version of its batch`(
    emission: WarmUp.Emission, seed: UInt64
  ) throws {
    let format = seed.isMultiple(of: 2) ? "csv" : "ndjson"
    var stream = TestStream(format, records: 150, seed: seed)
    var random = SeededGenerator(seed: seed)
    stream.configuration.batch.size = Int.random(in: 4...20, using: &random)
    stream.configuration.normalization.mode = seed.isMultiple(of: 3) ? .batch : .running
    stream.configuration.normalization.warmUp.records = 20
    stream.configuration.normalization.warmUp.emission = emission
    stream.configuration.isLive = Bool.random(using: &random)
    let piece = Int.random(in: 1...600, using: &random)
    let isLive = stream.configuration.isLive
    let plain = try SerialRun(stream.configuration, stream.bytes, piece: piece, isLive: isLive)
    stream.configuration.decoder.settings[RecordSettings.stamp] = "ek"
    let run = try SerialRun(stream.configuration, stream.bytes, piece: piece, isLive: isLive)
    var versions: [Int] = []
    var rest = ""
    for record in records(run.text) {
      let isHeader = format == "csv" && rest.isEmpty
      let end = record.hasSuffix("\r\n") ? "\r\n" : "\n"
      let content = record.dropLast()
      guard !content.isEmpty else {
        rest += record
        continue
      }
      if format == "csv" {
        let fields = content.split(separator: ",", omittingEmptySubsequences: false)
        if !isHeader { versions.append(try #require(Int(fields[fields.count - 2]))) }
        rest += fields.dropLast(2).joined(separator: ",") + end
      } else {
        let stamp = try #require(content.firstRange(of: #","ek":{"state_version":"#))
        versions.append(
          try #require(Int(content[stamp.upperBound...].prefix { $0.isNumber })))
        rest += content[..<stamp.lowerBound] + "}\n"
      }
    }
    #expect(rest == plain.text, "seed \(seed)")
    #expect(versions.count == run.metrics.records)
    #expect(versions == versions.sorted(), "seed \(seed)")
    // Held records have the version of the moment at which they leave.
    guard emission != .hold, stream.configuration.normalization.mode == .running else { return }
    let size = stream.configuration.batch.size
    #expect(versions == versions.indices.map { $0 / size }, "seed \(seed)")
  }

  @Test func `a tap shows the versions`() throws {
    let taps = StreamTaps()
    let tap = StampTap()
    #expect(taps.add(tap, TapOptions(rate: 100)))
    let run = try SerialRun(
      stamped(.csv) { $0.normalization.isFrozen = false }, Array("a\n1\n2\n3\n4\n5\n".utf8),
      taps: taps)
    #expect(tap.texts == run.lines[1...5].map(String.init))
    #expect(run.lines[5].hasSuffix(",1,0"))
  }

  // MARK: Other formats

  @Test func `records of other formats are stamped too`() throws {
    let raw = [Float(1), 2, 3, 4].flatMap { withUnsafeBytes(of: $0.bitPattern) { Array($0) } }
    func converted(_ input: RecordFormat, _ output: RecordFormat, _ bytes: [UInt8]) throws -> String
    {
      try SerialRun(
        stamped(input, to: output, input.name == "raw" ? ["f0", "f1"] : ["x"]) {
          $0.decoder.settings[RawSettings.columns] = 2
        }, bytes
      ).text
    }
    #expect(
      try converted(.raw, .csv, raw)
        == "f0,f1,ek.state_version,ek.parameters_version\n1,2,0,0\n3,4,0,0\n")
    let stamp = #""ek":{"state_version":0,"parameters_version":0}"#
    #expect(
      try converted(.raw, .ndjson, raw)
        == #"{"f0":1,"f1":2,\#(stamp)}"# + "\n" + #"{"f0":3,"f1":4,\#(stamp)}"# + "\n")
    let arrow = try SerialRun(
      betweenFormats(.csv, .arrow, ["x"]), Array("k,x\n\"a\n,\",1\n,2\n".utf8)
    ).output
    #expect(
      try converted(.arrow, .csv, arrow)
        == "k,x,ek.state_version,ek.parameters_version\n\"a\n,\",1,0,0\n,2,0,0\n")
    #expect(
      try converted(.arrow, .ndjson, arrow)
        == #"{"k":"a\n,","x":1,\#(stamp)}"# + "\n" + #"{"k":null,"x":2,\#(stamp)}"# + "\n")
  }

  // MARK: Names that are taken

  @Test(arguments: [
    ("csv", "csv", "a,ek.parameters_version\n1,2\n"), ("csv", "ndjson", "a,ek\n1,2\n"),
  ])
  func `a column that has the name already is refused`(
    input: String, output: String, text: String
  ) throws {
    let configuration = stamped(.named(input), to: .named(output), [])
    let error = #expect(throws: StreamError.self) { try written(configuration, text) }
    let column = output == "csv" ? "ek.parameters_version" : "ek"
    #expect(
      error.map { "\($0)" }
        == "test: output.stamp: expected a name that the output does not have yet, found column '\(column)': "
        + "choose another")
    #expect(error?.exitCode == 78)
  }

  @Test func `a record of NDJSON that has the member already is a bad record`() throws {
    let text = #"""
      {"a":1}
      {"a":2,"\u0065k":{}}
      {"a":3,"\u0065k":{}}
      {"a":4,"o":{"ek":1}}
      {"ek":1,"a":5}

      """#
    let error = #expect(throws: StreamError.self) { try written(stamped(.ndjson), text) }
    #expect(
      error.map { "\($0)" }
        == "test: record 2, byte 8: expected a record without member 'ek', which output.stamp writes, found it: "
        + "choose another name")
    #expect(error?.exitCode == 65)
    let run = try SerialRun(stamped(.ndjson) { $0.badRecords = .skip }, Array(text.utf8))
    #expect(run.rejected.map(\.record) == [2, 3, 5])
    #expect(run.lines.count == 3)
    // Arrow from NDJSON has other names.
    _ = try written(stamped(.ndjson, to: .csv), text)
  }
}

/// A tap that keeps the text of the output.
private final class StampTap: TapReceiver, @unchecked Sendable {
  // @unchecked because the serial driver runs on one thread.
  private(set) var texts: [String?] = []

  var isClosed: Bool { false }
  func begin() {}
  func end() {}

  func take(_ sample: TapSample) -> Bool {
    if case .record(let record) = sample { texts.append(record.outputText) }
    return true
  }
}
