package import Records
package import State

/// How a batch left `Normalizer.normalize`.
package enum BatchEmission: Sendable, Equatable {
  /// Its columns are y.
  case normalized
  /// Its columns are untouched and are to be emitted so.
  case passed
  /// Its columns are untouched; to be kept in order until `normalizeHeld`.
  case held
}

/// What the last batch showed of one feature, for those who watch.
package struct FeatureObservation: Sendable, Equatable {
  /// nil where the feature was missing in all of the batch, or its moments were not needed.
  package var moments: Moments?
  /// r and d of mode `renorm`.
  package var renormScale: Double?
  package var renormShift: Double?

  package init(moments: Moments? = nil, renormScale: Double? = nil, renormShift: Double? = nil) {
    self.moments = moments
    self.renormScale = renormScale
    self.renormShift = renormShift
  }
}

/// Normalises the mini-batches of one stream, one after another (docs/SEMANTICS.md).
///
/// Invariants:
/// - Nothing is committed before everything that can fail has been computed: a batch that is
///   refused leaves the state and the batch as they were.
/// - No running moment is ever other than finite.
package struct Normalizer: Sendable {
  package let schema: FeatureSchema
  package let outputPrecision: Precision
  package private(set) var settings: NormalizationSettings
  package private(set) var state: StateTable
  /// Where the columns of a normaliser stand in `state`.
  package let columns: NormalizerColumns
  private var lastPlans: [FeaturePlan] = []
  /// The memory of the plans before, which the next ones take.
  private var spentPlans: [FeaturePlan] = []
  /// One per feature, of the last batch; empty before the first.
  package var observations: [FeatureObservation] {
    lastPlans.map {
      FeatureObservation(
        moments: $0.moments, renormScale: $0.transform?.renormScale,
        renormShift: $0.transform?.renormShift)
    }
  }

  /// - Parameter outputPrecision: the width in which y is written; y must be finite in it.
  /// - Throws: `NormalizationError` for a setting out of range, or a state of other features.
  package init(
    schema: FeatureSchema, settings: NormalizationSettings, outputPrecision: Precision,
    state: StateTable? = nil
  ) throws(NormalizationError) {
    let state = state ?? StateTable(NormalizerColumns.groups, features: schema)
    try settings.validate()
    guard state.features.count == schema.count else {
      throw .featureCount(of: "state", expected: schema.count, found: state.features.count)
    }
    do throws(StateError) {
      try state.validate()
    } catch {
      throw .state(error)
    }
    self.schema = schema
    self.settings = settings
    self.outputPrecision = outputPrecision
    self.state = state
    columns = NormalizerColumns(in: state)
  }

  /// Whether warm-up, where it applies at all, is over.
  package var isWarm: Bool {
    settings.isFrozen || settings.mode == .batch
      || state[columns.batches][0] >= settings.warmUp.batches
  }

  /// Takes other settings from the next batch on.
  ///
  /// - Throws: `NormalizationError.setting`; the old ones stay then.
  package mutating func replaceSettings(
    _ replacement: NormalizationSettings
  ) throws(NormalizationError) {
    try replacement.validate()
    settings = replacement
  }

  /// Takes another γ and β from the next batch on.
  ///
  /// - Throws: `NormalizationError.featureCount`; the old ones stay then.
  package mutating func replaceParameters(
    _ replacement: AffineParameters
  ) throws(NormalizationError) {
    guard replacement.featureCount == schema.count else {
      throw .featureCount(
        of: "weight", expected: schema.count, found: replacement.featureCount)
    }
    guard
      state[columns.weight] != replacement.weight || state[columns.bias] != replacement.bias
    else { return }
    state[columns.weight] = replacement.weight
    state[columns.bias] = replacement.bias
    state[columns.stateVersion][0] += 1
    state[columns.parametersVersion][0] = state[columns.stateVersion][0]
  }

  /// Forgets the running moments and starts warm-up again; γ, β and the counts of missing and
  /// clipped values stay.
  package mutating func resetMoments() {
    state.reset(groups: ["moments", "stream"])
    state[columns.stateVersion][0] += 1
  }

  /// Normalises the next batch of the stream in place and updates the running moments by it.
  ///
  /// - Parameters:
  ///   - records: those that are the batch; all of `batch` unless told.
  ///   - elapsedSeconds: the time since the batch before, which a half-life in seconds needs from the
  ///     second batch on.
  /// - Throws: `NormalizationError`, `.overflow` above all; nothing is changed then.
  package mutating func normalize(
    _ batch: inout FeatureColumns, records: Range<Int>? = nil, elapsedSeconds: Double? = nil
  ) throws(NormalizationError) -> BatchEmission {
    let records = records ?? 0..<batch.count
    let (emission, basis) = treatment(ofRecords: records.count)
    let plans = try plans(
      for: batch, records, basis: basis, updates: !settings.isFrozen && !records.isEmpty,
      elapsedSeconds: requireElapsedSeconds(elapsedSeconds))
    batch.apply(to: records, countingClipped: &state[columns.clipped]) { plans[$0].transform }
    update(by: plans, ofRecords: records.count)
    return emission
  }

  /// Updates the running moments by a batch that was emitted before it was cut, as `normalize` would
  /// have; the batch itself is only looked at.
  ///
  /// - Throws: `NormalizationError`; nothing is changed then.
  package mutating func absorb(
    _ batch: FeatureColumns, elapsedSeconds: Double? = nil
  ) throws(NormalizationError) {
    try update(
      by: plans(
        for: batch, 0..<batch.count, basis: nil, updates: !settings.isFrozen && batch.count > 0,
        elapsedSeconds: requireElapsedSeconds(elapsedSeconds)), ofRecords: batch.count)
  }

  /// Whether records may be normalised and emitted before their batch is cut: by the running
  /// moments as they stand, which is what their batch would be normalised by.
  package var emitsBeforeCut: Bool {
    isWarm && settings.mode == .running && !settings.updateFirst
  }

  /// Normalises a held batch in place by the running moments as they stand; they do not move.
  ///
  /// - Throws: `NormalizationError.overflow` or `.featureCount`; nothing is changed then.
  package mutating func normalizeHeld(_ batch: inout FeatureColumns) throws(NormalizationError) {
    let plans = try plans(
      for: batch, 0..<batch.count, basis: .running, updates: false, elapsedSeconds: 0)
    batch.apply(countingClipped: &state[columns.clipped]) { plans[$0].transform }
  }
}

