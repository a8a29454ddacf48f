package import Operators
internal import Records
internal import State

/// The metrics of one feature of a stream, as its operators declare them.
package struct FeatureStatus: Sendable {
  package var name: String
  /// In the order of the operators and their metrics.
  package var readings: [FeatureReading]

  package init(name: String, readings: [FeatureReading]) {
    self.name = name
    self.readings = readings
  }

  /// The value of a metric; nil if it has none now.
  package subscript(_ metric: String) -> Double? {
    readings.first { $0.metric.name == metric }?.value
  }

  /// The metrics of all features.
  package static func all(_ operators: OperatorChain) -> [FeatureStatus] {
    all(operators.declarations.flatMap(\.metrics), of: operators.view)
  }

  /// Some metrics of all features of a state.
  package static func all(_ metrics: [FeatureMetric], of view: OperatorView) -> [FeatureStatus] {
    let columns = metrics.map { $0.values(view) }
    return view.state.features.names.enumerated().map { index, name in
      FeatureStatus(
        name: name,
        readings: zip(metrics, columns).map { FeatureReading(metric: $0, value: $1[index]) })
    }
  }
}

/// A metric and its value.
package struct FeatureReading: Sendable {
  package let metric: FeatureMetric
  /// Nil if there is none, for example if the feature is missing in the whole last batch.
  package var value: Double?

  package init(metric: FeatureMetric, value: Double?) {
    self.metric = metric
    self.value = value
  }
}
