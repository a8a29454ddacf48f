import BatchNormalization
import Configuration
import Foundation
import Records
import Storage
import TestSupport
import Testing

@testable import Codecs
@testable import Stream

/// Columns of the output that the user chose.
@Suite struct OutputColumnTests {
  private func choosing(
    _ columns: [String], of format: RecordFormat, to output: RecordFormat? = nil,
    _ features: [String] = ["a"], _ change: (inout StreamConfiguration) -> Void = { _ in }
  ) -> StreamConfiguration {
    betweenFormats(format, output ?? format, features) {
      $0.decoder.settings[RecordSettings.columns] = columns.map { FeaturePattern($0) }
      change(&$0)
    }
  }

  private func written(_ configuration: StreamConfiguration, _ text: String) throws -> String {
    try SerialRun(configuration, Array(text.utf8)).text
  }

  // MARK: CSV

  @Test(arguments: [
    (["k b", "a"], "\"k b\",a\r\n\"x,\n\", 1 \r\n\r\n\"\"\"\",\n,-3"),
    (["!n", "!k*"], "a\r\n 1 \r\n\r\n\"\"\n-3"),
    (["n", "*"], "n,a,\"k b\"\r\n7, 1 ,\"x,\n\"\r\n\r\n,,\"\"\"\"\n9,-3,"),
    (["?", "!a"], "n\r\n7\r\n\r\n\"\"\n9"),
  ])
  func `a CSV record has the chosen fields in their order, as they are`(
    columns: [String], expected: String
  ) throws {
    let text = "a,\"k b\",n\r\n 1 ,\"x,\n\",7\r\n\r\n,\"\"\"\",\n-3,,9"
    #expect(try written(choosing(columns, of: .csv), "\u{FEFF}" + text) == "\u{FEFF}" + expected)
  }

