internal import BatchNormalization
internal import Codecs
internal import Records
internal import Storage

extension Checkpoint {
  /// The checkpoint of a normaliser's state between two batches.
  init(
    _ state: NormalizerState, schema: FeatureSchema, settings: [String: String],
    position: StreamPosition
  ) {
    self.init(features: schema.names, settings: settings)
    weight = state.parameters.weight
    bias = state.parameters.bias
    runningMean = state.running.mean
    runningVariance = state.running.variance
    batchesTracked = state.batchesTracked
    values = state.running.values
    batches = state.running.batches
    varianceValues = state.running.varianceValues
    varianceBatches = state.running.varianceBatches
    missing = state.missing
    clipped = state.clipped
    self.position = position
  }

  /// The state to go on from under a configuration, or nil where it is to start afresh.
  ///
  /// - Throws: `StreamError.configuration` with the differences, where the checkpoint does not fit
  ///   and the configuration does not say what to do then.
  func state(
    for schema: FeatureSchema, _ configuration: StreamConfiguration
  ) throws -> NormalizerState? {
    var fitting = self
    if try !fits(schema.names, configuration) {
      guard configuration.onMismatch == .matchByName else { return nil }
      fitting = matchedByName(to: schema.names)
    }
    return NormalizerState(
      parameters: try AffineParameters(weight: fitting.weight, bias: fitting.bias),
      running: try RunningMoments(
        mean: fitting.runningMean, variance: fitting.runningVariance, batches: fitting.batches,
        values: fitting.values, varianceBatches: fitting.varianceBatches,
        varianceValues: fitting.varianceValues),
      batchesTracked: fitting.batchesTracked, missing: fitting.missing, clipped: fitting.clipped)
  }

  /// Checks the settings alone, where the features are not known yet.
  ///
  /// - Throws: as `state(for:_:)` does.
  func checkSettings(_ configuration: StreamConfiguration) throws(StreamError) {
    _ = try fits(features, configuration)
  }

  /// Whether the checkpoint is one of these features and settings.
  private func fits(
    _ names: [String], _ configuration: StreamConfiguration
  ) throws(StreamError) -> Bool {
    var compared = self
    if configuration.normalization.isFrozen {
      // Moments that stand still do not depend on how they would move.
      compared.settings = settings.filter {
        NormalizationSettings.transformSettingNames.contains($0.key)
      }
    }
    let differences = compared.differences(
      fromFeatures: names, settings: configuration.normalization.checkpointSettings)
    guard !differences.isEmpty, configuration.onMismatch == .fail else {
      return differences.isEmpty
    }
    throw .configuration(
      "\(configuration.name): the checkpoint does not fit: "
        + differences.joined(separator: "; ")
        + " (--on-mismatch match_by_name or reset would go on)")
  }
}

extension StreamConfiguration {
  /// What a checkpoint has to fit, as text.
  var fittingSettings: [String: String] {
    var settings = normalization.checkpointSettings
    settings["features"] = decoder.features.map(\.text).joined(separator: ",")
    return settings
  }
}

extension NormalizationSettings {
  /// The settings that the meaning of running moments depends on, as a checkpoint records them.
  var checkpointSettings: [String: String] {
    var settings = transformSettings
    settings["estimator"] = estimator.rawValue
    settings["bias_correction"] = "\(biasCorrection)"
    if estimator == .batchNorm { settings["variance"] = variance.rawValue }
    settings["momentum"] =
      switch momentum {
      case .weight(let weight): "\(weight)"
      case .cumulative: "cumulative"
      case .halfLifeRecords(let records): "half_life \(records) records"
      case .halfLifeSeconds(let seconds): "half_life \(seconds) seconds"
      }
    return settings
  }
  static let transformSettingNames = ["epsilon", "variance_floor"]

  /// The settings that moments are applied with, which folding needs.
  var transformSettings: [String: String] {
    var settings = ["epsilon": "\(epsilon)"]
    if let varianceFloor { settings["variance_floor"] = "\(varianceFloor)" }
    return settings
  }
}
