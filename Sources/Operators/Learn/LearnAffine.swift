package import BatchNormalization
package import Configuration
internal import Records
package import State

/// The operator that learns γ and β from gradients of a loss, one step for each update `gradients`.
///
/// It makes steps between two batches. Batches do not change anything that it keeps.
package struct LearnAffine: BatchOperator {
  package static let declaration = OperatorDeclaration(
    "learn", settings: LearnSettings.group, stateGroups: LearnColumns.groups,
    updates: [
      UpdateKind(
        "gradients", body: GradientsBody.self, needs: LearnSettings.section, isOfParameters: true,
        help: "Moves γ and β by one step against gradients of a loss."),
      UpdateKind(
        "parameters/freeze", needs: LearnSettings.section, isOfParameters: true,
        help: "Stops learning γ and β: gradients are refused."),
      UpdateKind(
        "parameters/thaw", needs: LearnSettings.section, isOfParameters: true,
        help: "Allows learning γ and β again."),
    ])

  package static func isOn(_ settings: SettingValues) -> Bool {
    settings[LearnSettings.optimizer] != nil
  }

  private let optimizer: AffineOptimizer
  private let rate: LearningRate
  private let clipNorm: Double?
  private let maxStaleness: Int
  private let weightBounds: ClosedRange<Double>
  private let columns: LearnColumns
  private let affine: NormalizerColumns

  package init(_ context: OperatorContext, _ state: borrowing StateTable) throws(OperatorError) {
    let values = context.settings
    optimizer = AffineOptimizer(values) ?? AffineOptimizer(.sgd())
    rate = LearningRate(
      values[LearnSettings.learningRate], changes: values[LearnSettings.schedule])
    clipNorm = values[LearnSettings.clipNorm]
    maxStaleness = values[LearnSettings.maxStaleness]
    let bounds = values[LearnSettings.weightBounds]
    weightBounds = bounds[0]...bounds[1]
    columns = LearnColumns(in: state, for: optimizer.method)
    affine = NormalizerColumns(in: state)
  }

  package mutating func commit(
    _ summary: borrowing BatchSummary, _ plan: borrowing BatchPlan, _ state: inout StateTable,
    _ events: inout [OperatorEvent]
  ) {}

  package mutating func apply(
    _ update: StreamUpdate, _ state: inout StateTable
  ) throws(OperatorError) {
    switch (update.name, update.body) {
    case ("gradients", let body as GradientsBody): try learn(from: body, &state)
    case ("parameters/freeze", _): state[columns.frozen][0] = 1
    case ("parameters/thaw", _): state[columns.frozen][0] = 0
    default: throw OperatorError(Self.declaration.name, UnknownUpdate(name: update.name))
    }
  }

  private func learn(
    from body: GradientsBody, _ state: inout StateTable
  ) throws(OperatorError) {
    let name = Self.declaration.name
    guard state[columns.frozen][0] == 0 || body.isReplayed else {
      throw OperatorError(name, FrozenParameters())
    }
    guard let age = columns.versions.age(of: body.version, state), age <= maxStaleness else {
      throw OperatorError(
        name,
        StaleGradients(
          version: body.version, found: columns.versions.current(state), limit: maxStaleness))
    }
    do throws(UnusableBody) {
      // Only rows of y need γ and β of their version.
      let parameters = columns.versions.parameters(ofAge: body.rowCount == nil ? 0 : age, state)
      var gradients = try body.gradients(
        for: state.features.names, weight: parameters.weight, bias: parameters.bias)
      if let clipNorm { gradients.clip(toNorm: clipNorm) }
      try step(against: gradients, &state)
    } catch {
      throw OperatorError(name, error)
    }
    let examples = state[columns.examples][0] + (body.count ?? body.rowCount ?? 0)
    state[columns.examples][0] = min(examples, StateColumn.countLimit)
  }

  package mutating func parametersChanged(
    since earlier: ParametersInForce, _ state: inout StateTable
  ) {
    columns.versions.add(after: earlier, &state)
  }

  /// How far γ and β have been learned, in words; nil if they have not.
  package static func summary(of state: StateTable) -> String? {
    guard state.group("learn") != nil else { return nil }
    let steps = state[count: "evenkeel.learn.steps"][0]
    guard steps > 0 else { return nil }
    let examples = state[count: "evenkeel.learn.examples"][0]
    return "γ and β learned in \(steps) steps"
      + (examples > 0 ? ", from gradients of \(examples) examples" : "")
      + (isFrozen(state) ? "; frozen" : "")
  }

  /// Whether the state says that γ and β are not learned for now.
  package static func isFrozen(_ state: StateTable) -> Bool {
    state.group("learn_freeze") != nil && state[count: "evenkeel.learn_freeze.frozen"] != [0]
  }

  private func step(
    against gradients: AffineGradients, _ state: inout StateTable
  ) throws(UnusableBody) {
    // The memory of another optimizer would mislead it if it came again.
    state.reset(groups: columns.others)
    let rate = rate.rate(afterSteps: state[columns.steps][0])
    state.add(1, to: columns.steps)
    if let steps = columns.featureSteps { state.add(to: steps) { _ in 1 } }
    move(affine.weight, against: gradients.weightGradients, rate, columns.weight, &state)
    move(affine.bias, against: gradients.biasGradients, rate, columns.bias, &state)
    var weight = state.take(affine.weight)
    for j in weight.indices {
      let size = min(max(abs(weight[j]), weightBounds.lowerBound), weightBounds.upperBound)
      weight[j] = weight[j] < 0 ? -size : size
    }
    state.put(weight, in: affine.weight)
    let bias = state[affine.bias]
    if let j = bias.firstIndex(where: { !(abs($0) <= FeatureColumns.greatest) }) {
      throw UnusableBody(
        "the step takes the bias of feature \(quoted(state.features.names[j])) to \(bias[j]), "
          + "expected at most \(FeatureColumns.greatest) in size")
    }
  }

  /// Moves γ or β, and what the optimizer keeps of it.
  private func move(
    _ column: RealColumn, against gradients: [Double], _ rate: Double,
    _ kept: (first: RealColumn, second: RealColumn?), _ state: inout StateTable
  ) {
    let count = state.features.count
    var parameters = state.take(column)
    var memory = AffineOptimizer.Memory(featureCount: count)
    memory.first = state.take(kept.first)
    if let second = kept.second { memory.second = state.take(second) }
    let steps = columns.featureSteps.map { state[$0] } ?? Array(repeating: 0, count: count)
    optimizer.step(&parameters, against: gradients, rate: rate, steps: steps, &memory)
    state.put(parameters, in: column)
    state.put(memory.first, in: kept.first)
    if let second = kept.second { state.put(memory.second, in: second) }
  }
}

/// Gradients came while γ and β are frozen.
package struct FrozenParameters: Error, Equatable, CustomStringConvertible {
  package var description: String {
    "expected γ and β that may be learned, found them frozen; thaw them with parameters/thaw"
  }
}

/// Gradients of a version of γ and β that is too old, or that never was.
package struct StaleGradients: VersionConflict, Equatable {
  package let version: Int
  package let found: Int
  package let limit: Int

  package init(version: Int, found: Int, limit: Int) {
    self.version = version
    self.found = found
    self.limit = limit
  }

  package var description: String {
    "expected gradients of a version of γ and β that is at most \(limit) changes old, found \(version); "
      + "the version now is \(found)"
  }
}
