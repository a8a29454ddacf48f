internal import State

// The only declaration of the state of drift charts.

/// The state groups of the operator that watches for drift, and their columns in the table of a stream.
struct DriftColumns: Sendable {
  // The charts: one row for each kind and feature.
  let reference, mean: RealColumn
  /// In the order of `DriftSpread.columns`.
  let spread: [RealColumn]
  let above, below: Side
  let pools, phase, alarms, given: CountColumn
  // The open pool of each feature.
  let weight, poolMean, m2, halfLives, poolSeconds: RealColumn
  let poolBatch, poolRecord, missing, clipped: CountColumn
  // The bins of each feature.
  let share: RealColumn
  let binned: CountColumn
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
    spread = DriftSpread.columns.map { table.real($0.name, of: charts) }
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
    share = table.real("share", of: Self.bins.name)
    binned = table.count("open", of: Self.bins.name)
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

  package static let groups = [charts, pools, bins, stream]

  /// The chart of each kind and feature.
  static let charts = StateGroup(
    "drift_charts", scope: .featureSlots(DriftKind.allCases.count),
    columns: [
      .real("reference", initial: 0), .real("mean", initial: 0),
    ] + DriftSpread.columns + side("above") + side("below") + [
      .count("pools"), .count("phase"), .count("alarms"), .count("given"),
    ],
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
      for name in ["reference", "mean"] + DriftSpread.columns.map(\.name) {
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

extension DriftSpread {
  static let columns: [StateColumn] = [
    .real("variance", initial: 0, in: StateColumn.nonNegative), .real("covariance", initial: 0),
    .real("covariance2", initial: 0), .real("long_run", initial: 0),
    .real("last", initial: 0), .real("last_root", initial: 1, in: StateColumn.nonNegative),
    .real("last2", initial: 0), .real("last_root2", initial: 1, in: StateColumn.nonNegative),
    .real("last_new", initial: 0), .real("last_new2", initial: 0),
  ]

  /// Reads a row of `columns`.
  init(_ columns: [[Double]], _ row: Int) {
    variance = columns[0][row]
    covariance = columns[1][row]
    covariance2 = columns[2][row]
    longRun = columns[3][row]
    last = columns[4][row]
    lastRoot = columns[5][row]
    last2 = columns[6][row]
    lastRoot2 = columns[7][row]
    lastNew = columns[8][row]
    lastNew2 = columns[9][row]
  }

  /// Writes a row of `columns`.
  func put(in columns: inout [[Double]], _ row: Int) {
    columns[0][row] = variance
    columns[1][row] = covariance
    columns[2][row] = covariance2
    columns[3][row] = longRun
    columns[4][row] = last
    columns[5][row] = lastRoot
    columns[6][row] = last2
    columns[7][row] = lastRoot2
    columns[8][row] = lastNew
    columns[9][row] = lastNew2
  }
}
