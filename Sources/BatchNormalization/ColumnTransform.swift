/// y = clamp(x − center, low, high) · scale + shift, the one form that every mode comes down to.
struct ColumnTransform: Equatable {
  var center: Double
  var low = -Double.infinity
  var high = Double.infinity
  var scale: Double
  var shift: Double
  /// Replaces a missing value; NaN keeps it missing.
  var fill = Double.nan
  /// Whether some value of the column may be missing.
  var hasMissing = true
  /// r and d of mode `renorm`, for those who watch.
  var renormScale: Double?
  var renormShift: Double?

  /// y = γ · (x − μ̂) / sqrt(σ̂² + ε) + β, with |x̂| limited by `clip`.
  ///
  /// Source: Ioffe & Szegedy 2015, "Batch Normalization", algorithm 1.
  init(
    mean: Double, variance: Double, weight: Double, bias: Double, settings: NormalizationSettings
  ) {
    let deviation = settings.deviation(ofVariance: variance)
    center = mean
    scale = weight / deviation
    shift = bias
    if let clip = settings.clip {
      low = -clip * deviation
      high = clip * deviation
    }
    fill = settings.imputesMissing ? bias : .nan
  }

  /// y = γ · ((x − μ_B) / σ_B · r + d) + β, with |x̂| (the bracket) limited by `clip`.
  ///
  /// Source: Ioffe 2017, "Batch Renormalization", algorithm 1.
  init(
    batch: Moments, runningMean: Double, runningVariance: Double, weight: Double, bias: Double,
    settings: NormalizationSettings
  ) {
    let batchDeviation = settings.deviation(ofVariance: batch.biasedVariance)
    let runningDeviation = settings.deviation(ofVariance: runningVariance)
    let (rMax, dMax) = (settings.renormMaxScale, settings.renormMaxShift)
    let r = min(max(batchDeviation / runningDeviation, 1 / rMax), rMax)
    let d = min(max((batch.mean - runningMean) / runningDeviation, -dMax), dMax)
    (renormScale, renormShift) = (r, d)
    center = batch.mean
    scale = weight * r / batchDeviation
    shift = weight * d + bias
    if let clip = settings.clip {
      low = (-clip - d) * batchDeviation / r
      high = (clip - d) * batchDeviation / r
    }
    fill = settings.imputesMissing ? bias : .nan
  }

  /// The transform of one present value, in the kernel's operations and their order.
  func callAsFunction(_ x: Double) -> Double {
    min(max(x - center, low), high) * scale + shift
  }
}

extension NormalizationSettings {
  /// sqrt(max(σ², floor) + ε), in the unit of the feature.
  func deviation(ofVariance variance: Double) -> Double {
    (max(variance, varianceFloor ?? 0) + epsilon).squareRoot()
  }
}
