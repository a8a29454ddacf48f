package import Records

/// The running mean and variance of every feature, and how much has gone into each.
///
/// Invariants:
/// - All arrays have one element per feature.
/// - Means and variances are finite, variances and counts are not negative.
/// - The variance has counts of its own, because a batch with a single value of the feature can
///   move the mean alone; without them the initial variance would leak into a corrected one.
package struct RunningMoments: Sendable, Equatable {
  /// μ, in the unit of the feature.
  package internal(set) var mean: [Double]
  /// σ², in the squared unit of the feature.
  package internal(set) var variance: [Double]
  /// k: the number of batches that have moved the mean.
  package internal(set) var batches: [Int]
  /// N: the number of values that have moved the mean.
  package internal(set) var values: [Int]
  /// The number of batches that have moved the variance.
  package internal(set) var varianceBatches: [Int]
  /// The number of values that have moved the variance.
  package internal(set) var varianceValues: [Int]

  /// The moments before any batch: μ = 0, σ² = 1, nothing seen.
  package init(featureCount: Int) {
    mean = Array(repeating: 0, count: featureCount)
    variance = Array(repeating: 1, count: featureCount)
    batches = Array(repeating: 0, count: featureCount)
    values = batches
    varianceBatches = batches
    varianceValues = batches
  }

  /// Moments that were kept somewhere, one element per feature in every array.
  ///
  /// - Throws: `NormalizationError.featureCount` when lengths differ, `.element` for an element that
  ///   breaks an invariant.
  package init(
    mean: [Double], variance: [Double], batches: [Int], values: [Int], varianceBatches: [Int],
    varianceValues: [Int]
  ) throws(NormalizationError) {
    try requireElements(of: "running_mean", mean, expected: "a finite number") { $0.isFinite }
    try requireCount("running_var", variance.count, mean.count)
    try requireElements(of: "running_var", variance, expected: "a finite number of at least 0") {
      $0.isFinite && $0 >= 0
    }
    for (name, counts) in [
      ("batches", batches), ("values", values), ("variance_batches", varianceBatches),
      ("variance_values", varianceValues),
    ] {
      try requireCount(name, counts.count, mean.count)
      try requireElements(of: name, counts, expected: "a count of at least 0") { $0 >= 0 }
    }
    self.mean = mean
    self.variance = variance
    self.batches = batches
    self.values = values
    self.varianceBatches = varianceBatches
    self.varianceValues = varianceValues
  }

  package var featureCount: Int { mean.count }

  /// Takes in the running moments of other batches of the same features, pooled by the number of
  /// values seen (Chan): the mean by `values`, the variance within by `varianceValues`, and the
  /// difference of the two means as variance between.
  ///
  /// Exact for momentum `cumulative` with estimator `total`; otherwise both sides count as if their
  /// values had had equal weight. The order of merging matters only to within rounding.
  ///
  /// - Throws: `NormalizationError.featureCount` or `.overflow`; nothing is changed then.
  package mutating func merge(
    _ other: RunningMoments, schema: FeatureSchema
  ) throws(NormalizationError) {
    try requireCount("running moments", featureCount, schema.count)
    try requireCount("running moments", other.featureCount, schema.count)
    var merged = self
    for j in 0..<featureCount {
      // The variance within and the variance between may rest on different numbers of values.
      var within = moments(varianceOf: j)
      within.merge(other.moments(varianceOf: j))
      var between = Moments(weight: Double(values[j]), mean: mean[j], m2: 0)
      between.merge(Moments(weight: Double(other.values[j]), mean: other.mean[j], m2: 0))
      merged.batches[j] += other.batches[j]
      merged.values[j] += other.values[j]
      merged.varianceBatches[j] += other.varianceBatches[j]
      merged.varianceValues[j] += other.varianceValues[j]
      if between.weight > 0 {
        merged.mean[j] = between.mean
      }
      if within.weight > 0 {
        merged.variance[j] = within.mean + between.biasedVariance
      }
      guard merged.mean[j].isFinite else {
        throw .overflow(feature: schema.names[j], quantity: .runningMean)
      }
      guard merged.variance[j].isFinite else {
        throw .overflow(feature: schema.names[j], quantity: .runningVariance)
      }
    }
    self = merged
  }

  /// The average of variances as a mean, weighted by the values that went into it.
  private func moments(varianceOf j: Int) -> Moments {
    Moments(weight: Double(varianceValues[j]), mean: variance[j], m2: 0)
  }
}

private func requireCount(
  _ subject: String, _ found: Int, _ expected: Int
) throws(NormalizationError) {
  guard found == expected else {
    throw .featureCount(of: subject, expected: expected, found: found)
  }
}
