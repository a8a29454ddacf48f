/// How moments are estimated and which of them normalise a batch; the defaults are those of
/// docs/SEMANTICS.md.
package struct NormalizationSettings: Sendable, Equatable {
  package var mode = NormalizationMode.running
  /// Mode `running` only: use the running moments after the update by this batch.
  package var updateFirst = false
  package var momentum = Momentum.weight(0.1)
  /// ε, in the squared unit of the feature; added to every variance before the square root.
  package var epsilon = 1e-5
  package var estimator = VarianceEstimator.batchNorm
  package var variance = BatchVariance.unbiased
  /// Whether early batches have more weight, so that the initial values have no effect.
  package var biasCorrection = true
  package var warmUp = WarmUp()
  /// Whether updates of the running moments are stopped (inference). Then there is no warm-up.
  package var isFrozen = false
  /// The limit on |x̂|, in standard deviations.
  package var clip: Double?
  /// The least variance that a batch is normalised by, in the squared unit of the feature.
  package var varianceFloor: Double?
  /// A batch with fewer records is normalised by the running moments in every mode.
  package var minBatchSize = 2
  /// Whether a missing value becomes x̂ = 0, that is y = β.
  package var imputesMissing = false
  /// Mode `renorm`: the bounds of r and d.
  package var renormMaxScale = 3.0
  package var renormMaxShift = 5.0

  package init() {}

  /// The settings that reproduce a framework's layer; whatever the row of the table in
  /// docs/SEMANTICS.md does not name stays at its default.
  package init(preset: NormalizationPreset) {
    biasCorrection = false
    switch preset {
    case .pytorch:
      momentum = .weight(0.1)
      epsilon = 1e-5
      variance = .unbiased
    case .keras:
      momentum = .weight(0.01)
      epsilon = 1e-3
      variance = .biased
    }
  }

  /// Checks that every number is in its range.
  ///
  /// - Throws: `NormalizationError.setting` for the first that is not.
  package func validate() throws(NormalizationError) {
    if let first = violations.first { throw first }
  }

  /// Every number that is out of its range, each as `NormalizationError.setting`.
  package var violations: [NormalizationError] {
    var found: [NormalizationError] = []
    func require(
      _ holds: Bool, _ name: String, _ value: some CustomStringConvertible, _ expected: String
    ) {
      if !holds {
        found.append(.setting(name: name, expected: expected, found: value.description))
      }
    }
    require(epsilon > 0 && epsilon.isFinite, "epsilon", epsilon, "a finite number above 0")
    switch momentum {
    case .weight(let alpha):
      require(alpha > 0 && alpha <= 1, "momentum", alpha, "a number above 0, at most 1")
    case .cumulative:
      break
    case .halfLifeRecords(let records):
      require(
        records > 0 && records.isFinite, "half_life.records", records, "a finite number above 0")
    case .halfLifeSeconds(let seconds):
      require(
        seconds > 0 && seconds.isFinite, "half_life.seconds", seconds, "a finite time above 0 s")
    }
    if let clip {
      require(clip > 0 && clip.isFinite, "clip", clip, "a finite number above 0")
    }
    if let varianceFloor {
      require(
        varianceFloor >= 0 && varianceFloor.isFinite, "variance_floor", varianceFloor,
        "a finite number of at least 0")
    }
    require(minBatchSize >= 1, "batch.min_size", minBatchSize, "a count of at least 1")
    require(warmUp.batches >= 0, "warm_up.batches", warmUp.batches, "a count of at least 0")
    require(
      renormMaxScale >= 1 && renormMaxScale.isFinite, "renorm.max_scale", renormMaxScale,
      "a finite number of at least 1")
    require(
      renormMaxShift >= 0 && renormMaxShift.isFinite, "renorm.max_shift", renormMaxShift,
      "a finite number of at least 0")
    return found
  }
}

/// A framework whose momentum, epsilon, batch variance and bias correction are taken as one.
package enum NormalizationPreset: String, Sendable, CaseIterable {
  /// `torch.nn.BatchNorm1d`: α 0.1, ε 1e-5, unbiased, not corrected.
  case pytorch
  /// `keras.layers.BatchNormalization`: α 0.01 (its momentum 0.99), ε 1e-3, biased, not corrected.
  case keras
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

/// The treatment of batches until the running moments mean something; modes `running` and `renorm` only.
package struct WarmUp: Sendable, Equatable {
  package enum Emission: String, Sendable, CaseIterable {
    /// Normalise by the batch's own moments.
    case batch
    /// Emit the raw values.
    case pass
    /// Keep the records and emit them when warm.
    case hold
  }

  /// The number of batches that must have been seen.
  package var batches = 1
  package var emission = Emission.batch

  package init() {}
}
