import BatchNormalization
import Foundation

@testable import Operators

/// The charts of one feature as they were before the loops of CColumnKernel: the formulas of docs/SEMANTICS.md in their
/// order, with the functions of the C library.
struct PlainDrift {
  var charts: [PlainChart] = Array(repeating: PlainChart(), count: 4)
  private var pool = Moments()
  private var halfLives = 0.0
  private var clipped = 0
  private var missing = 0
  private var records = 0
  private var recordHalfLives = 0.0
  private var recordPools = 0

  /// - Parameters:
  ///   - halfLives: those of a batch with so many values.
  mutating func batch(
    _ moments: Moments, missing newMissing: Int, clipped newClipped: Int, records count: Int,
    threshold: Double, follows: Bool, halfLives lives: (Double) -> Double
  ) {
    let rules = (threshold, follows)
    clipped += newClipped
    missing += newMissing
    records += count
    recordHalfLives += lives(Double(count))
    if moments.weight > 0 {
      pool.merge(moments)
      halfLives += lives(moments.weight)
      if pool.weight >= 32 { judge(rules) }
    }
    guard records >= 32 else { return }
    if missing > 0 || charts[2].pools > 0 {
      charts[2].begin(DriftShare.value(0, of: Double(records)), Double(records), recordPools)
      charts[2].observe(
        DriftShare.value(missing, of: Double(records)), Double(records), floor: 0.5,
        slow(recordHalfLives), rules)
    }
    recordPools += 1
    (missing, records, recordHalfLives) = (0, 0, 0)
  }

  private func slow(_ halfLives: Double) -> Double { -expm1(-halfLives * (log(2) / 20)) }

  private mutating func judge(_ rules: (Double, Bool)) {
    let (n, root) = (pool.weight, pool.weight.squareRoot())
    let least = max(abs(pool.mean) * 1e-12, Double.leastNormalMagnitude)
    let own = max((pool.m2 / n).squareRoot(), least)
    let reference = charts[1].pools > 0 ? charts[1].reference : log(own)
    let before = charts[0].pools
    let weight = slow(halfLives)
    charts[0].observe(
      pool.mean, n, floor: 1e-3 * max(exp(reference), least) * root, weight, rules)
    charts[1].observe(
      max(log(own), reference + log(1e-3)), n, floor: 1e-3 * root, weight, rules)
    if clipped > 0 || charts[3].pools > 0 {
      charts[3].begin(DriftShare.value(0, of: n), n, before)
      charts[3].observe(DriftShare.value(clipped, of: n), n, floor: 0.5, weight, rules)
    }
    (pool, halfLives, clipped) = (Moments(), 0, 0)
  }
}

/// One chart.
struct PlainChart {
  var reference = 0.0
  var mean = 0.0
  var variance = 0.0
  var covariance = (0.0, 0.0)
  var longRun = 0.0
  var last = [(x: 0.0, root: 1.0), (x: 0.0, root: 1.0)]
  var news = (0.0, 0.0)
  /// The sums above and below, and the level of each.
  var scores = [0.0, 0.0]
  var levels = [(sum: 0.0, weight: 0.0), (sum: 0.0, weight: 0.0)]
  var phase = DriftPhase.ok
  var pools = 0
  var alarms = 0

  /// Begins a share that was 0 so far.
  mutating func begin(_ x: Double, _ n: Double, _ before: Int) {
    guard pools == 0, before > 0 else { return }
    (reference, mean, variance, longRun, pools) = (x, x, 0.25, 0.25, before)
    last = [(x, n.squareRoot()), (x, n.squareRoot())]
  }

