import BatchNormalization
import Configuration
import Records
import Testing

@testable import Codecs
@testable import Stream

/// The columns that are no features, from text to Arrow and from Arrow to text.
@Suite struct ArrowColumnTests {
  // MARK: Comments

  @Test(arguments: [1, 5, Int.max], [false, true])
  func `comments of CSV are passed over in Arrow`(piece: Int, isLive: Bool) throws {
    let text = "#first\na,note\n#b\n1,x\n#c,\"\n2,y\n#\n3,z\n4,\"#5\"\n#end\n#last"
    let arrow = try SerialRun(
      betweenFormats(.csv, .arrow, ["a"]) {
        $0.decoder.settings[CSVSettings.comment] = UInt8(ascii: "#")
      }, Array((text + (isLive ? "\n" : "")).utf8), piece: piece, isLive: isLive)
    let back = try SerialRun(betweenFormats(.arrow, .csv, ["a"]), arrow.output)
    #expect(back.text == "a,note\n1,x\n2,y\n3,z\n4,#5\n")
  }

  @Test func `a comment after the only column is passed over in Arrow`() throws {
    let arrow = try SerialRun(
      betweenFormats(.csv, .arrow, ["a"]) {
        $0.decoder.settings[CSVSettings.comment] = UInt8(ascii: "#")
      }, Array("a\n#c\n1\n".utf8))
    #expect(try SerialRun(betweenFormats(.arrow, .csv, ["a"]), arrow.output).text == "a\n1\n")
  }

  // MARK: Dictionaries

  @Test(arguments: ["words-none.arrows", "words-zstd.arrows", "words-lz4.arrows", "words.arrow"])
  func `dictionaries become the text that pyarrow reads in them`(name: String) throws {
    let expected = try ArrowInput.golden("pyarrow-words.ndjson")
    let rows = String(decoding: expected, as: UTF8.self)
      .split(separator: "\n").prefix(name == "words.arrow" ? 24 : 40)
    for piece in [333, Int.max] {
      let json = try SerialRun(
        betweenFormats(.arrow, .ndjson, ["x"]), ArrowInput.golden("pyarrow-" + name), piece: piece)
      #expect(json.lines.dropLast() == Array(rows))
    }
  }

  @Test func `columns whose dictionaries have no text are left out, and told`() throws {
    let input = try ArrowInput.golden("pyarrow-words-none.arrows")
    var options = betweenFormats(.arrow, .csv, ["x"]).decoder
    options.keepsFormat = false
    options.keepsFields = true
    var decoder = try RecordFormat.arrow.makeDecoder(options)
    let opening = try input.withUnsafeBufferPointer {
      try decoder.open(InputWindow(bytes: $0, isLast: true))
    }
    #expect(opening?.warning == "columns that have no text are left out: 'bytes'")
  }

  @Test(arguments: [
    ("pandas.arrow", "city", ["Oslo", "Rome", "Oslo"]),
    ("pandas.arrows", "city", ["Oslo", "Rome"]),
    ("polars-oldest-zstd.arrow", "size", ["s", "m", "l", "s"]),
    ("polars-newest-lz4.arrows", "kind", ["a", "b", "", "c"]),
    ("polars-lazy.arrow", "kind", ["a", "b", "", "c"]),
  ])
  func `categoricals of pandas and Polars become text`(
    name: String, column: String, values: [String]
  ) throws {
    let csv = try SerialRun(
      betweenFormats(.arrow, .csv, ["x"]), ArrowInput.golden(name))
    let names = csv.lines[0].split(separator: ",")
    let index = try #require(names.firstIndex { $0 == column })
    let found = csv.lines[1...values.count].map {
      // A text before it may have a comma.
      let fields = $0.split(separator: ",", omittingEmptySubsequences: false)
      return String(fields[fields.count - names.count + index])
    }
    #expect(found == values)
  }

