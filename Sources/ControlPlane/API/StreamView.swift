internal import BatchNormalization
internal import Dataflow
internal import Operators
internal import Records
internal import Stream
internal import Supervision

/// The answer to `GET /api/v1/streams`.
package struct StreamsView: Codable, Sendable, Equatable {
  package var version: String
  package var streams: [StreamView]
}

/// A stream in the JSON API. docs/HTTP.md explains each member.
package struct StreamView: Codable, Sendable, Equatable {
  package struct Position: Codable, Sendable, Equatable {
    package var records: Int
    package var byteOffset: Int
    package var frameOffset: Int
    package var byteOffsetInFrame: Int
  }

  /// Rates over about the last ten seconds.
  package struct Rates: Codable, Sendable, Equatable {
    package var windowSeconds: Double
    package var recordsPerSecond: Double
    package var bytesInPerSecond: Double
    package var bytesOutPerSecond: Double
  }

  /// A distribution. Quantiles are upper bounds of a histogram's buckets; null above the last one, and without
  /// observations.
  package struct Distribution: Codable, Sendable, Equatable {
    package var count: Int
    package var sum: Double
    @OrNull package var p50: Double?
    @OrNull package var p99: Double?
  }

  /// A change by a user that all partitions of a stream make.
  package struct Control: Codable, Sendable, Equatable {
    package var change: String
    @OrNull package var mode: String?
    package var offset: Int
    package var host: String
    package var pid: Int
    @OrNull package var time: Double?
    package var partitions: [Int]
    package var waiting: [Int]
  }

  package var name: String
  package var state: String
  package var source: String
  package var sink: String
  package var mode: String
  package var frozen: Bool
  @OrNull package var priorValues: Double?
  package var stateVersion: Int
  package var parametersVersion: Int
  package var parametersFrozen: Bool
  @OrNull package var keys: Int?
  package var events: [String: Int]
  package var position: Position
  package var rates: Rates
  package var records: Int
  package var batches: Int
  package var badRecords: Int
  package var bytesIn: Int
  package var bytesOut: Int
  package var restarts: Int
  package var checkpoints: Int
  package var droppedWrites: Int
  package var deadLetters: Int
  package var checkpointFailures: Int
  package var rateLimitedReads: Int
  @OrNull package var checkpointSeconds: Double?
  @OrNull package var checkpointBytes: Int?
  @OrNull package var producers: Int?
  @OrNull package var subscribers: Int?
  @OrNull package var subscriberLagBytes: Int?
  @OrNull package var backlogBytes: Int?
  @OrNull package var backlogFiles: Int?
  @OrNull package var backlogMessages: Int?
  @OrNull package var stalledSeconds: Double?
  package var subscriberTimeouts: Int
  package var refusedConnections: Int
  package var rotatedFiles: Int
  @OrNull package var partitions: [Int]?
  @OrNull package var control: [Control]?
  package var skippedMessages: Int
  package var lostMessages: Int
  package var deliveredMessages: Int
  package var brokerErrors: Int
  package var recordsInFlight: Int
  /// By the name of a stage.
  package var queueBytes: [String: Int]
  @OrNull package var idleSeconds: Double?
  @OrNull package var checkpointAgeSeconds: Double?
  @OrNull package var lastError: String?
  package var warnings: [String]
  /// The features that drift.
  package var drift: [DriftView]
  package var batchLatencySeconds: Distribution
  package var batchSizeRecords: Distribution
}

/// The answer to `GET /api/v1/streams/{name}/features`.
struct FeaturesView: Encodable {
  var stream: String
  var features: [FeatureView]
}

/// A feature in the JSON API: its name, and a member for each metric of the operators. A value that is not finite is
/// null.
struct FeatureView: Encodable {
  let feature: FeatureStatus

  init(_ feature: FeatureStatus) { self.feature = feature }

  private struct Member: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }

    init(_ name: String) { stringValue = name }
    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
  }

  func encode(to encoder: any Encoder) throws {
    var members = encoder.container(keyedBy: Member.self)
    try members.encode(feature.name, forKey: Member("name"))
    for reading in feature.readings where reading.metric.kind == nil {
      let member = Member(reading.metric.name)
      if let value = finite(reading.value) {
        try members.encode(value, forKey: member)
      } else {
        try members.encodeNil(forKey: member)
      }
    }
    // A metric with kinds is an object with a member for each.
    for reading in feature.readings {
      guard let kind = reading.metric.kind else { continue }
      let name = Member(reading.metric.name)
      var kinds = members.nestedContainer(keyedBy: Member.self, forKey: name)
      if let value = finite(reading.value) {
        try kinds.encode(value, forKey: Member(kind))
      } else {
        try kinds.encodeNil(forKey: Member(kind))
      }
    }
  }
}

