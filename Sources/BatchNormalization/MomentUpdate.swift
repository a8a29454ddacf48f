internal import State

/// How a batch changes the running moments of one feature.
struct MomentUpdate {
  var mean: Double
  var variance: Double
  /// n, the weight of the batch's values; above 0.
  var weight: Double
  /// Whether the variance moves. Under `batchNorm` and `unbiased`, one value has none.
  var movesVariance: Bool
  /// The weight of all values at a time; nil without decay by event time.
  var decayed: DecayedWeight?
}

/// The weight of the values in the running moments at an event time.
struct DecayedWeight: Equatable {
  var weight: Double
  /// In whole microseconds since 1970.
  var time: Double
}

/// The running moments of all features before a batch.
struct RunningMoments {
  let mean, variance, weight, varianceWeight: [Double]
  let batches, varianceBatches: [Int]
  /// With a half-life in event time: the weight of the values at `time`.
  let decayed, time: [Double]
  private var prior: PriorMerge?
  private let view: PeerView?
  /// The newest event time of the stream; nil without a prior or without event times.
  private var newest: Double?

  init(
    _ state: borrowing StateTable, _ columns: NormalizerColumns, prior: PriorMerge? = nil
  ) {
    self.prior = prior
    mean = state[columns.mean]
    variance = state[columns.variance]
    weight = state[columns.momentWeight]
    varianceWeight = state[columns.varianceWeight]
    batches = state[columns.momentBatches]
    varianceBatches = state[columns.varianceBatches]
    decayed = state[columns.decayedWeight]
    time = state[columns.time]
    view = PeerView(state, columns.view)
    if prior != nil {
      newest = [state[columns.keys.newest][0], time.max() ?? 0, view?.newest ?? 0]
        .filter { $0 != 0 }.max()
    }
  }

  /// Whether the moments of feature `j` do not mean much yet, or nothing tells values apart by them. The values of other
  /// streams and of a prior count.
  func isCold(_ j: Int, _ applied: AppliedMoments, _ settings: NormalizationSettings) -> Bool {
    weight[j] + (view?.values(of: j) ?? 0) + (prior?.values(of: j) ?? 0)
      < Double(settings.warmUp.records)
      || !(applied.variance > 0)
  }

  /// Whether the moments of feature `j` are those that every stream begins with.
  func isInitial(_ j: Int) -> Bool {
    weight[j] == 0 && batches[j] == 0 && mean[j] == 0 && variance[j] == 1
  }

  /// μ̂ and σ̂² of feature `j`: its moments, merged with those of other streams and of a prior, within its limit.
  mutating func applied(_ j: Int, _ settings: NormalizationSettings) -> AppliedMoments {
    guard view != nil || prior != nil else {
      return AppliedMoments(mean: mean[j], variance: variance[j])
    }
    return applied(j, joined(j, settings), settings)
  }

  /// The same after an update.
  mutating func applied(
    _ j: Int, after update: MomentUpdate, _ settings: NormalizationSettings
  ) -> AppliedMoments {
    var own = WeighedMoments(
      mean: update.mean, variance: update.variance, weight: weight[j] + update.weight,
      varianceWeight: varianceWeight[j] + (update.movesVariance ? update.weight : 0))
    if let decayed = update.decayed {
      (own.weight, own.varianceWeight, own.time) = (decayed.weight, decayed.weight, decayed.time)
    }
    let whole = view?.merged(own, j, eventHalfLife: settings.momentum.eventHalfLife) ?? own
    return applied(j, whole, settings)
  }

  private mutating func applied(
    _ j: Int, _ whole: WeighedMoments, _ settings: NormalizationSettings
  ) -> AppliedMoments {
    guard prior != nil else { return AppliedMoments(mean: whole.mean, variance: whole.variance) }
    // A prior does not decay: the others count beside it by their weight at the newest time of the stream.
    var factor = 1.0
    if let halfLife = settings.momentum.eventHalfLife, let newest, let time = whole.time,
      newest > time
    {
      factor = EventDecay(halfLife: halfLife).factor(from: time, to: newest)
    }
    return prior?.applied(
      j, mean: whole.mean, variance: whole.variance, weight: whole.weight * factor,
      varianceWeight: whole.varianceWeight * factor, settings)
      ?? AppliedMoments(mean: whole.mean, variance: whole.variance)
  }

  /// The moments of feature `j` merged with those of other streams.
  func joined(_ j: Int, _ settings: NormalizationSettings) -> WeighedMoments {
    var own = WeighedMoments(
      mean: mean[j], variance: variance[j], weight: weight[j], varianceWeight: varianceWeight[j])
    if settings.momentum.eventHalfLife != nil {
      let decayed = decayedWeight(j)
      own.weight = decayed?.weight ?? 0
      (own.varianceWeight, own.time) = (own.weight, decayed?.time)
    }
    return view?.merged(own, j, eventHalfLife: settings.momentum.eventHalfLife) ?? own
  }

  /// The moments that a limit allows for feature `j`; nil without a limit.
  func bounds(of j: Int) -> MomentBounds? { prior?.bounds(of: j) }

  /// The moments of the prior for feature `j`; nil if it has none.
  func priorMoments(of j: Int) -> Moments? { prior?.alone(j) }

