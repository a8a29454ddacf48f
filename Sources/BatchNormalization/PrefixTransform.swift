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
  private var own: Moments
  /// Moments that do not decay, whose mean is the origin; nil without them.
  private let prior: Moments?
  /// The event time, in nanoseconds since 1970, at which the values weigh what they do; nil without one.
  private var time: Int64?

  /// The moments of some values; of none if their weight is 0.
  ///
  /// - Parameter prior: moments that are merged with those of the values, and do not decay.
  init(_ moments: Moments, at time: Int64? = nil, beside prior: Moments? = nil) {
    self.time = time
    self.prior = prior.map { Moments(weight: $0.weight, mean: 0, m2: $0.m2) }
    origin = prior?.mean ?? moments.mean
    own = Moments(
      weight: moments.weight, mean: moments.weight > 0 ? moments.mean - origin : 0, m2: moments.m2)
  }

  /// The moments of the values' distances from the origin, merged with the prior.
  var moments: Moments {
    guard let prior else { return own }
    var all = own
    all.merge(prior)
    return all
  }

  /// Takes in one value, which weighs less the older it is than the newest.
  fileprivate mutating func append(_ x: Double, weight: Double, at time: Int64, _ decay: EventDecay)
  {
    guard time != RoleNumbers.noTime, weight > 0 else { return }
    let newest = self.time ?? time
    let factor = decay.factor(fromNanoseconds: min(time, newest), to: max(time, newest))
    if time > newest {
      own.weight *= factor
      own.m2 *= factor
    }
    self.time = max(time, newest)
    append(x, weight: time > newest ? weight : weight * factor)
  }

  /// Takes in one value with its weight, 0 or more.
  ///
  /// Source: Welford 1962, "Note on a Method for Calculating Corrected Sums of Squares and Products"; West 1979 for the
  /// weight.
  fileprivate mutating func append(_ x: Double, weight: Double) {
    guard weight > 0 else { return }
    guard own.weight > 0 || prior != nil else {
      origin = x
      own = Moments(weight: weight, mean: 0, m2: 0)
      return
    }
    own.weight += weight
    let delta = x - origin - own.mean
    own.mean += weight * delta / own.weight
    own.m2 += weight * delta * (x - origin - own.mean)
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
    let roles = roles
    switch values {
    case .float32:
      withFloat32Columns { values in
        for record in records {
          let cell = first + record
          values[cell] = Float(prefix.next(Double(values[cell]), record, roles))
        }
      }
    case .float64:
      withFloat64Columns { values in
        for record in records {
          let cell = first + record
          values[cell] = prefix.next(values[cell], record, roles)
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
      let y = prefix.next(x, record, roles)
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
  private let decay: EventDecay?

  init(_ cold: ColdFeature, _ settings: NormalizationSettings) {
    decay = settings.momentum.eventHalfLife.map { EventDecay(halfLife: $0) }
    moments = cold.start
    // Only a prior has a limit. Its values weigh something, so the origin stays.
    bounds = cold.bounds?.shifted(by: cold.start.origin)
    (gamma, beta) = (cold.weight, cold.bias)
    self.settings = settings
  }

  /// y of the next value, which counts with its weight in its own moments.
  mutating func next(_ x: Double, _ record: Int, _ roles: RoleNumbers) -> Double {
    if x.isNaN, !settings.imputesMissing { return x }
    if !x.isNaN {
      let weight = roles.weights?[record] ?? 1
      if let decay, let times = roles.times {
        moments.append(x, weight: weight, at: times[record], decay)
      } else {
        moments.append(x, weight: weight)
      }
    }
    let known = moments.moments
    var (mean, variance) = (known.mean, known.biasedVariance)
    if let bounds { (mean, variance) = bounds.clamped(mean, variance) }
    // Before any value counts, each is its own mean.
    let origin = known.weight > 0 || x.isNaN ? moments.origin : x
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
