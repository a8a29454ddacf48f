package import Stream

/// The daemon as the control plane sees it.
package protocol StreamSupervision: Sendable {
  /// All streams, by name.
  func statuses() -> [StreamStatus]
  /// The features of a stream; empty before its first record.
  ///
  /// - Throws: `CommandRefusal.noSuchStream`.
  func features(of stream: String) throws(CommandRefusal) -> [FeatureStatus]
  /// Returns when the command has taken effect.
  func carryOut(_ command: StreamCommand, on stream: String) async throws(CommandRefusal)
  /// Why the daemon is not ready to serve; empty when it is.
  func unreadiness() -> [String]
}