  /// μ̂ and σ̂² of feature `j`; nil in warm-up, and before anything is known of it.
  func known(
    _ j: Int, _ applied: AppliedMoments, _ settings: NormalizationSettings
  ) -> (mean: Double, variance: Double)? {
    let isUnknown =
      settings.warmsUp
      ? isCold(j, applied, settings)
      : isInitial(j) && prior?.isKnown(j) != true && !((view?.values(of: j) ?? 0) > 0)
    return isUnknown ? nil : (applied.mean, applied.variance)
  }

  /// The moments of feature `j` as those of values that each weigh 1, so that later values can be added; merged with
  /// those of other streams and of a prior. Not for event times.
  mutating func merged(_ j: Int, _ settings: NormalizationSettings) -> Moments {
    let whole = joined(j, settings)
    let withPrior = prior?.merged(
      j, mean: whole.mean, variance: whole.variance, weight: whole.weight,
      varianceWeight: whole.varianceWeight, settings)
    if let withPrior { return withPrior }
    guard whole.weight > 0 else { return Moments() }
    let count = settings.rememberedCount(of: whole.weight)
    // Under `batch_norm` the variance may not have been updated yet.
    return Moments(
      weight: count, mean: whole.mean, m2: whole.varianceWeight > 0 ? count * whole.variance : 0)
  }

  /// The update of feature `j` by a batch, of which some value is counted; not yet applied.
  ///
  /// Sources: Ioffe & Szegedy 2015 (`batchNorm`); West 1979, "Updating Mean and Variance Estimates"
  /// (`total`).
  func update(
    of j: Int, by summary: FeatureSummary, at newest: Double? = nil,
    _ weights: inout BatchWeights
  ) -> MomentUpdate {
    let batch = summary.moments
    if let newest, let halfLife = weights.settings.momentum.eventHalfLife {
      return update(of: j, by: summary, at: newest, EventDecay(halfLife: halfLife))
    }
    let alpha = weights.weight(
      after: MomentHistory(batches: batches[j], weight: weight[j]), of: batch.weight)
    let varianceAlpha = weights.weight(
      after: MomentHistory(batches: varianceBatches[j], weight: varianceWeight[j]),
      of: batch.weight)
    var update = MomentUpdate(
      mean: mixed(mean[j], batch.mean, alpha), variance: variance[j], weight: batch.weight,
      movesVariance: true)
    switch (weights.settings.estimator, weights.settings.variance) {
    case (.total, _):
      update.variance = mixed(variance[j], batch.biasedVariance, varianceAlpha)
      if varianceAlpha < 1 {
        let delta = batch.mean - mean[j]
        update.variance += varianceAlpha * (1 - varianceAlpha) * delta * delta
      }
    case (.batchNorm, .biased):
      update.variance = mixed(variance[j], batch.biasedVariance, varianceAlpha)
    case (.batchNorm, .unbiased):
      if let unbiased = summary.unbiasedVariance {
        update.variance = mixed(variance[j], unbiased, varianceAlpha)
      } else {
        update.movesVariance = false
      }
    }
    return update
  }

  /// (1 − α) a + α b: exactly b at α = 1, and exactly a if b = a.
  private func mixed(_ a: Double, _ b: Double, _ alpha: Double) -> Double {
    alpha == 1 ? b : a + alpha * (b - a)
  }
}

extension StateTable {
  /// Applies the update of every feature that has one.
  mutating func apply(_ columns: NormalizerColumns, _ update: (_ feature: Int) -> MomentUpdate?) {
    // Out of the table, so that each array is checked for other owners once and not with every element.
    var (mean, variance) = (take(columns.mean), take(columns.variance))
    var (weight, varianceWeight) = (take(columns.momentWeight), take(columns.varianceWeight))
    var (batches, varianceBatches) = (take(columns.momentBatches), take(columns.varianceBatches))
    Self.apply(update, &mean, &variance, &weight, &batches, &varianceWeight, &varianceBatches)
    put(mean, in: columns.mean)
    put(variance, in: columns.variance)
    put(weight, in: columns.momentWeight)
    put(varianceWeight, in: columns.varianceWeight)
    put(batches, in: columns.momentBatches)
    put(varianceBatches, in: columns.varianceBatches)
  }

  @inline(__always)
  private static func apply(
    _ update: (_ feature: Int) -> MomentUpdate?, _ mean: inout [Double],
    _ variance: inout [Double], _ weight: inout [Double], _ batches: inout [Int],
    _ varianceWeight: inout [Double], _ varianceBatches: inout [Int]
  ) {
    var mean = mean.mutableSpan
    var variance = variance.mutableSpan
    var weight = weight.mutableSpan
    var batches = batches.mutableSpan
    var varianceWeight = varianceWeight.mutableSpan
    var varianceBatches = varianceBatches.mutableSpan
    for j in mean.indices {
      guard let update = update(j) else { continue }
      mean[j] = update.mean
      variance[j] = update.variance
      weight[j] += update.weight
      batches[j] += 1
      guard update.movesVariance else { continue }
      varianceWeight[j] += update.weight
      varianceBatches[j] += 1
    }
  }
}
