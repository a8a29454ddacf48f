package import Operators
package import Stream

/// The daemon, in the view of the control plane.
package protocol StreamSupervision: Sendable {
  /// The status of each stream, sorted by name.
  func statuses() -> [StreamStatus]
  /// The features of a stream; empty before its first record.
  ///
  /// - Throws: `CommandRefusal.noSuchStream`.
  func features(of stream: String) throws(CommandRefusal) -> [FeatureStatus]
  /// The updates that operators declare, and whether the settings of a stream turn the operator on.
  ///
  /// - Throws: `CommandRefusal.noSuchStream`.
  func updates(of stream: String) throws(CommandRefusal) -> [(kind: UpdateKind, isOn: Bool)]
  /// The verdicts of the drift charts of a stream.
  ///
  /// - Throws: `CommandRefusal.noSuchStream`.
  func drift(of stream: String) throws(CommandRefusal) -> [DriftAlarm]
  /// The last events that the operators of a stream raised, after the one of a number, oldest first.
  ///
  /// - Throws: `CommandRefusal.noSuchStream`.
  func events(of stream: String, after number: Int) throws(CommandRefusal) -> [LoggedEvent]
  /// Runs a command. Calls `reply`, on any thread, when the command has taken effect or was refused.
  func request(
    _ command: StreamCommand, on stream: String,
    reply: @escaping CommandReply)
  /// Shows a stream to a client, until the stream ends.
  ///
  /// - Throws: `CommandRefusal.noSuchStream`, `.notRunning`. Then `receiver` was not called.
  func tap(
    _ stream: String, _ options: TapOptions, _ receiver: any TapReceiver
  ) throws(CommandRefusal)
  /// The reasons why the daemon is not ready; empty if it is.
  func unreadiness() -> [String]
  var daemonStatus: DaemonStatus { get }
}

/// The status of the daemon, for operators.
package struct DaemonStatus: Sendable, Equatable {
  /// Attempts to apply a changed configuration since the start. The start does not count.
  package var reloads = 0
  /// Refused attempts.
  package var reloadsRefused = 0
  package var lastReload: ReloadReport?
  /// When a configuration was last applied, in seconds since 1970. The start counts.
  package var appliedSeconds: Double?
  /// Whether the daemon stops.
  package var isDraining = false
  /// Problems that do not stop the daemon.
  package var warnings: [String] = []

  package init() {}
}

/// The result of an attempt to apply a changed configuration.
package struct ReloadReport: Sendable, Equatable {
  /// The reason for a refusal; nil if it was applied.
  package var error: String?
  /// Seconds since 1970.
  package var wallSeconds: Double

  package var isApplied: Bool { error == nil }
}
