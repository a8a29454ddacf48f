package import Records

/// The keys of a stream, such as devices or sites. Each has moments of its own.
package struct KeySettings: Sendable, Equatable {
  /// The columns that make the key.
  package var columns: [String]
  /// κ, the number of values that the moments of all records count as beside those of a key; 0 or more.
  package var prior = 5.0
  /// The most keys. When there are more, the one that was used the longest ago goes.
  package var most = 1_000_000
  /// The event time after which a key without records goes, in seconds; nil is never.
  package var idleSeconds: Double?
  /// The features that have moments by key; empty for all.
  package var features: [FeaturePattern] = []

  package init(columns: [String]) {
    self.columns = columns
  }
}
