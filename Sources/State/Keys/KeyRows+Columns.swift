// The columns of keys as files, messages and merges see them.
extension KeyRows {
  /// The number of a key, as a row has it.
  func number(_ index: Int, row: Int, feature: Int = 0) -> Double {
    let block = blocks[row / Self.blockRows]
    let start = row % Self.blockRows * layout.stride(isSpread: block.isSpread)
    return block.numbers[
      start + layout.place(of: index, feature: feature, isSpread: block.isSpread)]
  }

  /// The one value of each key of a shared column; nil if the column is not shared, or if a block is spread.
  func sharedValues(_ index: Int) -> [Double]? {
    let column = layout.columns[index]
    guard column.isShared, column.width > 1, !blocks.contains(where: \.isSpread) else { return nil }
    return (0..<count).map { number(index, row: $0) }
  }

  /// Calls `body` with each number of a column, key by key, until it returns false. A shared column has one number for each
  /// key of a block that is not spread.
  private func forEach(_ index: Int, _ body: (_ cell: Int, _ number: Double) -> Bool) {
    let column = layout.columns[index]
    var row = 0
    for block in blocks {
      let stride = layout.stride(isSpread: block.isSpread)
      let first = layout.place(of: index, feature: 0, isSpread: block.isSpread)
      let count = column.isShared && !block.isSpread ? min(1, column.width) : column.width
      for start in Swift.stride(from: 0, to: block.numbers.count, by: max(1, stride)) {
        for feature in 0..<count {
          let number = block.numbers[start + first + feature]
          guard body(row * column.width + feature, number) else { return }
        }
        row += 1
      }
    }
  }

  /// Whether a column has only its initial value.
  func isInitial(_ index: Int) -> Bool {
    let initial = layout.columns[index].initial
    var isInitial = true
    forEach(index) { _, number in
      isInitial = number == initial
      return isInitial
    }
    return isInitial
  }

  /// The first value of a column that is out of bounds: its place among all values, and the value as text.
  func firstInvalid(_ index: Int) -> (row: Int, found: String)? {
    let column = layout.columns[index].column
    var found: (Int, String)?
    forEach(index) { cell, number in
      switch column.kind {
      case .real: if !column.bounds.contains(number) { found = (cell, "\(number)") }
      case .count:
        // As integers: a Double could round a count that is too high to one that is not.
        let count = KeyLayout.count(of: number)
        if !(Int(column.bounds.lowerBound)...Int(column.bounds.upperBound)).contains(count) {
          found = (cell, "\(count)")
        }
      }
      return found == nil
    }
    return found
  }

  /// The values of a column of some keys, all by default: a value for each feature.
  func values(_ index: Int, of rows: Range<Int>? = nil) -> StateValues {
    let column = layout.columns[index]
    let rows = rows ?? 0..<count
    switch column.column.kind {
    case .real:
      return .real(numbers(index, of: rows) { $0 })
    case .count:
      return .count(numbers(index, of: rows) { KeyLayout.count(of: $0) })
    }
  }

  private func numbers<Value>(
    _ index: Int, of rows: Range<Int>, _ value: (Double) -> Value
  ) -> [Value] {
    let column = layout.columns[index]
    var values: [Value] = []
    values.reserveCapacity(rows.count * column.width)
    for row in rows {
      let block = blocks[row / Self.blockRows]
      let start =
        row % Self.blockRows * layout.stride(isSpread: block.isSpread)
        + layout.place(of: index, feature: 0, isSpread: block.isSpread)
      if column.isShared, !block.isSpread, column.width > 0 {
        values.append(contentsOf: repeatElement(value(block.numbers[start]), count: column.width))
      } else {
        for cell in start..<start + column.width { values.append(value(block.numbers[cell])) }
      }
    }
    return values
  }

  /// Replaces the values of a column of some keys: a value for each feature, or, of a shared column, one for each key.
  mutating func setValues(_ index: Int, of rows: Range<Int>? = nil, to values: StateValues) {
    let rows = rows ?? 0..<count
    switch values {
    case .real(let values): setNumbers(index, of: rows, count: values.count) { values[$0] }
    case .count(let values):
      setNumbers(index, of: rows, count: values.count) { KeyLayout.number(ofCount: values[$0]) }
    }
  }

  private mutating func setNumbers(
    _ index: Int, of rows: Range<Int>, count: Int, _ number: (_ cell: Int) -> Double
  ) {
    let column = layout.columns[index]
    guard column.width > 0 else { return }
    let isOnce = column.isShared && column.width != 1 && count == rows.count
    precondition(
      isOnce || count == rows.count * column.width,
      "\(count) values of '\(column.column.fileName)' for \(rows.count) keys")
    for (offset, row) in rows.enumerated() {
      let first = number(isOnce ? offset : offset * column.width)
      if column.isShared,
        isOnce || (1..<column.width).allSatisfy({ number(offset * column.width + $0) == first })
      {
        setShared(index, row: row, to: first)
        continue
      }
      if column.isShared { spread(blockOf: row) }
      for feature in 0..<column.width {
        set(index, row: row, feature: feature, to: number(offset * column.width + feature))
      }
    }
  }

  private mutating func setShared(_ index: Int, row: Int, to number: Double) {
    let width = blocks[row / Self.blockRows].isSpread ? layout.columns[index].width : 1
    for feature in 0..<width { set(index, row: row, feature: feature, to: number) }
  }
}

extension KeyRows: Equatable {
  /// Two are equal if all values are, whatever the forms of the rows.
  package static func == (left: KeyRows, right: KeyRows) -> Bool {
    guard left.layout == right.layout, left.count == right.count else { return false }
    return left.layout.columns.indices.allSatisfy { left.isEqual($0, right) }
  }

  /// Whether a column has the same values as in another table of the same layout. Blocks that share their memory are
  /// not compared, however many they are.
  func isEqual(_ index: Int, _ other: KeyRows) -> Bool {
    guard count == other.count else { return false }
    let column = layout.columns[index]
    return blocks.indices.allSatisfy { block in
      // Arrays that share their memory are equal at once.
      if blocks[block] == other.blocks[block] { return true }
      let first = block * Self.blockRows
      return (first..<min(first + Self.blockRows, count)).allSatisfy { row in
        (0..<column.width).allSatisfy { feature in
          let (own, others) = (
            number(index, row: row, feature: feature),
            other.number(index, row: row, feature: feature)
          )
          return own.bitPattern == others.bitPattern || column.column.kind == .real && own == others
        }
      }
    }
  }
}
