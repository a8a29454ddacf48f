internal import State

/// The charts of a stream, as copies of the columns of its table: those of `DriftChart.reals` and `DriftChart.counts`.
struct DriftCharts {
  private var reals: [[Double]]
  private var counts: [[Int]]

  init(_ columns: DriftColumns, of state: borrowing StateTable) {
    reals = []
    counts = []
    for column in columns.reals { reals.append(state[column]) }
    for column in columns.counts { counts.append(state[column]) }
  }

  consuming func put(in state: inout StateTable, _ columns: DriftColumns) {
    for (column, values) in zip(columns.reals, reals) { state.put(values, in: column) }
    for (column, values) in zip(columns.counts, counts) { state.put(values, in: column) }
  }

  var count: Int { counts.first?.count ?? 0 }

  subscript(row: Int) -> DriftChart {
    get { DriftChart({ reals[$0][row] }, { counts[$0][row] }) }
    set { newValue.store({ reals[$0][row] = $1 }, { counts[$0][row] = $1 }) }
  }
}
