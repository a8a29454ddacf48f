package import BatchNormalization
internal import Connectors
package import Records
package import Stream
internal import Synchronization

/// The status of one stream of the daemon at one moment, as operators see it.
package struct StreamStatus: Sendable, Equatable {
  package enum State: String, Sendable, CaseIterable {
    /// Its source and sink are being opened.
    case starting
    case running
    /// It failed and starts again after a pause.
    case backingOff = "backing_off"
    /// It emits the records that it has read, then stops.
    case draining
    /// Its source has ended, and all is emitted.
    case finished
    /// It failed in a way that a restart cannot mend.
    case failed
  }

  package var name: String
  package var state: State
  package var source: String
  package var sink: String
  package var mode: NormalizationMode
  package var isFrozen: Bool
  /// Rises with each batch that moves the moments and with each update.
  package var stateVersion = 0
  /// The state version at which γ or β last changed.
  package var parametersVersion = 0
  /// How often operators raised each kind of event, by its name.
  package var events: [String: Int] = [:]
  /// The position after the last batch that was normalised.
  package var position: StreamPosition
  package var records: Int
  package var batches: Int
  package var badRecords: Int
  package var bytesIn: Int
  package var bytesOut: Int
  package var restarts: Int
  package var checkpoints: Int
  /// Records read and not yet emitted.
  package var recordsInFlight: Int
  /// Seconds since the last record was read, or nil before the first.
  package var idleSeconds: Double?
  /// Seconds since the last checkpoint, or nil before the first.
  package var checkpointAgeSeconds: Double?
  package var lastError: String?
  /// One word for it, of a small fixed set; nil before the first failure.
  package var lastErrorReason: String?
  /// From the cut of a batch to its emission.
  package var batchLatency: Histogram
  /// Records in a batch.
  package var batchSize: Histogram
  /// Why an operator should look at the stream though it runs.
  package var warnings: [String]
  /// Writes that a slow reader of the sink lost under `when_full: drop_oldest`.
  package var droppedWrites = 0
  /// Records left out that were written to the dead letters; the other bad records were skipped.
  package var deadLetters = 0
  package var checkpointFailures = 0
  /// How long the last checkpoint took, outputs synced; nil before the first.
  package var checkpointSeconds: Double?
  /// The size of the last checkpoint; nil before the first.
  package var checkpointBytes: Int?
  package var connectors = ConnectorStatus()
}

/// The source and the sink of a stream, as far as their kinds have such numbers.
package struct ConnectorStatus: Sendable, Equatable {
  /// Connections that send records.
  package var producers: Int?
  /// Connections that take the output.
  package var subscribers: Int?
  /// Bytes that wait for the slowest subscriber.
  package var subscriberLag: Int?
  /// Bytes of a followed file that are still to be read.
  package var backlogBytes: Int?
  /// Files of a directory that are still to be read.
  package var backlogFiles: Int?
  package var refusedConnections = 0
  package var rotatedFiles = 0

  package init() {}

  init(_ statistics: ConnectorStatistics) {
    producers = statistics.producers.value
    subscribers = statistics.subscribers.value
    subscriberLag = statistics.subscriberLag.value
    backlogBytes = statistics.backlogBytes.value
    backlogFiles = statistics.backlogFiles.value
    refusedConnections = statistics.refusedConnections.load(ordering: .relaxed)
    rotatedFiles = statistics.rotatedFiles.load(ordering: .relaxed)
  }
}
