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
        "gradients", body: GradientsBody.self, needs: LearnSettings.section,
        help: "Moves γ and β by one step against gradients of a loss.")
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
    let name = Self.declaration.name
    guard let body = update.body as? GradientsBody else {
      throw OperatorError(name, UnknownUpdate(name: update.name))
    }
    guard let age = columns.versions.age(of: body.version, state), age <= maxStaleness else {
      throw OperatorError(
        name,
        StaleGradients(
          version: body.version, found: columns.versions.current(state), limit: maxStaleness))
    }
    do throws(UnusableBody) {
      var gradients = try body.gradients(for: state.features.names)
      if let clipNorm { gradients.clip(toNorm: clipNorm) }
      try step(against: gradients, &state)
    } catch {
      throw OperatorError(name, error)
    }
    let examples = state[columns.examples][0] + (body.count ?? 0)
    state[columns.examples][0] = min(examples, StateColumn.countLimit)
  }

  package mutating func parametersChanged(
    from old: Int, to new: Int, _ state: inout StateTable
  ) {
    columns.versions.add(new, after: old, &state)
  }

  /// How far γ and β have been learned, in words; nil if they have not.
  package static func summary(of state: StateTable) -> String? {
    guard state.group("learn") != nil else { return nil }
    let steps = state[count: "evenkeel.learn.steps"][0]
    guard steps > 0 else { return nil }
    let examples = state[count: "evenkeel.learn.examples"][0]
    return "γ and β learned in \(steps) steps"
      + (examples > 0 ? ", from gradients of \(examples) examples" : "")
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

/// The body of the update `gradients`, in the order of the features or by name.
package struct GradientsBody: UpdateBody {
  /// The version of γ and β for which they were computed.
  package var version: Int
  /// The examples that they came from.
  package var count: Int?
  /// ∂L/∂γ and ∂L/∂β. NaN stands for an element that is no number.
  package var weightGradients: [Double]
  package var biasGradients: [Double]
  package var features: [String]?

  package static let members = CodingKeys.allCases.map(\.rawValue)
  package static let addsUp = true

  private enum CodingKeys: String, CodingKey, CaseIterable {
    case version, count
    case weightGradients = "weight_grad"
    case biasGradients = "bias_grad"
    case features
  }

  package init(
    version: Int, count: Int? = nil, weight: [Double], bias: [Double], features: [String]? = nil
  ) {
    self.version = version
    self.count = count
    weightGradients = weight
    biasGradients = bias
    self.features = features
  }

  package init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    version = try container.decode(Int.self, forKey: .version)
    count = try container.decodeIfPresent(Int.self, forKey: .count)
    weightGradients = try container.decode([Element].self, forKey: .weightGradients).map(\.value)
    biasGradients = try container.decode([Element].self, forKey: .biasGradients).map(\.value)
    features = try container.decodeIfPresent([String].self, forKey: .features)
    if let count, !(0...StateColumn.countLimit).contains(count) {
      throw UpdateBodyError("count: expected a whole number from 0 to 2^53")
    }
  }

  /// A number, or a form in which programs write one that is not finite: null, "NaN", "-Infinity".
  private struct Element: Decodable {
    let value: Double

    init(from decoder: any Decoder) throws {
      let container = try decoder.singleValueContainer()
      do {
        value = try container.decode(Double.self)
      } catch {
        let isWord = (try? container.decode(String.self)).map { Double($0)?.isFinite == false }
        if container.decodeNil() || isWord == true {
          value = .nan
        } else {
          throw error
        }
      }
    }
  }

  /// The gradients in the order of a stream's features.
  func gradients(for names: [String]) throws(UnusableBody) -> AffineGradients {
    let given = features ?? names
    for (member, elements) in [
      ("weight_grad", weightGradients), ("bias_grad", biasGradients),
    ] {
      guard elements.count == given.count else {
        throw UnusableBody(
          "\(member): expected \(given.count) numbers, one a feature, found \(elements.count)")
      }
      if let j = elements.firstIndex(where: { !(abs($0) <= FeatureColumns.greatest) }) {
        throw UnusableBody(
          "\(member) of feature \(quoted(given[j])): expected a finite number of at most "
            + "\(FeatureColumns.greatest) in size, found \(elements[j])")
      }
    }
    guard features != nil else {
      return AffineGradients(weight: weightGradients, bias: biasGradients)
    }
    do throws(NormalizationError) {
      let places = try AffineParameters.places(of: names, among: given)
      return AffineGradients(
        weight: places.map { weightGradients[$0] }, bias: places.map { biasGradients[$0] })
    } catch {
      throw UnusableBody("\(error)")
    }
  }
}
