internal import BatchNormalization
internal import Connectors
internal import Dataflow
internal import Operators
internal import Records
internal import Stream

/// The status of a stream, for operators.
extension SupervisedStream {
  var snapshot: StreamSnapshot? { shown.snapshot }
  var snapshots: [StreamSnapshot] { [snapshot].compactMap(\.self) }
  var features: [FeatureStatus] { snapshot?.features ?? [] }
  var drift: [DriftAlarm] { snapshot?.drift ?? [] }
  func events(after number: Int) -> [LoggedEvent] { metrics.events(after: number) }

  var status: StreamStatus {
    let shown = self.shown
    let settings = shown.snapshot?.settings ?? shown.normalization
    return StreamStatus(
      name: definition.name, state: shown.state,
      source: place(definition.source.kind.name, definition.source.location),
      sink: place(definition.sink.kind.name, definition.sink.location), mode: settings.mode,
      isFrozen: settings.isFrozen, stateVersion: shown.snapshot?.stateVersion ?? 0,
      parametersVersion: shown.snapshot?.parametersVersion ?? 0,
      parametersAreFrozen: shown.snapshot?.parametersAreFrozen ?? false,
      parametersFileBytes: shown.snapshot?.parametersFileBytes, events: metrics.events,
      changes: metrics.changes, keys: shown.snapshot?.keys,
      driftAlarms: shown.snapshot?.driftAlarms ?? [], warnsOfDrift: definition.warnsOfDrift,
      position: shown.snapshot?.position ?? StreamPosition(), records: metrics.records,
      batches: metrics.batches, badRecords: metrics.badRecords, bytesIn: metrics.bytesIn,
      bytesOut: metrics.bytesOut, restarts: shown.restarts, checkpoints: metrics.checkpoints,
      recordsInFlight: metrics.recordsInFlight, idleSeconds: metrics.idleSeconds,
      checkpointAgeSeconds: metrics.checkpointAgeSeconds,
      lastError: shown.lastFailure?.text, lastErrorReason: shown.lastFailure?.reason,
      batchLatency: metrics.batchLatency, batchSize: metrics.batchSize,
      warnings: shown.warnings + (shown.snapshot?.featureWarnings ?? []),
      droppedWrites: metrics.droppedWrites, deadLetters: metrics.deadLetters,
      checkpointFailures: metrics.checkpointFailures,
      rateLimitedReads: metrics.rateLimitedReads, priorValues: settings.prior?.values,
      checkpointSeconds: metrics.checkpointSeconds, checkpointBytes: metrics.checkpointBytes,
      connectors: ConnectorStatus(metrics.connectors, at: clock.now()),
      queues: Dictionary(uniqueKeysWithValues: zip(StreamRun.queuedStages, shown.queues())))
  }
}

/// A source or a sink in the form that is shown.
private func place(_ kind: String, _ location: ConnectorLocation) -> String {
  location.text.map { "\(kind):\($0)" } ?? kind
}