/// An optional member that is written as null and not omitted, so that the members are always the same.
@propertyWrapper
package struct OrNull<Value: Codable & Sendable & Equatable>: Codable, Sendable, Equatable {
  package var wrappedValue: Value?

  package init(wrappedValue: Value?) { self.wrappedValue = wrappedValue }

  package init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    wrappedValue = container.decodeNil() ? nil : try container.decode(Value.self)
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    if let wrappedValue {
      try container.encode(wrappedValue)
    } else {
      try container.encodeNil()
    }
  }
}

extension StreamView {
  init(_ status: StreamStatus, rates: StreamRates) {
    let position = status.position
    self.init(
      name: status.name, state: status.state.rawValue, source: status.source, sink: status.sink,
      mode: status.mode.rawValue, frozen: status.isFrozen,
      priorValues: finite(status.priorValues), stateVersion: status.stateVersion,
      parametersVersion: status.parametersVersion,
      parametersFrozen: status.parametersAreFrozen, keys: status.keys?.known,
      events: status.events,
      position: Position(
        records: position.records, byteOffset: position.byteOffset,
        frameOffset: position.frameOffset, byteOffsetInFrame: position.byteOffsetInFrame),
      rates: Rates(
        windowSeconds: rates.windowSeconds, recordsPerSecond: rates.recordsPerSecond,
        bytesInPerSecond: rates.bytesInPerSecond, bytesOutPerSecond: rates.bytesOutPerSecond),
      records: status.records, batches: status.batches, badRecords: status.badRecords,
      bytesIn: status.bytesIn, bytesOut: status.bytesOut, restarts: status.restarts,
      checkpoints: status.checkpoints, droppedWrites: status.droppedWrites,
      deadLetters: status.deadLetters, checkpointFailures: status.checkpointFailures,
      rateLimitedReads: status.rateLimitedReads,
      checkpointSeconds: finite(status.checkpointSeconds), checkpointBytes: status.checkpointBytes,
      producers: status.connectors.producers, subscribers: status.connectors.subscribers,
      subscriberLagBytes: status.connectors.subscriberLag,
      backlogBytes: status.connectors.backlogBytes, backlogFiles: status.connectors.backlogFiles,
      backlogMessages: status.connectors.backlogMessages,
      stalledSeconds: finite(status.connectors.stalledSeconds),
      subscriberTimeouts: status.connectors.subscriberTimeouts,
      refusedConnections: status.connectors.refusedConnections,
      rotatedFiles: status.connectors.rotatedFiles,
      partitions: status.partitions, control: status.control.map { $0.map(Control.init) },
      skippedMessages: status.connectors.skippedMessages,
      lostMessages: status.connectors.lostMessages,
      deliveredMessages: status.connectors.deliveredMessages,
      brokerErrors: status.connectors.brokerErrors,
      recordsInFlight: status.recordsInFlight,
      queueBytes: status.queues.mapValues(\.bytes),
      idleSeconds: finite(status.idleSeconds),
      checkpointAgeSeconds: finite(status.checkpointAgeSeconds), lastError: status.lastError,
      warnings: status.warnings, drift: status.driftAlarms.map(DriftView.init),
      batchLatencySeconds: Distribution(status.batchLatency),
      batchSizeRecords: Distribution(status.batchSize))
  }
}

extension StreamView.Control {
  init(_ status: ControlStatus) {
    self.init(
      change: status.change, mode: status.mode, offset: status.offset, host: status.host,
      pid: status.pid, time: finite(status.wallSeconds), partitions: status.partitions,
      waiting: status.waiting)
  }
}

extension StreamView.Distribution {
  init(_ histogram: Histogram) {
    self.init(
      count: histogram.count, sum: finite(histogram.sum) ?? 0, p50: histogram.quantile(0.5),
      p99: histogram.quantile(0.99))
  }
}

extension Histogram {
  /// The bound of the first bucket that reaches this share of the observations.
  func quantile(_ share: Double) -> Double? {
    let total = count
    guard total > 0 else { return nil }
    var below = 0
    for (index, bound) in bounds.enumerated() {
      below += counts[index]
      if Double(below) >= share * Double(total) { return bound }
    }
    return nil
  }
}

/// A number that JSON can express; nil for any other.
func finite(_ value: Double?) -> Double? {
  value.flatMap { $0.isFinite ? $0 : nil }
}
