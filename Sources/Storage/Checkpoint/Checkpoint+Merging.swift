internal import State

extension Checkpoint {
  /// How near a merged state is to that of one run over all records.
  package enum MergeAccuracy: String, Sendable {
    /// The same, to within rounding, in any order.
    case exact
    /// An estimate: each shard counts by its number of values.
    case pooled
    /// The checkpoints do not tell how their moments were made.
    case unknown
  }

  /// Merges the state of another shard of the stream into this one (`StateTable.merge`). Positions in inputs and
  /// outputs are dropped: the merged state is at none.
  ///
  /// - Throws: an error for features or settings that differ, or for state that cannot be merged.
  package mutating func merge(_ other: Checkpoint) throws(ContentError) {
    let differences = other.differences(fromFeatures: features, settings: settings)
    if let first = differences.first {
      throw .unexpected(
        part: "checkpoint", expected: "the features and settings of the first one", found: first)
    }
    do throws(StateError) {
      try state.merge(other.state)
    } catch {
      throw .state(error)
    }
    input = nil
    gradients = nil
    outputs = [:]
    adoptedBy = nil
    control = [:]
  }

  /// The accuracy of merging checkpoints with these settings.
  package var mergeAccuracy: MergeAccuracy {
    guard let momentum = settings["momentum"], let estimator = settings["estimator"] else {
      return .unknown
    }
    let weighsByTime = momentum.hasSuffix(" of event time")
    return (momentum == "cumulative" || weighsByTime) && estimator == "total" ? .exact : .pooled
  }
}
