internal import State

/// The charts of a stream, as columns out of its table.
struct DriftCharts {
  private var references, means: [Double]
  private var spreads: [[Double]]
  private var above, below: Side
  private var poolCounts, phases, alarmCounts, givenFlags: [Int]

  private struct Side {
    var scores, sums, weights, times: [Double]
    var firstBatches, firstRecords: [Int]

    init(_ columns: DriftColumns.Side, of state: borrowing StateTable) {
      scores = state[columns.score]
      sums = state[columns.sum]
      weights = state[columns.weight]
      times = state[columns.seconds]
      firstBatches = state[columns.batch]
      firstRecords = state[columns.record]
    }

    init(_ columns: DriftColumns.Side, taking state: inout StateTable) {
      scores = state.take(columns.score)
      sums = state.take(columns.sum)
      weights = state.take(columns.weight)
      times = state.take(columns.seconds)
      firstBatches = state.take(columns.batch)
      firstRecords = state.take(columns.record)
    }

    consuming func put(in state: inout StateTable, _ columns: DriftColumns.Side) {
      state.put(scores, in: columns.score)
      state.put(sums, in: columns.sum)
      state.put(weights, in: columns.weight)
      state.put(times, in: columns.seconds)
      state.put(firstBatches, in: columns.batch)
      state.put(firstRecords, in: columns.record)
    }

    subscript(row: Int) -> DriftSide {
      get {
        DriftSide(
          score: scores[row], levelSum: sums[row], levelWeight: weights[row],
          since: DriftPlace(
            batch: firstBatches[row], record: firstRecords[row], seconds: times[row]))
      }
      set {
        scores[row] = newValue.score
        sums[row] = newValue.levelSum
        weights[row] = newValue.levelWeight
        firstBatches[row] = newValue.since.batch
        firstRecords[row] = newValue.since.record
        times[row] = newValue.since.seconds
      }
    }
  }

  /// Reads the charts.
  init(_ columns: DriftColumns, of state: borrowing StateTable) {
    references = state[columns.reference]
    means = state[columns.mean]
    spreads = columns.spread.map { state[$0] }
    above = Side(columns.above, of: state)
    below = Side(columns.below, of: state)
    poolCounts = state[columns.pools]
    phases = state[columns.phase]
    alarmCounts = state[columns.alarms]
    givenFlags = state[columns.given]
  }

  /// Takes the charts out of a table, to change them in place; `put` gives them back.
  init(_ columns: DriftColumns, taking state: inout StateTable) {
    references = state.take(columns.reference)
    means = state.take(columns.mean)
    spreads = []
    for column in columns.spread { spreads.append(state.take(column)) }
    above = Side(columns.above, taking: &state)
    below = Side(columns.below, taking: &state)
    poolCounts = state.take(columns.pools)
    phases = state.take(columns.phase)
    alarmCounts = state.take(columns.alarms)
    givenFlags = state.take(columns.given)
  }

  consuming func put(in state: inout StateTable, _ columns: DriftColumns) {
    state.put(references, in: columns.reference)
    state.put(means, in: columns.mean)
    for (column, numbers) in zip(columns.spread, spreads) { state.put(numbers, in: column) }
    above.put(in: &state, columns.above)
    below.put(in: &state, columns.below)
    state.put(poolCounts, in: columns.pools)
    state.put(phases, in: columns.phase)
    state.put(alarmCounts, in: columns.alarms)
    state.put(givenFlags, in: columns.given)
  }

  var count: Int { poolCounts.count }

  /// The pools of a chart.
  func pools(of row: Int) -> Int { poolCounts[row] }

  /// The weight with which a pool moves the distribution that it was compared with; 0 if that stands still. The first
  /// pool is compared with none.
  func learningWeight(of row: Int, _ slowWeight: Double, _ rules: DriftRules) -> Double {
    let pools = poolCounts[row]
    let drifts = (DriftPhase(rawValue: phases[row]) ?? .ok).isDrifting
    if givenFlags[row] > 0 || drifts && !rules.follows { return 0 }
    guard rules.follows || pools < DriftRules.startPools else { return 0 }
    return max(min(slowWeight, DriftRules.greatestWeight), 1 / Double(pools + 2))
  }

  /// The reference of a chart.
  func reference(of row: Int) -> Double { references[row] }

  /// Gives a pool to a chart, and writes only the numbers that it can move: most sides are at rest.
  ///
  /// - Returns: whether the phase of the chart has changed.
  mutating func observe(
    _ row: Int, _ value: Double, _ pool: DriftFullPool, floor: Double, rises: Bool,
    _ rules: DriftRules
  ) -> Bool {
    var chart = self[row]
    let (wasAbove, wasBelow) = (chart.above.score != 0, chart.below.score != 0)
    let hasChanged = chart.observe(
      value, weight: pool.weight, floor: floor, slowWeight: pool.slowWeight, at: pool.start,
      rises: rises, rules)
    references[row] = chart.reference
    means[row] = chart.mean
    chart.spread.put(in: &spreads, row)
    poolCounts[row] = chart.pools
    if wasAbove || chart.above.score != 0 { above[row] = chart.above }
    if wasBelow || chart.below.score != 0 { below[row] = chart.below }
    if hasChanged {
      phases[row] = chart.phase.rawValue
      alarmCounts[row] = chart.alarms
    }
    return hasChanged
  }

  subscript(row: Int) -> DriftChart {
    get {
      var chart = DriftChart()
      chart.reference = references[row]
      chart.mean = means[row]
      chart.spread = DriftSpread(spreads, row)
      chart.above = above[row]
      chart.below = below[row]
      chart.phase = DriftPhase(rawValue: phases[row]) ?? .ok
      chart.pools = poolCounts[row]
      chart.alarms = alarmCounts[row]
      chart.isGiven = givenFlags[row] > 0
      return chart
    }
    set {
      references[row] = newValue.reference
      means[row] = newValue.mean
      newValue.spread.put(in: &spreads, row)
      above[row] = newValue.above
      below[row] = newValue.below
      phases[row] = newValue.phase.rawValue
      poolCounts[row] = newValue.pools
      alarmCounts[row] = newValue.alarms
      givenFlags[row] = newValue.isGiven ? 1 : 0
    }
  }
}
