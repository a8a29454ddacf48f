import Records
import State
import Testing

@testable import BatchNormalization

private struct KeyGolden: Decodable {
  struct Moments: Decodable {
    var mean, variance: [Double?]
  }
  var keys: [String]
  var values: [Double?]
  var cumulative, halfLife: Moments
  /// Of all records of the key.
  var over: Moments
  var scores: [Double?]
}

/// Moments by key against pandas and Polars, and z-scores against the formula of TensorFlow Transform
/// (Tests/Oracles/make_key_golden.py).
struct KeyGoldenTests {
  private let golden: KeyGolden

  init() throws { golden = try BatchNormalizationTests.golden("keys", as: KeyGolden.self) }

  private var records: [KeyedRecord] {
    zip(golden.keys, golden.values).map { KeyedRecord(key: $0, values: [$1 ?? .nan]) }
  }

  private static func settings(_ momentum: Momentum) -> NormalizationSettings {
    var settings = NormalizationSettings()
    settings.momentum = momentum
    settings.epsilon = .absolute(0)
    settings.clip = nil
    settings.warmUp.records = 0
    settings.key = KeySettings(columns: ["origin"])
    settings.key?.prior = 0
    return settings
  }

  private static func moments(
    of key: String, in state: StateTable
  ) throws -> (weight: Double, mean: Double, variance: Double) {
    let row = try #require(state.row(ofKey: Array(key.utf8)))
    let names = ["weight", "mean", "variance"].map { "evenkeel.key_moments.\($0)" }
    return (state[real: names[0]][row], state[real: names[1]][row], state[real: names[2]][row])
  }

  @Test(arguments: [Momentum.cumulative, .halfLifeRecords(12.5)])
  func `pandas' windows by group give the same moments`(momentum: Momentum) throws {
    let expected = momentum == .cumulative ? golden.cumulative : golden.halfLife
    var run = try makeNormalizer(Self.settings(momentum))
    var compared = 0
    for (index, record) in records.enumerated() {
      var batch = KeyedRecord.batch([record])
      _ = try run.normalize(&batch)
      guard let mean = expected.mean[index], let variance = expected.variance[index],
        let key = record.key, golden.values[index] != nil
      else { continue }
      let found = try Self.moments(of: key, in: run.state)
      #expect(agree(found.mean, mean, 1e-12, scale: 1), "record \(index)")
      // pandas loses digits of variances at a mean of a million.
      #expect(
        agree(found.variance, variance, key == "EWR" ? 1e-7 : 1e-12, scale: 1), "record \(index)")
      compared += 1
    }
    #expect(compared > 120)
  }

  @Test(arguments: [1, 7, 160])
  func `Polars' moments over a key are those of its records, in batches of any size`(
    size: Int
  ) throws {
    var run = try makeNormalizer(Self.settings(.cumulative))
    for start in stride(from: 0, to: records.count, by: size) {
      var batch = KeyedRecord.batch(records[start..<min(start + size, records.count)])
      _ = try run.normalize(&batch)
    }
    for (index, key) in golden.keys.enumerated() {
      let found = try Self.moments(of: key, in: run.state)
      let mean = try #require(golden.over.mean[index])
      let variance = try #require(golden.over.variance[index])
      #expect(agree(found.mean, mean, 1e-12, scale: 1))
      #expect(agree(found.variance, variance, 1e-10, scale: 1))
    }
    // Frozen, each record has the score of TensorFlow Transform.
    var frozen = Self.settings(.cumulative)
    frozen.isFrozen = true
    var scoring = try makeNormalizer(frozen, state: run.state)
    var batch = KeyedRecord.batch(records)
    _ = try scoring.normalize(&batch)
    for (index, score) in golden.scores.enumerated() {
      guard let score else { continue }
      #expect(agree(batch.column(0)[index], score, 1e-9, scale: 1), "record \(index)")
    }
    #expect(scoring.state.keys == run.state.keys)
  }
}
