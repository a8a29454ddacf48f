package import BatchNormalization
internal import Dataflow
package import Operators
package import Records
internal import State
package import Storage

/// A snapshot of the state of a running stream. The stage writes it; any thread may read it.
package final class StreamSnapshot: @unchecked Sendable {
  // @unchecked because every stored variable is only touched with `lock` held.
  private let lock = Lock()
  private var operators: OperatorChain?
  private var shownKeys: KeyCounts?
  private var shownPosition = StreamPosition()
  private var shownOpening: StreamOpening?
  private var shownControl: [String: ControlChange] = [:]

  package init() {}

  func show(_ operators: OperatorChain, position: StreamPosition) {
    let shown = operators.shown
    let keys = operators.normalization.flatMap { KeyCounts(of: operators.state, $0) }
    lock.withLock {
      self.operators = shown
      shownKeys = keys
      shownPosition = position
    }
  }

  func show(_ opening: StreamOpening) {
    lock.withLock { shownOpening = opening }
  }

  func show(control: [String: ControlChange]) {
    lock.withLock { shownControl = control }
  }

  /// The changes by users that it has made as a partition of a stream, by their subjects.
  package var control: [String: ControlChange] { lock.withLock { shownControl } }
  /// The columns of the stream; nil before it has begun.
  package var opening: StreamOpening? { lock.withLock { shownOpening } }
  package var position: StreamPosition { lock.withLock { shownPosition } }
  /// The settings in force; nil before the stream has begun.
  package var settings: NormalizationSettings? { shown?.normalization }
  /// 0 before the stream has begun.
  package var stateVersion: Int { shown?.stateVersion ?? 0 }
  package var parametersVersion: Int { shown?.parametersVersion ?? 0 }
  package var parametersAreFrozen: Bool { shown?.parametersAreFrozen ?? false }
  /// The most bytes of a file of γ and β; nil before the stream has begun.
  package var parametersFileBytes: Int? {
    shown.map { ParametersBody.mostFileBytes(for: $0.schema.names) }
  }

  /// The counts of keys; nil without keys.
  package var keys: KeyCounts? { lock.withLock { shownKeys } }

  /// The metrics of every feature after the last batch. Before the first batch, those of the checkpoint, or none.
  package var features: [FeatureStatus] { shown.map(FeatureStatus.all) ?? [] }

  /// The verdicts of all drift charts; empty if drift is not watched for.
  package var drift: [DriftAlarm] { shown.map { DriftAlarm.all(in: $0.state) } ?? [] }
  /// The charts that say that a feature drifts.
  package var driftAlarms: [DriftAlarm] { shown.map { DriftAlarm.drifting(in: $0.state) } ?? [] }

  /// The warnings about the features.
  package func warnings(_ occasion: FeatureWarning.Occasion) -> [FeatureWarning] {
    shown?.warnings(occasion) ?? []
  }

  /// The reason why a stream with other settings could not go on from this state, as after a reload; nil if it could.
  package func refusal(of settings: NormalizationSettings) -> String? {
    do throws(OperatorError) {
      try shown?.checkChange(to: settings)
      return nil
    } catch {
      return "\(error)"
    }
  }

  /// Those of a stream that goes on, and that of its keys, in words.
  package var featureWarnings: [String] {
    warnings(.underWay).map(\.description) + [keys?.warning].compactMap(\.self)
  }

  /// The metrics of every feature of a stream whose partitions have a snapshot each: those of their merged state, with
  /// the newest γ and β.
  package static func features(of partitions: [StreamSnapshot]) -> [FeatureStatus] {
    let shown = partitions.compactMap(\.shown)
    guard shown.count > 1, let first = shown.first else {
      return partitions.first { !$0.features.isEmpty }?.features ?? []
    }
    var merged = first.state
    do {
      let newest = shown.max { $0.parametersVersion < $1.parametersVersion } ?? first
      for (index, each) in shown.enumerated() {
        var each = each
        try each.takeParameters(of: newest.state)
        if index == 0 { merged = each.state } else { try merged.merge(each.state) }
      }
    } catch {
      // Their columns differ.
      return FeatureStatus.all(first)
    }
    return FeatureStatus.all(
      first.declarations.flatMap(\.metrics),
      of: OperatorView(state: merged, settings: first.view.settings))
  }

  private var shown: OperatorChain? { lock.withLock { operators } }
}