  mutating func observe(
    _ x: Double, _ n: Double, floor: Double, _ slow: Double,
    _ rules: (threshold: Double, follows: Bool)
  ) {
    let root = n.squareRoot()
    defer {
      last = [(x, root), last[0]]
      pools += 1
    }
    guard pools > 0 else {
      (mean, reference) = (x, x)
      last[0] = (x, root)
      return
    }
    var (first, second, rest) = (0.0, 0.0, 1.0)
    if variance > 0 {
      let (r1, r2) = (min(max(covariance.0 / variance, -0.98), 0.98), covariance.1 / variance)
      second = min(max((r2 - r1 * r1) / (1 - r1 * r1), -0.999), 0.999)
      first = r1 * (1 - second)
      rest = (1 - r1 * r1) * (1 - second * second)
      if 1 - first - second < 0.05 {
        (first, second) = (min(max(0, r1), 0.95), 0)
        rest = 1 - first * first
      }
    }
    let limit = pools > 100 ? 6 * max(variance.squareRoot(), floor) : .greatestFiniteMagnitude
    func near(_ value: Double, _ limit: Double) -> Double { min(max(value, -limit), limit) }
    if pools > 100 {
      let new =
        (x - reference) * root - first * near((last[0].x - reference) * last[0].root, limit)
        - second * near((last[1].x - reference) * last[1].root, limit)
      let plain = variance * rest
      let deviation = max(min(max(longRun, 0.4 * plain), 4 * plain).squareRoot(), floor)
      judge(near(new / deviation, 6), x, n, rules)
    }
    let small = min(slow, 1.0 / 128)
    if phase.isDrifting {
      guard rules.follows else { return }
      learnMoving(x, root, max(small / 10, 1 / Double(pools)), limit)
      mean += max(small, 1 / Double(pools + 1)) * (x - mean)
    } else {
      let u = near((x - mean) * root, limit)
      let before = last.map { near(($0.x - mean) * $0.root, limit) }
      let new = near(u - first * before[0] - second * before[1], limit * rest.squareRoot())
      variance += max(small / 10, 1 / Double(pools)) * (u * u - variance)
      if pools > 1 {
        covariance.0 += max(small / 10, 1 / Double(pools - 1)) * (u * before[0] - covariance.0)
      }
      if pools > 2 {
        covariance.1 += max(small / 10, 1 / Double(pools - 2)) * (u * before[1] - covariance.1)
      }
      if pools > 20 {
        let found = new * (new + 1.5 * news.0 + news.1)
        longRun += max(small / 10, 1 / Double(pools - 20)) * (found - longRun)
      }
      news = (new, news.0)
      mean += max(small, 1 / Double(pools + 1)) * u / root
    }
    covariance = (near(covariance.0, variance), near(covariance.1, variance))
    if rules.follows || pools < 1000 { reference = mean }
  }

  private mutating func learnMoving(
    _ x: Double, _ root: Double, _ weight: Double, _ limit: Double
  ) {
    let difference = min(
      max((x - mean) * root - (last[0].x - mean) * last[0].root, -limit), limit)
    guard variance > 0 else {
      variance = weight * 0.5 * difference * difference
      longRun = variance
      return
    }
    let correlation = min(max(0, covariance.0 / variance), 0.95)
    let growth = 1 + weight * (0.5 * difference * difference / (1 - correlation) / variance - 1)
    variance *= growth
    longRun *= growth
    covariance = (covariance.0 * growth, covariance.1 * growth)
  }

  private mutating func judge(
    _ z: Double, _ x: Double, _ n: Double, _ rules: (threshold: Double, follows: Bool)
  ) {
    for (side, rise) in [z - 0.5, -z - 0.5].enumerated() {
      if scores[side] == 0 || rise > 2 * max(scores[side], 1) { levels[side] = (0, 0) }
      scores[side] = min(max(0, scores[side] + rise), rules.threshold + 6)
      levels[side] =
        scores[side] == 0 ? (0, 0) : (levels[side].sum + n * x, levels[side].weight + n)
    }
    let before = phase
    switch phase {
    case .ok, .settled:
      guard max(scores[0], scores[1]) > rules.threshold else { return }
      phase = scores[0] >= scores[1] ? .above : .below
    case .above where scores[1] > rules.threshold: phase = .below
    case .below where scores[0] > rules.threshold: phase = .above
    case .above where scores[0] == 0, .below where scores[1] == 0:
      phase = rules.follows ? .settled : .ok
    case .above, .below: break
    }
    if phase != before, phase.isDrifting { alarms += 1 }
  }
}