  @Test(arguments: [2, -1, Int32.min, Int32.max] as [Int32])
  func `an index outside its dictionary is refused`(index: Int32) throws {
    let arrow = try SerialRun(
      betweenFormats(.csv, .arrow, ["x"]) {
        $0.decoder.settings[RecordSettings.dictionaries] = true
      }, Array("x,word\n1,a\n2,b\n3,a\n".utf8))
    let indices = [0, 1, 0].flatMap { withUnsafeBytes(of: Int32($0)) { Array($0) } }
    let place = try #require(arrow.output.ranges(of: indices).last).lowerBound
    var broken = arrow.output
    broken.replaceSubrange(place + 4..<place + 8, with: withUnsafeBytes(of: index) { Array($0) })
    let error = #expect(throws: StreamError.self) {
      _ = try SerialRun(betweenFormats(.arrow, .csv, ["x"]), broken)
    }
    #expect(error?.exitCode == 65)
    #expect(
      error.map { "\($0)" }?.contains(
        "expected an index below 2 in the dictionary of column 'word', found \(index)") == true,
      "\(error.map { "\($0)" } ?? "no error")")
  }

  @Test func `a record batch before its dictionary is refused`() throws {
    let messages = try ArrowInput.messages(ArrowInput.golden("pyarrow-deltas.arrows"))
    let input = messages.filter { $0.kind != .dictionaryBatch }.flatMap(\.bytes)
    let error = #expect(throws: StreamError.self) {
      _ = try SerialRun(betweenFormats(.arrow, .csv, ["x"]), input)
    }
    #expect(error.map { "\($0)" }?.contains("the dictionary of column 'colour'") == true)
  }

  @Test func `dictionaries that are too large after decompressing are refused`() throws {
    let error = #expect(throws: StreamError.self) {
      _ = try SerialRun(
        betweenFormats(.arrow, .csv, ["x"]), ArrowInput.golden("pyarrow-bomb.arrows"))
    }
    #expect(error?.exitCode == 65)
    #expect(
      error.map { "\($0)" }?.contains("an Arrow buffer of at most") == true,
      "\(error.map { "\($0)" } ?? "no error")")
  }

  // MARK: Encodings

  @Test(arguments: [1, 7, Int.max])
  func `a record of CSV that is not UTF-8 is refused for Arrow`(piece: Int) throws {
    var input = Array("x,note\n".utf8)
    for record in 0..<20 {
      input += Array("\(record),né".utf8)
      if record % 8 == 5 { input += [0xE9] }
      input += Array("\n".utf8)
    }
    let arrow = try SerialRun(
      betweenFormats(.csv, .arrow, ["x"]) { $0.badRecords = .deadLetter }, input, piece: piece)
    #expect(arrow.rejected.map(\.record) == [6, 14])
    #expect(arrow.rejected.allSatisfy { $0.fault.expected == "a record in UTF-8, as Arrow has it" })
    let back = try SerialRun(betweenFormats(.arrow, .csv, ["x"]), arrow.output)
    let kept = (0..<20).filter { $0 % 8 != 5 }.map { "\($0),né\n" }.joined()
    #expect(back.text == "x,note\n" + kept)
    // Other outputs keep the bytes.
    #expect(try SerialRun(betweenFormats(.csv, .csv, ["x"]), input, piece: piece).output == input)
  }

  // MARK: Names

  @Test(arguments: [["x"], ["k\\.v", "x"], ["k\\.v", "o.b"]])
  func `members have their own names in Arrow, and get them back`(features: [String]) throws {
    let text = #"{"k.v":1,"x":2,"a[0]":"t","b\\c":"u","o":{"b":3,"p.q":"w"}}"# + "\n"
    let arrow = try SerialRun(betweenFormats(.ndjson, .arrow, features), Array(text.utf8))
    let names = try ArrowMetadata.schema(
      of: ArrowMetadata.firstMessage(of: arrow.output), DecoderLimits()
    ).fields.map(\.name)
    let inner = features.contains("o.b") ? ["o.b", "o.p\\.q"] : ["o"]
    #expect(names == ["k.v", "x", "a[0]", "b\\c"] + inner)
    let back = try SerialRun(
      betweenFormats(.arrow, .ndjson, [features[0] == "x" ? "x" : "k.v"]), arrow.output)
    #expect(back.text.contains(#""k.v":"#) && back.text.contains(#""a[0]":"t","b\\c":"u""#))
  }

  @Test func `a member that is spelled like a path keeps its escapes in Arrow`() throws {
    let text = #"{"o.b":1,"o":{"b":3}}"# + "\n"
    let arrow = try SerialRun(betweenFormats(.ndjson, .arrow, ["o.b"]), Array(text.utf8))
    let back = try SerialRun(betweenFormats(.arrow, .ndjson, ["o.b"]), arrow.output)
    #expect(back.text == #"{"o\\.b":"1","o.b":3}"# + "\n")
  }
}
