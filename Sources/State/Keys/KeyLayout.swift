/// The places of the numbers of a key in its row.
///
/// A row has one of two forms. In the *spread* form, a column by key and feature has a number for each feature. In the
/// other form, a shared column has one number, since all features of the key have the same.
package struct KeyLayout: Sendable, Equatable {
  struct Column: Sendable, Equatable {
    let column: StateColumn
    /// The number of values of a key.
    let width: Int
    var isShared: Bool { column.isShared }
    /// The initial value, as a row has it.
    var initial: Double {
      column.kind == .real ? column.initial : KeyLayout.number(ofCount: Int(column.initial))
    }
  }

  /// One form of a row.
  private struct Form: Sendable, Equatable {
    /// The place of the first number of each column.
    var starts: [Int] = []
    /// A row with the initial values.
    var initial: [Double] = []
  }

  let columns: [Column]
  private let sharedForm: Form
  private let spreadForm: Form
  private let sharedStride: Int
  private let spreadStride: Int

  init(of groups: [StateGroup], featureCount: Int) {
    columns = groups.filter(\.scope.hasKeys).flatMap { group in
      group.columns.map {
        Column(column: $0, width: group.scope.hasFeatures ? featureCount : 1)
      }
    }
    var (sharedForm, spreadForm) = (Form(), Form())
    for column in columns {
      sharedForm.starts.append(sharedForm.initial.count)
      spreadForm.starts.append(spreadForm.initial.count)
      let count = column.isShared ? min(1, column.width) : column.width
      sharedForm.initial += repeatElement(column.initial, count: count)
      spreadForm.initial += repeatElement(column.initial, count: column.width)
    }
    (sharedStride, spreadStride) = (sharedForm.initial.count, spreadForm.initial.count)
    (self.sharedForm, self.spreadForm) = (sharedForm, spreadForm)
  }

  /// The number of numbers of a row.
  package func stride(isSpread: Bool) -> Int { isSpread ? spreadStride : sharedStride }

  /// The place of the first number of a column.
  package func start(of column: KeyColumn, isSpread: Bool) -> Int {
    isSpread ? spreadForm.starts[column.index] : sharedForm.starts[column.index]
  }

  /// A row with the initial values.
  package func initial(isSpread: Bool) -> [Double] {
    isSpread ? spreadForm.initial : sharedForm.initial
  }

  /// The place of a column's number of a feature.
  func place(of index: Int, feature: Int, isSpread: Bool) -> Int {
    if isSpread { return spreadForm.starts[index] + feature }
    return sharedForm.starts[index] + (columns[index].isShared ? 0 : feature)
  }

  /// The numbers of one row in the spread form.
  func spread(_ row: ArraySlice<Double>) -> [Double] {
    var numbers: [Double] = []
    numbers.reserveCapacity(spreadForm.initial.count)
    for (index, column) in columns.enumerated() {
      let start = row.startIndex + sharedForm.starts[index]
      if column.isShared, column.width > 0 {
        numbers += repeatElement(row[start], count: column.width)
      } else {
        numbers += row[start..<start + column.width]
      }
    }
    return numbers
  }

  /// A count as a row has it: its bits, so that every count is exact.
  package static func number(ofCount count: Int) -> Double {
    Double(bitPattern: UInt64(bitPattern: Int64(count)))
  }

  package static func count(of number: Double) -> Int {
    Int(Int64(bitPattern: number.bitPattern))
  }
}

/// The handle of a column of keys; valid in every table of the same groups.
package struct KeyColumn: Sendable, Equatable {
  /// Among the columns of keys.
  let index: Int
}
