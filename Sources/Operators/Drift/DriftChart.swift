internal import Glibc

// Invariants:
// - `last` and `lastRoot` are of the pool before; both sums of a side are 0 while its score is.
// - No number of a chart is other than finite, because values are at most 1e100 in size.

/// How a chart judges and learns; the same for all charts of a stream in one batch.
struct DriftRules: Sendable, Equatable {
  /// The pools that a chart learns from before it judges.
  static let silentPools = 100
  /// The pools that make the reference `start`.
  static let startPools = 1000
  /// The most that one pool counts, in spreads: one absurd value is no drift.
  static let reach = 6.0
  /// The greatest weight of a pool in the slow moments of a chart.
  static let greatestWeight = 1.0 / 128
  /// How much more slowly the spread is learned than the mean.
  static let spreadSlowness = 10.0
  /// The greatest correlation of neighbouring pools that is taken out.
  static let greatestCorrelation = 0.95

  var threshold = Double.infinity
  /// Whether the reference follows slowly.
  var follows = false
}

/// One side of a chart: a CUSUM that rises while the property is on this side of its reference.
struct DriftSide: Sendable, Equatable {
  /// S.
  var score = 0.0
  /// Σ n x and Σ n since the score was last 0.
  var levelSum = 0.0
  var levelWeight = 0.0
  /// The first pool after the score was last 0.
  var since = DriftPlace()

  /// - Parameter z: how far the pool is on this side of the reference, in spreads.
  mutating func add(
    _ z: Double, value: Double, weight: Double, at place: DriftPlace, limit: Double
  ) {
    if score == 0 { since = place }
    score = min(max(0, score + z - DriftThreshold.allowance), limit)
    if score == 0 {
      (levelSum, levelWeight) = (0, 0)
    } else {
      levelSum += weight * value
      levelWeight += weight
    }
  }

  mutating func clear() { self = DriftSide() }
}

/// The chart of one property of one feature: its reference, the spread of pools, and a CUSUM for each side.
///
/// A pool has a value x of the weight n. u = (x − mean) √n has the same deviation for every n if values are independent.
/// Pools that resemble their neighbours would alarm too often, so the chart adds what is new in a pool:
/// e = u_R − ρ u_R′ with the correlation ρ of neighbouring pools, in units of the deviation of e.
struct DriftChart: Sendable, Equatable {
  /// The value that the property is compared with.
  var reference = 0.0
  /// The slow mean of x, about which the spread is measured.
  var mean = 0.0
  /// The mean of u², and of u u′.
  var variance = 0.0
  var covariance = 0.0
  /// x and √n of the pool before.
  var last = 0.0
  var lastRoot = 1.0
  var above = DriftSide()
  var below = DriftSide()
  var phase = DriftPhase.ok
  /// The pools so far.
  var pools = 0
  /// The alarms so far.
  var alarms = 0
  /// Whether the reference came from a checkpoint.
  var isGiven = false

  /// ρ.
  private var correlation: Double {
    guard variance > 0 else { return 0 }
    return min(max(0, covariance / variance), DriftRules.greatestCorrelation)
  }

  /// The greater score, as a share of the threshold.
  func score(by threshold: Double) -> Double {
    threshold > 0 ? max(above.score, below.score) / threshold : 0
  }

  /// The side that drifts, or that is nearer to it.
  var side: DriftSide {
    switch phase {
    case .above: above
    case .below: below
    case .ok, .settled: above.score >= below.score ? above : below
    }
  }

  /// The mean of x since the score of the side was 0; the reference if it is 0 now.
  var level: Double {
    let side = side
    return side.levelWeight > 0 ? side.levelSum / side.levelWeight : reference
  }

