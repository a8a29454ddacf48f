package import Dataflow
package import Storage

/// The outside world, as a connector is given it when it is opened: a test or the simulator gives
/// another one.
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
