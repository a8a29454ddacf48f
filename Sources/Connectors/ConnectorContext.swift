package import Dataflow
package import Storage

/// The environment of a connector: file system, clock and statistics. Tests and the simulator pass another one.
package struct ConnectorContext: Sendable {
  package let fileSystem: any FileSystem
  package let clock: Clock
  package let statistics: ConnectorStatistics

  package init(
    fileSystem: any FileSystem, clock: Clock = .system,
    statistics: ConnectorStatistics = ConnectorStatistics()
  ) {
    self.fileSystem = fileSystem
    self.clock = clock
    self.statistics = statistics
  }
}
