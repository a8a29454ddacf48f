internal import Glibc

// Invariant: |covariance| and |covariance2| are at most `variance`.

/// By how much the pools of a chart differ although nothing drifts, and what of a pool those before it foretell.
///
/// u = (x − M) √n of neighbouring pools is correlated if values resemble their neighbours, or if there is a season. An
/// autoregression of order 2, from the autocovariances by the Yule–Walker equations, foretells a pool from the two
/// before it: it follows a wave of any period. The rest, e = u − φ₁u′ − φ₂u″, is what is new in the pool.
///
/// Sums of e decide, so e is measured by its long-run deviation: with the covariances of e at lags 1 and 2 (Newey and
/// West 1987, with three lags).
struct DriftSpread: Sendable, Equatable {
  /// The mean of u², of u u′ and of u u″.
  var variance = 0.0
  var covariance = 0.0
  var covariance2 = 0.0
  /// The long-run variance of e.
  var longRun = 0.0
  /// x and √n of the pool before, and of the one before that.
  var last = 0.0
  var lastRoot = 1.0
  var last2 = 0.0
  var lastRoot2 = 1.0
  /// e of these two pools.
  var lastNew = 0.0
  var lastNew2 = 0.0

  /// φ₁ and φ₂, and the share of the variance that they leave.
  struct Prediction {
    var first = 0.0
    var second = 0.0
    var rest = 1.0
  }

  /// The least share of a shift of the level that the prediction leaves. Pools that resemble each other more are
  /// foretold by one pool.
  private static let leastGain = 0.05
  /// The greatest correlation of neighbouring pools that is taken out then.
  private static let greatestCorrelation = 0.95
  /// The pools whose predictions are too rough to be measured.
  private static let roughPools = 20
  /// The weights of the covariances of e at lags 1 and 2, on both sides.
  private static let lagWeights = (2 * 3.0 / 4, 2 * 2.0 / 4)
  /// The bounds of the long-run variance of e, in variances of e.
  private static let longRunBounds = 0.4...4.0

  var prediction: Prediction {
    guard variance >= .leastNormalMagnitude else { return Prediction() }
    let inverse = 1 / variance
    let (r1, r2) = (min(max(covariance * inverse, -0.98), 0.98), covariance2 * inverse)
    let second = min(max((r2 - r1 * r1) / (1 - r1 * r1), -0.999), 0.999)
    let first = r1 * (1 - second)
    guard 1 - first - second >= Self.leastGain else {
      let correlation = min(max(0, r1), Self.greatestCorrelation)
      return Prediction(first: correlation, second: 0, rest: 1 - correlation * correlation)
    }
    return Prediction(
      first: first, second: second, rest: (1 - r1 * r1) * (1 - second * second))
  }

  /// The deviation by which e is measured.
  func deviation(_ prediction: Prediction) -> Double {
    let plain = variance * prediction.rest
    return min(
      max(longRun, Self.longRunBounds.lowerBound * plain), Self.longRunBounds.upperBound * plain
    ).squareRoot()
  }

  /// The part of a pool about a level that is new. The pools before it count `limit` at most.
  func new(
    _ value: Double, _ root: Double, about level: Double, limit: Double, _ prediction: Prediction
  ) -> Double {
    let u1 = bounded((last - level) * lastRoot, limit)
    let u2 = bounded((last2 - level) * lastRoot2, limit)
    return (value - level) * root - prediction.first * u1 - prediction.second * u2
  }

  /// Learns from a pool.
  ///
  /// - Parameters:
  ///   - mean: the slow mean before the pool.
  ///   - weight: that of the pool in slow moments, which pools at the start exceed.
  ///   - limit: the most that u counts.
  ///   - pools: the pools before this one, at least 1.
  mutating func learn(
    _ value: Double, _ root: Double, about mean: Double, weight: Double, limit: Double, pools: Int,
    _ prediction: Prediction
  ) {
    let u = bounded((value - mean) * root, limit)
    let u1 = bounded((last - mean) * lastRoot, limit)
    let u2 = bounded((last2 - mean) * lastRoot2, limit)
    let new = bounded(
      u - prediction.first * u1 - prediction.second * u2, limit * prediction.rest.squareRoot())
    variance += max(weight, 1 / Double(pools)) * (u * u - variance)
    if pools > 1 { covariance += max(weight, 1 / Double(pools - 1)) * (u * u1 - covariance) }
    if pools > 2 { covariance2 += max(weight, 1 / Double(pools - 2)) * (u * u2 - covariance2) }
    if pools > Self.roughPools {
      let (one, two) = Self.lagWeights
      let found = new * (new + one * lastNew + two * lastNew2)
      longRun += max(weight, 1 / Double(pools - Self.roughPools)) * (found - longRun)
    }
    (lastNew2, lastNew) = (lastNew, new)
    bound()
  }

  /// Learns from a pool of a level that has moved: by the difference of neighbours, which does not see it.
  mutating func learnMoving(
    _ value: Double, _ root: Double, about mean: Double, weight: Double, limit: Double
  ) {
    let difference = bounded((value - mean) * root - (last - mean) * lastRoot, limit)
    guard variance > 0 else {
      variance = weight * 0.5 * difference * difference
      longRun = variance
      return
    }
    let correlation = min(max(0, covariance / variance), Self.greatestCorrelation)
    let found = 0.5 * difference * difference / (1 - correlation)
    let growth = 1 + weight * (found / variance - 1)
    variance *= growth
    covariance *= growth
    covariance2 *= growth
    longRun *= growth
    bound()
  }

  /// Notes a pool as the last one.
  mutating func pass(_ value: Double, _ root: Double) {
    (last2, lastRoot2) = (last, lastRoot)
    (last, lastRoot) = (value, root)
  }

  /// Begins with pools that were all alike.
  mutating func begin(at value: Double, _ root: Double, variance: Double) {
    self = DriftSpread()
    self.variance = variance
    longRun = variance
    (last, lastRoot, last2, lastRoot2) = (value, root, value, root)
  }

  /// Rounding, and different weights, could take a covariance a little beyond the variance.
  mutating func bound() {
    covariance = min(max(covariance, -variance), variance)
    covariance2 = min(max(covariance2, -variance), variance)
  }

  private func bounded(_ number: Double, _ limit: Double) -> Double {
    min(max(number, -limit), limit)
  }
}
