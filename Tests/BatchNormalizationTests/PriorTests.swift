import Foundation
import Records
import State
import TestSupport
import Testing

@testable import BatchNormalization

/// Moments of other data that count as values.
@Suite struct PriorTests {
  private static let mean = [3.0, -40, 1e6]
  private static let variance = [4.0, 0.25, 9e4]

  /// A state with the moments of the prior, as that of training data has them.
  private static func trained(
    _ mean: [Double] = mean, _ variance: [Double] = variance
  ) throws -> StateTable {
    var state = try freshState(FeatureSchema.unnamed(count: mean.count))
    state[real: "running_mean"] = mean
    state[real: "running_var"] = variance
    state[real: "evenkeel.moments.weight"] = mean.map { _ in 12_345 }
    state[real: "evenkeel.moments.variance_weight"] = mean.map { _ in 12_345 }
    return state
  }

  private static func settings(
    _ values: Double?, _ change: (inout NormalizationSettings) -> Void = { _ in }
  ) -> NormalizationSettings {
    var settings = NormalizationSettings()
    settings.clip = nil
    settings.prior = values.map { Prior(values: $0) }
    change(&settings)
    return settings
  }

  private static func run(_ settings: NormalizationSettings) throws -> NormalizerRun {
    try makeNormalizer(features: mean.count, settings, prior: PriorMoments(trained()))
  }

  /// Batches of different sizes, in which some values are missing, away from the prior.
  private static func batches(_ seed: UInt64, count: Int = 12) -> [[[Double]]] {
    var random = SeededGenerator(seed: seed)
    return (0..<count).map { _ in
      let size = Int.random(in: 1...60, using: &random)
      return mean.indices.map { j in
        let deviation = variance[j].squareRoot()
        var values = random.values(size, mean: mean[j] + 2 * deviation, deviation: deviation)
        for record in values.indices where Int.random(in: 0..<10, using: &random) == 0 {
          values[record] = .nan
        }
        return values
      }
    }
  }

  /// μ̂ and σ̂² of one feature, from the values themselves: each has its weight, and the prior is two values at
  /// μ_P ± σ_P that weigh N/2 each.
  private static func merged(
    _ batches: [[Double]], _ momentum: Momentum, prior n: Double, _ mean: Double, _ variance: Double
  ) -> (mean: Double, variance: Double) {
    let present = batches.map { $0.filter { !$0.isNaN } }
    var points: [(x: Double, weight: Double)] = []
    var after = 0.0
    for batch in present.reversed() where !batch.isEmpty {
      let count = Double(batch.count)
      var weight = 1.0
      if case .halfLifeRecords(let half) = momentum {
        // The values of a batch weigh alike, and together as much as if each had been a batch.
        let ofBatch: Double = 1 - pow(2, -count / half)
        let ofOne: Double = 1 - pow(2, -1 / half)
        weight = pow(2, -after / half) * ofBatch / ofOne / count
      }
      points += batch.map { ($0, weight) }
      after += count
    }
    let deviation = variance.squareRoot()
    points += [(mean - deviation, n / 2), (mean + deviation, n / 2)]
    var (total, center, spread) = (0.0, 0.0, 0.0)
    for point in points { total += point.weight }
    for point in points { center += point.weight * (point.x - mean) / total }
    for point in points { spread += point.weight * pow(point.x - mean - center, 2) / total }
    return (mean + center, spread)
  }

  @Test(arguments: [Momentum.cumulative, .halfLifeRecords(1700), .halfLifeRecords(40)], 0..<4)
  func `values are normalised by their moments merged with N values of the prior`(
    momentum: Momentum, index: Int
  ) throws {
    let seed = testSeed &+ UInt64(index)
    for count in [32.0, 100.5, 20_000] {
      for updatesFirst in [false, true] {
        var normalizer = try Self.run(
          Self.settings(count) {
            $0.momentum = momentum
            $0.updateFirst = updatesFirst
          })
        let batches = Self.batches(seed)
        for (number, batch) in batches.enumerated() {
          let y = try normalizer.normalized(batch)
          for j in Self.mean.indices {
            let seen = batches[..<(number + (updatesFirst ? 1 : 0))].map { $0[j] }
            let (mean, variance) = Self.merged(
              seen, momentum, prior: count, Self.mean[j], Self.variance[j])
            let deviation = (variance * (1 + 1e-5)).squareRoot()
            // The mean may have lost digits to its size.
            let scale = abs(Self.mean[j]) / deviation
            expectAgreement(
              y[j], batch[j].map { ($0 - mean) / deviation }, 1e-12, scale: max(1, scale),
              "seed \(seed), N \(count), \(momentum), batch \(number), feature \(j)")
          }
        }
      }
    }
  }

