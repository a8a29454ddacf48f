import BatchNormalization
import Configuration
import Records
import Storage
import TestSupport
import Testing

@testable import Codecs
@testable import Stream

/// Arrow from CSV and NDJSON with all columns, and CSV and NDJSON from Arrow.
@Suite struct ArrowConversionTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private static let records = """
    {"id":"a\\u00e9\\"x\\ud83d\\ude00","x":1.5,"o":{"b":-2e3,"name":"n1"},"v":[1,2,3],"tags":["p","q"],"n":null}
    {"x":2.5,"id":"b","o":{"name":"n\\n2","b":5},"v":[2,3,4],"tags":[], "meta":{"k":{"z":[{}]}},"n":7,"t":true}

    {"late":1,"x":3.5,"id":"c","o":{"b":7},"v":[4,5,1],"id.k":"\\ud83d\\ude00"}

    """

  @Test(arguments: [1, 17, Int.max])
  func `NDJSON becomes Arrow with all columns, and comes back as text`(piece: Int) throws {
    let features = ["x", "o.b", "v[0]", "v[2]"]
    let arrow = try SerialRun(
      betweenFormats(.ndjson, .arrow, features), Array(Self.records.utf8), piece: piece)
    let back = try SerialRun(betweenFormats(.arrow, .ndjson, features), arrow.output)
    let expected = #"""
      {"id":"aé\"x😀","x":1.5,"o.b":-2000,"o.name":"n1","v[0]":1,"v[1]":"2","v[2]":3,"tags":"[\"p\",\"q\"]","n":null,"meta":null,"t":null,"late":null,"id.k":null}
      {"id":"b","x":2.5,"o.b":5,"o.name":"n\n2","v[0]":2,"v[1]":"3","v[2]":4,"tags":"[]","n":"7","meta":"{\"k\":{\"z\":[{}]}}","t":"true","late":null,"id.k":null}
      {"id":"c","x":3.5,"o.b":7,"o.name":null,"v[0]":4,"v[1]":"5","v[2]":1,"tags":null,"n":null,"meta":null,"t":null,"late":"1","id.k":"😀"}

      """#
    #expect(back.text == expected)
  }

  @Test(arguments: [1, 17, Int.max])
  func `half a surrogate pair makes a bad record, and so does text that is not UTF-8`(
    piece: Int
  ) throws {
    let halves = [#"p\ud800"#, #"\udc00q"#, #"\ud800\ud800\udc00"#, #"\\\udfff"#]
    let wholes = [#"\ud83d\ude00"#, #"\\ud800"#, #"é"#, #"\u00e9"#, #"\""#]
    let texts = halves.flatMap { [$0] + wholes }
    let lines = texts.enumerated().map { #"{"k":"\#($1)","x":\#($0)}"# + "\n" }
    var configuration = betweenFormats(.ndjson, .arrow, ["x"]) { $0.badRecords = .skip }
    let arrow = try SerialRun(configuration, Array(lines.joined().utf8), piece: piece)
    #expect(arrow.rejected.map(\.record) == [1, 7, 13, 19])
    #expect(
      arrow.rejected.first?.fault.description
        == #"expected text that UTF-8 can hold, as Arrow has it, found half a surrogate pair, '\ud800'"#
    )
    let back = try SerialRun(betweenFormats(.arrow, .ndjson, ["x"]), arrow.output)
    #expect(back.lines.first == #"{"k":"😀","x":1}"#)
    #expect(back.lines.count == 21 && !back.text.contains("\u{FFFD}"))
    // In NDJSON that stays NDJSON, all text passes.
    configuration.outputFormat = .ndjson
    #expect(try SerialRun(configuration, Array(lines.joined().utf8)).rejected.isEmpty)
    // The same bytes as UTF-8, with half a surrogate pair in the place of the letter.
    let csv = try SerialRun(
      betweenFormats(.csv, .arrow, ["x"]), Array("k,x\na,1\n\u{1234},2\nc,3\n".utf8))
    let broken = csv.output.replacing([0xE1, 0x88, 0xB4], with: [0xED, 0xA0, 0x80])
    let text = try SerialRun(
      betweenFormats(.arrow, .csv, ["x"]) { $0.badRecords = .skip }, broken)
    #expect(text.text == "k,x\na,1\nc,3\n")
    #expect(text.rejected.map(\.record) == [2])
    #expect(text.rejected.first?.fault.expected == "text of UTF-8 in column 'k'")
  }

  @Test
  func `members that come first after the records that were looked at are left out, and told`()
    throws
  {
    var text = ""
    for record in 0..<1100 { text += #"{"x":\#(record),"k":"\#(record)"}"# + "\n" }
    text += #"{"x":1,"k":"last","late":"y"}"# + "\n"
    var options = betweenFormats(.ndjson, .arrow, ["x"]).decoder
    options.keepsFormat = false
    options.keepsFields = true
    var decoder = try RecordFormat.ndjson.makeDecoder(options)
    let opening = try Array(text.utf8).withUnsafeBufferPointer { bytes in
      try decoder.open(InputWindow(bytes: bytes, isLast: false))
    }
    #expect(opening?.outputColumns == ["x", "k"])
    #expect(opening?.warning?.contains("the members of the first 1024 records") == true)
    let arrow = try SerialRun(betweenFormats(.ndjson, .arrow, ["x"]), Array(text.utf8))
    let back = try SerialRun(betweenFormats(.arrow, .ndjson, ["x"]), arrow.output)
    #expect(back.lines.count == 1102 && back.lines[1100] == #"{"x":1,"k":"last"}"#)
  }

  @Test(arguments: [
    "pyarrow-none.arrows", "pyarrow-zstd.arrows", "pyarrow-lz4.arrows", "pyarrow-none.arrow",
    "pyarrow-lz4.arrow",
  ])
  func `Arrow becomes text with the columns that have one`(name: String) throws {
    let input = try ArrowInput.golden(name)
    let csv = try SerialRun(betweenFormats(.arrow, .csv, ["x", "y"]), input)
    #expect(
      csv.lines[0]
        == "x,half,y,n32,n64,tiny,flag,text,large,text_view,plain,price,time,s.a,s.b,last,colour,size"
    )
    #expect(
      csv.lines[2]
        == "2.25,1,-34.75,10,-1000,1,,text é,text é,longer than an inline view 1,11.5,0.01,"
        + "2026-11-27T00:01:00.000000Z,2.25,text é,-2.375,green,m")
    // The struct is null.
    #expect(
      csv.lines[7]
        == ",6,-22,60,-6000,6,,text éééééé,text éééééé,longer than an inline view 6,3,0.06,"
        + "2026-11-27T00:06:00.000000Z,,,-4.5,red,s")
    #expect(csv.lines.count == 74)
    let json = try SerialRun(betweenFormats(.arrow, .ndjson, ["x", "y"]), input)
    #expect(
      json.lines[1]
        == #"{"x":2.25,"half":1,"y":-34.75,"n32":10,"n64":-1000,"tiny":1,"flag":null,"#
        + #""text":"text é","large":"text é","text_view":"longer than an inline view 1","plain":11.5,"#
        + #""price":0.01,"time":"2026-11-27T00:01:00.000000Z","s.a":2.25,"s.b":"text é","last":-2.375,"#
        + #""colour":"green","size":"m"}"#
    )
  }

  @Test func `CSV comes back from Arrow, an empty text and a missing one apart`() throws {
    let text = "id,x,note\na,1.5,\"say \"\"hi\"\", é\"\n\"\",2,\nc,,\"\"\n"
    let arrow = try SerialRun(betweenFormats(.csv, .arrow, ["x"]), Array(text.utf8))
    let back = try SerialRun(betweenFormats(.arrow, .csv, ["x"]), arrow.output)
    #expect(back.text == text)
  }

  @Test func `texts are dictionaries on request, new ones with each record batch`() throws {
    var text = "id,x,kind\n"
    for record in 0..<9 { text += "k\(record),\(record),w\(record % 2)\n" }
    let run = try SerialRun(
      betweenFormats(.csv, .arrow, ["x"]) {
        $0.decoder.settings[RecordSettings.dictionaries] = true
      }, Array(text.utf8))
    let messages = try ArrowInput.messages(run.output)
    #expect(messages.map(\.kind) == [.schema, .dictionaryBatch, .dictionaryBatch, .recordBatch])
    let schema = try ArrowMetadata.schema(
      of: ArrowMetadata.firstMessage(of: messages[0].bytes), DecoderLimits())
    #expect(schema.fields.map(\.type) == [.utf8, .float(bits: 32), .utf8])
    #expect(schema.fields.map { $0.dictionary?.id } == [0, nil, 2])
    #expect(messages[1].bytes.contains(Array("k0k1k2k3k4k5k6k7k8".utf8)))
    #expect(messages[2].bytes.contains(Array("w0w1".utf8)))
    let indices: [Int32] = [0, 1, 0, 1, 0, 1, 0, 1, 0]
    #expect(
      messages[3].bytes.contains(indices.flatMap { withUnsafeBytes(of: $0) { Array($0) } }))
    // Our own decoder takes them.
    let again = try SerialRun(betweenFormats(.arrow, .csv, ["x"]), run.output)
    #expect(again.text == text)
  }

  // MARK: Resuming

  /// A conversion, with its input.
  enum Conversion: CaseIterable {
    case csvToStream, csvToFile, csvToDictionaries, jsonToStream, arrowToCSV, arrowToJSON

    var formats: (RecordFormat, RecordFormat) {
      switch self {
      case .csvToStream, .csvToFile, .csvToDictionaries: (.csv, .arrow)
      case .jsonToStream: (.ndjson, .arrow)
      case .arrowToCSV: (.arrow, .csv)
      case .arrowToJSON: (.arrow, .ndjson)
      }
    }

    func input() throws -> [UInt8] {
      switch self {
      case .csvToStream, .csvToFile, .csvToDictionaries:
        Array(("id,x,y\n" + (0..<400).map { "k\($0),\($0),\($0 % 9)\n" }.joined()).utf8)
      case .jsonToStream:
        // More than is looked at before the stream is opened.
        Array(
          (0..<3000).map { #"{"id":"k\#($0)","x":\#($0),"y":\#($0 % 9)}"# + "\n" }.joined().utf8)
      case .arrowToCSV, .arrowToJSON:
        try ArrowInput.stream("pyarrow-deltas.arrows", times: 20, repeatsDictionaries: true)
      }
    }
  }

  @Test(arguments: Conversion.allCases)
  func `a conversion that failed resumes byte for byte`(conversion: Conversion) throws {
    let (input, output) = conversion.formats
    let configuration = betweenFormats(input, output, ["x", "y"]) {
      $0.normalization.isFrozen = false
      $0.batch.size = 7
      $0.decoder.settings[RecordSettings.dictionaries] = conversion == .csvToDictionaries
      $0.decoder.settings[ArrowSettings.container] = conversion == .csvToFile ? .file : .stream
    }
    func files(_ state: String) -> StreamFiles {
      var files = StreamFiles(
        input: directory.file("in"), output: directory.file("\(state).out"))
      files.resume = directory.file(state)
      files.schedule = CheckpointSchedule(everyBatches: 3)
      return files
    }
    let bytes = try conversion.input()
    try directory.write("in", bytes)
    #expect(try FileRun(configuration, files("whole")).failure == nil)
    for part in 1...7 {
      let disk = MeteredFileSystem(
        directory.file("in"), piece: 300, failsAt: bytes.count * part / 8)
      let run = try FileRun(configuration, files("state"), fileSystem: disk)
      #expect(run.failure?.exitCode == 74)
    }
    let last = try FileRun(configuration, files("state"))
    #expect(last.failure == nil && last.metrics.bytesPassedOver > 0)
    #expect(try directory.read("state.out") == directory.read("whole.out"))
  }

  // MARK: Settings

  /// The settings of a command from one path to another.
  private func settings(
    _ options: [String], _ input: String, _ output: String
  ) throws(CommandLineError) -> SettingValues {
    let catalogue = Catalogue.builtIn
    let path = Setting("-", .text, default: "-", option: .value("output", "path"), help: "")
    let own = [SettingGroup("Files", [path])]
    let given = try CommandLineSettings(
      options + ["--output", output],
      of: own + catalogue.streamSettings + catalogue.formats.map(\.settings), others: [])
    return try catalogue.settings(of: input, to: path, in: given, besides: own).values
  }

  @Test(arguments: [
    (
      ["--stamp", "ek", "--columns", "2"], "in.f32", "out.f32",
      "--stamp: expected output of format csv, ndjson or arrow, found raw"
    ),
    (
      ["--output-columns", "a", "--output-format", "raw"], "in.csv", "out.f32",
      "--output-columns: expected output of format csv, ndjson or arrow, found raw"
    ),
    (
      ["--dictionaries"], "in.csv", "out.csv",
      "--dictionaries: expected output of format arrow, found csv"
    ),
    (
      ["--dictionaries"], "in.csv", "out.arrow",
      "--dictionaries: expected an Arrow stream (.arrows), as a file has one dictionary a column, found a file"
    ),
    (
      ["--dictionaries"], "in.arrow", "out.arrows",
      "--dictionaries: expected input with columns of text, found arrow"
    ),
    (
      ["--batch-size", "record_batch"], "in.csv", "out.arrow",
      "--batch-size: expected a number of records, as csv has no record batches, found record_batch"
    ),
    (
      ["--batch-size", "record_batch", "--max-delay", "1s"], "in.arrow", "out.arrow",
      "--max-delay: expected no --max-delay beside --batch-size record_batch, found both"
    ),
  ])
  func `settings that a format cannot have are refused`(
    options: [String], input: String, output: String, says: String
  ) throws {
    let error = #expect(throws: CommandLineError.self) {
      _ = try settings(options, input, output)
    }
    #expect(error.map { "\($0)" } == says)
  }

  @Test(arguments: [
    (
      ["--arrow-container", "file"], "in.arrow", "out.arrows",
      "--output: expected --arrow-container stream, found file, which the name of the file contradicts"
    ),
    (
      ["--arrow-container", "stream"], "in.arrow", "out.feather",
      "--output: expected --arrow-container file, found stream, which the name of the file contradicts"
    ),
    (
      ["--columns", "2", "--precision", "float64"], "in.f32", "out.f32",
      "--output: expected --precision float32, found float64, which the name of the file contradicts"
    ),
  ])
  func `a setting that the name of the output contradicts is refused`(
    options: [String], input: String, output: String, says: String
  ) throws {
    let error = #expect(throws: CommandLineError.self) {
      _ = try settings(options, input, output)
    }
    #expect(error.map { "\($0)" } == says)
    _ = try settings(options, input, output + ".bin")
  }

  @Test(arguments: ["in.csv", "in.ndjson", "in.f32"], ["out.arrow", "out.arrows", "out.feather"])
  func `the name of an Arrow output tells its format`(input: String, output: String) throws {
    let options = input == "in.f32" ? ["--columns", "2"] : []
    let values = try settings(options, input, output)
    #expect(values[Catalogue.builtIn.outputFormat] == "arrow")
    #expect(values[ArrowSettings.container] == (output == "out.arrows" ? .stream : .file))
    #expect(
      try settings(options + ["--output-format", "ndjson"], input, "out.bin")[
        Catalogue.builtIn.outputFormat] == "ndjson")
  }
}
