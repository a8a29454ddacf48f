/// What an operator sees of one feature of a stream, as of the last batch.
package struct FeatureStatus: Sendable, Equatable {
  package var name: String
  /// μ and σ, running.
  package var mean: Double
  package var deviation: Double
  /// γ and β.
  package var weight: Double
  package var bias: Double
  /// Present values seen, missing ones, and clipped ones.
  package var values: Int
  package var missing: Int
  package var clipped: Int
  /// The last batch's mean and biased deviation; nil where the feature was missing in all of it.
  package var batchMean: Double?
  package var batchDeviation: Double?
  /// The corrections of the last batch in mode `renorm`; nil in others.
  package var renormScale: Double?
  package var renormShift: Double?

  /// The distance of the batch mean from the running mean, in running deviations.
  package var drift: Double? {
    guard let batchMean, deviation > 0 else { return nil }
    return (batchMean - mean) / deviation
  }
}
