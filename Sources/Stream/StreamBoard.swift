package import BatchNormalization
internal import Dataflow
package import Records
internal import State

/// What a running stream shows of its normaliser: written by the stage, read from any thread.
package final class StreamBoard: @unchecked Sendable {
  // @unchecked because every stored variable is only touched with `lock` held.
  private let lock = Lock()
  private var normalizer: Normalizer?
  private var shownPosition = StreamPosition()

  package init() {}

  func show(_ normalizer: Normalizer, position: StreamPosition) {
    lock.withLock {
      self.normalizer = normalizer
      shownPosition = position
    }
  }

  package var position: StreamPosition { lock.withLock { shownPosition } }
  package var settings: NormalizationSettings? { lock.withLock { normalizer?.settings } }

  /// One status a feature, as of the last batch; before the first that of the checkpoint, or empty.
  package var features: [FeatureStatus] {
    guard let normalizer = lock.withLock({ normalizer }) else { return [] }
    let (state, columns) = (normalizer.state, normalizer.columns)
    let observations = normalizer.observations
    return normalizer.schema.names.enumerated().map { index, name in
      let observation = index < observations.count ? observations[index] : FeatureObservation()
      return FeatureStatus(
        name: name, mean: state[columns.mean][index],
        deviation: state[columns.variance][index].squareRoot(),
        weight: state[columns.weight][index], bias: state[columns.bias][index],
        values: Int(state[columns.momentWeight][index]), missing: state[columns.missing][index],
        clipped: state[columns.clipped][index], batchMean: observation.moments?.mean,
        batchDeviation: observation.moments?.biasedVariance.squareRoot(),
        renormScale: observation.renormScale, renormShift: observation.renormShift)
    }
  }
}
