package import BatchNormalization
internal import Connectors
package import Dataflow
package import Operators
package import Records
package import Stream
internal import Synchronization

/// The status of one stream of the daemon at one moment, as operators see it.
package struct StreamStatus: Sendable, Equatable {
  package enum State: String, Sendable, CaseIterable {
    /// Its source and sink are being opened.
    case starting
    case running
    /// It failed, and starts again after a pause.
    case backingOff = "backing_off"
    /// It emits the records that it has read, then stops.
    case draining
    /// Its source has ended, and everything is emitted.
    case finished
    /// It failed, and a restart does not help.
    case failed
  }

  package var name: String
  package var state: State
  package var source: String
  package var sink: String
  package var mode: NormalizationMode
  package var isFrozen: Bool
  /// Increases with each batch that moves the moments, and with each update.
  package var stateVersion = 0
  /// The state version at which γ or β last changed.
  package var parametersVersion = 0
  /// Whether γ and β are not learned for now.
  package var parametersAreFrozen = false
  /// The most bytes of a file of γ and β; nil before the features are known.
  package var parametersFileBytes: Int?
  /// How often operators raised each kind of event, by the name of the kind.
  package var events: [String: Int] = [:]
  /// The updates that users requested, by outcome.
  package var changes: [ChangeOutcome: Int] = [:]
  /// The counts of keys; nil without keys.
  package var keys: KeyCounts?
  /// The charts that say that a feature drifts.
  package var driftAlarms: [DriftAlarm] = []
  /// Whether drift makes the daemon unready.
  package var warnsOfDrift = false
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
  /// Seconds since the last record was read; nil before the first.
  package var idleSeconds: Double?
  /// Seconds since the last checkpoint; nil before the first.
  package var checkpointAgeSeconds: Double?
  package var lastError: String?
  /// One word, from a small fixed set; nil before the first failure.
  package var lastErrorReason: String?
  /// The time from the cut of a batch to its emission.
  package var batchLatency: Histogram
  /// Records in a batch.
  package var batchSize: Histogram
  /// Problems that do not stop the stream.
  package var warnings: [String]
  /// Writes that a slow reader of the sink lost under `when_full: drop_oldest`.
  package var droppedWrites = 0
  /// Dropped records that were written to the dead letters. The other bad records were skipped.
  package var deadLetters = 0
  package var checkpointFailures = 0
  /// Reads that waited because of `limits.rate`.
  package var rateLimitedReads = 0
  /// The number of values that the moments of the prior count as; nil without one.
  package var priorValues: Double?
  /// The duration of the last checkpoint, with the sync of the outputs; nil before the first.
  package var checkpointSeconds: Double?
  /// The size of the last checkpoint; nil before the first.
  package var checkpointBytes: Int?
  package var connectors = ConnectorStatus()
  /// How much waits before a stage, by its name; empty while the stream does not run.
  package var queues: [String: QueueDepth] = [:]
  /// The partitions that run each by itself; nil for a stream with one run.
  package var partitions: [Int]?
  /// The changes by users that all partitions make; nil for a stream with one run.
  package var control: [ControlStatus]?
  /// How often a group changed its partitions; nil for a stream without a group.
  package var rebalances: Int?
  /// How long ago the newest state of a partition came, in seconds: the longest of all; nil if each is normalised by its
  /// own moments.
  package var viewAgeSeconds: Double?
}

/// A change by a user that all partitions of a stream make: the last one of its subject.
package struct ControlStatus: Sendable, Equatable {
  package var change: String
  /// That of the change `mode`.
  package var mode: String?
  /// Its offset in partition 0 of the state topic.
  package var offset: Int
  /// The process that was asked, and when, in seconds since 1970.
  package var host: String
  package var pid: Int
  package var wallSeconds: Double
  /// The partitions of this process that have made it, and those that have not.
  package var partitions: [Int]
  package var waiting: [Int]
}

/// The numbers of a stream's source and sink. Nil for kinds that do not have them.
package struct ConnectorStatus: Sendable, Equatable {
  /// Connections that send records.
  package var producers: Int?
  /// Connections that take the output.
  package var subscribers: Int?
  /// Bytes that wait for the slowest subscriber.
  package var subscriberLag: Int?
  /// Bytes of a followed file that were not read yet.
  package var backlogBytes: Int?
  /// Files of a directory that were not read yet.
  package var backlogFiles: Int?
  /// Messages of a topic that were not read yet.
  package var backlogMessages: Int?
  /// How long the stream has waited for a subscriber that takes nothing, in seconds; nil while it waits for none.
  package var stalledSeconds: Double?
  package var subscriberTimeouts = 0
  package var refusedConnections = 0
  package var rotatedFiles = 0
  /// Messages without a value.
  package var skippedMessages = 0
  /// Messages that were removed before they were read.
  package var lostMessages = 0
  /// Messages that brokers have stored.
  package var deliveredMessages = 0
  package var brokerErrors = 0

  package init() {}

  init(_ statistics: ConnectorStatistics, at now: Instant) {
    stalledSeconds = statistics.stalledSince.value.map {
      max(0, now.seconds(since: Instant(nanoseconds: UInt64($0))))
    }
    subscriberTimeouts = statistics.subscriberTimeouts.load(ordering: .relaxed)
    producers = statistics.producers.value
    subscribers = statistics.subscribers.value
    subscriberLag = statistics.subscriberLag.value
    backlogBytes = statistics.backlogBytes.value
    backlogFiles = statistics.backlogFiles.value
    refusedConnections = statistics.refusedConnections.load(ordering: .relaxed)
    rotatedFiles = statistics.rotatedFiles.load(ordering: .relaxed)
    backlogMessages = statistics.backlogMessages.value
    skippedMessages = statistics.skippedMessages.load(ordering: .relaxed)
    lostMessages = statistics.lostMessages.load(ordering: .relaxed)
    deliveredMessages = statistics.deliveredMessages.load(ordering: .relaxed)
    brokerErrors = statistics.brokerErrors.load(ordering: .relaxed)
  }
}
