/// Columns that a loop needs at once.
package struct ColumnSet: Sendable {
  fileprivate let reals: [Int]
  fileprivate let counts: [Int]

  /// - Parameters:
  ///   - reals, counts: none of them twice.
  package init(_ reals: [RealColumn], _ counts: [CountColumn]) {
    self.reals = reals.map(\.index)
    self.counts = counts.map(\.index)
  }
}

/// The starts of lent columns, in the order of their set.
package struct LentColumns {
  package let reals: UnsafePointer<UnsafeMutablePointer<Double>>
  package let counts: UnsafePointer<UnsafeMutablePointer<Int>>
}

extension StateTable {
  /// One number of a column; a copy of the column would cost more.
  package func value(_ column: RealColumn, row: Int = 0) -> Double { reals[column.index][row] }
  package func value(_ column: CountColumn, row: Int = 0) -> Int { counts[column.index][row] }

  /// Lends columns for one call, to be read and written in place. Their rows are not checked.
  ///
  /// To move forty columns out of the table and back would cost as much as a loop over their rows.
  ///
  /// - Parameter body: must not keep the starts.
  package mutating func lend(_ columns: ColumnSet, to body: (LentColumns) -> Void) {
    lendStarts(of: columns, &reals, &counts, to: body)
  }
}

private func lendStarts(
  of columns: ColumnSet, _ reals: inout [[Double]], _ counts: inout [[Int]],
  to body: (LentColumns) -> Void
) {
  withStarts(of: columns.reals, in: &reals) { reals in
    withStarts(of: columns.counts, in: &counts) { counts in
      body(LentColumns(reals: reals, counts: counts))
    }
  }
}

private func withStarts<Value>(
  of indices: [Int], in columns: inout [[Value]],
  _ body: (UnsafePointer<UnsafeMutablePointer<Value>>) -> Void
) {
  withUnsafeTemporaryAllocation(
    of: UnsafeMutablePointer<Value>.self, capacity: indices.count
  ) { starts in
    columns.withUnsafeMutableBufferPointer { columns in
      for place in indices.indices {
        // It stays where it is: nobody else reaches the columns before the body returns.
        let start = columns[indices[place]].withUnsafeMutableBufferPointer { $0.baseAddress }
        guard let start else { return }
        starts.initializeElement(at: place, to: start)
      }
      guard let first = starts.baseAddress else { return }
      body(UnsafePointer(first))
    }
  }
}
