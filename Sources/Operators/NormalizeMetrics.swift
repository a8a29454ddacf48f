internal import BatchNormalization
internal import Configuration
internal import Records
internal import State

/// The metrics of the normalising operator.
enum NormalizeMetrics {
  static let all = state + lastBatch

  private static let state = [
    FeatureMetric("values", heading: "n", isCount: true, help: "Values that moved the mean.") {
      $0.state[real: "evenkeel.moments.weight"]
    },
    FeatureMetric(
      "mean", heading: "μ", series: "evenkeel_feature_mean",
      help: "Running mean, in the feature's unit."
    ) { $0.state[real: "running_mean"] },
    FeatureMetric(
      "stddev", heading: "σ", series: "evenkeel_feature_stddev",
      help: "Running standard deviation, in the feature's unit."
    ) { $0.stddevs },
    FeatureMetric("weight", heading: "γ", help: "γ.") { $0.state[real: "weight"] },
    FeatureMetric("bias", heading: "β", help: "β.") { $0.state[real: "bias"] },
    FeatureMetric("missing", heading: "missing", isCount: true, help: "Missing values.") {
      $0.state[count: "evenkeel.values.missing"].map(Double.init)
    },
    FeatureMetric(
      "clipped", heading: "clipped", series: "evenkeel_feature_clipped_total", isCount: true,
      help: "Values that `clip` limited."
    ) {
      $0.state[count: "evenkeel.values.clipped"].map(Double.init)
    },
    FeatureMetric(
      "missing_ratio", series: "evenkeel_feature_missing_ratio",
      help: "Share of missing values among all values so far."
    ) { view in
      let columns = NormalizerColumns(in: view.state)
      return zip(columns.presentCounts(view.state), view.state[columns.missing])
        .map { present, missing in
          let seen = present + missing
          return seen > 0 ? Double(missing) / Double(seen) : nil
        }
    },
  ]

  private static let lastBatch = [
    FeatureMetric("batch_mean", help: "Mean of the last batch.") {
      $0.ofLastBatch { summary, _ in summary.mean }
    },
    FeatureMetric("batch_stddev", help: "Standard deviation of the last batch, biased.") {
      $0.ofLastBatch { summary, _ in summary.present?.biasedVariance.squareRoot() }
    },
    FeatureMetric(
      "drift", series: "evenkeel_feature_drift",
      help:
        "Distance of the last batch's mean from the mean that normalises before it, in standard "
        + "deviations."
    ) {
      $0.ofLastBatch { summary, plan in summary.mean.flatMap { plan.drift(ofMean: $0) } }
    },
    FeatureMetric(
      "limited", series: "evenkeel_feature_limited",
      help: "1 if the limit of the prior held the moments for the last batch, 0 if not."
    ) { view in
      guard
        view.settings[NormalizeSettings.limitMean] != nil
          || view.settings[NormalizeSettings.limitDeviation] != nil
      else { return Array(repeating: nil, count: view.state.features.count) }
      return view.ofLastBatch { _, plan in plan.held == nil ? 0 : 1 }
    },
    FeatureMetric("renorm_scale", help: "r of the last batch in mode `renorm`.") {
      $0.ofLastBatch { _, plan in plan.renorm?.scale }
    },
    FeatureMetric("renorm_shift", help: "d of the last batch in mode `renorm`.") {
      $0.ofLastBatch { _, plan in plan.renorm?.shift }
    },
  ]
}

extension OperatorView {
  fileprivate var stddevs: [Double] { state[real: "running_var"].map { $0.squareRoot() } }
}

extension FeatureSummary {
  /// The moments; nil if the feature was missing in the whole batch, or if they were not computed.
  fileprivate var present: Moments? { moments.weight > 0 ? moments : nil }
}
