package import BatchNormalization
internal import Configuration
package import Records
package import State

// Invariants:
// - If a batch or an update is refused, state, operators and values are unchanged.
// - `last` is the last batch that was cut with records in it. `scratch` is the memory for the next.

/// The operators of one stream, and the state that they share.
package struct OperatorChain: Sendable {
  package internal(set) var state: StateTable
  /// The events of the last calls. The caller takes them out and emits them with the batch.
  package private(set) var events: [OperatorEvent] = []
  var operators: [any BatchOperator]
  let versions: StreamVersions
  private let outputPrecision: Precision
  private let settings: SettingValues
  /// The half-life in event time, in seconds; nil for another momentum.
  private let eventHalfLife: Double?
  private let eventClock: EventClock
  private var scratch: Work
  private var last: Work
  private var hasLast = false

  /// The summary and the plan of one batch.
  private struct Work: Sendable {
    var summary: BatchSummary
    var plan: BatchPlan

    init(featureCount: Int) {
      summary = BatchSummary(featureCount: featureCount)
      plan = BatchPlan(featureCount: featureCount)
    }
  }

  /// - Parameters:
  ///   - kinds: the operators, in the order in which they commit. Those that the settings turn off are left out.
  ///   - state: the table to continue from, with any groups; nil starts with the initial values.
  /// - Throws: `OperatorError` for settings that cannot be used, or for a state that is not valid.
  package init(
    _ kinds: [any BatchOperator.Type], _ context: OperatorContext, state: StateTable? = nil
  ) throws(OperatorError) {
    guard state?.features ?? context.schema == context.schema else {
      throw OperatorError(
        "state",
        StateError.otherTable(
          expected: "features \(listed(context.schema.names))",
          found: listed(state?.features.names ?? [])))
    }
    let kinds = kinds.filter { $0.isOn(context.settings) }
    let groups = Self.stateGroups(of: kinds)
    let state = state?.regrouped(to: groups) ?? StateTable(groups, features: context.schema)
    do throws(StateError) {
      try state.validate()
    } catch {
      throw OperatorError("state", error)
    }
    var operators: [any BatchOperator] = []
    for kind in kinds { operators.append(try kind.init(context, state)) }
    self.operators = operators
    self.state = state
    versions = StreamVersions(in: state)
    outputPrecision = context.outputPrecision
    settings = context.settings
    eventHalfLife = context.normalization.momentum.eventHalfLife
    eventClock = EventClock(in: state, settings)
    scratch = Work(featureCount: context.schema.count)
    last = scratch
  }

  /// The state groups of operators, with those of every stream.
  package static func stateGroups(of kinds: [any BatchOperator.Type]) -> [StateGroup] {
    kinds.flatMap { $0.declaration.stateGroups } + [StreamVersions.group, EventClock.group]
  }

  package var schema: FeatureSchema { state.features }
  package var stateVersion: Int { state[versions.state][0] }
  package var parametersVersion: Int { state[versions.parameters][0] }
  /// The version of γ and β of a state with `groupsForPeers` or more.
  package static func parametersVersion(of state: StateTable) -> Int {
    state[StreamVersions(in: state).parameters][0]
  }
  package var stateVersions: StateVersions {
    StateVersions(state: stateVersion, parameters: parametersVersion)
  }
  /// Whether γ and β are not learned for now.
  package var parametersAreFrozen: Bool { LearnAffine.isFrozen(state) }
  /// Whether records are normalised by a state that their own batch has a part in.
  package var usesOwnBatch: Bool {
    normalization.map { $0.mode != .running || $0.updateFirst } ?? false
  }
  /// A copy to show to others, without keys, of which there may be a million, and without earlier γ and β.
  package var shown: OperatorChain {
    var shown = self
    if state.keyCount > 0 {
      shown.state = state.withoutKeys
      for index in shown.operators.indices { shown.operators[index].forgetKeys() }
    }
    shown.state.letGo(groups: LearnColumns.unshown)
    return shown
  }
  /// The source of metrics.
  package var view: OperatorView {
    OperatorView(
      state: state, last: hasLast ? (last.summary, last.plan) : nil, settings: settings)
  }
  package var declarations: [OperatorDeclaration] { operators.map { type(of: $0).declaration } }
  /// The normalisation settings in force; nil without that operator.
  package var normalization: NormalizationSettings? {
    operators.lazy.compactMap { ($0 as? Normalize)?.settings }.first
  }
  /// Whether records may be emitted before their batch is cut.
  package var emitsBeforeCut: Bool { operators.allSatisfy { $0.emitsBeforeCut(state) } }
  /// Whether held batches may be emitted now.
  package var releasesHeld: Bool { operators.allSatisfy { $0.releasesHeld(state) } }

  /// Notes from now on which keys change.
  package mutating func startKeyChanges() { state.startChanges() }

  /// Takes the events since the last call.
  package mutating func takeEvents() -> [OperatorEvent] {
    defer { events = [] }
    return events
  }

  /// Lets the operators plan, checks the plan, transforms the records in place, and commits.
  ///
  /// - Parameters:
  ///   - records: the records of the block to operate on; all by default.
  ///   - elapsedSeconds: the time since the cut of the previous batch; nil if there was none.
  /// - Returns: what happens to the records.
  /// - Throws: `OperatorError`. Then nothing has changed.
  package mutating func operate(
    on columns: inout FeatureColumns, _ records: Range<Int>? = nil, as role: BatchRole = .whole,
    elapsedSeconds: Double? = nil
  ) throws(OperatorError) -> BatchEmission {
    let records = records ?? 0..<columns.count
    var (needsMoments, needsValues) = (false, false)
    for each in operators {
      if each.needsMoments(ofRecords: records.count, role, state) { needsMoments = true }
      if each.needsValues(ofRecords: records.count, role, state) { needsValues = true }
    }
    scratch.plan.begin(role, elapsedSeconds: elapsedSeconds)
    do throws(NormalizationError) {
      try scratch.summary.measure(
        columns, records, withMoments: needsMoments, withValues: needsValues,
        eventHalfLife: eventHalfLife)
    } catch {
      throw OperatorError(Normalize.declaration.name, error)
    }
    // From last to first, so that normalising, the first, sees every veto.
    for index in operators.indices.reversed() {
      try operators[index].plan(scratch.summary, state, &scratch.plan)
    }
    do throws(NormalizationError) {
      try scratch.plan.validate(
        scratch.summary, columns, records, schema, outputPrecision: outputPrecision)
    } catch {
      throw OperatorError(Normalize.declaration.name, error)
    }
    scratch.summary.transform(&columns, records, by: scratch.plan)
    for index in operators.indices {
      operators[index].commit(scratch.summary, scratch.plan, &state, &events)
    }
    if scratch.plan.updatesMoments { state.add(1, to: versions.state) }
    let emission = scratch.plan.emission
    if role.updates, !records.isEmpty {
      swap(&scratch, &last)
      hasLast = true
    }
    return emission
  }

  /// The records of the future, which must be taken out before the others are operated on.
  ///
  /// - Parameter wallSeconds: reads the wall clock, in seconds since 1970; nil if that was done a moment ago.
  package mutating func futureRecords(
    of columns: FeatureColumns, _ records: Range<Int>, wallSeconds: () -> Double?
  ) -> [FutureRecord] {
    guard let times = columns.roles.times else { return [] }
    return eventClock.refused(times, records, &state, wallSeconds: wallSeconds)
  }

  /// Notes the newest time of records that were operated on.
  package mutating func acceptTimes(of columns: FeatureColumns, _ records: Range<Int>) {
    guard let times = columns.roles.times else { return }
    eventClock.accept(times, records, &state)
  }

  /// Checks that a stream with other settings could go on from the moments of this one.
  ///
  /// - Throws: `OperatorError` if it asks for classes of another column, which these moments are not of.
  package func checkChange(to settings: NormalizationSettings) throws(OperatorError) {
    guard settings.classes?.column != normalization?.classes?.column else { return }
    do throws(NormalizationError) {
      try Normalizer.requireClasses(settings, state.withoutKeys)
    } catch {
      throw OperatorError(Normalize.declaration.name, error)
    }
  }

  /// Whether γ or β of a feature differs from that in the other chain, which has the same features.
  package func parametersAreOther(than other: OperatorChain) -> Bool {
    parametersAreOther(than: other.state)
  }

  private func parametersAreOther(than other: borrowing StateTable) -> Bool {
    state[versions.weight] != other[versions.weight] || state[versions.bias] != other[versions.bias]
  }

  /// Makes a change that a user requests.
  ///
  /// - Throws: `OperatorError`. Then nothing has changed.
  package mutating func apply(_ update: StreamUpdate) throws(OperatorError) {
    guard let earlier = try parameters(changedBy: update) else { return }
    // After the earlier state was released, so that each operator changes its columns in place.
    for index in operators.indices { operators[index].parametersChanged(since: earlier, &state) }
  }

  /// Makes a change, and returns γ and β before it if they are others now.
  private mutating func parameters(
    changedBy update: StreamUpdate
  ) throws(OperatorError) -> ParametersInForce? {
    let owner = operators.firstIndex { each in
      type(of: each).declaration.updates.contains { $0.name == update.name }
    }
    guard let owner else { throw OperatorError("stream", UnknownUpdate(name: update.name)) }
    // Only what the update may change: a copy of the chain would make every operator copy what it changes.
    let (earlier, earlierOwner) = (state, operators[owner])
    do {
      if let version = update.body?.ifVersion, version != parametersVersion {
        throw OtherVersion(expected: version, found: parametersVersion)
      }
      try operators[owner].apply(update, &state)
      state.add(1, to: versions.state)
      let areOther = parametersAreOther(than: earlier)
      if areOther { state[versions.parameters][0] = stateVersion }
      // Only what the update has changed: a gradient must not cost a look at the state of all keys.
      try state.validate(since: earlier)
      guard areOther else { return nil }
      return ParametersInForce(
        version: earlier[versions.parameters][0],
        parameters: (earlier[versions.weight], earlier[versions.bias]))
    } catch {
      (state, operators[owner]) = (earlier, earlierOwner)
      throw error as? OperatorError
        ?? OperatorError(type(of: operators[owner]).declaration.name, error)
    }
  }
}
