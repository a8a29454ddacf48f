package import BatchNormalization
package import Configuration
internal import Records
package import State

// Invariants:
// - Planning works on a copy of the state. A batch that is refused leaves no trace.
// - Only values, their order and the settings decide an alarm; time does only through `drift_stream.pool_rate`, which the
//   state keeps. So a replay alarms alike.

/// The operator that watches features for drift.
///
/// Each feature has four charts (`DriftKind`). It pools whole batches until 32 of its values are present. A pool moves
/// its charts, which raise an event when a score exceeds the threshold.
package struct WatchDrift: BatchOperator {
  static let begun = EventKind(
    "drift", .warning, help: "A feature has moved away from its reference.")
  static let ended = EventKind(
    "drift_ended", .notice,
    help: "A feature is back at its reference, or its reference has followed.")

  package static let declaration = OperatorDeclaration(
    "drift", settings: DriftSettings.group, stateGroups: DriftColumns.groups,
    updates: [
      UpdateKind(
        "drift/accept", needs: "drift: on", subject: "drift",
        help: "Takes the present level of drifting features as their reference.")
    ],
    metrics: DriftMetrics.all, events: [begun, ended])

  package static func isOn(_ settings: SettingValues) -> Bool {
    settings[DriftSettings.watch] == .on
  }

  private let columns: DriftColumns
  private let normalizer: NormalizerColumns
  private let rate: FalseAlarmRate
  private let actions: [DriftAction]
  private let pace: DriftPace
  private let isLive: Bool
  private let source: DriftSource
  private var threshold = ThresholdInForce()
  /// The charts whose phase the batch has changed.
  private var changed: [Int] = []
  /// The charts that a user has accepted since the last batch, which tells it.
  private var accepted: [Int] = []
  private let lent: ColumnSet
  private var batch = DriftBatch()
  /// Nil unless distributions are watched.
  private var bins: DriftBinCounts?
  /// Whether records have keys with moments of their own.
  private let hasKeys: Bool

  package init(_ context: OperatorContext, _ state: borrowing StateTable) throws(OperatorError) {
    columns = DriftColumns(in: state)
    normalizer = NormalizerColumns(in: state)
    rate = context.settings[DriftSettings.falseAlarms]
    actions = context.settings[DriftSettings.actions]
    pace = DriftPace(context.normalization.momentum)
    isLive = context.isLive
    source = DriftSource(context, state)
    lent = DriftRows.columns(columns)
    hasKeys = context.normalization.key != nil
    if context.settings[DriftSettings.distribution] { bins = DriftBinCounts() }
  }

  package func needsMoments(
    ofRecords count: Int, _ role: BatchRole, _ state: borrowing StateTable
  ) -> Bool { role.updates && count > 0 }

  package func needsValues(
    ofRecords count: Int, _ role: BatchRole, _ state: borrowing StateTable
  ) -> Bool { bins != nil && role.updates && count > 0 }

  package mutating func plan(
    _ summary: borrowing BatchSummary, _ state: borrowing StateTable, _ plan: inout BatchPlan
  ) throws(OperatorError) {
    if plan.role.updates {
      bins?.count(
        summary, means: state[normalizer.mean], variances: state[normalizer.variance])
      if hasKeys { plan.countKeys() }
    }
    guard actions.contains(.freeze), plan.role.updates, summary.recordCount > 0 else { return }
    // The batch that raises an alarm must not move the moments either, so it is judged before it is committed.
    var trial = copy state
    _ = judge(
      summary, clipped: nil, keys: nil, &trial, elapsedSeconds: plan.elapsedSeconds)
    let count = summary.features.count
    for (row, phase) in trial[columns.phase].enumerated()
    where DriftPhase(rawValue: phase)?.isDrifting == true {
      plan.vetoUpdate(of: row % count)
    }
  }

  package mutating func commit(
    _ summary: borrowing BatchSummary, _ plan: borrowing BatchPlan, _ state: inout StateTable,
    _ events: inout [OperatorEvent]
  ) {
    guard plan.role.updates else {
      // A segment is clipped before its batch is cut.
      let clipped = summary.clipped
      for j in clipped.indices where clipped[j] > 0 {
        state.add(clipped[j], to: columns.clipped, row: j)
      }
      return
    }
    guard summary.recordCount > 0 else { return }
    let shared = judge(
      summary, clipped: summary.clipped, keys: plan.keyDeviations, &state,
      elapsedSeconds: plan.elapsedSeconds)
    advance(
      &state, records: summary.recordCount, shared, elapsedSeconds: plan.elapsedSeconds)
    changed += accepted.filter { !changed.contains($0) }
    accepted = []
    if !changed.isEmpty { raise(&events, state) }
  }

  package mutating func apply(
    _ update: StreamUpdate, _ state: inout StateTable
  ) throws(OperatorError) {
    guard update.name == "drift/accept" else {
      throw OperatorError(Self.declaration.name, UnknownUpdate(name: update.name))
    }
    var charts = DriftCharts(columns, of: state)
    accepted += (0..<charts.count).filter { charts[$0].phase.isDrifting }
    for row in 0..<charts.count { charts[row].accept() }
    charts.put(in: &state, columns)
  }
}

