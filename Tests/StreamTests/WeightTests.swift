import BatchNormalization
import Codecs
import Configuration
import Operators
import Records
import Storage
import TestSupport
import Testing

@testable import Stream

/// Streams with a column of weights.
@Suite struct WeightTests {
  private static func input(_ count: Int, _ seed: UInt64, weighted: Bool = true) -> [UInt8] {
    var random = SeededGenerator(seed: seed)
    var text = "id,w,a,b\n"
    for record in 0..<count {
      let numbers = (0..<2).map { _ in random.fraction(upTo: 9999, over: 128) }
      let weight = ["0", "1", "0.25", "true", "0.7"][Int.random(in: 0..<5, using: &random)]
      text += "k\(record),\(weighted ? weight : "1"),\(numbers[0]),\(numbers[1])\n"
    }
    return Array(text.utf8)
  }

  private static func configuration(
    _ change: (inout StreamConfiguration) -> Void = { _ in }
  ) -> StreamConfiguration {
    csvConfiguration {
      $0.batch.size = 5
      $0.precision = .float64
      $0.decoder.features = ["a", "b"].map { FeaturePattern($0) }
      $0.decoder.roles = [RoleColumn(.weight, name: "w")]
      change(&$0)
    }
  }

  @Test func `the column passes as it is, and weights of 1 change nothing`() throws {
    let input = Self.input(40, 1, weighted: false)
    let weighted = try SerialRun(Self.configuration(), input)
    let plain = try SerialRun(Self.configuration { $0.decoder.roles = [] }, input)
    #expect(weighted.text == plain.text)
    #expect(weighted.checkpoint?.state == plain.checkpoint?.state)
    let other = try SerialRun(Self.configuration(), Self.input(40, 1))
    #expect(other.text != plain.text)
    let column = { (text: String) in
      text.split(separator: "\n").map { $0.split(separator: ",")[1] }
    }
    #expect(column(other.text) == column(String(decoding: Self.input(40, 1), as: UTF8.self)))
  }

  @Test func `a live stream counts the records that leave before their batch as it is cut`() throws
  {
    let input = Self.input(60, 2)
    for emission in [WarmUp.Emission.prefix, .hold, .pass] {
      let configuration = Self.configuration {
        $0.normalization.warmUp.emission = emission
        $0.normalization.warmUp.records = 12
      }
      let file = try SerialRun(configuration, input)
      for piece in [11, 64, 200] {
        var live = configuration
        live.isLive = true
        let run = try SerialRun(live, input, piece: piece, isLive: true)
        #expect(run.checkpoint?.state == file.checkpoint?.state, "\(emission), \(piece)")
        #expect(run.text == file.text, "\(emission), \(piece)")
      }
    }
  }

  @Test func `a record with a bad weight is a bad record`() throws {
    var lines = String(decoding: Self.input(12, 3), as: UTF8.self).split(separator: "\n")
    lines[5] = "k5,2,1,1"
    let text = Array((lines.joined(separator: "\n") + "\n").utf8)
    let error = #expect(throws: StreamError.self) {
      try SerialRun(Self.configuration(), text)
    }
    #expect(
      error?.description.contains(
        "expected a weight of 0 to 1, true or false in column 'w', found '2'") == true,
      "\(String(describing: error))")
    let kept = try SerialRun(Self.configuration { $0.badRecords = .deadLetter }, text)
    #expect(kept.rejected.count == 1 && kept.rejected[0].bytes == Array("k5,2,1,1\n".utf8))
    lines.remove(at: 5)
    let without = try SerialRun(
      Self.configuration(), Array((lines.joined(separator: "\n") + "\n").utf8))
    #expect(kept.text == without.text)
  }

  @Test func `a record that does not fit the output takes its weight with it`() throws {
    var lines = String(decoding: Self.input(12, 4), as: UTF8.self).split(separator: "\n")
    lines[3] = "k3,0.5,1e90,1"
    let configuration = Self.configuration {
      // In one batch, since later records keep their batches.
      $0.batch.size = 20
      $0.badRecords = .skip
      $0.precision = .float32
      $0.normalization.parts = .center
      $0.normalization.warmUp.records = 0
      $0.normalization.clip = nil
    }
    let run = try SerialRun(
      configuration, Array((lines.joined(separator: "\n") + "\n").utf8))
    lines.remove(at: 3)
    let without = try SerialRun(
      configuration, Array((lines.joined(separator: "\n") + "\n").utf8))
    #expect(run.rejected.count == 1)
    #expect(run.text == without.text)
    #expect(run.checkpoint?.runningMean == without.checkpoint?.runningMean)
  }

  @Test(arguments: [7, Int.max])
  func `Arrow has weights in a column too, and a bad one leaves a row without features`(
    piece: Int
  ) throws {
    let input = Self.input(23, 5)
    let csv = try SerialRun(Self.configuration(), input)
    // As Arrow, with the weights as text and the features as they were.
    let arrow = try SerialRun(
      Self.configuration {
        $0.outputFormat = .arrow
        $0.normalization.isFrozen = true
        $0.normalization.epsilon = .absolute(0)
        $0.normalization.clip = nil
      }, input)
    var reading = Self.configuration { $0.outputFormat = .csv }
    reading.format = .arrow
    let back = try SerialRun(reading, arrow.output, piece: piece)
    #expect(back.text == csv.text)
    #expect(back.checkpoint?.state == csv.checkpoint?.state)
    reading.outputFormat = nil
    let kept = try SerialRun(reading, arrow.output, piece: piece)
    #expect(kept.checkpoint?.state == csv.checkpoint?.state)
    reading.decoder.roles = [RoleColumn(.weight, name: "id")]
    reading.badRecords = .skip
    let bad = try SerialRun(reading, arrow.output, piece: piece)
    #expect(bad.rejected.count == 23)
    #expect(bad.rejected.first?.fault.found == "'k0'")
    #expect(bad.checkpoint?.runningMean == [0, 0])
  }

  @Test func `the settings name the column, which must be no feature`() throws {
    let stream = try onlyStream(oneStream("format: csv\nnormalize: { weight: { column: w } }"))
    #expect(stream.stream.decoder.roles == [RoleColumn(.weight, name: "w")])
    let errors = try configurationErrors(
      oneStream("format: csv\nfeatures: [a, w]\nnormalize: { weight: { column: w } }"))
    #expect(errors.count == 1)
    #expect(
      "\(errors.first.map { "\($0)" } ?? "")".contains(
        "normalize.weight.column: expected a column that is no feature, found 'w', a feature"),
      "\(errors)")
    let empty = try configurationErrors(
      oneStream("format: csv\nnormalize: { weight: {} }"))
    #expect(empty.count == 1, "\(empty)")
  }
}
