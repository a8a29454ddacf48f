internal import Records
package import State

// The only declaration of a normaliser's state: the meaning of each column, its initial value, and how two states
// merge.

/// The state groups of a normaliser, and their columns in the table of a stream.
package struct NormalizerColumns: Sendable {
  /// γ and β.
  package let weight, bias: RealColumn
  /// μ, in the unit of the feature, and σ², in its squared unit.
  package let mean, variance: RealColumn
  /// N: the sum of the weights of the values that moved the mean; each value weighs 1 without weights.
  package let momentWeight: RealColumn
  /// k: the number of batches that moved the mean.
  package let momentBatches: CountColumn
  /// The same for the variance. It has its own counts, because a batch with a single value of a feature can only move
  /// the mean. With the counts of the mean, the initial variance would leak into a corrected one.
  package let varianceWeight: RealColumn
  /// With a half-life in event time: the weight of the values at `time`, which is in whole microseconds since 1970, and
  /// the half-life in seconds. 0 before the first update.
  let decayedWeight, time, eventHalfLife: RealColumn
  package let varianceBatches: CountColumn
  /// The values of each feature that were missing, that were present, and that `clip` limited: in every mode, frozen
  /// or not. A reset keeps them.
  package let missing, present, clipped: CountColumn
  /// The batches of the stream that moved the moments, a feature missing or not.
  package let batches: CountColumn
  /// The records of these batches.
  package let records: CountColumn
  package let keys: KeyColumns
  let view: ViewColumns

  /// - Parameter table: one with `groups`.
  package init(in table: borrowing StateTable) {
    weight = table.real("weight", of: "affine")
    bias = table.real("bias", of: "affine")
    mean = table.real("mean", of: "moments")
    variance = table.real("variance", of: "moments")
    momentWeight = table.real("weight", of: "moments")
    momentBatches = table.count("batches", of: "moments")
    varianceWeight = table.real("variance_weight", of: "moments")
    varianceBatches = table.count("variance_batches", of: "moments")
    decayedWeight = table.real("decayed_weight", of: "moments")
    time = table.real("time", of: "moments")
    eventHalfLife = table.real("half_life", of: "moments")
    missing = table.count("missing", of: "values")
    present = table.count("present", of: "values")
    clipped = table.count("clipped", of: "values")
    batches = table.count("batches", of: "stream")
    records = table.count("records", of: "stream")
    keys = KeyColumns(in: table)
    view = ViewColumns(in: table)
  }

  package static let groups =
    [affine, moments, values, stream, ViewColumns.group] + KeyColumns.groups

  /// γ and β, which two streams must agree on to be merged.
  private static let affine = StateGroup(
    "affine", scope: .feature,
    columns: [
      .real("weight", initial: 1, fileName: "weight"), .real("bias", initial: 0, fileName: "bias"),
    ])

  static let moments = StateGroup(
    "moments", scope: .feature,
    columns: [
      .real("mean", initial: 0, fileName: "running_mean"),
      .real("variance", initial: 1, in: StateColumn.nonNegative, fileName: "running_var"),
      .real("weight", initial: 0, in: StateColumn.countable),
      .count("batches"),
      .real("variance_weight", initial: 0, in: StateColumn.countable),
      .count("variance_batches"),
      .real("decayed_weight", initial: 0, in: StateColumn.countable, isOptional: true),
      .real("time", initial: 0, in: StateColumn.microseconds, isOptional: true),
      .real("half_life", initial: 0, in: StateColumn.nonNegative, isOptional: true),
    ], merge: mergeMoments)

  private static let values = StateGroup(
    "values", scope: .feature,
    columns: [.count("missing"), .count("clipped"), .count("present")])

  private static let stream = StateGroup(
    "stream", scope: .stream,
    columns: [.count("batches", fileName: "num_batches_tracked"), .count("records")])

  /// Pools running moments by the weight of the values seen (Chan): the mean by `weight`, the variance
  /// within by `variance_weight`, and the difference of the two means as variance between.
  ///
  /// Exact for momentum `cumulative` with estimator `total`, and for a half-life in event time; otherwise both sides
  /// count as if their values had had equal weight. The order of merging matters only to within rounding.
  @Sendable private static func mergeMoments(
    _ rows: inout StateRows, _ other: StateRows
  ) throws(StateError) {
    rows.add(count: "batches", of: other)
    rows.add(count: "variance_batches", of: other)
    for row in 0..<rows.count {
      if try mergeDecayed(&rows, other, row) { continue }
      // The variance within and the variance between may rest on different weights.
      var within = rows.average(of: "variance", weight: "variance_weight", row)
      within.merge(other.average(of: "variance", weight: "variance_weight", row))
      var between = rows.average(of: "mean", weight: "weight", row)
      between.merge(other.average(of: "mean", weight: "weight", row))
      rows[real: "weight"][row] += other[real: "weight"][row]
      rows[real: "variance_weight"][row] += other[real: "variance_weight"][row]
      if between.weight > 0 { rows[real: "mean"][row] = between.mean }
      if within.weight > 0 {
        rows[real: "variance"][row] = within.mean + between.biasedVariance
      }
    }
  }
}

