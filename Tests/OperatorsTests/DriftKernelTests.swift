import CColumnKernel
import Foundation
import Records
import State
import TestSupport
import Testing

@testable import BatchNormalization
@testable import Operators

extension SeededGenerator {
  fileprivate mutating func unit() -> Double { Double.random(in: 0..<1, using: &self) }
  /// The sum of twelve uniform numbers.
  fileprivate mutating func normal() -> Double { (0..<12).reduce(-6) { sum, _ in sum + unit() } }
}

/// The loops over drift charts against the chart in Swift, which moves what they leave.
struct DriftKernelTests {
  private static let kernels = [COLUMN_BASELINE, COLUMN_AVX2, COLUMN_AVX512]
    .filter { $0.rawValue <= column_instructions_best().rawValue }
    .map { DriftKernel(instructions: $0) }

  private let seeded = SeededGenerator()

  @Test func `logarithms and powers are those of the C library, to a few units in the last place`()
  {
    var random = seeded
    for _ in 0..<2000 {
      let x = 1400 * random.unit() - 700
      let power = DriftKernel.exp(x)
      #expect(abs(power / exp(x) - 1) < 2e-15, "\(x)")
      #expect(abs(DriftKernel.log(power) - log(power)) <= 4e-16 * abs(log(power)), "\(x)")
    }
    #expect(DriftKernel.log(1) == 0 && DriftKernel.exp(0) == 1)
    #expect(DriftKernel.log(.leastNormalMagnitude) == log(.leastNormalMagnitude))
    #expect(DriftKernel.exp(-1e9) > 0 && DriftKernel.exp(1e9).isFinite)
  }

  /// Charts that have learned from so many pools, some of them in a special state.
  private func fill(
    _ state: inout StateTable, _ columns: DriftColumns, _ random: inout SeededGenerator
  ) {
    var charts = DriftCharts(columns, of: state)
    for row in 0..<charts.count {
      var chart = DriftChart()
      chart.reference = 0.1 * random.normal()
      chart.mean = random.once(in: 3) ? chart.reference : chart.reference + 0.01 * random.normal()
      chart.spread.variance = random.once(in: 20) ? 0 : 0.5 + random.unit()
      let reach = chart.spread.variance
      chart.spread.covariance = reach * (random.once(in: 8) ? 0.999 : 1.6 * random.unit() - 0.8)
      chart.spread.covariance2 = reach * (2 * random.unit() - 1)
      chart.spread.longRun = reach * 2 * random.unit()
      chart.spread.pass(0.05 * random.normal(), 15)
      chart.spread.pass(0.05 * random.normal(), 16)
      (chart.spread.lastNew, chart.spread.lastNew2) = (random.normal(), random.normal())
      chart.pools = random.once(in: 10) ? 90 : random.once(in: 4) ? 3000 : 1500
      chart.isGiven = random.once(in: 6)
      chart.phase = random.once(in: 10) ? .above : random.once(in: 10) ? .settled : .ok
      if random.once(in: 2) { chart.above = side(&random) }
      if random.once(in: 2) { chart.below = side(&random) }
      charts[row] = chart
    }
    charts.put(in: &state, columns)
  }

  private func side(_ random: inout SeededGenerator) -> DriftSide {
    DriftSide(
      score: 7 * random.unit(), levelSum: random.normal(), levelWeight: 256,
      since: DriftPlace(batch: 3, record: 700, seconds: 9))
  }

  private func summary(_ moments: Moments) -> FeatureSummary {
    var summary = FeatureSummary()
    summary.moments = moments
    return summary
  }

  private func bits(_ state: StateTable) -> [[UInt64]] {
    state.groups.filter { $0.name.hasPrefix("drift") }.flatMap(\.columns).map {
      column -> [UInt64] in
      switch state[column.fileName] {
      case .real(let values): values.map(\.bitPattern)
      case .count(let values): values.map { UInt64(bitPattern: Int64($0)) }
      case nil: []
      }
    }
  }

