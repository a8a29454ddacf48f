package import Synchronization

/// The counts of a stream's source and sink. The source and the sink write them; any thread may read them.
package final class ConnectorStatistics: Sendable {
  /// A number that only some kinds of connectors have; nil for the others.
  package struct Gauge: ~Copyable, Sendable {
    private let number = Atomic(-1)

    package init() {}

    package var value: Int? {
      let number = number.load(ordering: .relaxed)
      return number < 0 ? nil : number
    }

    func set(_ value: Int?) { value.map { set($0) } ?? clear() }
    func set(_ value: Int) { number.store(max(0, value), ordering: .relaxed) }
    package func clear() { number.store(-1, ordering: .relaxed) }
  }

  /// Connections that send records.
  package let producers = Gauge()
  /// Connections that take the output.
  package let subscribers = Gauge()
  /// Bytes that wait for the subscriber with the most of them.
  package let subscriberLag = Gauge()
  /// When the stream began to wait for a subscriber, in nanoseconds of the monotonic clock; nil while it waits for none.
  package let stalledSince = Gauge()
  /// Subscribers that were disconnected because they took nothing for too long.
  package let subscriberTimeouts = Atomic(0)
  /// Whether output waits for a reader, and there is none.
  package let hasNoReader = Atomic(false)
  /// Bytes of a followed file that were not read yet.
  package let backlogBytes = Gauge()
  /// Files of a directory that were not read yet.
  package let backlogFiles = Gauge()
  /// Messages of the partitions that were not read yet.
  package let backlogMessages = Gauge()
  /// Messages without a value, which hold no record.
  package let skippedMessages = Atomic(0)
  /// Messages that were removed before they were read.
  package let lostMessages = Atomic(0)
  /// Messages that brokers have stored.
  package let deliveredMessages = Atomic(0)
  /// Errors of brokers, such as a lost connection.
  package let brokerErrors = Atomic(0)
  /// Connections that were closed because there were too many.
  package let refusedConnections = Atomic(0)
  /// Files that got their final name.
  package let rotatedFiles = Atomic(0)

  package init() {}

  /// Resets the gauges of a run that has ended. The counts continue.
  package func beginRun() {
    producers.clear()
    subscribers.clear()
    subscriberLag.clear()
    stalledSince.clear()
    hasNoReader.store(false, ordering: .relaxed)
    backlogBytes.clear()
    backlogFiles.clear()
    backlogMessages.clear()
  }
}
