internal import Supervision

/// The daemon in the JSON API. docs/HTTP.md explains each member.
package struct DaemonView: Codable, Sendable, Equatable {
  /// An attempt to apply a changed configuration.
  package struct Reload: Codable, Sendable, Equatable {
    package var applied: Bool
    /// Seconds since 1970.
    package var time: Double
    @OrNull package var error: String?
  }

  package var version: String
  /// Attempts since the start. The start does not count.
  package var reloads: Int
  package var reloadsRefused: Int
  @OrNull package var lastReload: Reload?
  /// Whether the daemon stops.
  package var draining: Bool
  package var warnings: [String]
}

extension DaemonView {
  init(_ status: DaemonStatus, version: String) {
    self.init(
      version: version, reloads: status.reloads, reloadsRefused: status.reloadsRefused,
      lastReload: status.lastReload.map {
        Reload(applied: $0.isApplied, time: $0.wallSeconds, error: $0.error)
      }, draining: status.isDraining, warnings: status.warnings)
  }
}
