/// How the control plane is set up.
package struct ControlSettings: Sendable, Equatable {
  /// Empty means that there is none.
  package var addresses: [ControlAddress]
  /// The file with the token that changes over TCP need; without one they are refused.
  package var tokenFile: String?
  /// Whether an address may be reachable from other machines.
  package var allowsOtherMachines = false
  package var featureMetrics = FeatureMetrics.automatic
  /// The version that the metrics and the API tell.
  package var version: String

  package init(addresses: [ControlAddress], tokenFile: String? = nil, version: String) {
    self.addresses = addresses
    self.tokenFile = tokenFile
    self.version = version
  }
}

/// Which streams' features appear in the metrics.
package enum FeatureMetrics: Sendable, Equatable, CaseIterable {
  /// Those of streams with at most `automaticLimit` features.
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
