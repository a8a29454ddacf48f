// Invariants:
// - Every block but the last one has `blockRows` rows.
// - `changes` has each row that changed since `startChanges`, and that is there still; nil if all may have.
// - All rows of a block have one form. A block becomes spread when features of a key differ in a shared column.

/// The numbers of keys: those of one key are together in a row.
///
/// Rows are in blocks. So more keys never move the others, and a copy of a large table shares the blocks that have not
/// changed since.
package struct KeyRows: Sendable {
  struct Block: Sendable, Equatable {
    var numbers: [Double] = []
    var isSpread = false
  }

  private static let blockBits = 6
  static let blockRows = 1 << blockBits

  package let layout: KeyLayout
  package private(set) var count = 0
  private(set) var blocks: [Block] = []
  private(set) var changes: RowSet?

  init(_ layout: KeyLayout) { self.layout = layout }

  /// The block of a row, and the place of the row's first number there.
  private func place(of row: Int) -> (block: Int, start: Int) {
    let block = row >> Self.blockBits
    return (block, (row & (Self.blockRows - 1)) * layout.stride(isSpread: blocks[block].isSpread))
  }

  /// The memory of the numbers, in bytes.
  var byteCount: Int {
    blocks.reduce(0) { $0 + $1.numbers.count * MemoryLayout<Double>.stride }
  }

  /// Notes from now on which rows change.
  mutating func startChanges() {
    if changes == nil { changes = RowSet() } else { changes?.removeAll() }
  }

  /// Has all rows count as changed.
  mutating func forgetChanges() { changes = nil }

  // MARK: Rows

  /// Adds a row with the initial values.
  mutating func append() {
    let rest = count & (Self.blockRows - 1)
    if rest == 0 { blocks.append(Block()) }
    let last = blocks.count - 1
    let initial = layout.initial(isSpread: blocks[last].isSpread)
    if rest & (rest - 1) == 0 {
      // A small table stays small. A later block has its full size at once.
      let rows = last > 0 ? Self.blockRows : max(1, 2 * rest)
      blocks[last].numbers.reserveCapacity(rows * initial.count)
    }
    blocks[last].numbers.append(contentsOf: initial)
    changes?.insert(count)
    count += 1
  }

  /// Replaces all rows by rows with the initial values.
  mutating func start(_ count: Int) {
    let initial = layout.initial(isSpread: false)
    blocks = stride(from: 0, to: count, by: Self.blockRows).map { first in
      let rows = min(Self.blockRows, count - first)
      var numbers: [Double] = []
      numbers.reserveCapacity(rows * initial.count)
      for _ in 0..<rows { numbers += initial }
      return Block(numbers: numbers)
    }
    self.count = count
    changes = nil
  }

  /// Gives a row its initial values.
  mutating func reset(_ row: Int) {
    let (block, start) = place(of: row)
    let initial = layout.initial(isSpread: blocks[block].isSpread)
    blocks[block].numbers.replaceSubrange(start..<start + initial.count, with: initial)
    changes?.insert(row)
  }

  /// Removes a row. The last one takes its place.
  mutating func remove(_ row: Int) {
    let last = count - 1
    if row < last {
      // Not through a copy of the table, whose blocks would then have two owners.
      let (numbers, isSpread) = self.numbers(of: last)
      set(row, to: numbers, isSpread: isSpread)
    }
    let (block, start) = place(of: last)
    blocks[block].numbers.removeLast(blocks[block].numbers.count - start)
    if last & (Self.blockRows - 1) == 0 { blocks.removeLast() }
    changes?.remove(last)
    count -= 1
  }

  /// Copies a row of a table of the same layout.
  mutating func copy(_ source: Int, of other: KeyRows, to row: Int) {
    let (numbers, isSpread) = other.numbers(of: source)
    set(row, to: numbers, isSpread: isSpread)
  }

  /// A copy of the numbers of a row, and their form.
  private func numbers(of row: Int) -> (ArraySlice<Double>, isSpread: Bool) {
    let (block, start) = place(of: row)
    let isSpread = blocks[block].isSpread
    let end = start + layout.stride(isSpread: isSpread)
    return (Array(blocks[block].numbers[start..<end])[...], isSpread)
  }

  /// Sets the numbers of a row.
  private mutating func set(_ row: Int, to numbers: ArraySlice<Double>, isSpread: Bool) {
    let block = row >> Self.blockBits
    var numbers = numbers
    if isSpread, !blocks[block].isSpread {
      if let shared = layout.shared(numbers) { numbers = shared[...] } else { spread(block) }
    }
    if !isSpread, blocks[block].isSpread { numbers = layout.spread(numbers)[...] }
    let start = place(of: row).start
    blocks[block].numbers.replaceSubrange(start..<start + numbers.count, with: numbers)
    changes?.insert(row)
  }

  private mutating func spread(_ block: Int) {
    let (old, width) = (blocks[block].numbers, layout.stride(isSpread: false))
    var numbers: [Double] = []
    numbers.reserveCapacity(Self.blockRows * layout.stride(isSpread: true))
    for start in stride(from: 0, to: old.count, by: max(1, width)) {
      numbers += layout.spread(old[start..<start + width])
    }
    blocks[block] = Block(numbers: numbers, isSpread: true)
  }

  // MARK: Single numbers

  mutating func set(_ index: Int, row: Int, feature: Int, to number: Double) {
    let (block, start) = place(of: row)
    let isSpread = blocks[block].isSpread
    let place = layout.place(of: index, feature: feature, isSpread: isSpread)
    blocks[block].numbers[start + place] = number
    changes?.insert(row)
  }

  /// Gives the block of a row the spread form.
  mutating func spread(blockOf row: Int) {
    let block = row >> Self.blockBits
    if !blocks[block].isSpread { spread(block) }
  }

  // MARK: Copies of many rows

  /// Whether one of some rows is in the spread form; a row of -1 is in none.
  package func hasSpread(among rows: [Int32]) -> Bool {
    for row in rows where row >= 0 && blocks[Int(row) >> Self.blockBits].isSpread { return true }
    return false
  }

  /// Copies rows, one after another in one form; a row of -1 has the initial values.
  ///
  /// - Parameter isSpread: the form of the copies. If not, all rows must be in the other one.
  package func copy(_ rows: [Int32], to numbers: inout [Double], isSpread: Bool) {
    let count = rows.count * layout.stride(isSpread: isSpread)
    if numbers.count > count { numbers.removeLast(numbers.count - count) }
    numbers.append(contentsOf: repeatElement(0, count: count - numbers.count))
    numbers.withUnsafeMutableBufferPointer { numbers in
      if let first = numbers.baseAddress { copy(rows[...], to: first, isSpread: isSpread) }
    }
  }

  /// The same with only some rows.
  func keeping(_ rows: [Int32]) -> KeyRows {
    var kept = KeyRows(layout)
    for start in stride(from: 0, to: rows.count, by: Self.blockRows) {
      let some = rows[start..<min(start + Self.blockRows, rows.count)]
      let isSpread = some.contains { blocks[Int($0) >> Self.blockBits].isSpread }
      let count = some.count * layout.stride(isSpread: isSpread)
      let numbers = [Double](unsafeUninitializedCapacity: count) { buffer, initialized in
        if let first = buffer.baseAddress { copy(some, to: first, isSpread: isSpread) }
        initialized = count
      }
      kept.blocks.append(Block(numbers: numbers, isSpread: isSpread))
      kept.count += some.count
    }
    return kept
  }

  /// - Parameter first: memory for all copies.
  private func copy(
    _ rows: ArraySlice<Int32>, to first: UnsafeMutablePointer<Double>, isSpread: Bool
  ) {
    let stride = layout.stride(isSpread: isSpread)
    let initial = layout.initial(isSpread: isSpread)
    let sharedStride = layout.stride(isSpread: false)
    var to = first
    // No owner is counted in the loop: that would have the processor wait for the memory of each row.
    blocks.withUnsafeBufferPointer { blocks in
      for row in rows {
        defer { to += stride }
        guard row >= 0 else {
          to.initialize(from: initial, count: stride)
          continue
        }
        let (block, place) = (Int(row) >> Self.blockBits, Int(row) & (Self.blockRows - 1))
        let isSame = blocks[block].isSpread == isSpread
        precondition(isSame || isSpread, "a spread row among the others")
        let from = place * (isSame ? stride : sharedStride)
        guard isSame else {
          let row = layout.spread(blocks[block].numbers[from..<from + sharedStride])
          to.initialize(from: row, count: stride)
          continue
        }
        blocks[block].numbers.withUnsafeBufferPointer {
          precondition(from + stride <= $0.count)
          if let first = $0.baseAddress { to.initialize(from: first + from, count: stride) }
        }
      }
    }
  }

  /// Replaces rows by copies of one form.
  ///
  /// - Parameter written: the number of each copy among the copies, and its row.
  package mutating func replace(
    _ written: [(number: Int, row: Int)], by numbers: [Double], isSpread: Bool
  ) {
    let stride = layout.stride(isSpread: isSpread)
    for (number, row) in written {
      changes?.insert(row)
      let block = row >> Self.blockBits
      guard blocks[block].isSpread == isSpread else {
        set(row, to: numbers[number * stride..<(number + 1) * stride], isSpread: isSpread)
        continue
      }
      let start = (row & (Self.blockRows - 1)) * stride
      precondition((number + 1) * stride <= numbers.count)
      numbers.withUnsafeBufferPointer { numbers in
        blocks[block].numbers.withUnsafeMutableBufferPointer { own in
          precondition(start + stride <= own.count)
          guard let to = own.baseAddress, let from = numbers.baseAddress else { return }
          (to + start).update(from: from + number * stride, count: stride)
        }
      }
    }
  }
}

extension KeyLayout {
  /// The numbers of one spread row with each shared column once; nil if features differ there.
  fileprivate func shared(_ row: ArraySlice<Double>) -> [Double]? {
    var numbers: [Double] = []
    numbers.reserveCapacity(stride(isSpread: false))
    for (index, column) in columns.enumerated() {
      let start = row.startIndex + place(of: index, feature: 0, isSpread: true)
      let values = row[start..<start + column.width]
      guard column.isShared, let first = values.first else {
        numbers += values
        continue
      }
      guard values.allSatisfy({ $0 == first }) else { return nil }
      numbers.append(first)
    }
    return numbers
  }
}
