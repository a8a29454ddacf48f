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
        "drift/accept", needs: "drift: on",
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
  private var slow = SlowWeight()
  /// The charts while they are out of the table.
  private var charts = DriftCharts()
  /// Nil unless distributions are watched.
  private var bins: DriftBinCounts?

  package init(_ context: OperatorContext, _ state: borrowing StateTable) throws(OperatorError) {
    columns = DriftColumns(in: state)
    normalizer = NormalizerColumns(in: state)
    rate = context.settings[DriftSettings.falseAlarms]
    actions = context.settings[DriftSettings.actions]
    pace = DriftPace(context.normalization.momentum)
    isLive = context.isLive
    source = DriftSource(context, state)
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
    }
    guard actions.contains(.freeze), plan.role.updates, summary.recordCount > 0 else { return }
    // The batch that raises an alarm must not move the moments either, so it is judged before it is committed.
    var trial = copy state
    _ = judge(summary, clipped: nil, &trial, elapsedSeconds: plan.elapsedSeconds)
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
      summary, clipped: summary.clipped, &state, elapsedSeconds: plan.elapsedSeconds)
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
    charts.take(columns, from: &state)
    accepted += (0..<charts.count).filter { charts[$0].phase.isDrifting }
    for row in 0..<charts.count { charts[row].accept() }
    charts.put(in: &state, columns)
  }
}

extension WatchDrift {
  /// Moves charts and pools by a batch, and notes in `changed` which phases have changed.
  ///
  /// - Parameter clipped: the values of each feature that were clipped; nil if they are not known yet.
  /// - Returns: the pool of records with the batch.
  private mutating func judge(
    _ summary: borrowing BatchSummary, clipped: [Int]?, _ state: inout StateTable,
    elapsedSeconds: Double?
  ) -> DriftSharedPool {
    if !source.isAdopted(by: state, columns) { source.adopt(into: &state, columns, normalizer) }
    let features = summary.features
    let (count, seconds) = (features.count, elapsedSeconds ?? 0)
    let place = DriftPlace(
      batch: state[columns.batches][0] + 1, record: state[columns.records][0] + 1,
      seconds: state[columns.seconds][0])
    var shared = DriftSharedPool(columns, of: state)
    shared.add(
      summary.recordCount,
      halfLives: pace.halfLives(ofValues: Double(summary.recordCount), seconds: seconds), at: place)
    let run = poolsToFalseAlarm(state)
    var charts = self.charts
    self.charts = DriftCharts()
    charts.take(columns, from: &state)
    var pools = DriftPools(columns, taking: &state)
    var shapes = DriftShapes(columns, taking: &state)
    var missing = state.take(columns.missing)
    var clippedSoFar = state.take(columns.clipped)
    charts.withRows { rows in
      let rules = DriftRules(
        threshold: threshold.value(run: run, charts: rows.countInUse(features: count)),
        follows: source.follows)
      var judge = DriftJudge(rules, features: count, slow: slow)
      for j in features.indices {
        let feature = features[j]
        if let clipped, clipped[j] > 0 { clippedSoFar[j] += clipped[j] }
        if feature.moments.weight > 0 {
          var pool = pools.isEmpty(j) ? DriftPool() : pools[j]
          pool.add(
            feature.moments,
            halfLives: pace.halfLives(ofValues: feature.moments.weight, seconds: seconds), at: place
          )
          if let bins { shapes.add(bins[j], of: j) }
          if pool.isFull {
            if bins != nil { judge.judgeDistribution(pool, of: j, &shapes, rows) }
            judge.judge(pool, of: j, clipped: clipped == nil ? nil : clippedSoFar[j], rows)
            if !pools.isEmpty(j) { pools[j] = DriftPool() }
            if clipped != nil, clippedSoFar[j] > 0 { clippedSoFar[j] = 0 }
          } else {
            pools[j] = pool
          }
        }
        if feature.missingCount > 0 { missing[j] += feature.missingCount }
        guard shared.isFull else { continue }
        judge.judgeMissing(missing[j], of: j, shared, rows)
        if missing[j] > 0 { missing[j] = 0 }
      }
      slow = judge.slow
      changed = judge.changed
    }
    charts.put(in: &state, columns)
    self.charts = charts
    pools.put(in: &state, columns)
    shapes.put(in: &state, columns)
    state.put(missing, in: columns.missing)
    state.put(clippedSoFar, in: columns.clipped)
    return shared
  }

  /// The pools in which one false alarm of the stream is wanted.
  private func poolsToFalseAlarm(_ state: borrowing StateTable) -> Double {
    switch rate {
    case .perBatches(let batches): batches
    case .perSeconds(let seconds):
      // A file, and a stream whose rate is not known, count one a second.
      seconds * (state[columns.poolRate][0] > 0 ? state[columns.poolRate][0] : 1)
    }
  }

  /// Counts the batch, and converts a rate of false alarms in time once the rate of pools is known.
  private func advance(
    _ state: inout StateTable, records: Int, _ shared: DriftSharedPool, elapsedSeconds: Double?
  ) {
    state.add(1, to: columns.batches)
    state.add(records, to: columns.records)
    if state[columns.threshold][0] != threshold.current {
      state[columns.threshold][0] = threshold.current
    }
    shared.store(in: &state, columns)
    if shared.isFull { state.add(1, to: columns.streamPools) }
    guard isLive, let elapsedSeconds else { return }
    state[columns.seconds][0] += elapsedSeconds
    guard state[columns.poolRate][0] == 0, state[columns.seconds][0] >= Self.rateSeconds else {
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

extension DriftRows {
  /// The charts that can alarm: a share that was always 0 has none yet.
  fileprivate func countInUse(features: Int) -> Int {
    var count = 2 * features
    for row in (2 * features)..<(DriftKind.allCases.count * features) where pools(of: row) > 0 {
      count += 1
    }
    return count
  }
}

/// The threshold for the present number of charts, which seldom changes.
private struct ThresholdInForce: Sendable {
  private var run = 0.0
  private var charts = 0
  private(set) var current = Double.infinity

  /// - Parameters:
  ///   - run: the pools to a false alarm of the whole stream.
  ///   - charts: the number of charts, each with two sides.
  mutating func value(run: Double, charts: Int) -> Double {
    if run != self.run || charts != self.charts {
      (self.run, self.charts) = (run, charts)
      current = DriftThreshold.threshold(forRun: run * Double(2 * charts))
    }
    return current
  }
}