  @Test(arguments: [1, 7, 8, 9, 32, 45], [true, false])
  func `all instructions move charts as the chart in Swift does, to the bit`(
    width: Int, follows: Bool
  ) throws {
    let schema = try FeatureSchema(FeatureSchema.unnamed(count: width))
    var start = StateTable(DriftColumns.groups, features: schema)
    let columns = DriftColumns(in: start)
    var random = seeded
    fill(&start, columns, &random)
    let rules = DriftRules(threshold: 6, follows: follows)
    let place = DriftPlace(batch: 12, record: 3000, seconds: 2.5)
    // Features with few values, with none, with an open pool, and with absurd values.
    var summaries = [Moments]()
    for j in 0..<width {
      let weight: Double = random.once(in: 9) ? 12 : random.once(in: 9) ? 0 : 256 - Double(j % 3)
      let mean = random.once(in: 12) ? 1e9 : random.normal() / 16
      let deviation = random.once(in: 9) ? 0 : 1 + random.normal() / 20
      summaries.append(Moments(weight: weight, mean: mean, m2: weight * deviation * deviation))
      if random.once(in: 9) { start[columns.weight][j] = 5 }
    }
    let shares = (0..<width).map { _ in
      random.once(in: 5) ? nil : Int.random(in: 2...8, using: &random)
    }
    let pool = DriftFullPool(weight: 256, slowWeight: 0.004, start: place)
    let slow = DriftPace.slowWeight(ofHalfLives: 1 / 5.0)
    var results: [[[UInt64]]] = []
    for kernel in Self.kernels {
      var (state, batch) = (start, DriftBatch())
      batch.take(summaries.map(summary), .batches(halfLife: 5), seconds: 0)
      for j in 0..<width { batch.setShare(shares[j], pool, of: j) }
      var left: [UInt8] = []
      var leftShares: [UInt8] = []
      state.lend(DriftRows.columns(columns)) { lent in
        let rows = DriftRows(columns: lent, features: width)
        _ = kernel.observeMoments(&batch, at: place, rules, rows)
        left = batch.left
        batch.left = Array(repeating: 0, count: width)
        _ = kernel.observeShares(.missing, &batch, at: place, rules, rows)
        leftShares = batch.left
      }
      results.append(bits(state))
      let (before, after) = (DriftCharts(columns, of: start), DriftCharts(columns, of: state))
      var moved = 0
      for j in 0..<width {
        let moments = summaries[j]
        let (mean, spread, missing) = (j, width + j, 2 * width + j)
        if left[j] & 1 != 0 { #expect(after[mean] == before[mean]) }
        if left[j] & 2 != 0 { #expect(after[spread] == before[spread]) }
        if leftShares[j] != 0 { #expect(after[missing] == before[missing]) }
        let root = moments.weight.squareRoot()
        let least = max(abs(moments.mean) * 1e-12, Double.leastNormalMagnitude)
        let own = DriftKernel.log(max(moments.biasedVariance.squareRoot(), least))
        let reference = before[spread].reference
        let expected: [(Int, UInt8, Double, Double, Double, Double)] = [
          (
            mean, left[j] & 1, moments.mean, moments.weight, slow,
            1e-3 * max(DriftKernel.exp(reference), least) * root
          ),
          (
            spread, left[j] & 2, max(own, reference - 6.907755278982137), moments.weight, slow,
            1e-3 * root
          ),
          (missing, leftShares[j], DriftShare.value(shares[j] ?? 0, of: 256), 256, 0.004, 0.5),
        ]
        for (row, isLeft, value, weight, slowWeight, floor) in expected where isLeft == 0 {
          var chart = before[row]
          let hasChanged = chart.observe(
            value, weight: weight, floor: floor, slowWeight: slowWeight, at: place, rules)
          #expect(!hasChanged && chart == after[row], "row \(row), seed \(random.seed)")
          moved += 1
        }
      }
      // Most are not left.
      if width >= 32 { #expect(moved > width / 2) }
    }
    for result in results.dropFirst() { #expect(result == results[0], "seed \(random.seed)") }
  }
}
