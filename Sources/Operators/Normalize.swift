package import BatchNormalization
internal import Records
package import State

/// The operator that normalises. `Normalizer` does the arithmetic.
package struct Normalize: BatchOperator {
  private var normalizer: Normalizer
  private var watch = FeatureWatch()
  private var limits = LimitWatch()
  private var keys = KeyWatch()

  package var settings: NormalizationSettings { normalizer.settings }

  package init(_ context: OperatorContext, _ state: borrowing StateTable) throws(OperatorError) {
    do throws(NormalizationError) {
      normalizer = try Normalizer(
        settings: context.normalization, state: state, prior: context.prior)
    } catch {
      throw Self.refusal(error)
    }
  }

  package static let declaration = OperatorDeclaration(
    "normalize", settings: NormalizeSettings.group, stateGroups: NormalizerColumns.groups,
    updates: [
      UpdateKind("freeze", subject: "freeze", help: "Stops updating the running moments."),
      UpdateKind("thaw", subject: "freeze", help: "Allows updates of the running moments again."),
      UpdateKind(
        "reset", subject: "reset",
        help:
          "Sets the running moments to their initial values, and forgets all keys. γ and β stay."),
      UpdateKind(
        "reset_keys", body: KeysBody.self, help: "Forgets the moments of some keys."),
      UpdateKind(
        "mode", body: ModeBody.self, subject: "mode",
        help: "Changes the mode: the moments that normalise."),
      UpdateKind(
        "parameters", body: ParametersBody.self, isOfParameters: true, help: "Replaces γ and β."),
      UpdateKind(
        "rollback", body: RollbackBody.self,
        help: "Restores the running moments, or γ and β, of an earlier checkpoint."),
    ], metrics: NormalizeMetrics.all,
    events: [
      FeatureWatch.begun, FeatureWatch.ended, LimitWatch.begun, LimitWatch.ended, KeyWatch.unusable,
    ])

  package func needsMoments(
    ofRecords count: Int, _ role: BatchRole, _ state: borrowing StateTable
  ) -> Bool {
    normalizer.needsMoments(ofRecords: count, role, state)
  }

  package mutating func plan(
    _ summary: borrowing BatchSummary, _ state: borrowing StateTable, _ plan: inout BatchPlan
  ) throws(OperatorError) {
    do throws(NormalizationError) {
      try normalizer.plan(summary, state, &plan)
    } catch {
      throw Self.refusal(error)
    }
  }

  package mutating func commit(
    _ summary: borrowing BatchSummary, _ plan: borrowing BatchPlan, _ state: inout StateTable,
    _ events: inout [OperatorEvent]
  ) {
    normalizer.commit(summary, plan, &state)
    guard plan.role.updates else { return }
    watch.look(at: state, normalizer.columns, settings, &events)
    keys.look(at: state, settings, &events)
    if settings.prior?.limit.isOn == true {
      limits.look(at: plan, normalizer.schema.names, &events)
    }
  }

  package func emitsBeforeCut(_ state: borrowing StateTable) -> Bool {
    normalizer.emitsBeforeCut(state)
  }

  package func releasesHeld(_ state: borrowing StateTable) -> Bool {
    !normalizer.isHolding(state)
  }

  package mutating func apply(
    _ update: StreamUpdate, _ state: inout StateTable
  ) throws(OperatorError) {
    let changed = settings.after(update)
    do {
      switch (update.name, update.body) {
      case ("freeze", _), ("thaw", _), ("mode", is ModeBody): break
      case ("reset", _): normalizer.resetMoments(in: &state)
      case ("reset_keys", let body as KeysBody):
        guard let known = normalizer.resetKeys(body.keys, in: &state) else {
          throw UnusableBody("expected a stream with keys (key.columns), found none")
        }
        guard known > 0 else { throw UnusableBody("keys: expected a known key, found none") }
      case ("rollback", let body as RollbackBody):
        try body.restore(in: &state)
        normalizer.readKeys(of: state)
      case ("parameters", let body as ParametersBody):
        do throws(NormalizationError) {
          try normalizer.replaceParameters(
            AffineParameters(
              weight: body.weight, bias: body.bias, of: body.features,
              arrangedFor: state.features.names, allowsOthers: body.allowsOthers), in: &state)
        } catch {
          throw UnusableBody("\(error)")
        }
      default: throw OperatorError(Self.declaration.name, UnknownUpdate(name: update.name))
      }
      try normalizer.replaceSettings(changed, in: state)
    } catch let error as OperatorError {
      throw error
    } catch {
      throw OperatorError(Self.declaration.name, error)
    }
  }

  /// Uses other settings from the next batch on.
  ///
  /// - Throws: an error if they do not fit the state; the old ones stay then.
  mutating func replaceSettings(
    _ settings: NormalizationSettings, in state: borrowing StateTable
  ) throws(OperatorError) {
    do throws(NormalizationError) {
      try normalizer.replaceSettings(settings, in: state)
    } catch {
      throw Self.refusal(error)
    }
  }

  package mutating func forgetKeys() { normalizer.forgetKeys() }

  private static func refusal(_ cause: NormalizationError) -> OperatorError {
    OperatorError(declaration.name, cause)
  }
}

