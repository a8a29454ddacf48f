internal import State

/// The charts of a stream, as columns out of its table: those of `DriftChart.reals` and `DriftChart.counts`.
///
/// Its memory is used again for the next batch.
struct DriftCharts {
  private var reals: [[Double]] = []
  private var counts: [[Int]] = []

  init() {}

  /// Reads the charts.
  init(_ columns: DriftColumns, of state: borrowing StateTable) {
    for column in columns.reals { reals.append(state[column]) }
    for column in columns.counts { counts.append(state[column]) }
  }

  /// Takes the charts out of a table, to change them in place; `put` gives them back.
  mutating func take(_ columns: DriftColumns, from state: inout StateTable) {
    if reals.isEmpty {
      reals = Array(repeating: [], count: columns.reals.count)
      counts = Array(repeating: [], count: columns.counts.count)
    }
    for index in reals.indices { reals[index] = state.take(columns.reals[index]) }
    for index in counts.indices { counts[index] = state.take(columns.counts[index]) }
  }

  mutating func put(in state: inout StateTable, _ columns: DriftColumns) {
    for index in reals.indices {
      let column = reals[index]
      reals[index] = []
      state.put(column, in: columns.reals[index])
    }
    for index in counts.indices {
      let column = counts[index]
      counts[index] = []
      state.put(column, in: columns.counts[index])
    }
  }

  var count: Int { counts.first?.count ?? 0 }

  subscript(row: Int) -> DriftChart {
    get { DriftChart({ reals[$0][row] }, { counts[$0][row] }) }
    set { newValue.store({ reals[$0][row] = $1 }, { counts[$0][row] = $1 }) }
  }

  /// Lends the charts to be read and written in place, without a check of each access.
  mutating func withRows(_ body: (DriftRows) -> Void) {
    guard count > 0 else { return }
    lend(&reals) { reals in
      lend(&counts) { counts in
        reals.withUnsafeBufferPointer { reals in
          counts.withUnsafeBufferPointer { counts in
            guard let reals = reals.baseAddress, let counts = counts.baseAddress else { return }
            body(DriftRows(reals: reals, counts: counts))
          }
        }
      }
    }
  }
}

/// Lends the starts of columns, none of which is empty, for one call.
private func lend<Value>(
  _ columns: inout [[Value]], _ body: ([UnsafeMutablePointer<Value>]) -> Void
) {
  var starts: [UnsafeMutablePointer<Value>] = []
  starts.reserveCapacity(columns.count)
  lendRest(of: &columns, &starts, body)
}

/// Lends the columns whose starts are not there yet, one by one.
private func lendRest<Value>(
  of columns: inout [[Value]], _ starts: inout [UnsafeMutablePointer<Value>],
  _ body: ([UnsafeMutablePointer<Value>]) -> Void
) {
  let index = starts.count
  guard index < columns.count else { return body(starts) }
  var column = columns[index]
  columns[index] = []
  column.withUnsafeMutableBufferPointer { values in
    guard let base = values.baseAddress else { return }
    starts.append(base)
    lendRest(of: &columns, &starts, body)
  }
  columns[index] = column
}

/// The rows of charts, in place. A row is not checked.
struct DriftRows {
  fileprivate let reals: UnsafePointer<UnsafeMutablePointer<Double>>
  fileprivate let counts: UnsafePointer<UnsafeMutablePointer<Int>>

  subscript(row: Int) -> DriftChart {
    get { DriftChart({ reals[$0][row] }, { counts[$0][row] }) }
    nonmutating set { newValue.store({ reals[$0][row] = $1 }, { counts[$0][row] = $1 }) }
  }

  /// The pools of a chart.
  func pools(of row: Int) -> Int { counts[DriftChart.poolsIndex][row] }

  /// The reference of a chart.
  func reference(of row: Int) -> Double { reals[DriftChart.referenceIndex][row] }

  /// Gives a pool to a chart, and writes only the numbers that it can move: most sides are at rest.
  ///
  /// - Returns: whether the phase of the chart has changed.
  func observe(
    _ row: Int, _ value: Double, _ pool: DriftFullPool, floor: Double, rises: Bool,
    _ rules: DriftRules
  ) -> Bool {
    var chart = self[row]
    let wasAtRest = chart.isAtRest
    let hasChanged = chart.observe(
      value, weight: pool.weight, floor: floor, slowWeight: pool.slowWeight, at: pool.start,
      rises: rises, rules)
    if wasAtRest, chart.isAtRest {
      chart.storeMoments { reals[$0][row] = $1 }
      counts[DriftChart.poolsIndex][row] = chart.pools
    } else {
      self[row] = chart
    }
    return hasChanged
  }
}
