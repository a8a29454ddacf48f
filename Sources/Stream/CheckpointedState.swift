internal import BatchNormalization
internal import Codecs
internal import Operators
internal import Records
internal import State
package import Storage

extension StateReading {
  /// Reads the state of this program's operators.
  package static let ofOperators = StateReading(
    OperatorChain.stateGroups(of: Catalogue.builtIn.operators))
  /// The same, for a file that is only shown.
  package static let toShow = StateReading(ofOperators.groups, unknown: .keep)
}

extension Checkpoint {
  /// Mixes the moments of classes again, after others have merged them. Does nothing without classes.
  package mutating func mixClasses() {
    guard let classes = NormalizeSettings.classes(ofCheckpoint: settings) else { return }
    state.mixClasses(classes)
  }

  /// The state to start from with a configuration; nil to start with the initial state.
  ///
  /// - Throws: `StreamError.configuration` with the differences, if the checkpoint does not fit and the configuration
  ///   does not allow that.
  func state(
    for schema: FeatureSchema, _ configuration: StreamConfiguration
  ) throws(StreamError) -> StateTable? {
    if try fits(schema.names, configuration) { return state }
    guard configuration.onMismatch == .matchByName else { return nil }
    let wanted = configuration.normalization.checkpointSettings
    // The keys of other columns are other things.
    let hasOtherKeys =
      !settings.isEmpty && ["key", "class"].contains { settings[$0] != wanted[$0] }
    return (hasOtherKeys ? state.withoutKeys : state).matched(to: schema)
  }

  /// Checks only the settings, while the features are not known.
  ///
  /// - Throws: the same errors as `state(for:_:)`.
  func checkSettings(_ configuration: StreamConfiguration) throws(StreamError) {
    _ = try fits(features, configuration)
  }

  /// Whether the checkpoint has these features and settings.
  private func fits(
    _ names: [String], _ configuration: StreamConfiguration
  ) throws(StreamError) -> Bool {
    var compared = self
    // They are told to those who apply the moments; they move none.
    compared.settings["clip"] = nil
    compared.settings["parts"] = nil
    if configuration.normalization.isFrozen {
      // Frozen moments do not depend on the settings for updates.
      compared.settings = compared.settings.filter {
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
        + " (--on-mismatch match_by_name or reset continues)")
  }
}

extension StreamConfiguration {
  /// The way in which the stream reads its checkpoints.
  package var stateReading: StateReading {
    let kinds = operators.filter { $0.isOn(operatorSettings) }
    var reading = StateReading(
      OperatorChain.stateGroups(of: kinds), unknown: dropsUnknownState ? .drop : .refuse)
    reading.turnedOff = Set(operators.flatMap { $0.declaration.stateGroups }.map(\.name))
      .subtracting(reading.groups.map(\.name))
    return reading
  }

  /// The settings and features that a checkpoint must have, as text.
  var fittingSettings: [String: String] {
    var settings = normalization.checkpointSettings
    settings["features"] = decoder.choiceTexts.joined(separator: ",")
    return settings
  }

  /// The features of a checkpoint, if the stream is to go on with them: its user named none, and either
  /// accepts no others or had them chosen by the same settings.
  func knownFeatures(of checkpoint: Checkpoint?) -> KnownFeatures? {
    guard decoder.features.isEmpty, let checkpoint,
      onMismatch == .fail || checkpoint.input?.form == inputForm
    else { return nil }
    return KnownFeatures(
      names: checkpoint.features.filter { !decoder.exclude.matches($0) },
      choice: FeatureChoice(
        records: nil, leftOut: checkpoint.input?.opening?.choice?.leftOut ?? []))
  }
}

extension NormalizationSettings {
  /// The settings on which the meaning of running moments depends, as a checkpoint records them.
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
      case .halfLifeEventTime(let seconds): "half_life \(seconds) seconds of event time"
      }
    if let classes {
      settings["class"] = classes.column
      settings["class_prior"] = NormalizeSettings.shareText(classes.shares)
    }
    return settings
  }
  static let transformSettingNames = [
    "epsilon", "epsilon.relative", "variance_floor", "clip", "parts", "key", "key.prior",
    "key.features", "prior",
    "prior.values",
    "limit.mean", "limit.deviation",
  ]

  /// The settings for applying moments, which folding needs.
  var transformSettings: [String: String] {
    var settings =
      switch epsilon {
      case .absolute(let number): ["epsilon": "\(number)"]
      case .relative(let share): ["epsilon.relative": "\(share)"]
      }
    if let varianceFloor { settings["variance_floor"] = "\(varianceFloor)" }
    if let clip { settings["clip"] = "\(clip)" }
    // Moments of other columns would be moments of other things.
    if let key {
      settings["key"] = key.columns.joined(separator: ",")
      settings["key.prior"] = "\(key.prior)"
      if !key.features.isEmpty {
        settings["key.features"] = key.features.map(\.text).joined(separator: ",")
      }
    }
    switch parts {
    case .both: break
    case .center: settings["parts"] = "center"
    case .scale: settings["parts"] = "scale"
    }
    if let prior {
      // Not its path: the moments decide.
      settings["prior"] = prior.identity
      settings["prior.values"] = "\(prior.values)"
      settings["limit.mean"] = prior.limit.mean.map { "\($0)" }
      settings["limit.deviation"] = prior.limit.deviation.map { "\($0)" }
    }
    return settings
  }
}