  @Test func `without values of the stream the result is that of the prior, to the bit`() throws {
    let batch = Self.batches(testSeed, count: 1)[0]
    var applied = try makeNormalizer(
      features: Self.mean.count, Self.settings(nil) { $0.isFrozen = true }, state: Self.trained())
    let expected = try applied.normalized(batch).map { $0.map(\.bitPattern) }
    for values in [32, 100.7, 1e9] {
      var first = try Self.run(Self.settings(values))
      #expect(try first.normalized(batch).map { $0.map(\.bitPattern) } == expected)
      // A reset goes back to it.
      first.resetMoments()
      #expect(try first.normalized(batch).map { $0.map(\.bitPattern) } == expected)
    }
    for values in [0.001, 32] {
      var frozen = try Self.run(Self.settings(values) { $0.isFrozen = true })
      #expect(try frozen.normalized(batch).map { $0.map(\.bitPattern) } == expected)
    }
  }

  @Test(arguments: [WarmUp.Emission.prefix, .pass, .missing])
  func `a prior of hardly any values is none`(emission: WarmUp.Emission) throws {
    let seed = testSeed
    for mode in [NormalizationMode.running, .renorm] {
      var with = try Self.run(
        Self.settings(1e-60) {
          $0.mode = mode
          $0.warmUp.emission = emission
        })
      var without = try makeNormalizer(
        features: Self.mean.count,
        Self.settings(nil) {
          $0.mode = mode
          $0.warmUp.emission = emission
        })
      for batch in Self.batches(seed) {
        let (y, expected) = (try with.normalized(batch), try without.normalized(batch))
        for j in y.indices {
          let scale = abs(Self.mean[j]) / Self.variance[j].squareRoot()
          expectAgreement(y[j], expected[j], 1e-12, scale: max(1, scale), "seed \(seed)")
        }
      }
    }
  }

  @Test func `the prior is never part of the running moments`() throws {
    for count in [0.5, 32, 1e6] {
      var with = try Self.run(Self.settings(count) { $0.prior?.limit.mean = 0.1 })
      var without = try makeNormalizer(features: Self.mean.count, Self.settings(nil))
      for batch in Self.batches(testSeed) {
        _ = try with.normalized(batch)
        _ = try without.normalized(batch)
      }
      #expect(with.state.running == without.state.running)
    }
  }

  @Test func `the values of a prior count as those of warm-up`() throws {
    // 10 of the prior and 22 of the stream.
    let batch: [[Double]] = Self.mean.map { mean in (0..<22).map { mean + Double($0 % 5) } }
    var normalizer = try Self.run(Self.settings(10) { $0.warmUp.emission = .missing })
    #expect(try normalizer.normalized(batch).allSatisfy { $0.allSatisfy(\.isNaN) })
    #expect(try normalizer.normalized(batch).allSatisfy { $0.allSatisfy(\.isFinite) })
    var holding = try Self.run(Self.settings(31) { $0.warmUp.emission = .hold })
    #expect(holding.isHolding)
    holding = try Self.run(Self.settings(32) { $0.warmUp.emission = .hold })
    #expect(!holding.isHolding)
  }

  @Test func `a cold value is normalised by the prior and all values up to it`() throws {
    let seed = testSeed
    let batch = Self.batches(seed, count: 1)[0]
    var whole = try Self.run(Self.settings(5) { $0.warmUp.records = 1000 })
    let y = try whole.normalized(batch)
    for j in Self.mean.indices {
      for record in batch[j].indices where !batch[j][record].isNaN {
        let (mean, variance) = Self.merged(
          [Array(batch[j][...record])], .cumulative, prior: 5, Self.mean[j], Self.variance[j])
        let expected = (batch[j][record] - mean) / (variance * (1 + 1e-5)).squareRoot()
        #expect(agree(y[j][record], expected, 1e-11, scale: 1e4), "seed \(seed)")
      }
    }
    // Segments change no bit, with a limit neither.
    for limit in [nil, 0.5] {
      let settings = Self.settings(5) {
        $0.warmUp.records = 1000
        $0.prior?.limit.mean = limit
        $0.prior?.limit.deviation = limit.map { _ in 1.1 }
      }
      var (inOne, inParts) = (try Self.run(settings), try Self.run(settings))
      let expected = try inOne.normalized(batch)
      for start in stride(from: 0, to: batch[0].count, by: 3) {
        let end = min(start + 3, batch[0].count)
        var part = makeBatch(batch.map { Array($0[start..<end]) })
        _ = try inParts.normalize(&part, as: .part)
        for j in batch.indices {
          #expect(part.column(j).map(\.bitPattern) == expected[j][start..<end].map(\.bitPattern))
        }
      }
      try inParts.absorb(makeBatch(batch))
      #expect(inParts.state == inOne.state)
    }
  }

