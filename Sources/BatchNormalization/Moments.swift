/// The count, mean and sum of squared deviations of a feature's present values.
///
/// A weight of 0 is the moments of nothing, which merging leaves out.
package struct Moments: Sendable, Equatable {
  /// The number of values, or the sum of their weights.
  package var weight: Double
  package var mean: Double
  /// Σ (x − mean)², in the squared unit of the feature.
  package var m2: Double

  /// The moments of nothing.
  package init() {
    self.init(weight: 0, mean: 0, m2: 0)
  }

  package init(weight: Double, mean: Double, m2: Double) {
    self.weight = weight
    self.mean = mean
    self.m2 = m2
  }

  /// m2 / weight; 0 for the moments of nothing.
  package var biasedVariance: Double {
    weight > 0 ? m2 / weight : 0
  }

  /// m2 / (weight − 1); nil at a weight of 1 or less.
  package var unbiasedVariance: Double? {
    weight > 1 ? m2 / (weight - 1) : nil
  }

  /// Takes in the moments of other values.
  ///
  /// Source: Chan, Golub & LeVeque 1979, "Updating Formulae and a Pairwise Algorithm for Computing
  /// Sample Variances".
  package mutating func merge(_ other: Moments) {
    guard other.weight > 0 else { return }
    guard weight > 0 else {
      self = other
      return
    }
    let total = weight + other.weight
    let share = other.weight / total
    let delta = other.mean - mean
    mean += delta * share
    m2 += other.m2 + delta * delta * weight * share
    weight = total
  }
}