  /// Judges a pool, and learns from it.
  ///
  /// - Parameters:
  ///   - value: x.
  ///   - weight: n.
  ///   - floor: the least deviation of e.
  ///   - slowWeight: the weight of the pool in slow moments, before its bounds.
  ///   - place: where the pool began.
  /// - Returns: whether the phase has changed.
  mutating func observe(
    _ value: Double, weight: Double, floor: Double, slowWeight: Double, at place: DriftPlace,
    _ rules: DriftRules
  ) -> Bool {
    let root = weight.squareRoot()
    defer {
      (last, lastRoot) = (value, root)
      pools += 1
    }
    guard pools > 0 else {
      mean = value
      if !isGiven { reference = value }
      return false
    }
    let correlation = correlation
    var hasChanged = false
    if pools > DriftRules.silentPools {
      let deviation = max(
        (variance * (1 - correlation * correlation)).squareRoot(), floor)
      let new = (value - reference) * root - correlation * (last - reference) * lastRoot
      let z = min(max(new / deviation, -DriftRules.reach), DriftRules.reach)
      let limit = rules.threshold + DriftRules.reach
      above.add(z, value: value, weight: weight, at: place, limit: limit)
      below.add(-z, value: value, weight: weight, at: place, limit: limit)
      hasChanged = judge(rules)
    }
    learn(
      value, root, floor: floor, slowWeight: slowWeight, correlation: correlation, rules)
    return hasChanged
  }

  private mutating func judge(_ rules: DriftRules) -> Bool {
    switch phase {
    case .ok, .settled:
      guard max(above.score, below.score) > rules.threshold else { return false }
      phase = above.score >= below.score ? .above : .below
    case .above where below.score > rules.threshold: phase = .below
    case .below where above.score > rules.threshold: phase = .above
    case .above where above.score == 0, .below where below.score == 0:
      phase = rules.follows ? .settled : .ok
      return true
    case .above, .below: return false
    }
    alarms += 1
    return true
  }

  private mutating func learn(
    _ value: Double, _ root: Double, floor: Double, slowWeight: Double, correlation: Double,
    _ rules: DriftRules
  ) {
    let slow = min(slowWeight, DriftRules.greatestWeight)
    let meanWeight = max(slow, 1 / Double(pools + 1))
    let spreadWeight = max(slow / DriftRules.spreadSlowness, 1 / Double(pools))
    let (u, lastU) = ((value - mean) * root, (last - mean) * lastRoot)
    let limit = DriftRules.reach * max(variance.squareRoot(), floor)
    if phase.isDrifting {
      // A reference that stands still must not learn what it is compared with.
      guard rules.follows else { return }
      // Differences of neighbours do not see that the level has moved.
      let difference = min(abs(u - lastU), limit)
      let found = 0.5 * difference * difference / (1 - correlation)
      variance += spreadWeight * (found - variance)
      covariance = correlation * variance
      mean += meanWeight * (value - mean)
    } else {
      let isLearning = pools <= DriftRules.silentPools
      let bounded = isLearning ? u : min(max(u, -limit), limit)
      let lastBounded = isLearning ? lastU : min(max(lastU, -limit), limit)
      variance += spreadWeight * (bounded * bounded - variance)
      if pools > 1 {
        let weight = max(slow / DriftRules.spreadSlowness, 1 / Double(pools - 1))
        covariance += weight * (bounded * lastBounded - covariance)
      }
      mean += meanWeight * bounded / root
      // Rounding, and different weights, could take it a little beyond.
      covariance = min(max(covariance, -variance), variance)
    }
    guard !isGiven else { return }
    if rules.follows || pools < DriftRules.startPools { reference = mean }
  }

  /// Takes the level since the drift began as the new reference, and learns the spread again, faster.
  mutating func accept() {
    guard phase.isDrifting else { return }
    (reference, mean) = (level, level)
    above.clear()
    below.clear()
    phase = .settled
    pools = min(pools, DriftRules.silentPools / 2)
  }

  /// Begins in the middle of a stream in which the share was 0 so far.
  mutating func begin(atShare value: Double, root: Double, afterPools count: Int) {
    guard pools == 0, count > 0 else { return }
    mean = value
    if !isGiven { reference = value }
    (last, lastRoot) = (value, root)
    (variance, covariance) = (0.25, 0)
    pools = count
  }
}

/// The share of some values as a number whose deviation hardly depends on the share: 0.5 / √n.
///
/// Source: Anscombe 1948, "The Transformation of Poisson, Binomial and Negative-Binomial Data".
enum DriftShare {
  /// The least deviation of u, that of independent values.
  static let floor = 0.5

  static func value(_ count: Int, of total: Double) -> Double {
    asin(((Double(count) + 0.375) / (total + 0.75)).squareRoot())
  }

  /// The share that has this value.
  static func share(_ value: Double) -> Double {
    let sine = sin(min(max(value, 0), Double.pi / 2))
    return sine * sine
  }
}
