internal import Glibc

/// The threshold of a one-sided CUSUM chart.
///
/// Source: Siegmund 1985, *Sequential Analysis*: a chart with the allowance k exceeds h after
/// (e^(2kb) − 2kb − 1) / (2k²) independent standard normal numbers on average. Here b = h + 1.166.
enum DriftThreshold {
  /// k: the shift, in spreads, below which a chart gathers nothing. Shifts of twice as much are found soonest.
  static let allowance = 0.5

  /// The worth of the jumps over the threshold.
  private static let overshoot = 1.166
  /// Below this, the formula is too rough.
  private static let least = 2.0

  /// h, for a mean run of so many pools until a false alarm.
  static func threshold(forRun pools: Double) -> Double {
    let k = allowance
    var (low, high) = (0.0, 400.0)
    for _ in 0..<60 {
      let b = (low + high) / 2
      let run = (expm1(2 * k * b) - 2 * k * b) / (2 * k * k)
      if run < pools { low = b } else { high = b }
    }
    return max(least, low - overshoot)
  }
}
