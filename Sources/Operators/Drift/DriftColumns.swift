internal import State

// The only declaration of the state of drift charts.

/// The state groups of the operator that watches for drift, and their columns in the table of a stream.
struct DriftColumns: Sendable {
  // The charts: one row for each kind and feature.
  let reference, mean, variance, covariance, last, lastRoot: RealColumn
  let above, below: Side
  let pools, phase, alarms, given: CountColumn
  // The open pool of each feature.
  let weight, poolMean, m2, halfLives, poolSeconds: RealColumn
  let poolBatch, poolRecord, missing, clipped: CountColumn
  // The stream.
  let seconds, poolRate, threshold, sharedSeconds, sharedHalfLives: RealColumn
  let batches, records, streamPools, source, digest: CountColumn
  let sharedRecords, sharedBatch, sharedRecord: CountColumn

  /// The columns of one side of the charts.
  struct Side: Sendable {
    let score, sum, weight, seconds: RealColumn
    let batch, record: CountColumn

    init(_ side: String, in table: borrowing StateTable) {
      score = table.real("\(side)_score", of: DriftColumns.charts.name)
      sum = table.real("\(side)_sum", of: DriftColumns.charts.name)
      weight = table.real("\(side)_weight", of: DriftColumns.charts.name)
      seconds = table.real("\(side)_seconds", of: DriftColumns.charts.name)
      batch = table.count("\(side)_batch", of: DriftColumns.charts.name)
      record = table.count("\(side)_record", of: DriftColumns.charts.name)
    }
  }

  /// - Parameter table: one with `groups`.
  init(in table: borrowing StateTable) {
    let (charts, pools, stream) = (Self.charts.name, Self.pools.name, Self.stream.name)
    reference = table.real("reference", of: charts)
    mean = table.real("mean", of: charts)
    variance = table.real("variance", of: charts)
    covariance = table.real("covariance", of: charts)
    last = table.real("last", of: charts)
    lastRoot = table.real("last_root", of: charts)
    above = Side("above", in: table)
    below = Side("below", in: table)
    self.pools = table.count("pools", of: charts)
    phase = table.count("phase", of: charts)
    alarms = table.count("alarms", of: charts)
    given = table.count("given", of: charts)
    weight = table.real("weight", of: pools)
    poolMean = table.real("mean", of: pools)
    m2 = table.real("m2", of: pools)
    halfLives = table.real("half_lives", of: pools)
    poolSeconds = table.real("seconds", of: pools)
    poolBatch = table.count("batch", of: pools)
    poolRecord = table.count("record", of: pools)
    missing = table.count("missing", of: pools)
    clipped = table.count("clipped", of: pools)
    seconds = table.real("seconds", of: stream)
    poolRate = table.real("pool_rate", of: stream)
    threshold = table.real("threshold", of: stream)
    sharedSeconds = table.real("pool_seconds", of: stream)
    sharedHalfLives = table.real("half_lives", of: stream)
    batches = table.count("batches", of: stream)
    records = table.count("records", of: stream)
    streamPools = table.count("pools", of: stream)
    source = table.count("source", of: stream)
    digest = table.count("digest", of: stream)
    sharedRecords = table.count("pool_records", of: stream)
    sharedBatch = table.count("pool_batch", of: stream)
    sharedRecord = table.count("pool_record", of: stream)
  }

  package static let groups = [charts, pools, stream]

  /// The chart of each kind and feature.
  static let charts = StateGroup(
    "drift_charts", scope: .featureSlots(DriftKind.allCases.count),
    columns: [
      .real("reference", initial: 0), .real("mean", initial: 0),
      .real("variance", initial: 0, in: StateColumn.nonNegative), .real("covariance", initial: 0),
      .real("last", initial: 0), .real("last_root", initial: 1, in: StateColumn.nonNegative),
    ] + side("above") + side("below") + [
      .count("pools"), .count("phase"), .count("alarms"), .count("given"),
    ],
    isOptional: true,
    validate: { rows throws(StateError) in
      for (row, phase) in rows[count: "phase"].enumerated() where DriftPhase(rawValue: phase) == nil
      {
        throw .value(rows.label(of: "phase", row: row), expected: "0 to 3", found: "\(phase)")
      }
      let (variance, covariance) = (rows[real: "variance"], rows[real: "covariance"])
      for row in variance.indices where abs(covariance[row]) > variance[row] {
        throw .value(
          rows.label(of: "covariance", row: row),
          expected: "at most the variance, \(variance[row])",
          found: "\(covariance[row])")
      }
    }, merge: mergeCharts)

  private static func side(_ side: String) -> [StateColumn] {
    [
      .real("\(side)_score", initial: 0, in: StateColumn.nonNegative),
      .real("\(side)_sum", initial: 0),
      .real("\(side)_weight", initial: 0, in: StateColumn.nonNegative),
      .real("\(side)_seconds", initial: 0, in: StateColumn.nonNegative),
      .count("\(side)_batch"), .count("\(side)_record"),
    ]
  }

