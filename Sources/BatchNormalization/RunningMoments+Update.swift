/// What a batch makes of one feature's running moments.
struct MomentUpdate {
  var mean: Double
  var variance: Double
  /// n, at least 1.
  var count: Int
  /// Whether the variance moves: under `batchNorm` and `unbiased`, one value has none.
  var movesVariance: Bool
}

extension RunningMoments {
  /// The update of feature `j` by a batch's moments, of which there must be some; not yet applied.
  ///
  /// Sources: Ioffe & Szegedy 2015 (`batchNorm`); West 1979, "Updating Mean and Variance Estimates"
  /// (`total`).
  func update(
    of j: Int, by batch: Moments, _ weights: inout BatchWeights
  ) -> MomentUpdate {
    let count = Int(batch.weight)
    let alpha = weights.weight(
      after: MomentHistory(batches: batches[j], values: values[j]), count: count)
    let varianceAlpha = weights.weight(
      after: MomentHistory(batches: varianceBatches[j], values: varianceValues[j]), count: count)
    var update = MomentUpdate(
      mean: mixed(mean[j], batch.mean, alpha), variance: variance[j], count: count,
      movesVariance: true)
    switch (weights.settings.estimator, weights.settings.variance) {
    case (.total, _):
      update.variance = mixed(variance[j], batch.biasedVariance, varianceAlpha)
      if varianceAlpha < 1 {
        let delta = batch.mean - mean[j]
        update.variance += varianceAlpha * (1 - varianceAlpha) * delta * delta
      }
    case (.batchNorm, .biased):
      update.variance = mixed(variance[j], batch.biasedVariance, varianceAlpha)
    case (.batchNorm, .unbiased):
      if let unbiased = batch.unbiasedVariance {
        update.variance = mixed(variance[j], unbiased, varianceAlpha)
      } else {
        update.movesVariance = false
      }
    }
    return update
  }

  /// Applies the update of every feature that has one.
  mutating func apply(_ update: (_ feature: Int) -> MomentUpdate?) {
    Self.change(&mean, by: update) { $0 = $1.mean }
    Self.change(&variance, by: update) { $0 = $1.variance }
    Self.change(&batches, by: update) { count, _ in count += 1 }
    Self.change(&values, by: update) { $0 += $1.count }
    Self.change(&varianceBatches, by: update) { $0 += $1.movesVariance ? 1 : 0 }
    Self.change(&varianceValues, by: update) { $0 += $1.movesVariance ? $1.count : 0 }
  }

  @inline(__always)
  private static func change<Value>(
    _ values: inout [Value], by update: (_ feature: Int) -> MomentUpdate?,
    _ change: (inout Value, MomentUpdate) -> Void
  ) {
    // An array is made sure of once, not with every element.
    var span = values.mutableSpan
    for j in span.indices {
      if let update = update(j) { change(&span[j], update) }
    }
  }

  /// (1 − α) a + α b: exactly b at α = 1, and exactly a where b = a.
  private func mixed(_ a: Double, _ b: Double, _ alpha: Double) -> Double {
    alpha == 1 ? b : a + alpha * (b - a)
  }
}
