package import Records

/// How a mini-batch leaves the operators.
package enum BatchEmission: Sendable, Equatable {
  /// Its columns are y.
  case normalized
  /// Its columns are y, those of some features in warm-up aside.
  case partly(UnnormalizedFeatures)
  /// Its columns are untouched. The stage keeps it, in order, and transforms it later as a part.
  case held
}

/// The records that a plan is for.
package enum BatchRole: Sendable, Equatable {
  /// A whole batch: it updates the state and is emitted, passed or held.
  case whole
  /// The values of a batch whose records were emitted before its cut: it only updates the state.
  case emitted
  /// A segment of an open batch: it is emitted before the batch updates the state.
  case part
  /// A batch that was held and has updated the state.
  case held

  /// Whether the records are all those of a batch that has not updated the state.
  package var updates: Bool { self == .whole || self == .emitted }
}

/// The update and the transform of one feature for one batch.
package struct FeaturePlan: Sendable {
  /// Whether an operator forbids that the batch updates the feature's moments.
  package internal(set) var isVetoed = false
  /// The moments that normalise, before the batch; nil in warm-up, and before the first value.
  var before: (mean: Double, variance: Double)?
  var update: MomentUpdate?
  /// The moments that normalise, as they would be without the limit of the prior; nil if it holds none.
  package internal(set) var held: HeldMoments?
  /// nil leaves the column as it is.
  var transform: ColumnTransform?
  /// Whether records with a known key have a transform of their own.
  var isByKey = false

  /// r and d of mode `renorm`; nil in others.
  package var renorm: (scale: Double, shift: Double)? {
    guard let transform, let scale = transform.renormScale, let shift = transform.renormShift else {
      return nil
    }
    return (scale, shift)
  }

  /// (mean − μ) / σ by the moments before the batch; nil without these, if σ is 0, or if it is not finite.
  package func drift(ofMean mean: Double) -> Double? {
    guard let before, before.variance > 0 else { return nil }
    let drift = (mean - before.mean) / before.variance.squareRoot()
    return drift.isFinite ? drift : nil
  }
}

/// The outcome of a mini-batch: all operators put it together before any of them changes anything.
///
/// Its memory is used again for the next batch.
package struct BatchPlan: Sendable {
  package private(set) var role = BatchRole.whole
  /// The time since the cut of the batch before; nil if there was none.
  package private(set) var elapsedSeconds: Double?
  package internal(set) var emission = BatchEmission.normalized
  /// Whether the running moments move.
  package internal(set) var updatesMoments = false
  package internal(set) var features: [FeaturePlan]
  /// The features in warm-up. Their `transform` is nil.
  var cold: [ColdFeature] = []
  /// The settings that these are transformed by.
  var settings = NormalizationSettings()
  /// The keys of the batch; without features if it is not normalised by them.
  var keyed = KeyedBatch()
  /// Whether an operator counts the keys that are away from their own moments.
  private(set) var countsKeys = false

  /// The keys that are away; nil unless an operator counts them, or without keys.
  package var keyDeviations: KeyDeviations? { keyed.deviations }

  package init(featureCount: Int) {
    features = Array(repeating: FeaturePlan(), count: featureCount)
  }

  /// Begins the plan of the next batch.
  package mutating func begin(_ role: BatchRole, elapsedSeconds: Double?) {
    self.role = role
    self.elapsedSeconds = elapsedSeconds
    emission = .normalized
    updatesMoments = false
    countsKeys = false
    cold.removeAll(keepingCapacity: true)
    if !keyed.numbers.isEmpty { keyed.forget() }
    for j in features.indices where features[j].isVetoed || features[j].isByKey {
      (features[j].isVetoed, features[j].isByKey) = (false, false)
    }
  }

  /// Has the keys counted that are away from their own moments.
  package mutating func countKeys() { countsKeys = true }

  /// Forbids that the batch updates the running moments of a feature.
  package mutating func vetoUpdate(of feature: Int) {
    features[feature].isVetoed = true
  }

  /// Checks that every value of the records fits the columns and the output.
  ///
  /// Every step of a transform is monotone, in its rounding too, so the extremes bound all values.
  ///
  /// - Throws: `NormalizationError.unfit` with the records that have a value that does not.
  package func validate(
    _ summary: borrowing BatchSummary, _ columns: FeatureColumns, _ records: Range<Int>,
    _ schema: FeatureSchema, outputPrecision: Precision
  ) throws(NormalizationError) {
    var limit = Double(Float.greatestFiniteMagnitude)
    if case .float64 = columns.values, outputPrecision == .float64 {
      limit = .greatestFiniteMagnitude
    }
    let isBoundByClip = settings.parts == .both && !settings.isInverse
    var unfit: [Int: UnfitValue] = [:]
    for j in features.indices {
      guard let transform = features[j].transform else { continue }
      if features[j].isByKey {
        let found = keyed.unfit(
          j, transform, columns, records, isCentred: settings.parts != .scale,
          clip: isBoundByClip ? settings.clip : nil, limit: limit)
        for (record, x) in found where unfit[record] == nil {
          unfit[record] = UnfitValue(
            record: record, feature: schema.names[j], value: x, limit: limit,
            isBoundByClip: isBoundByClip)
        }
        continue
      }
      if transform.isWithin(limit, summary.features[j].extent) { continue }
      // The bounds may exceed the limit though no value does.
      let exact = columns.statistics(of: j, in: records, withMoments: false)
      if transform.isWithin(limit, exact.extent) { continue }
      for record in records where unfit[record] == nil {
        let x = columns[record: record, feature: j]
        let y = x.isNaN ? transform.fill : transform(x)
        if y.isNaN && x.isNaN || abs(y) <= limit { continue }
        unfit[record] = UnfitValue(
          record: record, feature: schema.names[j], value: x, limit: limit,
          isBoundByClip: isBoundByClip)
      }
    }
    for cold in cold where settings.warmUp.emission == .prefix || settings.warmUp.emission == .hold
    {
      let count = cold.start.moments.weight + Double(summary.features[cold.feature].presentCount)
      // A value that weighs less than 1 may be farther away.
      let reach = min(
        settings.clip ?? .infinity,
        columns.roles.weights == nil && settings.momentum.eventHalfLife == nil
          ? count.squareRoot() : .infinity)
      // A limit may make the deviation less than that of the values.
      if settings.parts == .both, cold.bounds == nil,
        abs(cold.weight) * reach + abs(cold.bias) <= limit
      {
        continue
      }
      for record in columns.unfitPrefixes(of: cold, settings, in: records, limit: limit)
      where unfit[record] == nil {
        unfit[record] = UnfitValue(
          record: record, feature: schema.names[cold.feature],
          value: columns[record: record, feature: cold.feature], limit: limit,
          isBoundByClip: isBoundByClip)
      }
    }
    guard unfit.isEmpty else {
      throw .unfit(unfit.values.sorted { $0.record < $1.record })
    }
  }
}

extension ColumnTransform {
  /// Whether |y| of every value is at most `limit`.
  fileprivate func isWithin(_ limit: Double, _ extent: ColumnExtent) -> Bool {
    if hasMissing, !fill.isNaN, !(abs(fill) <= limit) { return false }
    return extent.presentCount == 0
      || abs(self(extent.minimum)) <= limit && abs(self(extent.maximum)) <= limit
  }
}
