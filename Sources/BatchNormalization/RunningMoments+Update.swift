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
    Self.apply(
      update, &mean, &variance, &batches, &values, &varianceBatches, &varianceValues)
  }

  /// Each array by itself, so that it is made sure of once and not with every element.
  @inline(__always)
  private static func apply(
    _ update: (_ feature: Int) -> MomentUpdate?, _ mean: inout [Double],
    _ variance: inout [Double], _ batches: inout [Int], _ values: inout [Int],
    _ varianceBatches: inout [Int], _ varianceValues: inout [Int]
  ) {
    var mean = mean.mutableSpan
    var variance = variance.mutableSpan
    var batches = batches.mutableSpan
    var values = values.mutableSpan
    var varianceBatches = varianceBatches.mutableSpan
    var varianceValues = varianceValues.mutableSpan
    for j in mean.indices {
      guard let update = update(j) else { continue }
      mean[j] = update.mean
      variance[j] = update.variance
      batches[j] += 1
      values[j] += update.count
      guard update.movesVariance else { continue }
      varianceBatches[j] += 1
      varianceValues[j] += update.count
    }
  }

  /// (1 − α) a + α b: exactly b at α = 1, and exactly a where b = a.
  private func mixed(_ a: Double, _ b: Double, _ alpha: Double) -> Double {
    alpha == 1 ? b : a + alpha * (b - a)
  }
}
