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
}
