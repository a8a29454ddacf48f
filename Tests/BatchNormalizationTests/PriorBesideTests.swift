import Foundation
import Records
import State
import TestSupport
import Testing

@testable import BatchNormalization

/// A prior beside a half-life in event time, and its limit beside keys.
@Suite struct PriorBesideTests {
  private static let mean = [3.0, -40]
  private static let variance = [4.0, 0.25]
  private static let halfLife = 1800.0

  private static func prior(features count: Int = 2) throws -> PriorMoments {
    var state = try freshState(FeatureSchema.unnamed(count: count))
    let values = Array(repeating: 12_345.0, count: count)
    state[real: "running_mean"] = Array(mean.prefix(count))
    state[real: "running_var"] = Array(variance.prefix(count))
    state[real: "evenkeel.moments.weight"] = values
    state[real: "evenkeel.moments.variance_weight"] = values
    return PriorMoments(state)
  }

  private static func settings(
    _ momentum: Momentum, _ prior: Double,
    _ change: (inout NormalizationSettings) -> Void = { _ in }
  ) -> NormalizationSettings {
    var settings = NormalizationSettings()
    settings.momentum = momentum
    settings.prior = Prior(values: prior)
    settings.warmUp.records = 0
    settings.clip = nil
    change(&settings)
    return settings
  }

  /// Records a minute apart, some of them late; the second feature is missing for hours.
  private static func records(_ count: Int, _ random: inout SeededGenerator) -> [KeyedRecord] {
    (0..<count).map { index in
      let isGone = index > count / 3 && index < count / 2
      let late = random.once(in: 6) ? 500 : 0
      return KeyedRecord(
        key: "k\(Int.random(in: 0..<3, using: &random))",
        values: [5 + random.deviate(), isGone ? .nan : -41 + random.deviate() / 2],
        time: 1_700_000_000 + 60 * index - late)
    }
  }

  private typealias Weighed = (x: Double, weight: Double)

  /// The mean and the variance of weighed values and of two values at μ_P ± σ_P, which weigh N/2 each.
  private static func merged(
    _ values: [Weighed], _ j: Int, prior: Double
  ) -> (mean: Double, variance: Double) {
    let deviation = variance[j].squareRoot()
    var all = values
    all += [(mean[j] - deviation, prior / 2), (mean[j] + deviation, prior / 2)]
    let total = all.map(\.weight).reduce(0, +)
    let center = all.map { $0.weight * ($0.x - mean[j]) }.reduce(0, +) / total
    let spread = all.map { $0.weight * pow($0.x - mean[j] - center, 2) }.reduce(0, +) / total
    return (mean[j] + center, spread)
  }

  private static func weighed(
    _ records: some Collection<KeyedRecord>, _ j: Int, newest: Int
  ) -> [Weighed] {
    records.filter { !$0.values[j].isNaN }.map {
      ($0.values[j], pow(2, Double($0.time - newest) / halfLife))
    }
  }

  private static func y(_ x: Double, _ moments: (mean: Double, variance: Double)) -> Double {
    (x - moments.mean) / (moments.variance * (1 + 1e-5)).squareRoot()
  }

