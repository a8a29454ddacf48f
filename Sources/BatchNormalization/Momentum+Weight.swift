internal import Glibc

/// How much has gone into a running moment before a batch.
struct MomentHistory: Equatable {
  /// k − 1.
  var batches: Int
  /// N.
  var weight: Double
}

/// The weights of one batch: computed once for features with the same history, as most have.
struct BatchWeights {
  let settings: NormalizationSettings
  /// The time since the batch before, for a half-life in seconds.
  let elapsedSeconds: Double
  /// Whether weights depend on numbers of values, which missing ones make different.
  private let countsValues: Bool
  private var last: (history: MomentHistory, values: Double, weight: Double)?

  init(_ settings: NormalizationSettings, elapsedSeconds: Double) {
    self.settings = settings
    self.elapsedSeconds = elapsedSeconds
    countsValues =
      switch settings.momentum {
      case .weight, .halfLifeSeconds: false
      case .cumulative, .halfLifeRecords, .halfLifeEventTime: true
      }
  }

  /// - Parameter values: n, the weight of the feature's values in the batch.
  mutating func weight(after history: MomentHistory, of values: Double) -> Double {
    if let last, last.history.batches == history.batches,
      !countsValues || last.history.weight == history.weight && last.values == values
    {
      return last.weight
    }
    let weight = settings.batchWeight(
      after: history, of: values, elapsedSeconds: elapsedSeconds)
    last = (history, values, weight)
    return weight
  }
}

extension NormalizationSettings {
  /// α, the weight of a batch in a running moment; exactly 1 if it replaces the moment.
  ///
  /// - Parameters:
  ///   - n: the weight of the feature's values in the batch, above 0; each weighs 1 without weights.
  ///   - elapsedSeconds: the time since the batch before, for a half-life in seconds.
  func batchWeight(
    after history: MomentHistory, of n: Double, elapsedSeconds: Double
  ) -> Double {
    switch momentum {
    case .weight(let alpha):
      guard biasCorrection else { return alpha }
      guard history.batches > 0 else { return 1 }
      // α / (1 − (1 − α)^k), without cancellation for a small α.
      return min(alpha / -expm1(Double(history.batches + 1) * log1p(-alpha)), 1)
    case .cumulative:
      switch estimator {
      case .batchNorm: return 1 / Double(history.batches + 1)
      case .total: return n / (history.weight + n)
      }
    case .halfLifeRecords(let halfLife):
      let weight = decay(n / halfLife)
      guard biasCorrection else { return weight }
      // At N = 0 this divides a number by itself: exactly 1.
      return min(weight / decay((history.weight + n) / halfLife), 1)
    case .halfLifeSeconds(let halfLife):
      return history.batches > 0 ? decay(elapsedSeconds / halfLife) : 1
    case .halfLifeEventTime:
      // Both weights are those at one time.
      return n / (history.weight + n)
    }
  }

  /// The weight of so many values in a running moment if the next value weighs 1.
  func rememberedCount(of values: Double) -> Double {
    guard case .halfLifeRecords(let halfLife) = momentum else { return values }
    return decay(values / halfLife) / decay(1 / halfLife)
  }

  /// 1 − 2^(−x), without cancellation for a small x.
  private func decay(_ halfLives: Double) -> Double {
    -expm1(-halfLives * 0x1.62e42fefa39efp-1)
  }
}