  /// The batches of each feature that wait until enough values are present.
  static let pools = StateGroup(
    "drift_pools", scope: .feature,
    columns: [
      .real("weight", initial: 0, in: StateColumn.countable), .real("mean", initial: 0),
      .real("m2", initial: 0, in: StateColumn.nonNegative),
      .real("half_lives", initial: 0, in: StateColumn.nonNegative),
      .real("seconds", initial: 0, in: StateColumn.nonNegative), .count("batch"),
      .count("record"), .count("missing"), .count("clipped"),
    ],
    isOptional: true, merge: { rows, _ throws(StateError) in rows.reset() })

  /// How far the stream is, and what its false alarms are counted in.
  static let stream = StateGroup(
    "drift_stream", scope: .stream,
    columns: [
      .real("seconds", initial: 0, in: StateColumn.nonNegative),
      .real("pool_rate", initial: 0, in: StateColumn.nonNegative),
      .real("threshold", initial: 0, in: StateColumn.nonNegative),
      .real("pool_seconds", initial: 0, in: StateColumn.nonNegative),
      .real("half_lives", initial: 0, in: StateColumn.nonNegative),
      .count("batches"), .count("records"), .count("pools"), .count("source"), .count("digest"),
      .count("pool_records"), .count("pool_batch"), .count("pool_record"),
    ],
    isOptional: true,
    merge: { rows, other throws(StateError) in
      for name in ["batches", "records", "pools"] { rows.add(count: name, of: other) }
      rows[real: "seconds"][0] += other[real: "seconds"][0]
      rows[real: "pool_rate"][0] = max(rows[real: "pool_rate"][0], other[real: "pool_rate"][0])
      rows[real: "threshold"][0] = max(rows[real: "threshold"][0], other[real: "threshold"][0])
      rows[count: "source"][0] = max(rows[count: "source"][0], other[count: "source"][0])
      rows[count: "digest"][0] = 0
      rows[real: "half_lives"][0] = 0
      rows[count: "pool_records"][0] = 0
    })

  /// Pools what both have learned, by the number of their pools. The scores begin at 0, since they belong to an order of
  /// batches.
  @Sendable private static func mergeCharts(
    _ rows: inout StateRows, _ other: StateRows
  ) throws(StateError) {
    let (own, others) = (rows[count: "pools"], other[count: "pools"])
    for row in 0..<rows.count {
      let total = own[row] + others[row]
      guard total > 0 else { continue }
      let share = Double(others[row]) / Double(total)
      for name in ["reference", "mean", "variance", "covariance", "last", "last_root"] {
        let (left, right) = (rows[real: name][row], other[real: name][row])
        rows[real: name][row] = left + share * (right - left)
      }
      let limit = rows[real: "variance"][row]
      rows[real: "covariance"][row] = min(max(rows[real: "covariance"][row], -limit), limit)
    }
    for name in ["pools", "alarms"] { rows.add(count: name, of: other) }
    let cleared = rows.group.columns.filter {
      $0.name.hasPrefix("above_") || $0.name.hasPrefix("below_")
    }
    for column in cleared { rows.reset(column.name) }
    rows.reset("phase")
  }
}

/// The charts of a stream, as columns out of its table.
struct DriftCharts {
  private var references, means, variances, covariances, lasts, lastRoots: [Double]
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
    variances = state[columns.variance]
    covariances = state[columns.covariance]
    lasts = state[columns.last]
    lastRoots = state[columns.lastRoot]
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
    variances = state.take(columns.variance)
    covariances = state.take(columns.covariance)
    lasts = state.take(columns.last)
    lastRoots = state.take(columns.lastRoot)
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
    state.put(variances, in: columns.variance)
    state.put(covariances, in: columns.covariance)
    state.put(lasts, in: columns.last)
    state.put(lastRoots, in: columns.lastRoot)
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

  /// The reference of a chart.
  func reference(of row: Int) -> Double { references[row] }

  /// Gives a pool to a chart, and writes only the numbers that it can move: most sides are at rest.
  ///
  /// - Returns: whether the phase of the chart has changed.
  mutating func observe(
    _ row: Int, _ value: Double, _ pool: DriftFullPool, floor: Double, _ rules: DriftRules
  ) -> Bool {
    var chart = self[row]
    let (wasAbove, wasBelow) = (chart.above.score != 0, chart.below.score != 0)
    let hasChanged = chart.observe(
      value, weight: pool.weight, floor: floor, slowWeight: pool.slowWeight, at: pool.start, rules)
    references[row] = chart.reference
    means[row] = chart.mean
    variances[row] = chart.variance
    covariances[row] = chart.covariance
    lasts[row] = chart.last
    lastRoots[row] = chart.lastRoot
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
      chart.variance = variances[row]
      chart.covariance = covariances[row]
      chart.last = lasts[row]
      chart.lastRoot = lastRoots[row]
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
      variances[row] = newValue.variance
      covariances[row] = newValue.covariance
      lasts[row] = newValue.last
      lastRoots[row] = newValue.lastRoot
      above[row] = newValue.above
      below[row] = newValue.below
      phases[row] = newValue.phase.rawValue
      poolCounts[row] = newValue.pools
      alarmCounts[row] = newValue.alarms
      givenFlags[row] = newValue.isGiven ? 1 : 0
    }
  }
}
