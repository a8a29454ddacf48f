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
    // Those of the batch are not the oldest.
    order.remove(batch.rows)
    var written: [(number: Int, row: Int)] = []
    written.reserveCapacity(batch.count)
    // In the order of their last records.
    for (offset, number) in batch.numbers.enumerated()
    where number >= 0 && batch.lastUses[Int(number)] == offset {
      guard let row = takeRow(of: Int(number), batch, &state) else { continue }
      order.append(row)
      written.append((Int(number), row))
    }
    // Features without keys keep their values: those of the copies are the same.
    state.replaceKeyRows(written, by: batch.copies.numbers, isSpread: batch.copies.isSpread)
    guard batch.newest != 0 else { return }
    let newest = columns.note(batch.newest, in: &state)
    expire(&state, newest: newest)
  }

  /// The row of a key of the batch in the table, in place of the oldest key if there is no room; nil if all keys are
  /// newer.
  private mutating func takeRow(
    of number: Int, _ batch: borrowing KeyedBatch, _ state: inout StateTable
  ) -> Int? {
    if batch.rows[number] >= 0 {
      // It is the key of old, as a new one.
      if batch.copied[number] < 0 { state.add(1, to: columns.expired) }
      return Int(batch.rows[number])
    }
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

  /// Removes the keys that had no record for too long.
  ///
  /// - Parameter newest: the newest event time of the records.
  private mutating func expire(_ state: inout StateTable, newest: Double) {
    while let oldest = order.oldest, isIdle(state.number(columns.seen, row: oldest), newest) {
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