/// The moments that a batch is normalised by.
private enum Basis {
  case batch
  /// The running moments as they stood before the batch.
  case running
  /// The running moments with the batch.
  case updatedRunning
  case renorm
}

/// All that is to be done to one feature for one batch.
private struct FeaturePlan {
  var missingCount = 0
  /// nil where they were not computed.
  var moments: Moments?
  var update: MomentUpdate?
  /// nil leaves the column as it is.
  var transform: ColumnTransform?
}

extension Normalizer {
  /// What becomes of the next batch, and by which moments if it is normalised.
  private func treatment(ofRecords count: Int) -> (BatchEmission, Basis?) {
    // A short batch is held too: it must not overtake those that are.
    if !isWarm, settings.warmUp.emission == .hold {
      return (.held, nil)
    }
    if count < settings.minBatchSize {
      return (.normalized, .running)
    }
    if !isWarm {
      return settings.warmUp.emission == .pass ? (.passed, nil) : (.normalized, .batch)
    }
    switch settings.mode {
    case .batch: return (.normalized, .batch)
    case .running: return (.normalized, settings.updateFirst ? .updatedRunning : .running)
    case .renorm: return (.normalized, .renorm)
    }
  }

  private func requireElapsedSeconds(_ seconds: Double?) throws(NormalizationError) -> Double {
    guard case .halfLifeSeconds = settings.momentum, !settings.isFrozen else { return 0 }
    if let seconds {
      guard seconds >= 0 else { throw .elapsedSeconds(found: seconds) }
      return seconds
    }
    guard state[columns.momentBatches].allSatisfy({ $0 == 0 }) else {
      throw .elapsedSeconds(found: nil)
    }
    return 0
  }

