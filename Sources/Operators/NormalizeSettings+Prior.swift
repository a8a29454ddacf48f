internal import BatchNormalization
package import Configuration

// The prior and its limit.
extension NormalizeSettings {
  package static let priorCheckpoint = Setting(
    "prior.checkpoint", .path, option: .value("prior", "file"), optionType: .shellPath,
    help:
      "A checkpoint, such as that of the training data, whose moments count as values of each feature when "
      + "values are normalised. They never decay.")

  package static let priorValues = Setting(
    "prior.values", .positive, option: .value("prior-values", "n"),
    help: "Beside it: how many values the moments of the prior count as.")

  package static let limitMean = Setting(
    "limit.mean", .number(atLeast: 0), option: .value("limit-mean", "z"),
    help:
      "With a prior: the mean that normalises is at most this many deviations of the prior from that of the prior."
  )

  package static let limitDeviation = Setting(
    "limit.deviation", .number(atLeast: 1), option: .value("limit-deviation", "r"),
    help:
      "With a prior: the deviation that normalises is at most this many times larger or smaller than that of the "
      + "prior.")

  /// The needs of a prior that the values do not meet.
  @Sendable static func priorViolations(_ values: SettingValues) -> [SettingViolation] {
    guard values[priorCheckpoint] != nil else {
      return ([priorValues, limitMean, limitDeviation] as [any SettingDescription])
        .filter(values.isGiven).map {
          SettingViolation($0, expected: .other(priorCheckpoint, is: "FILE"), found: "none")
        }
    }
    func refusal(_ message: String) -> [SettingViolation] {
      [SettingViolation(priorCheckpoint, expected: .said(message), found: "")]
    }
    if values[priorValues] == nil {
      return [
        SettingViolation(priorCheckpoint, expected: .other(priorValues, is: "N"), found: "none")
      ]
    }
    if values[mode] == .batch {
      return refusal("expected mode running or renorm, found batch, in which a prior has no effect")
    }
    let settings = NormalizationSettings(values)
    let expected =
      "expected a half-life in records or in event time, or momentum cumulative, found "
    let reason = ", whose moments do not tell how many values the prior is weighed against"
    switch settings.momentum {
    case .weight(let weight): return refusal(expected + "momentum \(numberText(weight))" + reason)
    case .halfLifeSeconds: return refusal(expected + "a half-life in seconds" + reason)
    case .cumulative, .halfLifeEventTime: return []
    case .halfLifeRecords:
      guard !settings.biasCorrection else { return [] }
      return [
        SettingViolation(
          biasCorrection,
          expected: .said("expected true beside a prior, found false, with which μ = 0 counts too"),
          found: "")
      ]
    }
  }
}