  @Test func `comments and skipped lines pass, and the stamp is the last`() throws {
    let configuration = choosing(["b", "a"], of: .csv) {
      $0.decoder.settings[CSVSettings.comment] = UInt8(ascii: "#")
      $0.decoder.settings[CSVSettings.skipRows] = 1
      $0.decoder.settings[RecordSettings.stamp] = "b"
    }
    #expect(
      try written(configuration, "a,b,c\n#1,2\na,b,b.state_version\n1,2,3\n#x,\"\n4,5,6\n")
        == "a,b,c\n#1,2\nb,a,b.state_version,b.parameters_version\n2,1,0,0\n#x,\"\n5,4,0,0\n")
  }

  @Test func `columns without a header have numbers, and columns of one name go together`() throws {
    let numbered = choosing(["f2", "f0"], of: .csv, ["f0"]) {
      $0.decoder.settings[CSVSettings.header] = false
    }
    #expect(try written(numbered, "1,x,\"y\"\n2,z,\n") == "\"y\",1\n,2\n")
    #expect(
      try written(choosing(["k", "a"], of: .csv), "k,a,k\n1,2,3\n") == "k,k,a\n1,3,2\n")
  }

  @Test func `a feature that is left out is normalised, and moves no other`() throws {
    let values = (0..<20).map { Double($0 * $0 % 7) }
    let input = csv([("a", values), ("b", values.reversed())])
    let all = try SerialRun(csvConfiguration(), input)
    let some = try SerialRun(
      csvConfiguration { $0.decoder.settings[RecordSettings.columns] = [FeaturePattern("a")] },
      input)
    #expect(column(0, of: some.text).count == 20)
    let same = zip(column(0, of: some.text), column(1, of: all.text)).allSatisfy { $0 == $1 }
    #expect(same)
    #expect(some.checkpoint?.state == all.checkpoint?.state)
  }

  @Test func `the columns of a file with another header are chosen by name`() throws {
    let configuration = choosing(["b", "a"], of: .csv)
    var opening = StreamOpening(
      schema: try FeatureSchema(["a"]), columns: ["a", "b"], prologue: Array("a,b\n".utf8))
    func header() throws -> String {
      let output = ByteBuffer()
      try configuration.makeEncoder(for: opening).encodePrologue(into: output)
      return String(decoding: output.readable, as: UTF8.self)
    }
    #expect(try header() == "b,a\n")
    (opening.columns, opening.prologue) = (["c", "b", "a"], Array("c,b,a\n".utf8))
    #expect(try header() == "b,a\n")
    (opening.columns, opening.prologue) = (["c", "a"], Array("c,a\n".utf8))
    #expect(throws: FormatError.self) { try header() }
  }

  // MARK: NDJSON

  @Test(arguments: [
    (["k", "a"], #"{"k":"x,}\"","a": 1}"#, #"{"a":2}"#, "{}"),
    (["!a"], #" {"k":"x,}\"","o":{"a":[1,{}]}} "#, #"{"n":null}"#, #"{"k\"":{}}"#),
    (
      ["o", "*"], #" {"o":{"a":[1,{}]},"a": 1,"k":"x,}\""} "#, #"{"n":null,"a":2}"#, #"{"k\"":{}}"#
    ),
    (["k\"", "n"], " {} ", #"{"n":null}"#, #"{"k\"":{}}"#),
  ])
  func `an object has the chosen members in their order, as they are`(
    columns: [String], first: String, second: String, third: String
  ) throws {
    let text =
      #" {"a": 1, "k":"x,}\"" , "o":{"a":[1,{}]} } "# + "\r\n\n"
      + #"{"n":null,"a":2}"# + "\n" + #"{"k\"":{}}"#
    let lines = try written(choosing(columns, of: .ndjson), text).utf8
      .split(separator: 0x0A, omittingEmptySubsequences: false).map { String(Substring($0)) }
    // The text around an object stays.
    let firstLine = first.hasPrefix(" ") ? first : " \(first) "
    #expect(lines == [firstLine + "\r", "", second, third])
  }

  @Test(arguments: UInt64(1)...4)
  func `the members and fields of random records are those of the input`(seed: UInt64) throws {
    for format in ["csv", "ndjson"] {
      var stream = TestStream(format, records: 80, seed: seed)
      let plain = try SerialRun(stream.configuration, stream.bytes)
      stream.configuration.decoder.settings[RecordSettings.columns] = ["note", "f2", "f*", "!f1"]
        .map { FeaturePattern($0) }
      stream.configuration.decoder.settings[RecordSettings.stamp] = "s"
      let run = try SerialRun(stream.configuration, stream.bytes, piece: 97)
      guard format == "ndjson" else {
        let expected = fields(of: plain.text).map { $0.count < 5 ? $0 : [$0[4], $0[3], $0[1]] }
        #expect(fields(of: run.text).map { $0.count < 5 ? $0 : Array($0.dropLast(2)) } == expected)
        continue
      }
      for (before, after) in zip(plain.lines, run.lines) where !before.isEmpty {
        var old = try object(before)
        var new = try object(after)
        for key in ["key", "f1"] { old.removeValue(forKey: key) }
        let stamp = new.removeValue(forKey: "s")
        #expect(stamp != nil)
        #expect(NSDictionary(dictionary: old) == NSDictionary(dictionary: new), "seed \(seed)")
        #expect(after.hasPrefix("{\"note\":"))
      }
      #expect(plain.lines.count == run.lines.count)
    }
  }

  private func object(_ line: Substring) throws -> [String: Any] {
    try #require(
      try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
  }

  /// The fields of CSV with their quotes, by a parser of its own.
  private func fields(of text: String) -> [[String]] {
    var (lines, line, field) = ([[String]](), [String](), [UInt8]())
    var isQuoted = false
    for byte in text.utf8 {
      if byte == UInt8(ascii: "\"") { isQuoted.toggle() }
      let isEnd = byte == 0x0A && !isQuoted
      guard isEnd || byte == UInt8(ascii: ",") && !isQuoted else {
        if byte != 0x0D { field.append(byte) }
        continue
      }
      line.append(String(decoding: field, as: UTF8.self))
      field = []
      guard isEnd else { continue }
      lines.append(line)
      line = []
    }
    return lines
  }

  @Test func `a member may come first in a later record, and must be in one of the first`() throws {
    let records = (0..<30).map { "{\"a\":\($0)\($0 == 29 ? ",\"late\":1" : "")}\n" }.joined()
    let run = try written(choosing(["late", "a"], of: .ndjson), records)
    #expect(run.hasPrefix("{\"a\":0}\n") && run.hasSuffix("{\"late\":1,\"a\":29}\n"))
    let error = #expect(throws: StreamError.self) {
      try written(choosing(["lake", "a"], of: .ndjson), records)
    }
    #expect(
      error.map { "\($0)" }
        == "test: expected a member 'lake', which output.columns names, in the first 30 records, found none among "
        + "'a', 'late'; did you mean 'late'?")
    #expect(error?.exitCode == 65)
    // A live stream does not wait for it.
    let options = choosing(["lake", "late"], of: .ndjson).decoder
    var decoder = try RecordFormat.ndjson.makeDecoder(options)
    let opening = try Array(records.utf8.dropLast()).withUnsafeBufferPointer {
      try decoder.open(InputWindow(bytes: $0, isLast: false, isEnough: true))
    }
    #expect(
      opening?.warning == "no record so far has the member 'lake', which output.columns names")
    // A pattern with a wildcard may match later, or never.
    #expect(try written(choosing(["x*"], of: .ndjson), "{\"a\":1}\n") == "{}\n")
  }

  // MARK: Other formats

  @Test func `records of other formats have the chosen columns`() throws {
    let text = "k,a,b\n\"x\n\",1,p\n,2,\"\"\n"
    #expect(
      try written(
        choosing(["b", "a"], of: .csv, to: .ndjson, ["a", "b"]) {
          $0.decoder.onInvalid = .missing
        }, text) == "{\"b\":null,\"a\":1}\n{\"b\":null,\"a\":2}\n")
    for dictionaries in [false, true] {
      let arrow = try SerialRun(
        choosing(["b", "a"], of: .csv, to: .arrow) {
          $0.decoder.settings[RecordSettings.dictionaries] = dictionaries
        }, Array(text.utf8)
      ).output
      let back = try SerialRun(betweenFormats(.arrow, .csv, ["a"]), arrow)
      #expect(back.text == "b,a\np,1\n\"\",2\n")
      #expect(
        try SerialRun(choosing(["a"], of: .arrow, to: .csv), arrow).text == "a\n1\n2\n")
      #expect(
        try SerialRun(choosing(["!b"], of: .arrow, to: .ndjson), arrow).text
          == "{\"a\":1}\n{\"a\":2}\n")
    }
    let json = try SerialRun(
      choosing(["o.x", "a"], of: .ndjson, to: .arrow, ["a", "o.x"]),
      Array("{\"a\":1,\"o\":{\"x\":2,\"y\":3}}\n".utf8)
    ).output
    #expect(
      try SerialRun(betweenFormats(.arrow, .csv, ["a"]), json).text == "o.x,a\n2,1\n")
  }

  // MARK: Wrong columns

  @Test(arguments: [
    (
      ["a", "tmp"],
      "expected a column that 'tmp' matches, found none among 'a', 'temp'; did you mean 'temp'?"
    ),
    (["!x"], "expected a column that 'x' matches, found none among 'a', 'temp'"),
    (["!*"], "expected a column that is not excluded, found none: all are excluded"),
  ])
  func `columns that there are not are refused`(columns: [String], says: String) throws {
    for output in [RecordFormat.csv, .arrow] {
      let error = #expect(throws: StreamError.self) {
        try written(choosing(columns, of: .csv, to: output), "a,temp\n1,2\n")
      }
      #expect(error.map { "\($0)" } == "test: output.columns: \(says)")
      #expect(error?.exitCode == 78)
    }
  }

  @Test(arguments: ["csv", "ndjson"])
  func `a stream with both settings that failed resumes byte for byte`(format: String) throws {
    let directory = try TemporaryDirectory()
    var stream = TestStream(format, records: 200, seed: 3)
    stream.configuration.badRecords = .skip
    stream.configuration.decoder.settings[RecordSettings.columns] = ["f1", "*", "!note"]
      .map { FeaturePattern($0) }
    stream.configuration.decoder.settings[RecordSettings.stamp] = "ek"
    func files(_ state: String) -> StreamFiles {
      var files = StreamFiles(input: directory.file("in"), output: directory.file("\(state).out"))
      files.resume = directory.file(state)
      files.schedule = CheckpointSchedule(everyBatches: 3)
      return files
    }
    try directory.write("in", stream.bytes)
    #expect(try FileRun(stream.configuration, files("whole")).failure == nil)
    for part in 1...4 {
      let disk = MeteredFileSystem(
        directory.file("in"), piece: 300, failsAt: stream.bytes.count * part / 5)
      #expect(try FileRun(stream.configuration, files("state"), fileSystem: disk).failure != nil)
    }
    let last = try FileRun(stream.configuration, files("state"))
    #expect(last.failure == nil && last.metrics.bytesPassedOver > 0)
    #expect(try directory.read("state.out") == directory.read("whole.out"))
    #expect(try directory.read("whole.out").count > 200 * 20)
    // Other columns do not go into the same file.
    stream.configuration.decoder.settings[RecordSettings.columns] = [FeaturePattern("f1")]
    let error = #expect(throws: StreamError.self) {
      try FileRun(stream.configuration, files("state"))
    }
    #expect(error.map { "\($0)".contains("expected the format, columns, compression") } == true)
  }
}
