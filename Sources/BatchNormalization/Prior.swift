package import Records
package import State

/// A prior: moments of other data, such as the training data, that count as values of each feature when values are
/// normalised.
///
/// They never decay, and they are never part of the running moments.
package struct Prior: Sendable, Equatable {
  /// N, the number of values that the moments of each feature count as; above 0.
  package var values: Double
  /// Tells the moments of one file from those of another.
  package var identity = ""
  package var limit = PriorLimit()

  package init(values: Double) {
    self.values = values
  }
}

/// How far the moments that normalise may be from those of the prior.
package struct PriorLimit: Sendable, Equatable {
  /// The greatest distance of the mean from that of the prior, in deviations of the prior; nil is none.
  package var mean: Double?
  /// The greatest factor between the deviation and that of the prior, at least 1; nil is none.
  package var deviation: Double?

  package init() {}

  package var isOn: Bool { mean != nil || deviation != nil }
}

/// The moments of a prior, in the order of a stream's features.
package struct PriorMoments: Sendable, Equatable {
  struct Feature: Sendable, Equatable {
    var mean, variance: Double
  }

  /// nil for a feature that the prior has no moments of. It has no effect on that.
  let features: [Feature?]

  /// Takes the running moments of a state with the groups of a normaliser.
  package init(_ state: borrowing StateTable) {
    let running = RunningMoments(state, NormalizerColumns(in: state))
    features = running.mean.indices.map { j in
      running.isInitial(j) ? nil : Feature(mean: running.mean[j], variance: running.variance[j])
    }
  }

  /// The features that the prior has no moments of.
  package func unknown(of schema: FeatureSchema) -> [String] {
    features.indices.filter { features[$0] == nil }.map { schema.names[$0] }
  }

  /// The features whose values were all the same.
  package func constant(of schema: FeatureSchema) -> [String] {
    features.indices.filter { features[$0].map { !($0.variance > 0) } ?? false }
      .map { schema.names[$0] }
  }
}

/// The moments of one feature that normalise it.
struct AppliedMoments {
  var mean, variance: Double
  /// The part of a limit that holds them; nil if none does.
  var held: HeldMoments?
}

/// The moments of a feature that a limit holds, as they would be without it.
package struct HeldMoments: Sendable, Equatable {
  /// (μ̂ − μ_P) / σ_P; nil if the limit does not hold the mean.
  package var mean: Double?
  /// σ̂ / σ_P; nil if the limit does not hold the deviation.
  package var deviation: Double?
}

/// The moments that a limit allows for one feature.
struct MomentBounds: Sendable {
  var mean: ClosedRange<Double>
  var variance: ClosedRange<Double>

  /// The same for values from which `origin` was subtracted.
  func shifted(by origin: Double) -> MomentBounds {
    MomentBounds(
      mean: mean.lowerBound - origin...mean.upperBound - origin, variance: variance)
  }

  func clamped(_ mean: Double, _ variance: Double) -> (mean: Double, variance: Double) {
    (
      min(max(mean, self.mean.lowerBound), self.mean.upperBound),
      min(max(variance, self.variance.lowerBound), self.variance.upperBound)
    )
  }
}

/// The prior of a stream as it is merged with running moments.
struct PriorMerge: Sendable {
  private let moments: PriorMoments
  private let values: Double
  private let limit: PriorLimit
  /// Most features have the same number of values, so the last result is kept.
  private var last: (values: Double, count: Double)?

  /// - Returns: nil if the settings have no prior.
  init?(_ moments: PriorMoments?, _ settings: NormalizationSettings) {
    guard let moments, let prior = settings.prior else { return nil }
    (self.moments, values, limit) = (moments, prior.values, prior.limit)
  }

  func isKnown(_ j: Int) -> Bool { moments.features[j] != nil }

  /// N of feature `j`; 0 if the prior has no moments of it.
  func values(of j: Int) -> Double { isKnown(j) ? values : 0 }

  /// The moments of the prior for feature `j`; nil if it has none.
  func alone(_ j: Int) -> Moments? {
    moments.features[j].map {
      Moments(weight: values, mean: $0.mean, m2: values * $0.variance)
    }
  }

  /// The moments of feature `j` merged with those of the prior, without the limit; nil if the prior has none.
  ///
  ///     W = n + N,  a = n / W,  μ̂ = μ_P + a (μ − μ_P),  σ̂² = (n σ² + N σ_P²) / W + a (1 − a) (μ − μ_P)²
  ///
  /// Source: Chan, Golub & LeVeque 1979, as `Moments.merge`.
  ///
  /// - Parameters:
  ///   - weight: the values that moved the mean.
  ///   - varianceWeight: the same for the variance, which has its own n.
  mutating func merged(
    _ j: Int, mean: Double, variance: Double, weight: Double, varianceWeight: Double,
    _ settings: NormalizationSettings
  ) -> Moments? {
    guard let prior = moments.features[j] else { return nil }
    let count = remembered(weight, settings)
    let total = count + values
    guard count > 0 else { return alone(j) }
    let varianceCount = remembered(varianceWeight, settings)
    let (share, rest) = (count / total, values / total)
    let delta = mean - prior.mean
    let within =
      varianceCount > 0
      ? (varianceCount * variance + values * prior.variance) / (varianceCount + values)
      : prior.variance
    // From the heavier side, so that neither a small n nor a small N costs digits.
    return Moments(
      weight: total, mean: share < rest ? prior.mean + share * delta : mean - rest * delta,
      m2: total * (within + share * rest * delta * delta))
  }

  /// The same, within the limit.
  mutating func applied(
    _ j: Int, mean: Double, variance: Double, weight: Double, varianceWeight: Double,
    _ settings: NormalizationSettings
  ) -> AppliedMoments {
    guard let prior = moments.features[j] else {
      return AppliedMoments(mean: mean, variance: variance)
    }
    var applied = AppliedMoments(mean: prior.mean, variance: prior.variance)
    // Without a value the moments are exactly those of the prior.
    guard weight > 0,
      let merged = merged(
        j, mean: mean, variance: variance, weight: weight, varianceWeight: varianceWeight, settings)
    else { return applied }
    (applied.mean, applied.variance) = (merged.mean, merged.biasedVariance)
    guard let bounds = bounds(of: j) else { return applied }
    let (mean, variance) = bounds.clamped(applied.mean, applied.variance)
    if mean != applied.mean || variance != applied.variance {
      let deviation = prior.variance.squareRoot()
      applied.held = HeldMoments(
        mean: mean == applied.mean ? nil : (applied.mean - prior.mean) / deviation,
        deviation: variance == applied.variance
          ? nil : applied.variance.squareRoot() / deviation)
      (applied.mean, applied.variance) = (mean, variance)
    }
    return applied
  }

  /// The moments that the limit allows for feature `j`; nil without a limit.
  func bounds(of j: Int) -> MomentBounds? {
    guard limit.isOn, let prior = moments.features[j] else { return nil }
    let distance = limit.mean.map { $0 * prior.variance.squareRoot() } ?? .infinity
    let factor = limit.deviation.map { $0 * $0 } ?? .infinity
    return MomentBounds(
      mean: prior.mean - distance...prior.mean + distance,
      variance: prior.variance / factor...prior.variance * factor)
  }

  private mutating func remembered(_ values: Double, _ settings: NormalizationSettings) -> Double {
    if let last, last.values == values { return last.count }
    let count = settings.rememberedCount(of: values)
    last = (values, count)
    return count
  }
}
