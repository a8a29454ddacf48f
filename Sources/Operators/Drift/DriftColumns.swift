internal import State

// The only declaration of the state of drift charts.

/// The state groups of the operator that watches for drift, and their columns in the table of a stream.
struct DriftColumns: Sendable {
  // The charts: one row for each kind and feature. In the order of `DriftChart.reals` and `DriftChart.counts`.
  let reals: [RealColumn]
  let counts: [CountColumn]
  let phase: CountColumn
  // The open pool of each feature.
  let weight, poolMean, m2, halfLives, poolSeconds: RealColumn
  let poolBatch, poolRecord, missing, clipped: CountColumn
  // The bins of each feature.
  let share: RealColumn
  let binned: CountColumn
  // The keys of the open pool of each feature.
  let keysHalfLives, keysSeconds: RealColumn
  let keysBatch, keysRecord, keysJudged, keysAway: CountColumn
  // The stream.
  let seconds, poolRate, threshold, sharedSeconds, sharedHalfLives: RealColumn
  let batches, records, streamPools, source, digest: CountColumn
  let sharedRecords, sharedBatch, sharedRecord: CountColumn

  /// - Parameter table: one with `groups`.
  init(in table: borrowing StateTable) {
    let (charts, pools, stream) = (Self.charts.name, Self.pools.name, Self.stream.name)
    reals = DriftChart.reals.map { table.real($0.name, of: charts) }
    counts = DriftChart.counts.map { table.count($0.name, of: charts) }
    phase = counts[DriftChart.phaseIndex]
    weight = table.real("weight", of: pools)
    poolMean = table.real("mean", of: pools)
    m2 = table.real("m2", of: pools)
    halfLives = table.real("half_lives", of: pools)
    poolSeconds = table.real("seconds", of: pools)
    poolBatch = table.count("batch", of: pools)
    poolRecord = table.count("record", of: pools)
    missing = table.count("missing", of: pools)
    clipped = table.count("clipped", of: pools)
    share = table.real("share", of: Self.bins.name)
    binned = table.count("open", of: Self.bins.name)
    let keys = Self.keys.name
    keysHalfLives = table.real("half_lives", of: keys)
    keysSeconds = table.real("seconds", of: keys)
    keysBatch = table.count("batch", of: keys)
    keysRecord = table.count("record", of: keys)
    keysJudged = table.count("judged", of: keys)
    keysAway = table.count("away", of: keys)
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

  package static let groups = [charts, pools, bins, keys, stream]

  /// The chart of each kind and feature.
  static let charts = StateGroup(
    "drift_charts", scope: .featureSlots(DriftKind.allCases.count),
    columns: DriftChart.reals + DriftChart.counts,
    isOptional: true,
    validate: { rows throws(StateError) in
      for (row, phase) in rows[count: "phase"].enumerated() where DriftPhase(rawValue: phase) == nil
      {
        throw .value(rows.label(of: "phase", row: row), expected: "0 to 3", found: "\(phase)")
      }
      let variance = rows[real: "variance"]
      for name in ["covariance", "covariance2"] {
        let covariance = rows[real: name]
        for row in variance.indices where abs(covariance[row]) > variance[row] {
          throw .value(
            rows.label(of: name, row: row), expected: "at most the variance, \(variance[row])",
            found: "\(covariance[row])")
        }
      }
    }, merge: mergeCharts)

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

  /// The distribution of each feature: the known share of each bin, and the values of the open pool in it.
  static let bins = StateGroup(
    "drift_bins", scope: .featureSlots(DriftBins.count),
    columns: [.real("share", initial: 0, in: StateColumn.nonNegative), .count("open")],
    isOptional: true,
    merge: { rows, other throws(StateError) in
      // By halves, since the number of the values is not kept.
      for row in 0..<rows.count {
        let (own, others) = (rows[real: "share"][row], other[real: "share"][row])
        rows[real: "share"][row] = own == 0 ? others : others == 0 ? own : (own + others) / 2
      }
      rows.reset("open")
    })

  /// The keys of the batches that wait until enough keys are judged.
  static let keys = StateGroup(
    "drift_keys", scope: .feature,
    columns: [
      .real("half_lives", initial: 0, in: StateColumn.nonNegative),
      .real("seconds", initial: 0, in: StateColumn.nonNegative), .count("batch"),
      .count("record"), .count("judged"), .count("away"),
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
      for name in DriftChart.reals.prefix(DriftChart.momentCount).map(\.name) {
        let (left, right) = (rows[real: name][row], other[real: name][row])
        rows[real: name][row] = left + share * (right - left)
      }
      let limit = rows[real: "variance"][row]
      for name in ["covariance", "covariance2"] {
        rows[real: name][row] = min(max(rows[real: name][row], -limit), limit)
      }
    }
    for name in ["pools", "alarms"] { rows.add(count: name, of: other) }
    let cleared = rows.group.columns.filter {
      $0.name.hasPrefix("above_") || $0.name.hasPrefix("below_")
    }
    for column in cleared { rows.reset(column.name) }
    rows.reset("phase")
  }
}

// The order of the columns of charts. Only this extension knows it, and CColumnKernel.h.
extension DriftChart {
  static let realCount = 20
  static let countCount = 8
  static let reals: [StateColumn] =
    [
      .real("reference", initial: 0), .real("mean", initial: 0),
      .real("variance", initial: 0, in: StateColumn.nonNegative), .real("covariance", initial: 0),
      .real("covariance2", initial: 0), .real("long_run", initial: 0),
      .real("last", initial: 0), .real("last_root", initial: 1, in: StateColumn.nonNegative),
      .real("last2", initial: 0), .real("last_root2", initial: 1, in: StateColumn.nonNegative),
      .real("last_new", initial: 0), .real("last_new2", initial: 0),
    ]
    + ["above", "below"].flatMap { side -> [StateColumn] in
      [
        .real("\(side)_score", initial: 0, in: StateColumn.nonNegative),
        .real("\(side)_sum", initial: 0),
        .real("\(side)_weight", initial: 0, in: StateColumn.nonNegative),
        .real("\(side)_seconds", initial: 0, in: StateColumn.nonNegative),
      ]
    }
  static let counts: [StateColumn] = [
    .count("pools"), .count("phase"), .count("alarms"), .count("given"),
    .count("above_batch"), .count("above_record"), .count("below_batch"), .count("below_record"),
  ]
  static let referenceIndex = 0
  /// The number of columns before those of the sides.
  static let momentCount = 12
  static let poolsIndex = 0
  static let phaseIndex = 1

