import BatchNormalization
import Configuration
import Records
import Testing

@testable import Codecs
@testable import Stream

/// The columns that are no features, from text to Arrow and from Arrow to text.
@Suite struct ArrowColumnTests {
  /// A stream whose features stay as they are.
  private func configuration(
    _ input: RecordFormat, _ output: RecordFormat, _ features: [String],
    _ change: (inout StreamConfiguration) -> Void = { _ in }
  ) -> StreamConfiguration {
    var configuration = StreamConfiguration(name: "test", format: input)
    configuration.outputFormat = output
    configuration.decoder.features = features.map { FeaturePattern($0) }
    configuration.normalization.isFrozen = true
    configuration.normalization.epsilon = .absolute(0)
    configuration.normalization.clip = nil
    configuration.batch.size = 3
    change(&configuration)
    return configuration
  }

  // MARK: Comments

  @Test(arguments: [1, 5, Int.max], [false, true])
  func `comments of CSV are passed over in Arrow`(piece: Int, isLive: Bool) throws {
    let text = "#first\na,note\n#b\n1,x\n#c,\"\n2,y\n#\n3,z\n4,\"#5\"\n#end\n#last"
    let arrow = try SerialRun(
      configuration(.csv, .arrow, ["a"]) {
        $0.decoder.settings[CSVSettings.comment] = UInt8(ascii: "#")
      }, Array((text + (isLive ? "\n" : "")).utf8), piece: piece, isLive: isLive)
    let back = try SerialRun(configuration(.arrow, .csv, ["a"]), arrow.output)
    #expect(back.text == "a,note\n1,x\n2,y\n3,z\n4,#5\n")
  }

  @Test func `a comment after the only column is passed over in Arrow`() throws {
    let arrow = try SerialRun(
      configuration(.csv, .arrow, ["a"]) {
        $0.decoder.settings[CSVSettings.comment] = UInt8(ascii: "#")
      }, Array("a\n#c\n1\n".utf8))
    #expect(try SerialRun(configuration(.arrow, .csv, ["a"]), arrow.output).text == "a\n1\n")
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
      configuration(.csv, .arrow, ["x"]) { $0.badRecords = .deadLetter }, input, piece: piece)
    #expect(arrow.rejected.map(\.record) == [6, 14])
    #expect(arrow.rejected.allSatisfy { $0.fault.expected == "a record in UTF-8, as Arrow has it" })
    let back = try SerialRun(configuration(.arrow, .csv, ["x"]), arrow.output)
    let kept = (0..<20).filter { $0 % 8 != 5 }.map { "\($0),né\n" }.joined()
    #expect(back.text == "x,note\n" + kept)
    // Other outputs keep the bytes.
    #expect(try SerialRun(configuration(.csv, .csv, ["x"]), input, piece: piece).output == input)
  }

  // MARK: Names

  @Test(arguments: [["x"], ["k\\.v", "x"], ["k\\.v", "o.b"]])
  func `members have their own names in Arrow, and get them back`(features: [String]) throws {
    let text = #"{"k.v":1,"x":2,"a[0]":"t","b\\c":"u","o":{"b":3,"p.q":"w"}}"# + "\n"
    let arrow = try SerialRun(configuration(.ndjson, .arrow, features), Array(text.utf8))
    let names = try ArrowMetadata.schema(
      of: ArrowMetadata.firstMessage(of: arrow.output), DecoderLimits()
    ).fields.map(\.name)
    let inner = features.contains("o.b") ? ["o.b", "o.p\\.q"] : ["o"]
    #expect(names == ["k.v", "x", "a[0]", "b\\c"] + inner)
    let back = try SerialRun(
      configuration(.arrow, .ndjson, [features[0] == "x" ? "x" : "k.v"]), arrow.output)
    #expect(back.text.contains(#""k.v":"#) && back.text.contains(#""a[0]":"t","b\\c":"u""#))
  }

  @Test func `a member that is spelled like a path keeps its escapes in Arrow`() throws {
    let text = #"{"o.b":1,"o":{"b":3}}"# + "\n"
    let arrow = try SerialRun(configuration(.ndjson, .arrow, ["o.b"]), Array(text.utf8))
    let back = try SerialRun(configuration(.arrow, .ndjson, ["o.b"]), arrow.output)
    #expect(back.text == #"{"o\\.b":"1","o.b":3}"# + "\n")
  }
}
