internal import BatchNormalization
internal import Records
package import State

/// A property of a feature with which its normalised values hardly mean what its user expects.
///
/// This is the only place that decides it. The log, the status, `evenkeel inspect` and the summary of a run show it.
package struct FeatureWarning: Sendable, Equatable, CustomStringConvertible {
  package enum Kind: Int, Sendable, CaseIterable {
    case mostlyMissing, variesUnseen, constant, tooSmall, hiddenByEpsilon

    /// The property in a few words, for the news that it has ended.
    var words: String {
      switch self {
      case .mostlyMissing: "mostly missing"
      case .variesUnseen: "without an update of its variance"
      case .constant: "constant"
      case .tooSmall: "too small to square"
      case .hiddenByEpsilon: "hidden by epsilon"
      }
    }
  }

  /// When a state is judged.
  package enum Occasion: Sendable {
    /// After some batches of a stream that goes on, so that a slow start is not taken for a property.
    case underWay
    /// At the end of a run, or in a file.
    case atEnd

    fileprivate var leastBatches: Int { self == .underWay ? FeatureWarning.leastBatches : 1 }
    fileprivate var leastRecords: Int { self == .underWay ? 2000 : 32 }
  }

  /// The batches after which a variance should have been updated, and between two judgements of a stream.
  static let leastBatches = 20

  /// The least deviation whose square keeps its digits.
  private static let leastDeviation = 1e-150

  package let kind: Kind
  /// The index of the feature.
  package let index: Int
  package let feature: String
  /// A sentence for people, with what to do.
  package let text: String

  package var description: String { "feature \(quoted(feature)): \(text)" }

  /// All warnings of a state, at most one a feature, in the order of the features.
  ///
  /// - Parameters:
  ///   - epsilon: the absolute ε; nil if it is relative or not known.
  ///   - hasPrior: whether the moments are merged with those of a prior when they normalise.
  package static func all(
    of state: borrowing StateTable, epsilon: Double?, hasPrior: Bool, _ occasion: Occasion
  ) -> [FeatureWarning] {
    all(
      of: state, NormalizerColumns(in: state), epsilon: epsilon, hasPrior: hasPrior, occasion)
  }

  static func all(
    of state: borrowing StateTable, _ columns: NormalizerColumns, epsilon: Double?,
    hasPrior: Bool, _ occasion: Occasion
  ) -> [FeatureWarning] {
    let isOldEnough =
      state[columns.batches][0] >= occasion.leastBatches
      && state[columns.records][0] >= occasion.leastRecords
    let (mean, variance) = (state[columns.mean], state[columns.variance])
    let (present, missing) = (columns.presentCounts(state), state[columns.missing])
    let values = state[columns.momentWeight]
    let (batches, updates) = (state[columns.momentBatches], state[columns.varianceBatches])
    var found: [FeatureWarning] = []
    for j in mean.indices {
      let warning: (Kind, String)
      if missing[j] > present[j], missing[j] + present[j] >= occasion.leastRecords {
        warning = (
          .mostlyMissing,
          "\(missing[j]) of its \(missing[j] + present[j]) values are missing"
        )
      } else if batches[j] >= leastBatches, updates[j] == 0 {
        warning = (
          .variesUnseen,
          "its variance has had no update in \(batches[j]) batches, because each has one of its values; "
            + "use estimator: total or a larger batch.size"
        )
      } else if isOldEnough, updates[j] > 0, isTooSmall(mean[j], variance[j]) {
        warning = (
          .tooSmall,
          "its \(Int(values[j])) values differ by less than \(leastDeviation), if at all, which is too "
            + "little to square; multiply them by a constant"
        )
      } else if isOldEnough, updates[j] > 0, variance[j] == 0 {
        warning = (
          .constant,
          "all of its \(Int(values[j])) values are \(mean[j])"
            + (hasPrior ? "" : ", so that each becomes β")
        )
      } else if isOldEnough, updates[j] > 0, !hasPrior, let epsilon,
        epsilon > 0.01 * variance[j]
      {
        warning = (
          .hiddenByEpsilon,
          "epsilon \(epsilon) is more than 1 % of its variance \(variance[j]), so that its deviation "
            + "stays below 1; use epsilon.relative or a smaller epsilon"
        )
      } else {
        continue
      }
      found.append(
        FeatureWarning(
          kind: warning.0, index: j, feature: state.features.names[j], text: warning.1))
    }
    return found
  }
}

extension FeatureWarning {
  /// Whether a variance has lost digits, or may be 0 without a constant feature. Doubles far from 0 cannot differ by so
  /// little.
  fileprivate static func isTooSmall(_ mean: Double, _ variance: Double) -> Bool {
    variance < leastDeviation * leastDeviation && mean != 0
      && abs(mean) < leastDeviation / Double.ulpOfOne
  }
}

/// Tells of warnings when they begin and when they end, and not with every batch.
struct FeatureWatch: Sendable {
  static let begun = EventKind(
    "feature_warning", .warning,
    help:
      "A feature is mostly missing, constant, too small, has no variance yet, or is hidden by epsilon."
  )
  static let ended = EventKind(
    "feature_warning_ended", .notice, help: "A feature is no longer what was warned of.")

  /// The batches so far, frozen or not.
  private var batches = 0
  /// The warning that was told last, by the index of its feature.
  private var told: [Int: FeatureWarning.Kind] = [:]

  /// Judges the state after each 20th batch.
  mutating func look(
    at state: borrowing StateTable, _ columns: NormalizerColumns,
    _ settings: NormalizationSettings, _ events: inout [OperatorEvent]
  ) {
    batches += 1
    guard batches.isMultiple(of: FeatureWarning.leastBatches) else { return }
    let found = FeatureWarning.all(
      of: state, columns, epsilon: settings.absoluteEpsilon, hasPrior: settings.prior != nil,
      .underWay)
    guard !found.isEmpty || !told.isEmpty else { return }
    var now: [Int: FeatureWarning.Kind] = [:]
    for warning in found {
      now[warning.index] = warning.kind
      guard told[warning.index] != warning.kind else { continue }
      events.append(OperatorEvent(Self.begun, feature: warning.feature, warning.text))
    }
    for (index, kind) in told.sorted(by: { $0.key < $1.key }) where now[index] == nil {
      events.append(
        OperatorEvent(
          Self.ended, feature: state.features.names[index], "is no longer \(kind.words)"))
    }
    told = now
  }
}

extension NormalizationSettings {
  /// ε, if it is absolute.
  var absoluteEpsilon: Double? {
    if case .absolute(let epsilon) = epsilon { epsilon } else { nil }
  }
}

extension OperatorChain {
  /// The warnings about the features; none without the operator that normalises.
  package func warnings(_ occasion: FeatureWarning.Occasion) -> [FeatureWarning] {
    guard let normalization else { return [] }
    return FeatureWarning.all(
      of: state, epsilon: normalization.absoluteEpsilon, hasPrior: normalization.prior != nil,
      occasion)
  }
}
