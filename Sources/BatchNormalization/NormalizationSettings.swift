internal import State

/// How moments are estimated and which of them normalise a batch; the defaults are those of
/// docs/SEMANTICS.md.
///
/// The described settings of the operator and of the stream hold the ranges of these numbers. They are not checked
/// again here.
package struct NormalizationSettings: Sendable, Equatable {
  package var mode = NormalizationMode.running
  /// Mode `running` only: use the running moments after the update by this batch.
  package var updateFirst = false
  package var momentum = Momentum.halfLifeRecords(1700)
  package var epsilon = Epsilon.relative(1e-5)
  package var estimator = VarianceEstimator.total
  package var variance = BatchVariance.unbiased
  /// Whether early batches have more weight, so that the initial values have no effect.
  package var biasCorrection = true
  package var warmUp = WarmUp()
  /// Whether updates of the running moments are stopped (inference). Then there is no warm-up.
  package var isFrozen = false
  /// Whether features are in warm-up until their moments have seen enough values.
  var warmsUp: Bool { warmUp.records > 0 && !isFrozen }
  /// The limit on |x̂|, in standard deviations; nil is none.
  package var clip: Double? = 100
  /// The least variance that a batch is normalised by, in the squared unit of the feature.
  package var varianceFloor: Double?
  /// Modes `batch` and `renorm`: a batch with fewer records is normalised by the running moments.
  package var minBatchSize = 2
  /// The parts of the transform that are done.
  package var parts = TransformParts.both
  /// Whether x is made of y, by frozen moments in mode `running`.
  package var isInverse = false
  /// Whether a missing value is taken as the mean: x̂ = 0, that is y = β.
  package var imputesMissing = false
  /// Mode `renorm`: the bounds of r and d.
  package var renormMaxScale = 3.0
  package var renormMaxShift = 5.0
  /// Moments of other data that the running ones are merged with when they normalise; nil is none.
  package var prior: Prior?
  /// The keys that have moments of their own; nil is none.
  package var key: KeySettings?
  /// The classes whose moments are mixed by priors; nil is none. Never beside keys.
  package var classes: ClassSettings?
  /// Whether the state has rows of keys or classes.
  package var hasKeyRows: Bool { key != nil || classes != nil }

  /// The reason why the mode does not fit the other settings; nil if it does.
  package var modeFault: NormalizationError? {
    if prior != nil, mode == .batch { return .uselessPrior }
    guard hasKeyRows, mode != .running else { return nil }
    let beside = classes == nil ? "keys" : "classes"
    return .keys("mode: expected running beside \(beside), found \(mode.rawValue)")
  }

  package init() {}

  /// The settings that reproduce a library; docs/SEMANTICS.md has them in a table. The size of batches is not
  /// among them.
  package init(preset: NormalizationPreset) {
    switch preset {
    case .pytorch, .keras:
      estimator = .batchNorm
      biasCorrection = false
      let isKeras = preset == .keras
      momentum = .weight(isKeras ? 0.01 : 0.1)
      epsilon = .absolute(isKeras ? 1e-3 : 1e-5)
      variance = isKeras ? .biased : .unbiased
    case .river, .sklearn:
      updateFirst = true
      momentum = .cumulative
      epsilon = .absolute(0)
    case .online:
      // In warm-up for ever: each value is normalised by all values up to it, however they are cut into batches.
      warmUp.records = StateColumn.countLimit
      clip = 5
      return
    }
    warmUp.records = 0
    clip = nil
  }
}

/// A library whose numbers a stream gives, or a use of streams; each sets several settings as one.
package enum NormalizationPreset: String, Sendable, CaseIterable {
  /// `torch.nn.BatchNorm1d`: α 0.1, ε 1e-5, unbiased, not corrected.
  case pytorch
  /// `keras.layers.BatchNormalization`: α 0.01 (its momentum 0.99), ε 1e-3, biased, not corrected.
  case keras
  /// `river.preprocessing.StandardScaler`: `learn_one`, then `transform_one`.
  case river
  /// `sklearn.preprocessing.StandardScaler`: `partial_fit` with each batch, then `transform`.
  case sklearn
  /// Features of a model that learns from each record as it comes.
  case online
}

/// The parts of the transform that are done.
package enum TransformParts: Sendable, Equatable {
  /// x̂ = (x − μ) / σ.
  case both
  /// x̂ = x − μ.
  case center
  /// x̂ = x / σ.
  case scale
}

/// ε, which keeps the denominator of x̂ away from 0.
package enum Epsilon: Sendable, Equatable {
  /// Added to the variance, in the squared unit of the feature.
  case absolute(Double)
  /// Added as this share of the variance. A feature in another unit is normalised to the same numbers then.
  case relative(Double)
}

/// Which moments normalise a batch.
package enum NormalizationMode: String, Sendable, CaseIterable {
  case batch
  case running
  case renorm
}

/// The weight α of the *new* batch in the running moments (PyTorch's sense; Keras' is 1 − α).
package enum Momentum: Sendable, Equatable {
  /// 0 < α ≤ 1.
  case weight(Double)
  case cumulative
  /// The number of present values after which a value's weight has halved.
  case halfLifeRecords(Double)
  /// The time after which a value's weight has halved.
  case halfLifeSeconds(Double)
  /// The event time, in seconds, after which a value's weight has halved.
  case halfLifeEventTime(Double)

  /// The half-life in event time; nil for another momentum.
  package var eventHalfLife: Double? {
    if case .halfLifeEventTime(let seconds) = self { seconds } else { nil }
  }
}

/// How the running variance is formed.
package enum VarianceEstimator: String, Sendable, CaseIterable {
  /// The average of the variances within batches, as every framework does.
  case batchNorm = "batch_norm"
  /// The exact exponentially weighted variance of all values, between batches too.
  case total
}

/// The divisor of a batch's variance as it enters the running variance.
package enum BatchVariance: String, Sendable, CaseIterable {
  case unbiased
  case biased
}

/// The treatment of a feature until its running moments mean something; modes `running` and `renorm`, and
/// short batches of mode `batch`.
package struct WarmUp: Sendable, Equatable {
  package enum Emission: String, Sendable, CaseIterable {
    /// Normalise each value by the running moments merged with the open batch's values up to and including it.
    case prefix
    /// Emit the values as they were read.
    case pass
    /// Emit the values as missing.
    case missing
    /// Keep the stream's first records, and emit them by the running moments that they lead to.
    case hold
  }

  /// The values of a feature that must have moved its moments; 0 is no warm-up.
  package var records = 32
  package var emission = Emission.prefix

  package init() {}
}
