internal import State

// Running moments whose values weigh less the older they are, by event time.

extension RunningMoments {
  /// The weight of the values of feature `j`, and its time; nil before the first value. Moments that came without a time
  /// count as of now.
  func decayedWeight(_ j: Int) -> (weight: Double, time: Double?)? {
    if decayed[j] > 0 || time[j] != 0 { return (decayed[j], time[j]) }
    return weight[j] > 0 ? (weight[j], nil) : nil
  }

  /// The moments of feature `j` to which the values of the open batch are added.
  mutating func prefix(_ j: Int, _ settings: NormalizationSettings) -> PrefixMoments {
    guard settings.momentum.eventHalfLife != nil else { return PrefixMoments(merged(j, settings)) }
    let known = joined(j, settings)
    return PrefixMoments(
      Moments(weight: known.weight, mean: known.mean, m2: known.weight * known.variance),
      at: known.time.map { Int64($0) * 1000 }, beside: priorMoments(of: j))
  }

  /// The update of feature `j` by a batch, whose weights are those at the time of its newest record: both sides are
  /// brought to the later time, and merged.
  ///
  /// Sources: Cormode et al. 2009; Chan, Golub & LeVeque 1979.
  func update(
    of j: Int, by batch: FeatureSummary, at newest: Double, _ decay: EventDecay
  ) -> MomentUpdate {
    let before = decayedWeight(j)
    let later = max(before?.time ?? newest, newest)
    let kept = before.map { $0.weight * decay.factor(from: $0.time ?? later, to: later) } ?? 0
    let added = batch.moments.weight * decay.factor(from: newest, to: later)
    let merged = mergedByWeight(
      (mean[j], variance[j], kept), (batch.moments.mean, batch.moments.biasedVariance, added))
    var update = MomentUpdate(
      mean: merged.mean, variance: merged.variance, weight: Double(batch.countedCount),
      movesVariance: true)
    update.decayed = DecayedWeight(weight: kept + added, time: later)
    return update
  }
}

extension NormalizerColumns {
  /// Merges a row with decayed weights.
  ///
  /// - Returns: false if no side has them.
  @Sendable static func mergeDecayed(
    _ rows: inout StateRows, _ other: StateRows, _ row: Int
  ) throws(StateError) -> Bool {
    let (halfLife, others) = (rows[real: "half_life"][row], other[real: "half_life"][row])
    guard halfLife > 0 || others > 0 else { return false }
    guard halfLife == others || halfLife == 0 || others == 0 else {
      throw .value(
        rows.label(of: "half_life", row: row), expected: "\(halfLife) s", found: "\(others) s")
    }
    let decay = EventDecay(halfLife: max(halfLife, others))
    // Moments that came without a time count as of the later time.
    func side(_ rows: StateRows, _ halfLife: Double) -> (weight: Double, time: Double?) {
      halfLife > 0
        ? (rows[real: "decayed_weight"][row], rows[real: "time"][row])
        : (rows[real: "weight"][row], nil)
    }
    let (left, right) = (side(rows, halfLife), side(other, others))
    let later = max(left.time ?? right.time ?? 0, right.time ?? left.time ?? 0)
    let kept = left.weight * decay.factor(from: left.time ?? later, to: later)
    let added = right.weight * decay.factor(from: right.time ?? later, to: later)
    let merged = mergedByWeight(
      (rows[real: "mean"][row], rows[real: "variance"][row], kept),
      (other[real: "mean"][row], other[real: "variance"][row], added))
    rows[real: "mean"][row] = merged.mean
    rows[real: "variance"][row] = merged.variance
    rows[real: "decayed_weight"][row] = kept + added
    rows[real: "time"][row] = later
    rows[real: "half_life"][row] = decay.halfLife
    rows[real: "weight"][row] += other[real: "weight"][row]
    rows[real: "variance_weight"][row] += other[real: "variance_weight"][row]
    return true
  }
}

/// Two means and variances merged by their weights; the first, to the bit, if the second weighs nothing.
func mergedByWeight(
  _ a: (mean: Double, variance: Double, weight: Double),
  _ b: (mean: Double, variance: Double, weight: Double)
) -> (mean: Double, variance: Double) {
  guard b.weight > 0 else { return (a.mean, a.variance) }
  guard a.weight > 0 else { return (b.mean, b.variance) }
  let total = a.weight + b.weight
  let (share, rest) = (b.weight / total, a.weight / total)
  let delta = b.mean - a.mean
  // From the heavier side, so that no weight costs digits.
  return (
    share < rest ? a.mean + share * delta : b.mean - rest * delta,
    rest * a.variance + share * b.variance + share * rest * delta * delta
  )
}

extension StateTable {
  /// Applies the decayed weights of updates.
  ///
  /// - Parameter newest: the newest time of the batch, if something is compared with weights at the newest time of the
  ///   stream. It counts even if no value of the batch does.
  mutating func apply(
    _ columns: NormalizerColumns, eventHalfLife: Double, newest: Double?,
    _ update: (_ feature: Int) -> MomentUpdate?
  ) {
    if let newest { columns.keys.note(newest, in: &self) }
    var (weight, time, halfLife) = (
      take(columns.decayedWeight), take(columns.time), take(columns.eventHalfLife)
    )
    for j in weight.indices {
      guard let decayed = update(j)?.decayed else { continue }
      (weight[j], time[j], halfLife[j]) = (decayed.weight, decayed.time, eventHalfLife)
    }
    put(weight, in: columns.decayedWeight)
    put(time, in: columns.time)
    put(halfLife, in: columns.eventHalfLife)
  }
}