  /// Reads a row. The closures give its number in a column.
  @inline(__always)
  init(_ real: (Int) -> Double, _ count: (Int) -> Int) {
    reference = real(0)
    mean = real(1)
    spread.variance = real(2)
    spread.covariance = real(3)
    spread.covariance2 = real(4)
    spread.longRun = real(5)
    spread.last = real(6)
    spread.lastRoot = real(7)
    spread.last2 = real(8)
    spread.lastRoot2 = real(9)
    spread.lastNew = real(10)
    spread.lastNew2 = real(11)
    above = DriftSide(
      score: real(12), levelSum: real(13), levelWeight: real(14),
      since: DriftPlace(batch: count(4), record: count(5), seconds: real(15)))
    below = DriftSide(
      score: real(16), levelSum: real(17), levelWeight: real(18),
      since: DriftPlace(batch: count(6), record: count(7), seconds: real(19)))
    pools = count(0)
    phase = DriftPhase(rawValue: count(1)) ?? .ok
    alarms = count(2)
    isGiven = count(3) > 0
  }

  /// Writes a row. The closures take its number in a column.
  @inline(__always)
  func store(_ setReal: (Int, Double) -> Void, _ setCount: (Int, Int) -> Void) {
    setReal(0, reference)
    setReal(1, mean)
    setReal(2, spread.variance)
    setReal(3, spread.covariance)
    setReal(4, spread.covariance2)
    setReal(5, spread.longRun)
    setReal(6, spread.last)
    setReal(7, spread.lastRoot)
    setReal(8, spread.last2)
    setReal(9, spread.lastRoot2)
    setReal(10, spread.lastNew)
    setReal(11, spread.lastNew2)
    setReal(12, above.score)
    setReal(13, above.levelSum)
    setReal(14, above.levelWeight)
    setReal(15, above.since.seconds)
    setReal(16, below.score)
    setReal(17, below.levelSum)
    setReal(18, below.levelWeight)
    setReal(19, below.since.seconds)
    setCount(4, above.since.batch)
    setCount(5, above.since.record)
    setCount(6, below.since.batch)
    setCount(7, below.since.record)
    setCount(0, pools)
    setCount(1, phase.rawValue)
    setCount(2, alarms)
    setCount(3, isGiven ? 1 : 0)
  }
}