  @Test func `renorm corrects towards the merged moments`() throws {
    // r and d are within their bounds, so the result is that of the merged moments.
    var renorm = try Self.run(Self.settings(500) { $0.mode = .renorm })
    var running = try Self.run(Self.settings(500))
    for batch in Self.batches(testSeed) where batch[0].count > 20 {
      let (y, expected) = (try renorm.normalized(batch), try running.normalized(batch))
      for j in y.indices { expectAgreement(y[j], expected[j], 1e-9, scale: 1e3) }
    }
  }

  @Test func `a variance without an update is that of the prior`() throws {
    // A batch of one value has no unbiased variance.
    var normalizer = try Self.run(
      Self.settings(32) {
        $0.estimator = .batchNorm
        $0.momentum = .cumulative
      })
    for _ in 0..<96 { _ = try normalizer.normalized([[7], [-40], [1e6]]) }
    let y = try normalizer.normalized([[9], [-40], [1e6]])
    // μ̂ = 3 + 3/4 · 4 and σ̂² = 4 + 3/16 · 16.
    #expect(agree(y[0][0], 3 / (7 * (1 + 1e-5)).squareRoot(), 1e-12), "\(y[0][0])")
  }

  @Test func `the inverse is that of the merged moments`() throws {
    let batches = Self.batches(testSeed)
    var forward = try Self.run(Self.settings(50))
    for batch in batches { _ = try forward.normalized(batch) }
    var settings = Self.settings(50) {
      $0.isFrozen = true
      $0.prior?.limit.mean = 1
    }
    let prior = PriorMoments(try Self.trained())
    var frozen = try makeNormalizer(features: 3, settings, state: forward.state, prior: prior)
    let y = try frozen.normalized(batches[0])
    settings.isInverse = true
    var back = try makeNormalizer(features: 3, settings, state: forward.state, prior: prior)
    let x = try back.normalized(y)
    for j in x.indices { expectAgreement(x[j], batches[0][j], 1e-12) }
    // Without a value of the stream there is something to undo all the same.
    var first = try makeNormalizer(features: 3, settings, prior: prior)
    let deviation = (9e4 * (1 + 1e-5)).squareRoot()
    let undone = try first.normalized([[0], [0], [1]])
    #expect(undone[0] == [3] && undone[1] == [-40] && agree(undone[2][0], 1e6 + deviation, 1e-15))
  }

  // MARK: The limit

  private static func far(_ mean: Double?, _ deviation: Double?) throws -> NormalizerRun {
    try makeNormalizer(
      features: 1,
      settings(32) {
        $0.momentum = .cumulative
        $0.epsilon = .absolute(0)
        $0.prior?.limit.mean = mean
        $0.prior?.limit.deviation = deviation
      }, prior: PriorMoments(trained([10], [4])))
  }

