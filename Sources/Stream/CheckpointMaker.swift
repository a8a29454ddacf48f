internal import BatchNormalization
internal import Operators
internal import State
internal import Storage

/// Makes the checkpoints of a run from its operators: whole ones, or deltas that have only the keys that changed.
///
/// The first one is whole. A later one may be a delta if the keys take enough memory. With it, the deltas since the last
/// whole one must have at most half as many keys as there are.
struct CheckpointMaker: Sendable {
  /// The memory of the keys, in bytes, below which a delta saves nothing.
  static let leastDeltaBytes = 1 << 20
  /// A restart reads all deltas.
  private static let mostDeltas = 256

  var origin = StateOrigin.ownSettings
  /// The changes by users that all partitions make; nil for a stream that is no partition.
  var control: StreamControl?
  private let leastDeltaBytes: Int
  /// The keys in the deltas since the last whole checkpoint; nil before the first one.
  private var deltaKeys: Int?
  private var deltas = 0

  init(control: StreamControl? = nil, leastDeltaBytes: Int) {
    (self.control, self.leastDeltaBytes) = (control, leastDeltaBytes)
  }

  /// The next checkpoint. The caller then has the operators note which keys change.
  mutating func next(
    of operators: OperatorChain, _ configuration: StreamConfiguration
  ) -> Checkpoint {
    let state = operators.state
    var checkpoint: Checkpoint
    if let keys = keysWithDelta(of: state), let (changed, delta) = state.changes {
      (deltaKeys, deltas) = (keys, deltas + 1)
      checkpoint = origin.checkpoint(of: changed, configuration)
      checkpoint.delta = delta
    } else {
      (deltaKeys, deltas) = (0, 0)
      checkpoint = origin.checkpoint(of: state, configuration)
    }
    checkpoint.control = control?.made ?? [:]
    return checkpoint
  }

  /// The keys of all deltas if the next checkpoint is one; nil if it is not to be.
  private func keysWithDelta(of state: StateTable) -> Int? {
    guard let deltaKeys, let changed = state.changedKeyCount, deltas < Self.mostDeltas,
      state.keyByteCount >= leastDeltaBytes, 2 * (deltaKeys + changed) <= state.keyCount
    else { return nil }
    return deltaKeys + changed
  }
}
