package import BatchNormalization
internal import Dataflow
internal import Operators
package import Records

/// The latest state of a running stream, for other threads: the stage writes it, anybody reads it.
package final class StreamBoard: @unchecked Sendable {
  // @unchecked because every stored variable is only touched with `lock` held.
  private let lock = Lock()
  private var operators: OperatorChain?
  private var shownPosition = StreamPosition()

  package init() {}

  func show(_ operators: OperatorChain, position: StreamPosition) {
    lock.withLock {
      self.operators = operators
      shownPosition = position
    }
  }

  package var position: StreamPosition { lock.withLock { shownPosition } }
  /// How the stream normalises now; nil before it has begun.
  package var settings: NormalizationSettings? { shown?.normalization }
  /// 0 before the stream has begun.
  package var stateVersion: Int { shown?.stateVersion ?? 0 }
  package var parametersVersion: Int { shown?.parametersVersion ?? 0 }

  /// The metrics of every feature, as of the last batch; before the first those of the checkpoint, or
  /// empty.
  package var features: [FeatureStatus] { shown.map(FeatureStatus.all) ?? [] }

  private var shown: OperatorChain? { lock.withLock { operators } }
}