  @Test(arguments: [1.0, -1])
  func `a limit holds the mean and the deviation`(sign: Double) throws {
    let values: [Double] = (0..<4000).map { record in
      let deviation: Double = record.isMultiple(of: 2) ? 100 : -100
      return 10 + sign * (1000 + deviation)
    }
    var normalizer = try Self.far(3, 2)
    // The first batch is normalised by the prior itself.
    #expect(try normalizer.normalized([values])[0][0] == (values[0] - 10) / 2)
    #expect(normalizer.held == [nil])
    let limited: Double = (20 - (10 + sign * 6)) / 4
    #expect(try normalizer.normalized([[20]]) == [[limited]])
    let held = try #require(normalizer.held[0])
    let (distance, ratio) = (try #require(held.mean), try #require(held.deviation))
    #expect(abs(distance - sign * 496) < 1)
    #expect(abs(ratio - 67) < 1)
    // Each by itself.
    var free = try Self.far(nil, nil)
    _ = try free.normalized([values])
    let share: Double = 4000 / 4032
    let mean: Double = 10 + sign * 1000 * share
    let within: Double = 1e4 * share + 4 * (1 - share)
    let variance: Double = within + share * (1 - share) * 1e6
    let bound: Double = 10 + sign * 6
    #expect(agree(try free.normalized([[20]])[0][0], (20 - mean) / variance.squareRoot(), 1e-12))
    #expect(free.held == [nil])
    var ofMean = try Self.far(3, nil)
    _ = try ofMean.normalized([values])
    let y = try ofMean.normalized([[20]])[0][0]
    #expect(agree(y, (20 - bound) / variance.squareRoot(), 1e-12))
    var ofDeviation = try Self.far(nil, 2)
    _ = try ofDeviation.normalized([values])
    #expect(agree(try ofDeviation.normalized([[20]])[0][0], (20 - mean) / 4, 1e-12))
    #expect(ofDeviation.held[0]?.mean == nil && ofDeviation.held[0]?.deviation != nil)
  }

  @Test func `a limit holds a deviation that is too small`() throws {
    var normalizer = try Self.far(nil, 4)
    let values: [Double] = (0..<4000).map { $0.isMultiple(of: 2) ? 10.01 : 9.99 }
    _ = try normalizer.normalized([values])
    #expect(agree(try normalizer.normalized([[10.25]])[0][0], 0.5, 1e-4))
    #expect(normalizer.held[0]?.deviation.map { $0 < 0.1 } == true)
  }

  @Test func `a limit holds in warm-up too`() throws {
    var normalizer = try makeNormalizer(
      features: 1,
      Self.settings(1) {
        $0.epsilon = .absolute(0)
        $0.prior?.limit.mean = 3
        $0.prior?.limit.deviation = 2
      }, prior: PriorMoments(Self.trained([10], [4])))
    #expect(try normalizer.normalized([[1010, 1010]])[0] == [248.5, 248.5])
  }

  @Test func `a y that a limit makes too large for the output is refused`() throws {
    var normalizer = try makeNormalizer(
      features: 1,
      Self.settings(1) { $0.prior?.limit.deviation = 2 },
      precision: .float32, prior: PriorMoments(Self.trained([0], [1e-10])))
    let error = #expect(throws: NormalizationError.self) {
      try normalizer.normalized([[1, 1e36]], precision: .float32)
    }
    guard case .unfit(let values) = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(values.map(\.record) == [1])
  }

  // MARK: Refusals

  @Test func `a prior without effect is refused`() throws {
    #expect(throws: NormalizationError.uselessPrior) {
      try Self.run(Self.settings(32) { $0.mode = .batch })
    }
    var normalizer = try Self.run(Self.settings(32))
    #expect(throws: NormalizationError.uselessPrior) {
      try normalizer.replaceSettings(Self.settings(32) { $0.mode = .batch })
    }
    #expect(normalizer.settings.mode == .running)
  }

  @Test func `moments without a number of values are refused, frozen too`() throws {
    var state = try Self.trained()
    state[real: "evenkeel.moments.weight"] = [3, 0, 0]
    for isFrozen in [false, true] {
      #expect(throws: NormalizationError.unweighted(feature: "f1")) {
        try makeNormalizer(
          features: 3, Self.settings(32) { $0.isFrozen = isFrozen }, state: state,
          prior: PriorMoments(Self.trained()))
      }
    }
  }

  @Test func `a feature that a prior lacks has none`() throws {
    let schema = FeatureSchema.unnamed(count: 2)
    var trained = try freshState(schema)
    trained[real: "running_mean"] = [5, 0]
    let prior = PriorMoments(trained)
    #expect(prior.unknown(of: try FeatureSchema(schema)) == ["f1"])
    var with = try makeNormalizer(
      features: 2, Self.settings(100) { $0.prior?.limit.mean = 0 }, prior: prior)
    var without = try makeNormalizer(features: 2, Self.settings(nil))
    for batch in Self.batches(testSeed) {
      let columns = Array(batch[..<2])
      let (y, expected) = (try with.normalized(columns), try without.normalized(columns))
      #expect(y[1].map(\.bitPattern) == expected[1].map(\.bitPattern))
    }
  }
}
