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

  /// y = γ · (x − μ̂) / σ̂ + β, with the distance of x from μ̂ limited to `clip` times σ̂. If σ̂ is 0, y = β for every x.
  /// Without centring, μ̂ is not subtracted; without scaling, nothing is divided, and a σ̂ of 0 means nothing.
  ///
  /// Source: Ioffe & Szegedy 2015, "Batch Normalization", algorithm 1.
  ///
  /// - Parameter origin: the number that was subtracted from `mean` and is subtracted from every x.
  init(
    mean: Double, variance: Double, weight: Double, bias: Double, settings: NormalizationSettings,
    origin: Double = 0
  ) {
    let deviation = settings.deviation(ofVariance: variance)
    let isCentred = settings.parts != .scale
    center = isCentred ? mean : -origin
    shift = bias
    scale = settings.parts == .center ? weight : deviation > 0 ? weight / deviation : 0
    fill = settings.imputesMissing ? isCentred ? bias : (mean + origin) * scale + bias : .nan
    guard deviation > 0, let clip = settings.clip else { return }
    let middle = isCentred ? 0 : mean + origin
    low = middle - clip * deviation
    high = middle + clip * deviation
  }

  /// x = (y − β) / γ · σ + μ, without a limit. The scale of the transform must not be 0.
  init(
    undoing mean: Double, variance: Double, weight: Double, bias: Double,
    settings: NormalizationSettings
  ) {
    center = bias
    shift = settings.parts == .scale ? 0 : mean
    let deviation = settings.parts == .center ? 1 : settings.deviation(ofVariance: variance)
    scale = deviation / weight
    fill = settings.imputesMissing ? mean : .nan
  }

  /// y = γ · ((x − μ_B) / σ_B · r + d) + β, with |x̂| (the bracket) limited by `clip`. If σ is 0, y = β for
  /// every x; if σ_B is, the bracket is d.
  ///
  /// Source: Ioffe 2017, "Batch Renormalization", algorithm 1.
  init(
    batch: Moments, runningMean: Double, runningVariance: Double, weight: Double, bias: Double,
    settings: NormalizationSettings
  ) {
    let batchDeviation = settings.deviation(ofVariance: batch.biasedVariance)
    let runningDeviation = settings.deviation(ofVariance: runningVariance)
    center = batch.mean
    fill = settings.imputesMissing ? bias : .nan
    guard runningDeviation > 0 else {
      (renormScale, renormShift) = (1, 0)
      (scale, shift) = (0, bias)
      return
    }
    let (rMax, dMax) = (settings.renormMaxScale, settings.renormMaxShift)
    let r = min(max(batchDeviation / runningDeviation, 1 / rMax), rMax)
    let d = min(max((batch.mean - runningMean) / runningDeviation, -dMax), dMax)
    (renormScale, renormShift) = (r, d)
    guard batchDeviation > 0 else {
      let limit = settings.clip ?? .infinity
      (scale, shift) = (0, weight * min(max(d, -limit), limit) + bias)
      return
    }
    scale = weight * r / batchDeviation
    shift = weight * d + bias
    if let clip = settings.clip {
      low = (-clip - d) * batchDeviation / r
      high = (clip - d) * batchDeviation / r
    }
  }

  /// The transform of one present value, in the kernel's operations and their order.
  func callAsFunction(_ x: Double) -> Double {
    min(max(x - center, low), high) * scale + shift
  }
}

extension NormalizationSettings {
  /// The square root of the denominator, in the unit of the feature: sqrt(max(σ², floor) + ε), or
  /// sqrt(max(σ², floor) · (1 + r)) with a relative ε.
  package func deviation(ofVariance variance: Double) -> Double {
    let least = max(variance, varianceFloor ?? 0)
    return switch epsilon {
    case .absolute(let epsilon): (least + epsilon).squareRoot()
    case .relative(let share): (least * (1 + share)).squareRoot()
    }
  }
}
