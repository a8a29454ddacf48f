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

  /// Takes in one value.
  ///
  /// Source: Welford 1962, "Note on a Method for Calculating Corrected Sums of Squares and Products".
  fileprivate mutating func append(_ x: Double) {
    guard moments.weight > 0 else {
      origin = x
      moments = Moments(weight: 1, mean: 0, m2: 0)
      return
    }
    moments.weight += 1
    let delta = x - origin - moments.mean
    moments.mean += delta / moments.weight
    moments.m2 += delta * (x - origin - moments.mean)
  }
}

extension FeatureColumns {
  /// Normalises values of a cold feature in place, each by the moments of all values up to and including it.
  ///
  /// The result depends on the values alone, not on the segments that they come in. With n values so far,
  /// |x̂| ≤ √(n − 1): no value is farther from the mean of all than that.
  ///
  /// - Parameter clipped: gets the number of values that `clip` limited added.
  /// - Returns: the moments after the last value.
  mutating func applyPrefix(
    of cold: ColdFeature, _ settings: NormalizationSettings, to records: Range<Int>,
    countingClipped clipped: inout Int
  ) -> PrefixMoments {
    var prefix = Prefix(cold, settings)
    let cells = cells(of: cold.feature, records)
    switch values {
    case .float32:
      withFloat32Columns { values in
        for cell in cells { values[cell] = Float(prefix.next(Double(values[cell]))) }
      }
    case .float64:
      withFloat64Columns { values in
        for cell in cells { values[cell] = prefix.next(values[cell]) }
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
      let y = prefix.next(x)
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
  private let weight, bias: Double
  private let bounds: MomentBounds?
  private let settings: NormalizationSettings

  init(_ cold: ColdFeature, _ settings: NormalizationSettings) {
    moments = cold.start
    // Only a prior has a limit. Its values weigh something, so the origin stays.
    bounds = cold.bounds?.shifted(by: cold.start.origin)
    (weight, bias) = (cold.weight, cold.bias)
    self.settings = settings
  }

  /// y of the next value.
  mutating func next(_ x: Double) -> Double {
    if x.isNaN, !settings.imputesMissing { return x }
    if !x.isNaN { moments.append(x) }
    var (mean, variance) = (moments.moments.mean, moments.moments.biasedVariance)
    if let bounds { (mean, variance) = bounds.clamped(mean, variance) }
    let transform = ColumnTransform(
      mean: mean, variance: variance, weight: weight, bias: bias, settings: settings,
      origin: moments.origin)
    guard !x.isNaN else { return transform.fill }
    let distance = x - moments.origin
    let deviation = distance - transform.center
    if deviation < transform.low || deviation > transform.high { clipped += 1 }
    return transform(distance)
  }
}
