internal import Dataflow
internal import Operators
internal import Records
internal import Stream

extension StreamStatus {
  /// The most warnings that are shown.
  private static let mostWarnings = 16

  /// The status of a stream whose partitions run each by itself.
  ///
  /// - Parameter blank: that of the stream without partitions.
  init(of parts: [(partition: Int, status: StreamStatus)], or blank: StreamStatus) {
    self = parts.first?.status ?? blank
    guard !parts.isEmpty else { return }
    partitions = parts.map(\.partition)
    lastError = parts.first { $0.status.lastError != nil }.flatMap { partition, status in
      status.lastError.map { "partition \(partition): \($0)" }
    }
    lastErrorReason = parts.lazy.compactMap(\.status.lastErrorReason).first
    warnings = Array(
      parts.flatMap { partition, status in
        status.warnings.map { "partition \(partition): \($0)" }
      }.prefix(Self.mostWarnings))
    driftAlarms = parts.flatMap { partition, status in
      status.driftAlarms.map { $0.of(partition: partition) }
    }
    for part in parts.dropFirst() { add(part.status) }
  }

  /// The one of two states that an operator must know of.
  private static func worse(_ a: State, _ b: State) -> State {
    let order: [State] = [.failed, .backingOff, .starting, .draining, .running, .finished]
    return order.first { $0 == a || $0 == b } ?? a
  }

  private mutating func add(_ other: StreamStatus) {
    state = Self.worse(state, other.state)
    isFrozen = isFrozen && other.isFrozen
    stateVersion = max(stateVersion, other.stateVersion)
    parametersVersion = max(parametersVersion, other.parametersVersion)
    parametersFileBytes = greatest(parametersFileBytes, other.parametersFileBytes)
    events.merge(other.events, uniquingKeysWith: +)
    // A request goes to every partition.
    changes.merge(other.changes, uniquingKeysWith: max)
    // Partitions that have not begun have no counts yet.
    if keys == nil { keys = other.keys } else if let counts = other.keys { keys?.add(counts) }
    position.records += other.position.records
    position.byteOffset += other.position.byteOffset
    records += other.records
    batches += other.batches
    badRecords += other.badRecords
    bytesIn += other.bytesIn
    bytesOut += other.bytesOut
    restarts += other.restarts
    checkpoints += other.checkpoints
    recordsInFlight += other.recordsInFlight
    idleSeconds = least(idleSeconds, other.idleSeconds)
    checkpointAgeSeconds = greatest(checkpointAgeSeconds, other.checkpointAgeSeconds)
    batchLatency.add(other.batchLatency)
    batchSize.add(other.batchSize)
    droppedWrites += other.droppedWrites
    deadLetters += other.deadLetters
    checkpointFailures += other.checkpointFailures
    rateLimitedReads += other.rateLimitedReads
    checkpointSeconds = greatest(checkpointSeconds, other.checkpointSeconds)
    checkpointBytes = greatest(checkpointBytes, other.checkpointBytes)
    connectors.add(other.connectors)
    queues.merge(other.queues) {
      QueueDepth(elements: $0.elements + $1.elements, bytes: $0.bytes + $1.bytes)
    }
  }
}

extension ConnectorStatus {
  fileprivate mutating func add(_ other: ConnectorStatus) {
    backlogMessages = sum(backlogMessages, other.backlogMessages)
    stalledSeconds = greatest(stalledSeconds, other.stalledSeconds)
    skippedMessages += other.skippedMessages
    lostMessages += other.lostMessages
    deliveredMessages += other.deliveredMessages
    brokerErrors += other.brokerErrors
  }
}

extension KeyCounts {
  fileprivate mutating func add(_ other: KeyCounts) {
    known += other.known
    unusable += other.unusable
    unknown += other.unknown
    evicted += other.evicted
    expired += other.expired
  }
}

private func least<Value: Comparable>(_ a: Value?, _ b: Value?) -> Value? {
  [a, b].compactMap(\.self).min()
}

private func greatest<Value: Comparable>(_ a: Value?, _ b: Value?) -> Value? {
  [a, b].compactMap(\.self).max()
}

private func sum(_ a: Int?, _ b: Int?) -> Int? {
  a == nil && b == nil ? nil : (a ?? 0) + (b ?? 0)
}
