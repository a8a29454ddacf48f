package import BatchNormalization
package import Configuration
internal import Records
package import State

/// A number of every feature that an operator shows: in the API, on the page, to Prometheus, and in `evenkeel
/// inspect`.
package struct FeatureMetric: Sendable {
  /// The member in the API, in snake case.
  package let name: String
  /// One of several values of the name: a member of an object in the API, the label `kind` to Prometheus; nil if the name
  /// has one value.
  package let kind: String?
  /// The heading in `evenkeel inspect`; nil to omit it there.
  package let heading: String?
  /// The name of the Prometheus family; nil to omit it there.
  package let series: String?
  package let help: String
  /// Whether it is an integer of at least 0.
  package let isCount: Bool
  /// One value for each feature; nil if a feature has none.
  package let values: @Sendable (OperatorView) -> [Double?]

  package init(
    _ name: String, kind: String? = nil, heading: String? = nil, series: String? = nil,
    isCount: Bool = false,
    help: String, _ values: @escaping @Sendable (OperatorView) -> [Double?]
  ) {
    self.name = name
    self.kind = kind
    self.heading = heading
    self.series = series
    self.isCount = isCount
    self.help = help
    self.values = values
  }
}

/// The source of metrics: the state, and the last batch if there was one.
package struct OperatorView: Sendable {
  package let state: StateTable
  package let last: (summary: BatchSummary, plan: BatchPlan)?
  /// The settings of the stream; the defaults for a state that is only shown.
  package let settings: SettingValues

  package init(
    state: StateTable, last: (summary: BatchSummary, plan: BatchPlan)? = nil,
    settings: SettingValues = SettingValues()
  ) {
    self.state = state
    self.last = last
    self.settings = settings
  }

  /// One value for each feature of the last batch; nil before the first batch.
  package func ofLastBatch(
    _ value: (_ summary: FeatureSummary, _ plan: FeaturePlan) -> Double?
  ) -> [Double?] {
    guard let last else { return Array(repeating: nil, count: state.features.count) }
    return zip(last.summary.features, last.plan.features).map { value($0, $1) }
  }
}
