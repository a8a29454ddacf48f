package import Synchronization

/// What the source and the sink of one stream count; written by them, read from any thread.
package final class ConnectorStatistics: Sendable {
  /// A number that means nothing for some kinds of connectors, and is nil for those.
  package struct Gauge: ~Copyable, Sendable {
    private let number = Atomic(-1)

    package init() {}

    package var value: Int? {
      let number = number.load(ordering: .relaxed)
      return number < 0 ? nil : number
    }

    func set(_ value: Int) { number.store(max(0, value), ordering: .relaxed) }
    package func clear() { number.store(-1, ordering: .relaxed) }
  }

  /// Connections that send records.
  package let producers = Gauge()
  /// Connections that take the output.
  package let subscribers = Gauge()
  /// Bytes that wait for the subscriber that is furthest behind.
  package let subscriberLag = Gauge()
  /// Bytes of a followed file that are still to be read.
  package let backlogBytes = Gauge()
  /// Files of a directory that are still to be read.
  package let backlogFiles = Gauge()
  /// Connections that were turned away.
  package let refusedConnections = Atomic(0)
  /// Files that were given their final name.
  package let rotatedFiles = Atomic(0)

  package init() {}

  /// Forgets the gauges of a run that has ended; the counts go on.
  package func beginRun() {
    producers.clear()
    subscribers.clear()
    subscriberLag.clear()
    backlogBytes.clear()
    backlogFiles.clear()
  }
}
