internal import Records

/// A feature in warm-up, in the plan of a batch or of a segment.
struct ColdFeature: Sendable {
  let feature: Int
  /// The running moments, merged with the values of the open batch that were emitted before.
  let start: PrefixMoments
  /// γ and β.
  let weight, bias: Double
  /// The moments that a limit allows; nil without a limit.
  let bounds: MomentBounds?
}

/// Moments to which values are added one by one.
///
/// They are of the values' distances from `origin`, so that a large mean costs the variance no digits.
struct PrefixMoments: Sendable, Equatable {
  private(set) var origin: Double
  private(set) var moments: Moments

  /// The moments of some values; of none if their weight is 0.
  init(_ moments: Moments) {
    origin = moments.mean
    self.moments = Moments(weight: moments.weight, mean: 0, m2: moments.m2)
  }

  /// Takes in one value with its weight, 0 or more.
  ///
  /// Source: Welford 1962, "Note on a Method for Calculating Corrected Sums of Squares and Products"; West 1979 for the
  /// weight.
  fileprivate mutating func append(_ x: Double, weight: Double) {
    guard weight > 0 else { return }
    guard moments.weight > 0 else {
      origin = x
      moments = Moments(weight: weight, mean: 0, m2: 0)
      return
    }
    moments.weight += weight
    let delta = x - origin - moments.mean
    moments.mean += weight * delta / moments.weight
    moments.m2 += weight * delta * (x - origin - moments.mean)
  }
}

extension FeatureColumns {
  /// Normalises values of a cold feature in place, each by the moments of all values up to and including it.
  ///
  /// The result depends on the values alone, not on the segments that they come in. With n values so far,
  /// |x̂| ≤ √(n − 1): no value is farther from the mean of all than that. A value that weighs less may be.
  ///
  /// - Parameter clipped: gets the number of values that `clip` limited added.
  /// - Returns: the moments after the last value.
  mutating func applyPrefix(
    of cold: ColdFeature, _ settings: NormalizationSettings, to records: Range<Int>,
    countingClipped clipped: inout Int
  ) -> PrefixMoments {
    var prefix = Prefix(cold, settings)
    let first = cells(of: cold.feature, records).lowerBound - records.lowerBound
    let weights = roles.weights
    switch values {
    case .float32:
      withFloat32Columns { values in
        for record in records {
          let cell = first + record
          values[cell] = Float(prefix.next(Double(values[cell]), weight: weights?[record] ?? 1))
        }
      }
    case .float64:
      withFloat64Columns { values in
        for record in records {
          let cell = first + record
          values[cell] = prefix.next(values[cell], weight: weights?[record] ?? 1)
        }
      }
    }
    clipped += prefix.clipped
    return prefix.moments
  }

  /// The records of which `applyPrefix` would give a y above `limit` in size.
  func unfitPrefixes(
    of cold: ColdFeature, _ settings: NormalizationSettings, in records: Range<Int>, limit: Double
  ) -> [Int] {
    var prefix = Prefix(cold, settings)
    return records.filter { record in
      let x = self[record: record, feature: cold.feature]
      let y = prefix.next(x, weight: roles.weights?[record] ?? 1)
      return !(y.isNaN && x.isNaN || abs(y) <= limit)
    }
  }

  /// Makes values of a feature missing.
  mutating func blank(_ feature: Int, in records: Range<Int>) {
    let cells = cells(of: feature, records)
    switch values {
    case .float32: withFloat32Columns { values in for cell in cells { values[cell] = .nan } }
    case .float64: withFloat64Columns { values in for cell in cells { values[cell] = .nan } }
    }
  }

  private func cells(of feature: Int, _ records: Range<Int>) -> Range<Int> {
    precondition(feature < featureCount && records.upperBound <= capacity)
    return feature * capacity + records.lowerBound..<feature * capacity + records.upperBound
  }
}

/// The state of a transform by prefixes: it sees the values one after another.
private struct Prefix {
  private(set) var moments: PrefixMoments
  private(set) var clipped = 0
  private let gamma, beta: Double
  private let bounds: MomentBounds?
  private let settings: NormalizationSettings

  init(_ cold: ColdFeature, _ settings: NormalizationSettings) {
    moments = cold.start
    // Only a prior has a limit. Its values weigh something, so the origin stays.
    bounds = cold.bounds?.shifted(by: cold.start.origin)
    (gamma, beta) = (cold.weight, cold.bias)
    self.settings = settings
  }

  /// y of the next value, which counts with a weight in its own moments.
  mutating func next(_ x: Double, weight: Double) -> Double {
    if x.isNaN, !settings.imputesMissing { return x }
    if !x.isNaN { moments.append(x, weight: weight) }
    var (mean, variance) = (moments.moments.mean, moments.moments.biasedVariance)
    if let bounds { (mean, variance) = bounds.clamped(mean, variance) }
    // Before any value counts, each is its own mean.
    let origin = moments.moments.weight > 0 || x.isNaN ? moments.origin : x
    let transform = ColumnTransform(
      mean: mean, variance: variance, weight: gamma, bias: beta, settings: settings,
      origin: origin)
    guard !x.isNaN else { return transform.fill }
    let distance = x - origin
    let deviation = distance - transform.center
    if deviation < transform.low || deviation > transform.high { clipped += 1 }
    return transform(distance)
  }
}
