package import Records
package import State

/// Normalises the mini-batches of one stream (docs/SEMANTICS.md): plans what a batch does to the running
/// moments and how its values are transformed, and commits the plan to the state.
///
/// Invariants:
/// - Planning checks everything that can fail. Committing cannot fail, so a batch that is refused leaves
///   the state as it was.
/// - No running moment is ever other than finite.
package struct Normalizer: Sendable {
  package let schema: FeatureSchema
  package private(set) var settings: NormalizationSettings
  /// The handles of a normaliser's columns in the table of the stream.
  package let columns: NormalizerColumns
  /// The moments of the prior, if the settings have one.
  private let prior: PriorMoments?
  /// The keys or classes of the stream; nil without them.
  var keyed: KeyedMoments?
  /// The moments of each cold feature after the last segment of the open batch; empty between two batches.
  private var openPrefixes: [Int: PrefixMoments] = [:]

  /// - Parameters:
  ///   - state: a table of the stream with the groups of a normaliser, valid.
  ///   - prior: the moments of the prior that the settings have, of the features of the state.
  /// - Throws: `NormalizationError.uncounted` for moments that the first batch would replace, `.notInvertible` for an
  ///   inverse that does not exist. With a prior: `.unweighted` for moments without a count, `.uselessPrior`. With keys:
  ///   `.keys` for features that the stream lacks, or for too many keys.
  package init(
    settings: NormalizationSettings, state: borrowing StateTable, prior: PriorMoments? = nil
  ) throws(NormalizationError) {
    self.settings = settings
    self.prior = prior
    schema = state.features
    columns = NormalizerColumns(in: state)
    try columns.requireSizes(state)
    if let key = settings.key ?? settings.classes?.keys(featureCount: schema.count) {
      keyed = try KeyedMoments(key, columns.keys, state)
    }
    try require(settings, state)
  }

  /// Checks that the settings fit the state.
  private func require(
    _ settings: NormalizationSettings, _ state: borrowing StateTable
  ) throws(NormalizationError) {
    if let fault = settings.modeFault { throw fault }
    if settings.hasKeyRows { try Self.requireClasses(settings, state) }
    try columns.requireInvertible(state, settings, PriorMerge(prior, settings))
    try columns.requireCounts(state, settings)
  }

  /// The prior as it is merged; nil without one.
  var priorMerge: PriorMerge? { PriorMerge(prior, settings) }

  /// Whether the records are held, because the stream has begun and `warm_up.emit` says so.
  package func isHolding(_ state: borrowing StateTable) -> Bool {
    settings.warmUp.emission == .hold && !settings.isFrozen && settings.mode != .batch
      && Double(state[columns.records][0]) + (settings.prior?.values ?? 0)
        < Double(settings.warmUp.records)
  }

  /// Whether records may be normalised and emitted before their batch is cut: by moments that do not depend
  /// on the records after them.
  package func emitsBeforeCut(_ state: borrowing StateTable) -> Bool {
    settings.mode == .running && !settings.updateFirst && !isHolding(state)
  }

  /// Uses other settings from the next batch on.
  ///
  /// - Throws: as `init`; the old ones stay then.
  package mutating func replaceSettings(
    _ replacement: NormalizationSettings, in state: borrowing StateTable
  ) throws(NormalizationError) {
    try require(replacement, state)
    settings = replacement
  }

  /// Uses another γ and β from the next batch on.
  ///
  /// - Throws: `NormalizationError.featureCount`; the old ones stay then.
  package func replaceParameters(
    _ replacement: AffineParameters, in state: inout StateTable
  ) throws(NormalizationError) {
    guard replacement.featureCount == schema.count else {
      throw .featureCount(
        of: "weight", expected: schema.count, found: replacement.featureCount)
    }
    state[columns.weight] = replacement.weight
    state[columns.bias] = replacement.bias
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

extension Normalizer {
  /// Whether the plan for this number of records needs their moments.
  package func needsMoments(
    ofRecords count: Int, _ role: BatchRole, _ state: borrowing StateTable
  ) -> Bool {
    if updatesMoments(byRecords: count, role) { return true }
    switch treatment(ofRecords: count, role, state).basis {
    case .batch, .renorm: return true
    case .running, .updatedRunning, nil: return false
    }
  }

  private func updatesMoments(byRecords count: Int, _ role: BatchRole) -> Bool {
    role.updates && !settings.isFrozen && count > 0
  }

  /// How a batch leaves, and the moments that normalise it; nil if none do.
  private func treatment(
    ofRecords count: Int, _ role: BatchRole, _ state: borrowing StateTable
  ) -> (emission: BatchEmission, basis: Basis?) {
    switch role {
    case .part, .held: return (.normalized, .running)
    case .emitted: return (.normalized, nil)
    case .whole: break
    }
    if isHolding(state) { return (.held, nil) }
    let isShort = count < settings.minBatchSize
    switch settings.mode {
    case .batch: return (.normalized, isShort ? .running : .batch)
    case .running: return (.normalized, settings.updateFirst ? .updatedRunning : .running)
    case .renorm: return (.normalized, isShort ? .running : .renorm)
    }
  }

  /// Whether features in warm-up are treated as such when others are normalised by a basis.
  private func warmsUp(_ basis: Basis?, _ role: BatchRole) -> Bool {
    guard let basis, basis != .batch, role != .held else { return false }
    return settings.warmsUp
  }

  /// Plans the update of every feature that is present and not vetoed, and the transform of every column.
  ///
  /// - Throws: `NormalizationError`, `.overflow` above all.
  package func plan(
    _ summary: borrowing BatchSummary, _ state: borrowing StateTable, _ plan: inout BatchPlan
  ) throws(NormalizationError) {
    try planFeatures(summary, state, &plan)
    guard let keyed, let values = summary.values, let keys = values.keys else { return }
    let basis = treatment(ofRecords: summary.recordCount, plan.role, state).basis
    planKeys(
      keyed, values, keys, state, isNormalized: basis == .running && settings.classes == nil,
      hasMissing: summary.features.contains { $0.missingCount > 0 }, &plan)
  }

  /// The plan without keys. It is a function of its own, and stays one: in Swift 6.3.1, with more that follows it, the
  /// optimiser frees the array of cold features, which `swap` has moved into the plan.
  @inline(never)
  private func planFeatures(
    _ summary: borrowing BatchSummary, _ state: borrowing StateTable, _ plan: inout BatchPlan
  ) throws(NormalizationError) {
    let (emission, basis) = treatment(ofRecords: summary.recordCount, plan.role, state)
    plan.emission = emission
    plan.updatesMoments = updatesMoments(byRecords: summary.recordCount, plan.role)
    var running = RunningMoments(state, columns, prior: priorMerge)
    let (gamma, beta) = (state[columns.weight], state[columns.bias])
    var weights = BatchWeights(
      settings,
      elapsedSeconds: plan.updatesMoments
        ? try elapsedSeconds(plan.elapsedSeconds, running) : 0)
    let updates = plan.updatesMoments
    let warmsUp = warmsUp(basis, plan.role)
    plan.settings = settings
    var cold: [ColdFeature] = []
    swap(&cold, &plan.cold)
    // In place: with small batches, copies of plans would cost as much as the arithmetic.
    var span = plan.features.mutableSpan
    for j in span.indices {
      let presentCount = summary.features[j].presentCount
      let moments = summary.features[j].moments
      try require(moments.mean.isFinite, j, .batchMean)
      try require(moments.m2.isFinite, j, .batchVariance)
      var update: MomentUpdate?
      if updates, moments.weight > 0, !span[j].isVetoed {
        let planned = running.update(
          of: j, by: summary.features[j], at: summary.newest, &weights)
        try require(planned.mean.isFinite, j, .runningMean)
        try require(planned.variance.isFinite, j, .runningVariance)
        update = planned
      }
      span[j].update = update
      var applied = running.applied(j, settings)
      span[j].before = running.known(j, applied, settings)
      // No value of the batch counts, so it has no moments.
      let isUncounted =
        summary.hasMoments && presentCount > 0 && moments.weight == 0
        && (basis == .batch || basis == .renorm)
      let isCold =
        (warmsUp || isUncounted && settings.warmsUp) && running.isCold(j, applied, settings)
      if basis == .updatedRunning, !isCold, let update {
        applied = running.applied(j, after: update, settings)
      }
      try require(applied.variance.isFinite, j, .runningVariance)
      span[j].held = applied.held
      guard let basis else {
        span[j].transform = nil
        continue
      }
      if isCold {
        span[j].transform = nil
        cold.append(
          ColdFeature(
            feature: j, start: openPrefixes[j] ?? running.prefix(j, settings),
            weight: gamma[j], bias: beta[j], bounds: running.bounds(of: j)))
        continue
      }
      var transform = transform(
        by: isUncounted ? .running : basis, moments: moments, applied, weight: gamma[j],
        bias: beta[j])
      transform.hasMissing = presentCount < summary.recordCount
      if presentCount > 0 {
        try require(transform.scale.isFinite, j, .scale)
        try require(transform.shift.isFinite, j, .shift)
      }
      span[j].transform = transform
    }
    swap(&cold, &plan.cold)
    if !plan.cold.isEmpty { plan.emission = self.emission(ofCold: plan.cold) }
  }

  private func emission(ofCold cold: [ColdFeature]) -> BatchEmission {
    let form: UnnormalizedFeatures.Form
    switch settings.warmUp.emission {
    case .prefix, .hold: return .normalized
    case .pass: form = .asRead
    case .missing: form = .missing
    }
    var features = Array(repeating: false, count: schema.count)
    for each in cold { features[each.feature] = true }
    return .partly(UnnormalizedFeatures(features, form))
  }

  /// The time since the batch before, which a half-life in seconds needs from the second batch on.
  private func elapsedSeconds(
    _ seconds: Double?, _ running: borrowing RunningMoments
  ) throws(NormalizationError) -> Double {
    guard case .halfLifeSeconds = settings.momentum else { return 0 }
    if let seconds {
      guard seconds >= 0 else { throw .elapsedSeconds(found: seconds) }
      return seconds
    }
    guard running.batches.allSatisfy({ $0 == 0 }) else { throw .elapsedSeconds(found: nil) }
    return 0
  }

  private func transform(
    by basis: Basis, moments: Moments, _ running: AppliedMoments, weight: Double, bias: Double
  ) -> ColumnTransform {
    var (mean, variance) = (running.mean, running.variance)
    if settings.isInverse {
      return ColumnTransform(
        undoing: mean, variance: variance, weight: weight, bias: bias, settings: settings)
    }
    switch basis {
    case .running, .updatedRunning:
      break
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

  private func require(
    _ holds: Bool, _ feature: Int, _ quantity: NormalizationError.Quantity
  ) throws(NormalizationError) {
    guard holds else {
      throw .overflow(feature: schema.names[feature], quantity: quantity)
    }
  }

  /// Applies a plan to the state.
  package mutating func commit(
    _ summary: borrowing BatchSummary, _ plan: borrowing BatchPlan, _ state: inout StateTable
  ) {
    let features = summary.features
    if plan.role.updates, !plan.keyed.numbers.isEmpty {
      keyed?.commit(plan.keyed, &state, updates: plan.updatesMoments)
    }
    if plan.updatesMoments {
      let plans = plan.features
      state.apply(columns) { plans[$0].update }
      if let eventHalfLife = settings.momentum.eventHalfLife {
        let newest = settings.prior == nil ? nil : summary.newest
        state.apply(columns, eventHalfLife: eventHalfLife, newest: newest) { plans[$0].update }
      }
      state.add(1, to: columns.batches)
      state.add(summary.recordCount, to: columns.records)
      if let classes = settings.classes { state.mixClasses(classes, columns) }
    }
    if plan.role == .part {
      for (cold, end) in zip(plan.cold, summary.prefixEnds) { openPrefixes[cold.feature] = end }
    } else if !openPrefixes.isEmpty {
      openPrefixes = [:]
    }
    if plan.role.updates {
      state.add(to: columns.missing) { features[$0].missingCount }
      state.add(to: columns.present) { features[$0].presentCount }
    }
    let clipped = summary.clipped
    for j in clipped.indices where clipped[j] > 0 {
      state.add(clipped[j], to: columns.clipped, row: j)
    }
  }
}