extension WatchDrift {
  /// Moves charts and pools by a batch, and notes in `changed` which phases have changed.
  ///
  /// - Parameters:
  ///   - clipped: the values of each feature that were clipped; nil if they are not known yet.
  ///   - keys: the keys that are away from their own moments; nil without keys, or if they are not known yet.
  /// - Returns: the pool of records with the batch.
  private mutating func judge(
    _ summary: borrowing BatchSummary, clipped: [Int]?, keys: KeyDeviations?,
    _ state: inout StateTable, elapsedSeconds: Double?
  ) -> DriftSharedPool {
    if !source.isAdopted(by: state, columns) { source.adopt(into: &state, columns, normalizer) }
    let (features, seconds, pace) = (summary.features, elapsedSeconds ?? 0, pace)
    let place = DriftPlace(
      batch: state.value(columns.batches) + 1, record: state.value(columns.records) + 1,
      seconds: state.value(columns.seconds))
    func halfLives(_ weight: Double) -> Double {
      pace.halfLives(ofValues: weight, seconds: seconds)
    }
    var shared = DriftSharedPool(columns, of: state)
    shared.add(summary.recordCount, halfLives: halfLives(Double(summary.recordCount)), at: place)
    batch.take(features, pace, seconds: seconds)
    let run = poolsToFalseAlarm(state)
    var shapes = bins.map { DriftShapes(columns, taking: &state, $0) }
    var keyPools = keys.map { _ in DriftKeyPools(columns, taking: &state) }
    changed.removeAll(keepingCapacity: true)
    state.lend(lent) { lent in
      let rows = DriftRows(columns: lent, features: features.count)
      let rules = DriftRules(
        threshold: threshold.value(run: run, sides: rows.sidesInUse), follows: source.follows)
      var judge = DriftJudge(rules, at: place, rows)
      if let keys, var pools = keyPools.take() {
        judge.judgeKeys(keys, &pools, &batch, halfLives: halfLives)
        keyPools = pools
      }
      judge.judge(&batch, clipped: clipped, &shapes, halfLives: halfLives)
      judge.judgeMissing(features, &batch, shared)
      if !judge.changed.isEmpty { changed = judge.changed }
    }
    shapes?.put(in: &state, columns)
    keyPools?.put(in: &state, columns)
    return shared
  }

  /// The pools in which one false alarm of the stream is wanted.
  private func poolsToFalseAlarm(_ state: borrowing StateTable) -> Double {
    switch rate {
    case .perBatches(let batches): batches
    case .perSeconds(let seconds):
      // A file, and a stream whose rate is not known, count one a second.
      seconds * (state.value(columns.poolRate) > 0 ? state.value(columns.poolRate) : 1)
    }
  }

  /// Counts the batch, and converts a rate of false alarms in time once the rate of pools is known.
  private func advance(
    _ state: inout StateTable, records: Int, _ shared: DriftSharedPool, elapsedSeconds: Double?
  ) {
    state.add(1, to: columns.batches)
    state.add(records, to: columns.records)
    if state.value(columns.threshold) != threshold.current {
      state[columns.threshold][0] = threshold.current
    }
    shared.store(in: &state, columns)
    if shared.isFull { state.add(1, to: columns.streamPools) }
    guard isLive, let elapsedSeconds else { return }
    state[columns.seconds][0] += elapsedSeconds
    guard state.value(columns.poolRate) == 0, state.value(columns.seconds) >= Self.rateSeconds
    else {
      return
    }
    let pools = Double(state[columns.streamPools][0])
    state[columns.poolRate][0] = max(pools, 1) / state[columns.seconds][0]
  }

  /// The time after which the rate of pools is taken as known.
  private static let rateSeconds = 3600.0

  /// Adds the events of charts whose phase has changed.
  private func raise(_ events: inout [OperatorEvent], _ state: borrowing StateTable) {
    let names = state.features.names
    let charts = DriftCharts(columns, of: state)
    let seconds = state[columns.seconds][0]
    for row in changed {
      let feature = row % names.count
      guard let kind = DriftKind(rawValue: row / names.count) else { continue }
      let alarm = DriftAlarm(
        names[feature], kind, charts[row],
        spread: charts[DriftKind.spread.row(of: feature, among: names.count)],
        threshold: threshold.current, now: seconds > 0 ? seconds : nil)
      var event = OperatorEvent(
        alarm.phase.isDrifting ? Self.begun : Self.ended, feature: alarm.feature, alarm.text)
      event.fields = alarm.fields
      // The batch that tells it, and its last record.
      event.fields["batch"] = .count(state[columns.batches][0])
      event.fields["record"] = .count(state[columns.records][0])
      event.isLogged = actions.contains(.log)
      event.isPosted = actions.contains(.webhook)
      events.append(event)
    }
  }
}

/// The threshold for the present number of sides of charts, which seldom changes.
private struct ThresholdInForce: Sendable {
  private var run = 0.0
  private var sides = 0
  private(set) var current = Double.infinity

  /// - Parameters:
  ///   - run: the pools to a false alarm of the whole stream.
  ///   - sides: the number of sides that can alarm.
  mutating func value(run: Double, sides: Int) -> Double {
    if run != self.run || sides != self.sides {
      (self.run, self.sides) = (run, sides)
      current = DriftThreshold.threshold(forRun: run * Double(sides))
    }
    return current
  }
}
