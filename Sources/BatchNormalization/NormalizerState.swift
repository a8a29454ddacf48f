/// All that a normaliser remembers between two batches, and all that a checkpoint must hold of it.
package struct NormalizerState: Sendable, Equatable {
  package var parameters: AffineParameters
  package var running: RunningMoments
  /// The number of the stream's batches that updated the moments, a feature missing or not.
  package var batchesTracked: Int
  /// The missing values of every feature.
  package var missing: [Int]
  /// The values of every feature that were limited by `clip`.
  package var clipped: [Int]

  /// The state before any batch: μ = 0, σ² = 1, γ = 1, β = 0.
  package init(featureCount: Int) {
    self.init(
      parameters: AffineParameters(identity: featureCount),
      running: RunningMoments(featureCount: featureCount), batchesTracked: 0,
      missing: Array(repeating: 0, count: featureCount),
      clipped: Array(repeating: 0, count: featureCount))
  }

  package init(
    parameters: AffineParameters, running: RunningMoments, batchesTracked: Int, missing: [Int],
    clipped: [Int]
  ) {
    self.parameters = parameters
    self.running = running
    self.batchesTracked = batchesTracked
    self.missing = missing
    self.clipped = clipped
  }

  /// Whether every vector has `featureCount` elements and no count is negative.
  ///
  /// - Throws: `NormalizationError.featureCount` or `.element`.
  package func validate(featureCount: Int) throws(NormalizationError) {
    for (name, found) in [
      ("weight", parameters.featureCount), ("running_mean", running.featureCount),
      ("missing", missing.count), ("clipped", clipped.count),
    ] where found != featureCount {
      throw .featureCount(of: name, expected: featureCount, found: found)
    }
    for (name, counts) in [
      ("num_batches_tracked", [batchesTracked]), ("missing", missing), ("clipped", clipped),
    ] {
      try requireElements(of: name, counts, expected: "a count of at least 0") { $0 >= 0 }
    }
  }
}
