internal import Connectors
internal import Dataflow
internal import Stream
internal import Synchronization

/// Ends a stream that does not end by itself.
extension SupervisedStream {
  /// Ends a stream that takes too long to drain. Its records in flight are lost.
  func abandon() {
    queue.async { self.run?.cancel(.notDrained(stream: self.definition.name)) }
  }

  /// Whether output waits for a reader, and there is none.
  var hasNoReader: Bool { metrics.connectors.hasNoReader.load(ordering: .relaxed) }

  /// Ends a stream that has no reader, so that a drain does not wait for one.
  func endWithoutReader() {
    queue.async {
      self.run?.cancel(
        .noReader(stream: self.definition.name, records: self.metrics.recordsInFlight))
    }
  }
}
