import BatchNormalization
import Configuration
import Foundation
import Records
import State
import Testing

@testable import Operators

/// The charts of a stream against the plain ones.
struct DriftOracleTests {
  /// A feature of each kind, by its place: independent, correlated, constant, with heavy tails, and one that is seldom
  /// there. All of them move for a while.
  private func value(_ feature: Int, _ batch: Int, _ last: inout Double, _ normal: Double) -> Double
  {
    let moved = (300..<420).contains(batch) ? 1.0 : 0
    switch feature {
    // One absurd batch.
    case 0: return normal + moved + (batch == 250 ? 1e6 : 0)
    case 1:
      last = 0.98 * last + 0.2 * normal
      return last + moved
    case 2: return 7
    case 3: return normal * normal * normal + 3 * moved
    default: return (1 + moved) * normal
    }
  }

  @Test(arguments: [256, 20, 40], [true, false])
  func `all numbers are those of the plain charts`(size: Int, follows: Bool) throws {
    let names = ["a", "b", "c", "d", "e"]
    var stream = try MadeStream(names) { settings, values in
      settings.clip = 4
      values[DriftSettings.falseAlarms] = .perBatches(2000)
      if !follows { values[DriftSettings.reference] = .start }
    }
    let columns = DriftColumns(in: stream.chain.state)
    let normalizer = NormalizerColumns(in: stream.chain.state)
    var plain = names.map { _ in PlainDrift() }
    var (last, alarms) = (0.0, 0)
    for batch in 0..<900 {
      let before = stream.chain.state[normalizer.clipped]
      try stream.batch(size: size) { feature, normal, chance in
        let share = feature == 4 ? 0.9 : feature == 3 && batch > 200 ? 0.05 : 0
        return chance < share ? .nan : value(feature, batch, &last, normal)
      }
      let state = stream.chain.state
      let summary = try #require(stream.chain.view.last).summary
      for j in names.indices {
        plain[j].batch(
          summary.features[j].moments, missing: summary.features[j].missingCount,
          clipped: state[normalizer.clipped][j] - before[j], records: size,
          threshold: state[columns.threshold][0], follows: follows
        ) { $0 / 1700 }
      }
      guard batch % 50 == 49 || (300..<330).contains(batch) else { continue }
      let charts = DriftCharts(columns, of: state)
      for j in names.indices {
        for kind in [DriftKind.mean, .spread, .missing, .clipped] {
          let found = charts[kind.row(of: j, among: names.count)]
          compare(found, plain[j].charts[kind.rawValue], "\(kind) of \(names[j]), batch \(batch)")
          alarms += found.alarms
        }
      }
    }
    #expect(alarms > 0)
  }

  private func compare(_ found: DriftChart, _ plain: PlainChart, _ place: String) {
    #expect(found.pools == plain.pools && found.phase == plain.phase, "\(place)")
    #expect(found.alarms == plain.alarms, "\(place)")
    let pairs: [(Double, Double, Double)] = [
      (found.reference, plain.reference, 1), (found.mean, plain.mean, 1),
      (found.spread.variance, plain.variance, 0),
      (found.spread.covariance, plain.covariance.0, plain.variance),
      (found.spread.covariance2, plain.covariance.1, plain.variance),
      (found.spread.longRun, plain.longRun, plain.variance),
      (found.spread.last, plain.last[0].x, 1), (found.spread.last2, plain.last[1].x, 1),
      (found.spread.lastRoot, plain.last[0].root, 0),
      (found.spread.lastRoot2, plain.last[1].root, 0),
      (found.spread.lastNew, plain.news.0, 1), (found.spread.lastNew2, plain.news.1, 1),
      (found.above.score, plain.scores[0], 1), (found.below.score, plain.scores[1], 1),
      (found.above.levelSum, plain.levels[0].sum, plain.levels[0].weight),
      (found.below.levelSum, plain.levels[1].sum, plain.levels[1].weight),
      (found.above.levelWeight, plain.levels[0].weight, 0),
      (found.below.levelWeight, plain.levels[1].weight, 0),
    ]
    for (index, (number, expected, scale)) in pairs.enumerated() {
      #expect(
        abs(number - expected) <= 1e-12 * max(abs(expected), scale),
        "\(place), number \(index): \(number), expected \(expected)")
    }
  }
}
