internal import BatchNormalization
internal import Configuration
package import Operators
internal import Records
internal import State
package import Storage

/// The settings with which the running moments were made.
enum StateOrigin: Sendable {
  /// Those of the run: its batches move the moments.
  case ownSettings
  /// Those of the checkpoint from which the run starts. Its moments are frozen, and may only be adopted.
  case checkpoint(Checkpoint)

  /// Makes the checkpoint of the operators' state.
  func checkpoint(of state: StateTable, _ configuration: StreamConfiguration) -> Checkpoint {
    let settings = configuration.normalization
    guard case .checkpoint(let start) = self else {
      return Checkpoint(state, settings: settings.checkpointSettings)
    }
    // The run decides how the moments are applied. How they were made does not change.
    let made = start.settings.filter {
      !NormalizationSettings.transformSettingNames.contains($0.key)
    }
    var checkpoint = Checkpoint(
      state, settings: made.merging(settings.transformSettings) { _, applied in applied })
    checkpoint.adoptedBy = start.adoptedBy
    return checkpoint
  }
}

extension InitialState {
  /// The operators of a stream, with the state from which it starts.
  ///
  /// - Throws: `StreamError.configuration` if the checkpoint does not fit, `.operators` if γ and β, or the
  ///   settings, do not.
  func open(
    _ configuration: StreamConfiguration, for schema: FeatureSchema
  ) throws(StreamError) -> (operators: OperatorChain, origin: StateOrigin) {
    let adopted = try checkpoint?.state(for: schema, configuration)
    let prior = try configuration.priorMoments(for: schema)
    var operators: OperatorChain
    do throws(OperatorError) {
      operators = try OperatorChain(
        configuration.operators,
        OperatorContext(
          schema: schema, outputPrecision: configuration.precision,
          normalization: configuration.normalization, settings: configuration.operatorSettings,
          isLive: configuration.isLive, reference: reference?.matched(to: schema),
          prior: prior),
        state: adopted)
      if let parameters {
        var changed = operators
        try changed.apply(
          StreamUpdate("parameters", ParametersBody(parameters)))
        // If the state has the same parameters already, nothing changes.
        if changed.parametersAreOther(than: operators) { operators = changed }
      }
    } catch {
      throw .operators(stream: configuration.name, error)
    }
    guard let checkpoint, adopted != nil, configuration.normalization.isFrozen else {
      return (operators, .ownSettings)
    }
    return (operators, .checkpoint(checkpoint))
  }
}

extension ParametersBody {
  /// γ and β of a file, which may have more features than the stream.
  package init(_ parameters: Parameters) {
    self.init(
      weight: parameters.weight, bias: parameters.bias, features: parameters.features,
      allowsOthers: true)
  }
}

extension StreamConfiguration {
  /// The moments of the prior; nil without one.
  ///
  /// - Throws: `StreamError.configuration` if the file does not fit the stream.
  fileprivate func priorMoments(
    for schema: FeatureSchema
  ) throws(StreamError) -> PriorMoments? {
    guard let prior, let settings = normalization.prior else { return nil }
    // As the user set it: a reload adopts a checkpoint by name, but no other prior.
    let allowsUnknown = operatorSettings[StateSettings.onMismatch] == .matchByName
    return try prior.moments(
      for: schema, settings.limit, allowsUnknown: allowsUnknown, of: name)
  }
}