extension NormalizationSettings {
  /// The settings after a freeze, a thaw or another mode; the same after any other update.
  package func after(_ update: StreamUpdate) -> NormalizationSettings {
    var changed = self
    switch (update.name, update.body) {
    case ("freeze", _): changed.isFrozen = true
    case ("thaw", _): changed.isFrozen = false
    case ("mode", let body as ModeBody):
      changed.mode = body.mode
      changed.updateFirst = updateFirst && body.mode == .running
    default: break
    }
    return changed
  }
}

/// The body of the update `mode`.
package struct ModeBody: UpdateBody {
  package var mode: NormalizationMode

  package static let members = CodingKeys.allCases.map(\.rawValue)

  private enum CodingKeys: String, CodingKey, CaseIterable { case mode }

  package init(mode: NormalizationMode) { self.mode = mode }

  package init(from decoder: any Decoder) throws {
    let name = try decoder.container(keyedBy: CodingKeys.self).decode(String.self, forKey: .mode)
    guard let mode = NormalizationMode(rawValue: name) else {
      let modes = NormalizationMode.allCases.map(\.rawValue).joined(separator: ", ")
      throw UpdateBodyError("mode: expected one of \(modes)")
    }
    self.mode = mode
  }
}

/// The body of the update `parameters`: γ and β, in the order of the features or by name.
package struct ParametersBody: UpdateBody {
  package var weight: [Double]
  package var bias: [Double]
  package var features: [String]?
  package var ifVersion: Int?
  /// Whether there may be other features, as in the file of a larger model.
  package var allowsOthers = false

  package static let members = CodingKeys.allCases.map(\.rawValue)

  private enum CodingKeys: String, CodingKey, CaseIterable {
    case weight, bias, features
    case ifVersion = "if_version"
  }

  package init(
    weight: [Double], bias: [Double], features: [String]? = nil, ifVersion: Int? = nil,
    allowsOthers: Bool = false
  ) {
    self.allowsOthers = allowsOthers
    self.weight = weight
    self.bias = bias
    self.features = features
    self.ifVersion = ifVersion
  }

  package init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    weight = try container.decode([Double].self, forKey: .weight)
    bias = try container.decode([Double].self, forKey: .bias)
    features = try container.decodeIfPresent([String].self, forKey: .features)
    ifVersion = try container.decodeIfPresent(Int.self, forKey: .ifVersion)
    guard !weight.isEmpty, weight.count == bias.count,
      features.map(\.count) ?? weight.count == weight.count
    else {
      throw UpdateBodyError(
        "weight, bias and features: expected the same number of each, and at least one")
    }
    guard (weight + bias).allSatisfy(\.isFinite) else {
      throw UpdateBodyError("weight and bias: expected finite numbers")
    }
  }
}
