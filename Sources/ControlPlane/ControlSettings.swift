/// The settings of the control plane.
package struct ControlSettings: Sendable, Equatable {
  /// Empty means that there is no control plane.
  package var addresses: [ControlAddress]
  /// The file with the token for changes over TCP. Without one, such changes are refused.
  package var tokenFile: String?
  /// Whether an address may be reachable from other machines.
  package var allowsOtherMachines = false
  package var featureMetrics = FeatureMetrics.automatic
  /// The version in the metrics and the API.
  package var version: String

  package init(addresses: [ControlAddress], tokenFile: String? = nil, version: String) {
    self.addresses = addresses
    self.tokenFile = tokenFile
    self.version = version
  }
}

/// The streams whose features have metrics.
package enum FeatureMetrics: Sendable, Equatable, CaseIterable {
  /// Streams with at most `automaticLimit` features.
  case automatic
  case all
  case none

  package static let automaticLimit = 200

  func includes(featureCount: Int) -> Bool {
    switch self {
    case .automatic: featureCount <= Self.automaticLimit
    case .all: true
    case .none: false
    }
  }
}
