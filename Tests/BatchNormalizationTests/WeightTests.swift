import Foundation
import Records
import State
import TestSupport
import Testing

@testable import BatchNormalization

/// Records that count with a weight in the moments.
@Suite struct WeightTests {
  /// Batches of different sizes, in which some values are missing, and their weights.
  private struct Weighted {
    var columns: [[Double]]
    var weights: [Double]

    func batch(_ precision: Precision = .float64) -> FeatureColumns {
      var batch = makeBatch(columns, precision: precision)
      for (record, weight) in weights.enumerated() { batch.setWeight(weight, of: record) }
      return batch
    }
  }

  private static func batches(
    _ seed: UInt64, count: Int = 12, features: Int = 3,
    weight: (inout SeededGenerator) -> Double
  ) -> [Weighted] {
    var random = SeededGenerator(seed: seed)
    return (0..<count).map { _ in
      let size = Int.random(in: 1...60, using: &random)
      let columns = (0..<features).map { j in
        random.values(size, mean: [0, 1e6, -3][j], deviation: [1, 20, 0.01][j]).map { value in
          Int.random(in: 0..<10, using: &random) == 0 ? .nan : value
        }
      }
      return Weighted(columns: columns, weights: (0..<size).map { _ in weight(&random) })
    }
  }

  private static func anyWeight(_ random: inout SeededGenerator) -> Double {
    switch Int.random(in: 0..<5, using: &random) {
    case 0: 0
    case 1: 1
    default: Double.random(in: 0..<1, using: &random)
    }
  }

  private static let kinds: [NormalizationSettings] = {
    var kinds = [NormalizationSettings()]
    kinds += NormalizationPreset.allCases.map { NormalizationSettings(preset: $0) }
    for mode in [NormalizationMode.batch, .renorm] {
      var settings = NormalizationSettings()
      settings.mode = mode
      kinds.append(settings)
    }
    return kinds
  }()

  @Test(arguments: [Precision.float32, .float64])
  func `weights of 1 give the bits that no weights give`(precision: Precision) throws {
    let seed = testSeed
    let batches = Self.batches(seed) { _ in 1 }
    for settings in Self.kinds {
      var weighted = try makeNormalizer(features: 3, settings)
      var plain = try makeNormalizer(features: 3, settings)
      for each in batches {
        var batch = makeBatch(each.columns, precision: precision)
        _ = try plain.normalize(&batch)
        var same = each.batch(precision)
        _ = try weighted.normalize(&same)
        #expect(same.bits == batch.bits, "\(settings), seed \(seed)")
      }
      #expect(weighted.state == plain.state, "\(settings), seed \(seed)")
    }
  }

  @Test(arguments: [Precision.float32, .float64])
  func `every processor's loops find the same bits`(precision: Precision) {
    for count in Array(0...33) + [255, 1000] {
      var random = SeededGenerator(seed: UInt64(count))
      let values = random.values(count, mean: 100).map {
        Int.random(in: 0..<7, using: &random) == 0 ? .nan : $0
      }
      let weights = values.map { _ in Self.anyWeight(&random) }
      let batch = makeBatch([values], precision: precision)
      let found = ColumnKernelTests.kernels.map {
        batch.weightedStatistics(of: 0, in: 0..<count, weights, $0)
      }
      #expect(found.allSatisfy { $0 == found[0] }, "\(count) values")
      let counted = zip(values, weights).filter { !$0.isNaN && $1 > 0 }
      #expect(found[0].counted == counted.count)
      #expect(agree(found[0].moments.weight, counted.reduce(0) { $0 + $1.1 }, 1e-14))
    }
  }

  /// The mean and the biased variance of values with weights, from their definition.
  private static func moments(
    _ values: [(x: Double, weight: Double)]
  ) -> (weight: Double, mean: Double, variance: Double) {
    let counted = values.filter { !$0.x.isNaN && $0.weight > 0 }
    guard let first = counted.first?.x else { return (0, 0, 0) }
    let weight = counted.reduce(0) { $0 + $1.weight }
    let mean = counted.reduce(0) { $0 + $1.weight * ($1.x - first) } / weight
    let variance = counted.reduce(0) {
      $0 + $1.weight * ($1.x - first - mean) * ($1.x - first - mean) / weight
    }
    return (weight, first + mean, variance)
  }

