package import Dataflow
package import Records
package import Storage

/// The environment of a connector: file system, clock and statistics. Tests and the simulator pass another one.
package struct ConnectorContext: Sendable {
  package let fileSystem: any FileSystem
  package let clock: Clock
  package let statistics: ConnectorStatistics
  /// Called with problems that do not stop the stream, from any thread.
  package let warn: @Sendable (String) -> Void
  /// The form in which the records end that the connector reads or writes; nil if they are compressed, or nobody says.
  package var recordEnds: RecordEnds?
  /// Whether the source tells the messages of the records.
  package var keepsMessages = false
  /// For a sink: the number of partitions of the source, the messages of which are kept; nil if none are.
  package var sourcePartitions: Int?
  /// The transactions of what a sink `kafka` writes; nil without them.
  package var transactions: KafkaTransactions?

  package init(
    fileSystem: any FileSystem, clock: Clock = .system,
    statistics: ConnectorStatistics = ConnectorStatistics(),
    warn: @escaping @Sendable (String) -> Void = { _ in }
  ) {
    self.fileSystem = fileSystem
    self.clock = clock
    self.statistics = statistics
    self.warn = warn
  }
}