  /// One plan per feature.
  private mutating func plans(
    for batch: FeatureColumns, _ records: Range<Int>, basis: Basis?, updates: Bool,
    elapsedSeconds: Double
  ) throws(NormalizationError) -> [FeaturePlan] {
    guard batch.featureCount == schema.count else {
      throw .featureCount(of: "batch", expected: schema.count, found: batch.featureCount)
    }
    let needsMoments = updates || basis == .batch || basis == .renorm
    let limit = limit(of: batch)
    var weights = BatchWeights(settings, elapsedSeconds: elapsedSeconds)
    let running = RunningMoments(state, columns)
    let (gamma, beta) = (state[columns.weight], state[columns.bias])
    var plans = spentPlans
    spentPlans = []
    if plans.isEmpty { plans = Array(repeating: FeaturePlan(), count: schema.count) }
    // In place: copying plans, which are large, shows where batches are small.
    var span = plans.mutableSpan
    for j in 0..<schema.count {
      let statistics = batch.statistics(
        of: j, in: records, withMoments: needsMoments, exactly: false)
      let extent = statistics.extent
      let isPresent = extent.presentCount > 0
      try require(statistics.moments.mean.isFinite, j, .batchMean)
      try require(statistics.moments.m2.isFinite, j, .batchVariance)
      let update =
        updates && isPresent ? try update(of: j, running, by: statistics.moments, &weights) : nil
      span[j].missingCount = records.count - extent.presentCount
      span[j].moments = needsMoments && isPresent ? statistics.moments : nil
      span[j].update = update
      guard let basis else {
        span[j].transform = nil
        continue
      }
      var transform = transform(
        by: basis, moments: statistics.moments, running: (running.mean[j], running.variance[j]),
        update: update, weight: gamma[j], bias: beta[j])
      transform.hasMissing = extent.presentCount < records.count
      if isPresent {
        try require(transform.scale.isFinite, j, .scale)
        try require(transform.shift.isFinite, j, .shift)
      }
      // What may bound the values may be beyond the limit where no value is.
      if !isWithin(limit, transform, extent) {
        let exact = batch.statistics(of: j, in: records, withMoments: false)
        try require(isWithin(limit, transform, exact.extent), j, .output)
      }
      span[j].transform = transform
    }
    return plans
  }

  private func update(
    of j: Int, _ running: borrowing RunningMoments, by moments: Moments,
    _ weights: inout BatchWeights
  ) throws(NormalizationError) -> MomentUpdate {
    let update = running.update(of: j, by: moments, &weights)
    try require(update.mean.isFinite, j, .runningMean)
    try require(update.variance.isFinite, j, .runningVariance)
    return update
  }

  /// Whether |y| of every value is at most `limit`.
  ///
  /// Every step of the transform is monotone, in its rounding too, so the extremes bound all.
  private func isWithin(
    _ limit: Double, _ transform: ColumnTransform, _ extent: ColumnExtent
  ) -> Bool {
    if transform.hasMissing, settings.imputesMissing, !(abs(transform.fill) <= limit) {
      return false
    }
    return extent.presentCount == 0
      || abs(transform(extent.minimum)) <= limit && abs(transform(extent.maximum)) <= limit
  }

  private func transform(
    by basis: Basis, moments: Moments, running: (mean: Double, variance: Double),
    update: MomentUpdate?, weight: Double, bias: Double
  ) -> ColumnTransform {
    var (mean, variance) = running
    switch basis {
    case .running:
      break
    case .updatedRunning:
      if let update {
        (mean, variance) = (update.mean, update.variance)
      }
    case .batch:
      (mean, variance) = (moments.mean, moments.biasedVariance)
    case .renorm:
      return ColumnTransform(
        batch: moments, runningMean: mean, runningVariance: variance, weight: weight, bias: bias,
        settings: settings)
    }
    return ColumnTransform(
      mean: mean, variance: variance, weight: weight, bias: bias, settings: settings)
  }

  /// The greatest |y| that both the column and the output can hold.
  private func limit(of batch: FeatureColumns) -> Double {
    if case .float64 = batch.values, outputPrecision == .float64 {
      return .greatestFiniteMagnitude
    }
    return Double(Float.greatestFiniteMagnitude)
  }

  private func require(
    _ holds: Bool, _ feature: Int, _ quantity: NormalizationError.Quantity
  ) throws(NormalizationError) {
    guard holds else {
      throw .overflow(feature: schema.names[feature], quantity: quantity)
    }
  }

  private mutating func update(by plans: consuming [FeaturePlan], ofRecords count: Int) {
    state.apply(columns) { plans[$0].update }
    for j in plans.indices where plans[j].missingCount > 0 {
      state[columns.missing][j] += plans[j].missingCount
    }
    if !settings.isFrozen, count > 0 {
      state[columns.batches][0] += 1
      state[columns.stateVersion][0] += 1
    }
    if count > 0 {
      spentPlans = lastPlans
      lastPlans = plans
    }
  }
}
