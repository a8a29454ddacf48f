internal import Records

/// Why the normaliser refuses a batch, a setting or parameters. A refusal changes neither the state nor the
/// batch.
package enum NormalizationError: Error, Equatable, CustomStringConvertible {
  /// A vector or batch of another number of features than the schema (or its counterpart) has.
  case featureCount(of: String, expected: Int, found: Int)
  /// Features of the stream that γ and β are not given for.
  case absentFeatures([String])
  /// Names that are given beside those of the stream's features, or twice.
  case surplusFeatures([String])
  /// A number that a vector of parameters, moments or counts cannot hold, by its index.
  case element(of: String, index: Int, expected: String, found: String)
  /// A quantity of that feature that is too large to represent.
  case overflow(feature: String, quantity: Quantity)
  /// Values whose y does not fit the output, at most one a record; in the order of the records.
  case unfit([UnfitValue])
  /// A transform that cannot be undone. `feature` is nil if the settings are the reason.
  case notInvertible(feature: String?, reason: String)
  /// The time since the batch before, which a half-life in seconds needs.
  case elapsedSeconds(found: Double?)
  /// Moments of unknown weight that the first batch would replace.
  case uncounted(feature: String)
  /// Moments of unknown weight, beside a prior.
  case unweighted(feature: String)
  /// A prior in a mode that hardly uses the running moments.
  case uselessPrior
  /// Settings of keys that do not fit the stream, in words.
  case keys(String)

  /// The quantity that overflowed.
  package enum Quantity: String, Sendable, CaseIterable {
    case batchMean = "mean of the batch"
    case batchVariance = "variance of the batch"
    case runningMean = "running mean"
    case runningVariance = "running variance"
    case scale = "scale"
    case shift = "shift"
  }

  package var description: String {
    switch self {
    case .featureCount(let subject, let expected, let found):
      "\(subject): expected \(expected) feature\(expected == 1 ? "" : "s"), found \(found)"
    case .element(let subject, let index, let expected, let found):
      "\(subject)[\(index)]: expected \(expected), found \(found)"
    case .absentFeatures(let names):
      "features: expected \(listed(names)), found no such name"
    case .surplusFeatures(let names):
      "features: expected each feature of the stream once and no other name, found also \(listed(names))"
    case .overflow(let feature, let quantity):
      "feature '\(feature)': the \(quantity.rawValue) overflows"
    case .notInvertible(let feature, let reason):
      "inverse: expected "
        + (feature.map { "a transform of feature \(quoted($0)) that can be undone, found " } ?? "")
        + reason
    case .unfit(let values): values.first?.description ?? ""
    case .elapsedSeconds(let found):
      "half_life.seconds: expected the time since the batch before in seconds, found "
        + (found.map(\.description) ?? "none")
    case .uncounted(let feature):
      "moments of feature \(quoted(feature)): expected the number of values that made them, found 0, so "
        + "that the first batch would replace them: give it with evenkeel import --values-per-batch, keep "
        + "the moments with --frozen, or count batches with --preset pytorch or keras"
    case .unweighted(let feature):
      "moments of feature \(quoted(feature)): expected the number of values that made them, which the values "
        + "of the prior are weighed against, found 0: give it with evenkeel import --values-per-batch"
    case .keys(let reason): reason
    case .uselessPrior:
      "prior: expected mode running or renorm, found batch, in which it has no effect"
    }
  }
}

/// A value whose y does not fit the width of the output.
package struct UnfitValue: Sendable, Equatable, CustomStringConvertible {
  /// The index of its record in the block.
  package let record: Int
  package let feature: String
  /// x; NaN if it is missing.
  package let value: Double
  /// The greatest |y|.
  package let limit: Double
  /// Whether a lower `clip` bounds |y|: if it limits |x̂|, and x̂ is all that γ and β change.
  var isBoundByClip = true

  package var expected: String {
    "a normalised value of at most \(limit) in size in feature \(quoted(feature))"
  }

  /// - Parameter keepsWidths: whether the features keep the width of the input, so that `precision` cannot be set.
  package func found(keepsWidths: Bool = false) -> String {
    let cures = [isBoundByClip ? "clip" : nil, keepsWidths ? nil : "precision: float64"]
      .compactMap { $0 }
    return "a greater one, from \(value.isNaN ? "a missing value" : "\(value)"); "
      + "\(cures.isEmpty ? "a smaller γ" : cures.joined(separator: " or ")) keeps it in range"
  }

  package var description: String { "expected \(expected), found \(found())" }
}
