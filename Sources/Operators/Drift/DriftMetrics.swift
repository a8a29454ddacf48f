internal import Configuration
internal import State

/// The metrics of the operator that watches for drift: one value for each kind of a feature.
enum DriftMetrics {
  static let all = DriftKind.allCases.flatMap { kind in
    [
      metric("drift_alarm", kind, help: "1 while the feature drifts, otherwise 0.") {
        $0.phase.isDrifting ? 1 : 0
      },
      metric(
        "drift_score", kind,
        help: "The score of the feature as a share of the threshold; above 1, it drifts."
      ) { $0.score },
      metric(
        "drift_size", kind,
        help:
          "How far the feature is: a mean in reference deviations, a deviation and a distribution as a multiple of the "
          + "reference, a share as a difference."
      ) { $0.size },
      metric(
        "drift_since_seconds", kind,
        help: "Time since the drift began; only while a live stream drifts."
      ) { $0.phase.isDrifting ? $0.seconds : nil },
      metric(
        "drift_alarms", kind, series: "evenkeel_drift_alarms_total", isCount: true,
        help: "Alarms so far."
      ) { Double($0.alarms) },
    ]
  }

  private static func metric(
    _ name: String, _ kind: DriftKind, series: String? = nil, isCount: Bool = false, help: String,
    _ value: @escaping @Sendable (DriftAlarm) -> Double?
  ) -> FeatureMetric {
    FeatureMetric(
      name, kind: kind.name, series: series ?? "evenkeel_\(name)", isCount: isCount, help: help
    ) { view in
      let isShown = view.settings[DriftSettings.actions].contains(.metric)
      return DriftAlarm.each(kind, in: view.state).map { isShown ? $0.flatMap(value) : nil }
    }
  }
}