  @Test(arguments: [0.5, 40, 5000], [false, true])
  func `the values of a prior do not decay, and those of the stream do`(
    count: Double, updatesFirst: Bool
  ) throws {
    var random = SeededGenerator(seed: testSeed)
    let records = Self.records(600, &random)
    var run = try makeNormalizer(
      features: 2,
      Self.settings(.halfLifeEventTime(Self.halfLife), count) { $0.updateFirst = updatesFirst },
      prior: Self.prior())
    var start = 0
    while start < records.count {
      let end = min(start + Int.random(in: 1...30, using: &random), records.count)
      var batch = KeyedRecord.batch(records[start..<end], timed: true)
      _ = try run.normalize(&batch)
      for j in 0..<2 {
        let hasValues = records[start..<end].contains { !$0.values[j].isNaN }
        let seen = records[..<(updatesFirst && hasValues ? end : start)]
        let moments = Self.merged(
          Self.weighed(seen, j, newest: seen.map(\.time).max() ?? 0), j, prior: count)
        for (index, record) in records[start..<end].enumerated() where !record.values[j].isNaN {
          #expect(
            agree(batch.column(j)[index], Self.y(record.values[j], moments), 1e-12, scale: 100),
            "seed \(testSeed), record \(start + index), feature \(j)")
        }
      }
      start = end
    }
  }

  @Test func `a cold value is normalised by the prior and the decayed values up to it`() throws {
    var random = SeededGenerator(seed: testSeed)
    let records = Self.records(300, &random)
    var run = try makeNormalizer(
      features: 2,
      Self.settings(.halfLifeEventTime(Self.halfLife), 20) { $0.warmUp.records = 10_000 },
      prior: Self.prior())
    for range in [0..<90, 90..<200, 200..<300] {
      var batch = KeyedRecord.batch(records[range], timed: true)
      _ = try run.normalize(&batch)
      for j in 0..<2 {
        for index in range where !records[index].values[j].isNaN {
          let seen = records[...index].filter { !$0.values[j].isNaN }
          let newest = seen.map(\.time).max() ?? 0
          let moments = Self.merged(Self.weighed(seen, j, newest: newest), j, prior: 20)
          #expect(
            agree(
              batch.column(j)[index - range.lowerBound], Self.y(records[index].values[j], moments),
              1e-12, scale: 100), "seed \(testSeed), record \(index), feature \(j)")
        }
      }
    }
  }

  @Test(arguments: [1, 7, 100])
  func `the values of the stream age while none counts`(batches: Int) throws {
    // The feature is missing, or weighs nothing, for 100 records.
    for weight in [0.0, 1] {
      var run = try makeNormalizer(
        features: 1, Self.settings(.halfLifeEventTime(600), 40), prior: Self.prior(features: 1))
      let records = (0..<300).map { index -> KeyedRecord in
        let isGone = (100..<200).contains(index)
        return KeyedRecord(
          values: [isGone && weight == 1 ? .nan : 8], weight: isGone ? weight : 1,
          time: 1_700_000_000 + 60 * index)
      }
      for start in stride(from: 0, to: 300, by: batches) {
        var batch = KeyedRecord.batch(records[start..<min(start + batches, 300)], timed: true)
        _ = try run.normalize(&batch)
        let newest = records[..<start].map(\.time).max() ?? 0
        let seen = records[..<start].filter { $0.weight > 0 && !$0.values[0].isNaN }
          .map { (x: $0.values[0], weight: pow(2, Double($0.time - newest) / 600)) }
        let moments = Self.merged(seen, 0, prior: 40)
        let y = batch.column(0)[0]
        guard !y.isNaN else { continue }
        #expect(agree(y, Self.y(8, moments), 1e-12, scale: 1), "record \(start)")
      }
    }
  }

  @Test func `a prior is never part of the moments by event time`() throws {
    var random = SeededGenerator(seed: testSeed)
    let records = Self.records(200, &random)
    var with = try makeNormalizer(
      features: 2, Self.settings(.halfLifeEventTime(Self.halfLife), 30), prior: Self.prior())
    var without = try makeNormalizer(
      features: 2, Self.settings(.halfLifeEventTime(Self.halfLife), 30) { $0.prior = nil })
    for start in stride(from: 0, to: 200, by: 25) {
      for isWith in [true, false] {
        var batch = KeyedRecord.batch(records[start..<start + 25], timed: true)
        if isWith {
          _ = try with.normalize(&batch)
        } else {
          _ = try without.normalize(&batch)
        }
      }
    }
    #expect(with.state.running == without.state.running)
  }

  @Test(arguments: [false, true])
  func `a limit holds the moments of each key`(isSpread: Bool) throws {
    var random = SeededGenerator(seed: testSeed)
    var run = try makeNormalizer(
      features: 2,
      Self.settings(.cumulative, 10) {
        $0.key = KeySettings(columns: ["key"])
        $0.key?.prior = 5
        $0.prior?.limit.mean = 1
        $0.prior?.limit.deviation = 1.5
      }, prior: Self.prior())
    // The first key is where the prior is, the second one far from it, and the third one hardly moves.
    let records = (0..<300).map { index -> KeyedRecord in
      let key = index % 3
      return KeyedRecord(
        key: "k\(key)",
        values: (0..<2).map { j in
          let deviation = Self.variance[j].squareRoot()
          let distance = key == 1 ? 4.0 : 0
          let spread = key == 2 ? 0.01 : 1
          let isMissing = isSpread && random.once(in: 9)
          return isMissing
            ? .nan : Self.mean[j] + deviation * (distance + spread * random.deviate())
        })
    }
    var held = 0
    for start in stride(from: 0, to: 300, by: 20) {
      var batch = KeyedRecord.batch(records[start..<start + 20])
      _ = try run.normalize(&batch)
      for j in 0..<2 {
        func limited(_ moments: (mean: Double, variance: Double)) -> (
          mean: Double, variance: Double
        ) {
          let deviation = Self.variance[j].squareRoot()
          return (
            min(max(moments.mean, Self.mean[j] - deviation), Self.mean[j] + deviation),
            min(max(moments.variance, Self.variance[j] / 2.25), Self.variance[j] * 2.25)
          )
        }
        let all = records[..<start].filter { !$0.values[j].isNaN }.map { ($0.values[j], 1.0) }
        let whole = limited(Self.merged(all, j, prior: 10))
        for (index, record) in records[start..<start + 20].enumerated()
        where !record.values[j].isNaN {
          let own = records[..<start].filter { $0.key == record.key && !$0.values[j].isNaN }
            .map { $0.values[j] }
          let n = Double(own.count)
          let center = own.isEmpty ? 0 : own.reduce(0, +) / n
          let within = own.isEmpty ? 0 : own.map { pow($0 - center, 2) }.reduce(0, +) / n
          let (share, distance) = (n / (n + 5), center - whole.mean)
          let merged = (
            mean: whole.mean + share * distance,
            variance: share * within + (1 - share) * whole.variance
              + share * (1 - share) * distance * distance
          )
          let moments = own.isEmpty ? whole : limited(merged)
          if moments.mean != merged.mean { held += 1 }
          #expect(
            agree(batch.column(j)[index], Self.y(record.values[j], moments), 1e-11, scale: 100),
            "seed \(testSeed), record \(start + index), feature \(j)")
        }
      }
    }
    #expect(held > 100)
  }
}
