package import Operators
package import Stream

/// The daemon as the control plane sees it.
package protocol StreamSupervision: Sendable {
  /// All streams, by name.
  func statuses() -> [StreamStatus]
  /// The features of a stream; empty before its first record.
  ///
  /// - Throws: `CommandRefusal.noSuchStream`.
  func features(of stream: String) throws(CommandRefusal) -> [FeatureStatus]
  /// The updates that the operators of a stream offer.
  ///
  /// - Throws: `CommandRefusal.noSuchStream`.
  func updates(of stream: String) throws(CommandRefusal) -> [UpdateKind]
  /// Calls `reply` once the command has taken effect or is refused, on any thread.
  func request(
    _ command: StreamCommand, on stream: String,
    reply: @escaping @Sendable (Result<Void, CommandRefusal>) -> Void)
  /// Why the daemon is not ready to serve; empty when it is.
  func unreadiness() -> [String]
  var daemonStatus: DaemonStatus { get }
}

/// The status of the daemon as a whole, as operators see it.
package struct DaemonStatus: Sendable, Equatable {
  /// Attempts to apply a changed configuration since the start; the start itself is none.
  package var reloads = 0
  /// Those of them that were refused.
  package var reloadsRefused = 0
  package var lastReload: ReloadReport?
  /// When a configuration was last applied, at the start too, in seconds since 1970.
  package var appliedSeconds: Double?
  /// Why an operator should look at the daemon though it runs.
  package var warnings: [String] = []

  package init() {}
}

/// How an attempt to apply a changed configuration ended.
package struct ReloadReport: Sendable, Equatable {
  /// Why it was refused; nil if it was applied.
  package var error: String?
  /// Seconds since 1970.
  package var wallSeconds: Double

  package var isApplied: Bool { error == nil }
}