  @Test func `the running moments are the weighted ones of all values`() throws {
    let seed = testSeed
    let batches = Self.batches(seed, weight: Self.anyWeight)
    for halfLife in [nil, 100.0] {
      var settings = NormalizationSettings()
      settings.momentum = halfLife.map { .halfLifeRecords($0) } ?? .cumulative
      var run = try makeNormalizer(features: 3, settings)
      for each in batches {
        var batch = each.batch()
        _ = try run.normalize(&batch)
      }
      for j in 0..<3 {
        var values: [(x: Double, weight: Double)] = []
        var (after, total) = (0.0, 0.0)
        for each in batches.reversed() {
          let batch = Array(zip(each.columns[j], each.weights)).filter { !$0.0.isNaN }
          let weight = batch.reduce(0) { $0 + $1.1 }
          guard weight > 0 else { continue }
          // The values of a batch weigh by their weights, and together as much as its part of the time.
          var share = 1.0
          if let halfLife {
            share = pow(2, -after / halfLife) * (1 - pow(2, -weight / halfLife)) / weight
          }
          values += batch.map { ($0.0, $0.1 * share) }
          after += weight
          total += weight
        }
        let expected = Self.moments(values)
        let running = run.state.running
        // A mean can only be kept to its last place, which is 6e-12 of σ for a mean of 1e6.
        let rounding = expected.mean.ulp / expected.variance.squareRoot()
        #expect(agree(running.values[j], total, 1e-12), "seed \(seed)")
        #expect(
          agree(running.mean[j], expected.mean, 1e-12, scale: expected.variance.squareRoot()),
          "seed \(seed)")
        #expect(
          agree(running.variance[j], expected.variance, 1e-12 + rounding), "seed \(seed)")
      }
    }
  }

  @Test func `the unbiased variance of a batch has the divisor of its weights`() throws {
    let (values, weights) = ([3.0, 4, 8, 9], [1, 0.5, 0, 0.25])
    var settings = NormalizationSettings(preset: .pytorch)
    settings.momentum = .cumulative
    var run = try makeNormalizer(settings)
    var batch = Weighted(columns: [values], weights: weights).batch()
    _ = try run.normalize(&batch)
    let found = Self.moments(Array(zip(values, weights)))
    let squares = weights.reduce(0) { $0 + $1 * $1 }
    let unbiased = found.variance * 1.75 / (1.75 - squares / 1.75)
    #expect(agree(run.state.running.mean[0], found.mean, 1e-15))
    #expect(agree(run.state.running.variance[0], unbiased, 1e-14))
    // One value has no variance, whatever it weighs.
    for weight in [0.3, 1] {
      var one = Weighted(columns: [[5, 6]], weights: [weight, 0]).batch()
      _ = try run.normalize(&one)
    }
    #expect(run.state.running.batches == [3] && run.state.running.varianceBatches == [1])
  }

  @Test func `a record of weight 0 leaves the moments and is normalised`() throws {
    let seed = testSeed
    for settings in Self.kinds {
      var (run, other) = (
        try makeNormalizer(features: 3, settings), try makeNormalizer(features: 3, settings)
      )
      for each in Self.batches(seed, weight: Self.anyWeight) {
        let kept = each.weights.indices.filter { each.weights[$0] > 0 }
        var batch = each.batch()
        _ = try run.normalize(&batch)
        for (columns, after) in zip(each.columns, (0..<3).map { batch.column($0) }) {
          #expect(zip(columns, after).allSatisfy { $0.isNaN == $1.isNaN && !$1.isInfinite })
        }
        var without = Weighted(
          columns: each.columns.map { column in kept.map { column[$0] } },
          weights: kept.map { each.weights[$0] }
        ).batch()
        _ = try other.normalize(&without)
      }
      let (found, expected) = (run.state.running, other.state.running)
      expectAgreement(found.mean, expected.mean, 1e-13, scale: 1)
      expectAgreement(found.variance, expected.variance, 1e-12)
      expectAgreement(found.values, expected.values, 1e-13)
      #expect(found.batches == expected.batches, "\(settings), seed \(seed)")
    }
  }

  @Test func `a batch that does not count is normalised by the running moments`() throws {
    for mode in [NormalizationMode.batch, .renorm, .running] {
      var settings = NormalizationSettings()
      settings.mode = mode
      settings.warmUp.records = 2
      settings.epsilon = .absolute(0)
      settings.momentum = .cumulative
      var run = try makeNormalizer(settings)
      var batch = Weighted(columns: [[3, 5, 3, 5]], weights: [1, 1, 1, 1]).batch()
      _ = try run.normalize(&batch)
      let before = run.state.running
      var uncounted = Weighted(columns: [[4, 6, 2]], weights: [0, 0, 0]).batch()
      _ = try run.normalize(&uncounted)
      #expect(run.state.running == before)
      #expect(uncounted.column(0) == [0, 2, -2], "\(mode)")
      #expect(run.state.present == [7])
    }
  }

  @Test func `in warm-up a value is normalised by the weighted values up to it`() throws {
    let seed = testSeed
    for each in Self.batches(seed, weight: Self.anyWeight) {
      var settings = NormalizationSettings(preset: .online)
      settings.epsilon = .absolute(0)
      settings.clip = nil
      var run = try makeNormalizer(features: 3, settings)
      var batch = each.batch()
      _ = try run.normalize(&batch)
      for j in 0..<3 {
        let values = Array(zip(each.columns[j], each.weights))
        for record in values.indices where !values[record].0.isNaN {
          let found = Self.moments(Array(values[...record]))
          let deviation = found.variance.squareRoot()
          let x = values[record].0
          let expected =
            found.weight > 0 && deviation > 1e-6 * abs(x) ? (x - found.mean) / deviation : nil
          if let expected {
            #expect(
              agree(batch.column(j)[record], expected, 1e-8, scale: 1),
              "record \(record) of feature \(j), seed \(seed)")
          }
        }
      }
    }
    // Nothing tells how far a value is before any counts.
    var settings = NormalizationSettings(preset: .online)
    settings.epsilon = .absolute(1e-5)
    var run = try makeNormalizer(settings)
    var batch = Weighted(columns: [[7, 9, 11]], weights: [0, 1, 0]).batch()
    _ = try run.normalize(&batch)
    #expect(batch.column(0)[0] == 0 && batch.column(0)[1] == 0)
  }

  @Test func `a bound of the output holds whatever the weights`() throws {
    var settings = NormalizationSettings(preset: .online)
    settings.clip = nil
    settings.epsilon = .absolute(0)
    var run = try makeNormalizer(settings, precision: .float32)
    var batch = Weighted(columns: [[1, 1 + 1e-9, 1e90]], weights: [1, 1, 0]).batch()
    #expect(throws: NormalizationError.self) { try run.normalize(&batch) }
  }
}

extension FeatureColumns {
  fileprivate mutating func setWeight(_ weight: Double, of record: Int) {
    var roles = RecordRoles()
    roles.weight = weight
    setRoles(roles, of: record)
  }
}
