import BatchNormalization
import Codecs
import Configuration
import Operators
import Records
import State
import Storage
import TestSupport
import Testing

@testable import Stream

/// Streams whose classes are mixed by priors.
@Suite struct ClassTests {
  /// Records in runs of one class; every tenth has none.
  private static func input(_ count: Int, _ seed: UInt64) -> [UInt8] {
    var random = SeededGenerator(seed: seed)
    var text = "id,label,a,b\n"
    for record in 0..<count {
      let numbers = (0..<2).map { _ in random.fraction(upTo: 9999, over: 128) }
      let label = record % 10 == 7 ? "" : ["x", "y"][record / 15 % 2]
      text += "k\(record),\(label),\(numbers[0]),\(numbers[1])\n"
    }
    return Array(text.utf8)
  }

  private static func configuration(
    _ shares: [ClassShare] = [], _ change: (inout StreamConfiguration) -> Void = { _ in }
  ) -> StreamConfiguration {
    csvConfiguration {
      $0.batch.size = 5
      $0.precision = .float64
      $0.decoder.features = ["a", "b"].map { FeaturePattern($0) }
      let names = shares.map { Array($0.name.utf8) }
      $0.decoder.roles = [RoleColumn(.className(among: names), name: "label")]
      $0.normalization.classes = ClassSettings(column: "label", shares: shares)
      change(&$0)
    }
  }

  @Test func `a live stream mixes the classes of records that leave before their batch is cut`()
    throws
  {
    let input = Self.input(90, 2)
    for emission in [WarmUp.Emission.prefix, .hold, .missing] {
      let configuration = Self.configuration {
        $0.normalization.warmUp.emission = emission
        $0.normalization.warmUp.records = 12
      }
      let file = try SerialRun(configuration, input)
      #expect(file.checkpoint?.settings["class"] == "label")
      #expect(file.checkpoint?.settings["class_prior"] == "balanced")
      for piece in [11, 64, 200] {
        var live = configuration
        live.isLive = true
        let run = try SerialRun(live, input, piece: piece, isLive: true)
        #expect(run.checkpoint?.state == file.checkpoint?.state, "\(emission), \(piece)")
        #expect(run.text == file.text, "\(emission), \(piece)")
      }
    }
  }

  @Test(arguments: [7, Int.max])
  func `Arrow has classes in a column too`(piece: Int) throws {
    let input = Self.input(43, 5)
    let shares = [ClassShare(name: "y", share: 0.9), ClassShare(name: "x", share: 0.1)]
    let csv = try SerialRun(Self.configuration(shares), input)
    // As Arrow, with the classes as text and the features as they were.
    let arrow = try SerialRun(
      Self.configuration {
        $0.outputFormat = .arrow
        $0.normalization.isFrozen = true
        $0.normalization.epsilon = .absolute(0)
        $0.normalization.clip = nil
      }, input)
    var reading = Self.configuration(shares) { $0.outputFormat = .csv }
    reading.format = .arrow
    let back = try SerialRun(reading, arrow.output, piece: piece)
    #expect(back.text == csv.text)
    #expect(back.checkpoint?.state == csv.checkpoint?.state)
  }

  @Test func `the settings name the column and the priors`() throws {
    func classes(_ weight: String) throws -> StreamConfiguration {
      try onlyStream(oneStream("format: csv\nnormalize: { weight: \(weight) }")).stream
    }
    let balanced = try classes("{ class: label }")
    #expect(balanced.normalization.classes == ClassSettings(column: "label"))
    #expect(balanced.decoder.roles == [RoleColumn(.className(among: []), name: "label")])
    #expect(
      try classes("{ class: label, prior: balanced }").normalization == balanced.normalization)
    let given = try classes("{ class: label, column: w, prior: { a: 0.7, 'b,=c': 3, 1: 1e-3 } }")
    let shares = [
      ClassShare(name: "a", share: 0.7), ClassShare(name: "b,=c", share: 3),
      ClassShare(name: "1", share: 0.001),
    ]
    #expect(given.normalization.classes == ClassSettings(column: "label", shares: shares))
    #expect(given.decoder.roles.map(\.name) == ["w", "label"])
    let settings = given.normalization.checkpointSettings
    #expect(settings["class_prior"] == #"a=0.7,"b,=c=3",1=0.001"#)
    #expect(NormalizeSettings.classes(ofCheckpoint: settings) == given.normalization.classes)
  }

  @Test(arguments: [
    ("weight: { prior: balanced }", "weight.prior: expected class: NAME, found none"),
    (
      "weight: { class: c, prior: even }",
      "weight.prior: expected balanced, or a mapping such as { a: 0.7, b: 0.3 }, found 'even'"
    ),
    ("weight: { class: c, prior: {} }", "weight.prior: expected 1 to 1000 classes, found 0"),
    (
      "weight: { class: c, prior: { a: 0 } }",
      "weight.prior: expected a share above 0 of class 'a', found '0'"
    ),
    (
      "weight: { class: c, prior: { a: [1] } }",
      "weight.prior: expected balanced, or a mapping such as { a: 0.7, b: 0.3 }, found a list for 'a'"
    ),
    (
      "weight: { class: c }, key: { columns: [k] }",
      "weight.class: expected no keys beside it, found both: a key has too few records of each class"
    ),
    (
      "weight: { class: c }, mode: batch",
      "weight.class: expected mode running, found batch: a batch has too few records of each class"
    ),
    ("weight: { class: c }, momentum: 0.1", "a batch has few records of a class"),
    ("weight: { class: c }, preset: sklearn", "expected update_first false, found true"),
    ("weight: { class: a }", "expected a column that is no feature, found 'a', a feature"),
    ("weight: {}", "expected column or class, found neither"),
  ])
  func `settings that classes cannot have are refused`(normalize: String, says: String) throws {
    let errors = try configurationErrors(
      oneStream("format: csv\nfeatures: [a]\nnormalize: { \(normalize) }"))
    #expect(errors.count == 1, "\(errors)")
    #expect("\(errors.first.map { "\($0)" } ?? "")".contains(says), "\(errors)")
  }

  @Test func `a checkpoint of other classes or keys is refused, or adopted without them`() throws {
    let input = Self.input(60, 9)
    let made = try #require(try SerialRun(Self.configuration(), input).checkpoint)
    #expect(made.state.keyCount == 2)
    let schema = try FeatureSchema(["a", "b"])
    var other = Self.configuration { $0.normalization.classes?.column = "id" }
    let error = #expect(throws: StreamError.self) { try made.state(for: schema, other) }
    #expect(error?.description.contains("class") == true)
    other.onMismatch = .matchByName
    #expect(try made.state(for: schema, other)?.keyCount == 0)
    var slower = Self.configuration { $0.normalization.momentum = .halfLifeRecords(9) }
    slower.onMismatch = .matchByName
    #expect(try made.state(for: schema, slower)?.keyCount == 2)
  }
}