extension NormalizerColumns {
  /// The present values of each feature, to compare with the missing ones.
  ///
  /// A checkpoint of an earlier version, or of another tool's moments, lacks the count. N replaces it there, since every
  /// value that moved the mean was present.
  package func presentCounts(_ state: borrowing StateTable) -> [Int] {
    zip(state[present], state[momentWeight]).map { max($0, Int($1)) }
  }
}

extension NormalizerColumns {
  /// Refuses moments that came without the number of their values, if the settings would give the first batch
  /// all the weight.
  ///
  /// A prior needs the number even if the moments are frozen.
  ///
  /// - Throws: `NormalizationError.uncounted` or `.unweighted` for the first feature with such moments.
  func requireCounts(
    _ state: borrowing StateTable, _ settings: NormalizationSettings
  ) throws(NormalizationError) {
    guard !settings.isFrozen || settings.prior != nil else { return }
    let running = RunningMoments(state, self)
    for (j, name) in state.features.names.enumerated() where running.weight[j] == 0 {
      guard !running.isInitial(j) else { continue }
      guard settings.prior == nil else { throw .unweighted(feature: name) }
      let history = MomentHistory(batches: running.batches[j], weight: 0)
      let alpha = settings.batchWeight(after: history, of: 1, elapsedSeconds: 1)
      guard alpha < 1, settings.warmUp.records == 0 || settings.mode == .batch else {
        throw .uncounted(feature: name)
      }
    }
  }
}

extension NormalizerColumns {
  /// Refuses numbers of a file that are too great to compute with.
  ///
  /// No variance of values up to the greatest is above twice its square; rounding has room.
  ///
  /// - Throws: `NormalizationError.element` for the first one.
  package func requireSizes(_ state: borrowing StateTable) throws(NormalizationError) {
    let greatest = FeatureColumns.greatest
    for (name, column) in [("weight", weight), ("bias", bias), ("running_mean", mean)] {
      try requireElements(
        of: name, state[column], expected: "a number of at most \(greatest) in size"
      ) { abs($0) <= greatest }
    }
    let limit = 4 * greatest * greatest
    try requireElements(
      of: "running_var", state[variance], expected: "a variance of at most \(limit)"
    ) { $0 <= limit }
  }

  /// Refuses an inverse that does not exist.
  ///
  /// - Throws: `NormalizationError.notInvertible` for the first feature that nothing was learned of, or with a scale
  ///   of 0.
  func requireInvertible(
    _ state: borrowing StateTable, _ settings: NormalizationSettings, _ prior: PriorMerge? = nil
  ) throws(NormalizationError) {
    guard settings.isInverse else { return }
    guard settings.isFrozen, settings.mode == .running else {
      throw .notInvertible(feature: nil, reason: "frozen moments in mode running")
    }
    var running = RunningMoments(state, self, prior: prior)
    let weight = state[self.weight]
    for (j, name) in state.features.names.enumerated() {
      let isLearned =
        running.batches[j] > 0 || running.weight[j] > 0 || running.mean[j] != 0
        || running.variance[j] != 1 || prior?.isKnown(j) == true
      guard isLearned else {
        throw .notInvertible(
          feature: name, reason: "no moments; give a checkpoint (--checkpoint-in)")
      }
      let deviation =
        settings.parts == .center
        ? 1 : settings.deviation(ofVariance: running.applied(j, settings).variance)
      guard deviation > 0, weight[j] != 0 else {
        throw .notInvertible(
          feature: name, reason: "a scale of 0, by which every value becomes β; exclude it")
      }
    }
  }
}

extension StateRows {
  /// An average as a mean, weighted by the values that went into it.
  fileprivate func average(of column: String, weight: String, _ row: Int) -> Moments {
    Moments(weight: self[real: weight][row], mean: self[real: column][row], m2: 0)
  }
}
