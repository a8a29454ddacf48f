internal import Glibc

// Invariants:
// - Both sums of a side are 0 while its score is.
// - No number of a chart is other than finite, because values are at most 1e100 in size.
// - `ChartLoops.h` moves most charts of a batch, by the same operations in the same order as `observe`. If one changes, the
//   other does.

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

  var threshold = Double.infinity
  /// Whether the reference follows slowly.
  var follows = false
}

/// One side of a chart: a CUSUM that rises while the property is on this side of its reference.
struct DriftSide: Sendable, Equatable {
  /// S.
  var score = 0.0
  /// Σ n x and Σ n from `since` on.
  var levelSum = 0.0
  var levelWeight = 0.0
  /// The first pool after the score was last 0, or a later one that has raised it by more than twice what it was.
  var since = DriftPlace()

  /// A score below this counts as this, when a pool is compared with all before it.
  private static let leastScore = 1.0

  /// - Parameter z: how far the pool is on this side of the reference, in spreads.
  mutating func add(
    _ z: Double, value: Double, weight: Double, at place: DriftPlace, limit: Double
  ) {
    let rise = z - DriftThreshold.allowance
    let begins = score == 0 || rise > 2 * max(score, Self.leastScore)
    score = min(max(0, score + rise), limit)
    if begins || score == 0 { (levelSum, levelWeight) = (0, 0) }
    guard score > 0 else { return }
    if begins { since = place }
    levelSum += weight * value
    levelWeight += weight
  }

  mutating func clear() { self = DriftSide() }
}

/// The chart of one property of one feature: its reference, the spread of pools, and a CUSUM for each side.
///
/// A pool has a value x of the weight n. u = (x − mean) √n has the same deviation for every n if values are independent.
/// Pools that resemble their neighbours would alarm too often, so the chart adds what is new in a pool, in units of its
/// deviation (`DriftSpread`).
struct DriftChart: Sendable, Equatable {
  /// The value that the property is compared with.
  var reference = 0.0
  /// The slow mean of x, about which the spread is measured.
  var mean = 0.0
  var spread = DriftSpread()
  var above = DriftSide()
  var below = DriftSide()
  var phase = DriftPhase.ok
  /// The pools so far.
  var pools = 0
  /// The alarms so far.
  var alarms = 0
  /// Whether the reference came from a checkpoint.
  var isGiven = false

  /// The weight with which a pool moves a distribution that it was compared with; 0 if that stands still. The first
  /// pool is compared with none.
  func learningWeight(_ slowWeight: Double, _ rules: DriftRules) -> Double {
    if isGiven || phase.isDrifting && !rules.follows { return 0 }
    guard rules.follows || pools < DriftRules.startPools else { return 0 }
    return max(min(slowWeight, DriftRules.greatestWeight), 1 / Double(pools + 2))
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

  /// The mean of x since the drift of the side began; the reference if its score is 0 now.
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
  ///   - rises: whether only a rise is drift.
  /// - Returns: whether the phase has changed.
  mutating func observe(
    _ value: Double, weight: Double, floor: Double, slowWeight: Double, at place: DriftPlace,
    rises: Bool = false, _ rules: DriftRules
  ) -> Bool {
    let root = weight.squareRoot()
    defer {
      spread.pass(value, root)
      pools += 1
    }
    guard pools > 0 else {
      mean = value
      spread.pass(value, root)
      if !isGiven { reference = value }
      return false
    }
    let prediction = spread.prediction
    // At the start, the spread is not known yet.
    let limit =
      pools > DriftRules.silentPools
      ? DriftRules.reach * max(spread.variance.squareRoot(), floor) : .greatestFiniteMagnitude
    var hasChanged = false
    if pools > DriftRules.silentPools {
      let new = spread.new(value, root, about: reference, limit: limit, prediction)
      let deviation = max(spread.deviation(prediction), floor)
      let z = min(max(new / deviation, -DriftRules.reach), DriftRules.reach)
      let highest = rules.threshold + DriftRules.reach
      above.add(z, value: value, weight: weight, at: place, limit: highest)
      if !rises { below.add(-z, value: value, weight: weight, at: place, limit: highest) }
      hasChanged = judge(rules)
    }
    learn(value, root, slowWeight: slowWeight, limit: limit, prediction, rules)
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
    _ value: Double, _ root: Double, slowWeight: Double, limit: Double,
    _ prediction: DriftSpread.Prediction, _ rules: DriftRules
  ) {
    let slow = min(slowWeight, DriftRules.greatestWeight)
    let meanWeight = max(slow, 1 / Double(pools + 1))
    let spreadWeight = slow / DriftRules.spreadSlowness
    if phase.isDrifting {
      // A reference that stands still must not learn what it is compared with.
      guard rules.follows else { return }
      spread.learnMoving(
        value, root, about: mean, weight: max(spreadWeight, 1 / Double(pools)), limit: limit)
      mean += meanWeight * (value - mean)
    } else {
      let u = (value - mean) * root
      spread.learn(
        value, root, about: mean, weight: spreadWeight, limit: limit, pools: pools, prediction)
      mean += meanWeight * (abs(u) <= limit ? value - mean : (u < 0 ? -limit : limit) / root)
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
    spread.begin(at: value, root, variance: 0.25)
    pools = count
  }
}

/// The share of some values as a number whose deviation hardly depends on the share: 0.5 / √n.
///
/// Source: Anscombe 1948, "The Transformation of Poisson, Binomial and Negative-Binomial Data".
enum DriftShare {
  /// The least deviation of u, that of independent values.
  static let floor = 0.5

  /// - Parameter total: the weight of the values, which may be less than their count.
  static func value(_ count: Int, of total: Double) -> Double {
    asin(((min(Double(count), total) + 0.375) / (total + 0.75)).squareRoot())
  }

  /// The share that has this value.
  static func share(_ value: Double) -> Double {
    let sine = sin(min(max(value, 0), Double.pi / 2))
    return sine * sine
  }
}
