internal import Records
package import State

// The part of a normaliser that keys have.
extension Normalizer {
  /// Forgets the running moments and all keys, and starts warm-up again. γ, β and the counts of present, missing
  /// and clipped values stay.
  package mutating func resetMoments(in state: inout StateTable) {
    state.reset(groups: ["moments", "stream", "view"])
    state.startKeys(KeyNames())
    keyed?.readKeys(of: state)
  }

  /// Forgets the moments of some keys, each of which is the bytes of a `RecordKey`.
  ///
  /// - Returns: how many of them were known; nil if the stream has no keys.
  package mutating func resetKeys(_ names: [[UInt8]], in state: inout StateTable) -> Int? {
    let known = keyed?.reset(names, in: &state)
    guard let classes = settings.classes, let known, known > 0 else { return known }
    // Without a class nothing is left of the moments.
    if state.keyCount == 0 { resetMoments(in: &state) }
    state.mixClasses(classes, columns)
    return known
  }

  /// Refuses moments without those of the classes that settings ask for.
  package static func requireClasses(
    _ settings: NormalizationSettings, _ state: borrowing StateTable
  ) throws(NormalizationError) {
    let (columns, schema) = (NormalizerColumns(in: state), state.features)
    guard settings.classes != nil, !settings.isFrozen, state.keyCount == 0,
      let j = state[columns.momentWeight].firstIndex(where: { $0 > 0 })
    else { return }
    throw .keys(
      "weight.class: expected the moments of classes beside those of feature \(quoted(schema.names[j])), found none: "
        + "fit them with --weight-class, give these as a prior (--prior), or begin again (--on-mismatch reset)"
    )
  }

  /// Takes the keys of a table, after another part of the program has changed them.
  package mutating func readKeys(of state: borrowing StateTable) { keyed?.readKeys(of: state) }

  /// Forgets the keys, in a copy that only shows the state.
  package mutating func forgetKeys() { keyed?.forgetKeys() }

  /// Plans what keys do: how their records are normalised, and how these move their moments.
  ///
  /// - Parameter hasMissing: whether a value of the batch is missing.
  func planKeys(
    _ keyed: KeyedMoments, _ values: BatchValues, _ keys: KeyBytes, _ state: borrowing StateTable,
    isNormalized: Bool, hasMissing: Bool, _ plan: inout BatchPlan
  ) {
    let newest = columns.keys.newestRecord(state)
    plan.keyed.gather(keys, values.records, in: keyed.index, state.keys)
    let updates = plan.updatesMoments
    // Classes normalise nothing themselves.
    let counts = plan.countsKeys && settings.classes == nil
    guard isNormalized || updates || counts else { return }
    // Features of one key weigh the same unless a value is missing, or some do not move.
    var isMoved = Array(repeating: false, count: schema.count)
    for j in keyed.features { isMoved[j] = !plan.features[j].isVetoed }
    keyed.copyRows(
      of: &plan.keyed, state, newest: newest, times: values.columns.roles.times?[values.records],
      isSpread: updates && (hasMissing || isMoved.contains(false)))
    plan.keyed.gammas = state[columns.weight]
    if isNormalized {
      for j in keyed.features where plan.features[j].transform != nil {
        plan.features[j].isByKey = true
      }
      var running = RunningMoments(state, columns, prior: priorMerge)
      var whole = WholeMoments()
      for j in plan.features.indices {
        let applied = running.applied(j, settings)
        whole.means.append(applied.mean)
        whole.variances.append(applied.variance)
        if settings.prior?.limit.isOn == true { whole.append(running.bounds(of: j)) }
      }
      keyed.planTransforms(&plan.keyed, newest: newest, settings, whole: whole)
    }
    guard updates || counts else { return }
    plan.keyed.takeValues(values.columns, values.records)
    if counts {
      var isByKey = Array(repeating: false, count: schema.count)
      for j in keyed.features { isByKey[j] = true }
      plan.keyed.countAway(
        values.records, weights: values.columns.roles.weights, isByKey: isByKey)
    }
    if updates {
      keyed.planUpdates(
        values, &plan.keyed, recordsBefore: state[columns.records][0], settings, isMoved: isMoved)
    }
  }
}
