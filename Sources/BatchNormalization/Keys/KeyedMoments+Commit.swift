internal import Records
internal import State

// How the table changes with a batch, and which keys it keeps.
extension KeyedMoments {
  /// Counts the records of a batch, whose segments were not counted, and writes its moments to the table if they were
  /// planned.
  mutating func commit(_ batch: borrowing KeyedBatch, _ state: inout StateTable, updates: Bool) {
    let (unusable, unknown) = batch.uncounted
    if unusable > 0 { state.add(unusable, to: columns.unusable) }
    if unknown > 0 { state.add(unknown, to: columns.unknown) }
    guard updates else { return }
    let recordsBefore = state[columns.records][0]
    // Those of the batch are not the oldest.
    for row in batch.rows where row >= 0 { order.remove(Int(row)) }
    var written: [(number: Int, row: Int)] = []
    for number in (0..<batch.count).sorted(by: { batch.lastUses[$0] < batch.lastUses[$1] }) {
      guard let row = takeRow(of: number, batch, &state) else { continue }
      order.append(row)
      written.append((number, row))
    }
    write(batch, written, recordsBefore, &state)
    guard batch.newest != 0 else { return }
    let before = state[columns.newest][0]
    let newest = before == 0 ? batch.newest : max(before, batch.newest)
    state[columns.newest][0] = newest
    expire(&state, newest: newest)
  }

  /// The row of a key of the batch in the table, in place of the oldest key if there is no room; nil if all keys are
  /// newer.
  private mutating func takeRow(
    of number: Int, _ batch: borrowing KeyedBatch, _ state: inout StateTable
  ) -> Int? {
    if batch.rows[number] >= 0 { return Int(batch.rows[number]) }
    let (name, hash) = (batch.names[number], batch.hashes[number])
    guard state.keyCount >= settings.most else {
      let row = state.addKey(name)
      index.insert(hash, row: row)
      return row
    }
    state.add(1, to: columns.evicted)
    guard let oldest = order.oldest else { return nil }
    order.remove(oldest)
    index.remove(KeyIndex.hash(of: state.keys[oldest]), row: oldest)
    state.replaceKey(oldest, with: name)
    index.insert(hash, row: oldest)
    return oldest
  }

  private func write(
    _ batch: borrowing KeyedBatch, _ written: [(number: Int, row: Int)], _ recordsBefore: Int,
    _ state: inout StateTable
  ) {
    // Out of the table, so that each array is checked for other owners once and not with every element.
    var (last, seen) = (state.take(columns.last), state.take(columns.seen))
    var (weight, mean, variance) = (
      state.take(columns.weight), state.take(columns.mean), state.take(columns.variance)
    )
    for (number, row) in written {
      last[row] = recordsBefore + batch.lastUses[number] + 1
      seen[row] = batch.times[number]
    }
    // Features without keys keep their values: those of the plan are the same.
    weight.replaceRows(written, by: batch.after.weights, width: width)
    mean.replaceRows(written, by: batch.after.means, width: width)
    variance.replaceRows(written, by: batch.after.variances, width: width)
    state.put(last, in: columns.last)
    state.put(seen, in: columns.seen)
    state.put(weight, in: columns.weight)
    state.put(mean, in: columns.mean)
    state.put(variance, in: columns.variance)
  }

  /// Removes the keys that had no record for too long.
  ///
  /// - Parameter newest: the newest event time of all keys.
  private mutating func expire(_ state: inout StateTable, newest: Double) {
    while let oldest = order.oldest, isIdle(state[columns.seen][oldest], newest) {
      state.add(1, to: columns.expired)
      remove(oldest, of: &state)
    }
  }

  /// Forgets some keys.
  ///
  /// - Returns: how many of them were known.
  mutating func reset(_ names: [[UInt8]], in state: inout StateTable) -> Int {
    var known = 0
    for name in names {
      let row = index.row(KeyIndex.hash(of: name[...])) { state.keys[$0] == name[...] }
      guard let row else { continue }
      remove(row, of: &state)
      known += 1
    }
    return known
  }

  private mutating func remove(_ row: Int, of state: inout StateTable) {
    order.remove(row)
    index.remove(KeyIndex.hash(of: state.keys[row]), row: row)
    let last = state.keyCount - 1
    if row < last {
      index.move(KeyIndex.hash(of: state.keys[last]), from: last, to: row)
      order.move(from: last, to: row)
    }
    state.removeKey(row)
  }
}
