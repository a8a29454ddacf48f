/// A property of a feature that is watched. Each has a chart of its own.
package enum DriftKind: Int, Sendable, CaseIterable {
  /// The mean of the values.
  case mean
  /// The logarithm of the deviation of the values.
  case spread
  /// The share of values that are missing.
  case missing
  /// The share of values that `clip` limits.
  case clipped
  /// The distribution of the normalised values.
  case distribution
  /// The share of keys whose values are away from their own moments.
  case keys

  /// The name in files, metrics and the API.
  package var name: String {
    switch self {
    case .mean: "mean"
    case .spread: "spread"
    case .missing: "missing"
    case .clipped: "clipped"
    case .distribution: "distribution"
    case .keys: "keys"
    }
  }

  /// Whether only a rise is drift.
  var rises: Bool { self == .distribution || self == .keys }

  /// The row of its chart of a feature in a column of charts.
  func row(of feature: Int, among features: Int) -> Int { rawValue * features + feature }
}

/// The verdict of a chart.
package enum DriftPhase: Int, Sendable {
  case ok = 0
  /// The property is above its reference.
  case above = 1
  /// The property is below its reference.
  case below = 2
  /// It drifted, and its reference has been replaced.
  case settled = 3

  package var isDrifting: Bool { self == .above || self == .below }

  /// The name in the API.
  package var name: String {
    switch self {
    case .ok: "ok"
    case .above, .below: "drifting"
    case .settled: "settled"
    }
  }
}

/// A place in a stream: the first batch and record of a pool, both counted from 1.
struct DriftPlace: Sendable, Equatable {
  var batch = 0
  var record = 0
  /// The time of the stream at which it began; 0 in files.
  var seconds = 0.0
}
