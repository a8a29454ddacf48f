internal import BatchNormalization
internal import State

/// The charts and the open pools of a table, lent to be read and written in place. A row is not checked.
struct DriftRows {
  let columns: LentColumns
  let features: Int

  /// The columns in the order in which they are lent: those of the charts, and then those of the pools.
  static func columns(_ columns: DriftColumns) -> ColumnSet {
    ColumnSet(
      columns.reals + [
        columns.weight, columns.poolMean, columns.m2, columns.halfLives, columns.poolSeconds,
      ],
      columns.counts + [
        columns.poolBatch, columns.poolRecord, columns.missing, columns.clipped,
      ])
  }

  subscript(row: Int) -> DriftChart {
    get { DriftChart({ columns.reals[$0][row] }, { columns.counts[$0][row] }) }
    nonmutating set {
      newValue.store({ columns.reals[$0][row] = $1 }, { columns.counts[$0][row] = $1 })
    }
  }

  /// The pools of a chart.
  func pools(of row: Int) -> Int { columns.counts[DriftChart.poolsIndex][row] }

  /// The reference of a chart.
  func reference(of row: Int) -> Double { columns.reals[DriftChart.referenceIndex][row] }

  /// The number of charts of a kind: a share that was always 0 has none yet.
  func inUse(_ kind: DriftKind) -> Int {
    let pools = columns.counts[DriftChart.poolsIndex] + kind.row(of: 0, among: features)
    var count = 0
    for feature in 0..<features { count += pools[feature] > 0 ? 1 : 0 }
    return count
  }

  /// The sides of charts that can alarm: a rise and a fall, or a rise alone.
  var sidesInUse: Int {
    // Each feature has charts of its mean and its spread from the start. No loop over the kinds: a list of them would be
    // made for each batch.
    2 * (2 * features + inUse(.missing) + inUse(.clipped)) + inUse(.distribution) + inUse(.keys)
  }

  /// Gives a pool to a chart.
  ///
  /// - Returns: whether the phase of the chart has changed.
  func observe(
    _ row: Int, _ value: Double, _ pool: DriftFullPool, floor: Double, rises: Bool,
    _ rules: DriftRules
  ) -> Bool {
    var chart = self[row]
    let hasChanged = chart.observe(
      value, weight: pool.weight, floor: floor, slowWeight: pool.slowWeight, at: pool.start,
      rises: rises, rules)
    self[row] = chart
    return hasChanged
  }

  // MARK: Open pools

  /// The weights of the open pools, one a feature; 0 if a feature has none.
  var openWeights: UnsafeMutablePointer<Double> { columns.reals[DriftChart.realCount] }

  /// The missing and the clipped values of each feature since its last pool.
  var missing: UnsafeMutablePointer<Int> { columns.counts[DriftChart.countCount + 2] }
  var clipped: UnsafeMutablePointer<Int> { columns.counts[DriftChart.countCount + 3] }

  /// The open pool of a feature.
  subscript(pool feature: Int) -> DriftPool {
    get {
      let reals = columns.reals + DriftChart.realCount
      let counts = columns.counts + DriftChart.countCount
      return DriftPool(
        moments: Moments(
          weight: reals[0][feature], mean: reals[1][feature], m2: reals[2][feature]),
        halfLives: reals[3][feature],
        start: DriftPlace(
          batch: counts[0][feature], record: counts[1][feature], seconds: reals[4][feature]))
    }
    nonmutating set {
      let reals = columns.reals + DriftChart.realCount
      let counts = columns.counts + DriftChart.countCount
      reals[0][feature] = newValue.moments.weight
      reals[1][feature] = newValue.moments.mean
      reals[2][feature] = newValue.moments.m2
      reals[3][feature] = newValue.halfLives
      reals[4][feature] = newValue.start.seconds
      counts[0][feature] = newValue.start.batch
      counts[1][feature] = newValue.start.record
    }
  }
}
