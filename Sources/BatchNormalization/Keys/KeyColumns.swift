package import State

/// The handles of the columns of keys in the table of a stream.
package struct KeyColumns: Sendable {
  /// The number of records of the stream up to the last one of the key.
  package let last: KeyColumn
  /// The newest event time of the key, in whole microseconds since 1970.
  package let seen: KeyColumn
  /// Σw of the values of a key, decayed up to its last value, or to `seen` with a half-life in event time; μ and σ².
  package let weight, mean, variance: KeyColumn
  /// The records of the stream that moved the moments.
  let records: CountColumn
  let unusable, unknown, evicted, expired: CountColumn
  /// The newest event time of the records, with which those of keys and priors are compared. 0 before the first one.
  let newest: RealColumn

  package init(in table: borrowing StateTable) {
    last = table.key("last", of: "keys")
    seen = table.key("seen", of: "keys")
    weight = table.key("weight", of: "key_moments")
    mean = table.key("mean", of: "key_moments")
    variance = table.key("variance", of: "key_moments")
    records = table.count("records", of: "stream")
    unusable = table.count("unusable", of: "key_counts")
    unknown = table.count("unknown", of: "key_counts")
    evicted = table.count("evicted", of: "key_counts")
    expired = table.count("expired", of: "key_counts")
    newest = table.real("newest", of: "key_counts")
  }

  static let groups = [keys, moments, counts]

  /// The newest event time of the records, in whole microseconds since 1970; nil without event times, and before the
  /// first one.
  func newestRecord(_ state: borrowing StateTable) -> Double? {
    let time = state.value(newest)
    return time == 0 ? nil : time
  }

  /// Takes note of the event time of a record.
  ///
  /// - Returns: the newest one.
  @discardableResult
  func note(_ time: Double, in state: inout StateTable) -> Double {
    let newest = max(time, newestRecord(state) ?? time)
    state[self.newest][0] = newest
    return newest
  }

  private static let keys = StateGroup(
    "keys", scope: .key,
    columns: [
      .count("last"), .real("seen", initial: 0, in: StateColumn.microseconds, isOptional: true),
    ], isOptional: true,
    merge: { rows, other throws(StateError) in
      for row in 0..<rows.count {
        rows[count: "last"][row] = max(rows[count: "last"][row], other[count: "last"][row])
        rows[real: "seen"][row] = max(rows[real: "seen"][row], other[real: "seen"][row])
      }
    })

  private static let moments = StateGroup(
    "key_moments", scope: .keyFeature,
    columns: [
      .real("weight", initial: 0, in: StateColumn.countable, isShared: true),
      .real("mean", initial: 0), .real("variance", initial: 0, in: StateColumn.nonNegative),
    ], isOptional: true, merge: mergeMoments)

  /// Counts records without a usable key; those whose key was not known; keys that went for room; and keys that
  /// went since they had no record for too long.
  private static let counts = StateGroup(
    "key_counts", scope: .stream,
    columns: [
      .count("unusable"), .count("unknown"), .count("evicted"),
      .count("expired"),
      .real("newest", initial: 0, in: StateColumn.microseconds, isOptional: true),
    ], isOptional: true,
    merge: { rows, other throws(StateError) in
      for column in rows.group.columns where column.kind == .count {
        rows.add(count: column.name, of: other)
      }
      rows[real: "newest"][0] = max(rows[real: "newest"][0], other[real: "newest"][0])
    })

  /// Pools the moments of each key (Chan). With a half-life in event time both sides are brought to the later time.
  @Sendable private static func mergeMoments(
    _ rows: inout StateRows, _ other: StateRows
  ) throws(StateError) {
    let width = rows.features.count
    let (seen, others) = (
      rows.table[real: "evenkeel.keys.seen"], other.table[real: "evenkeel.keys.seen"]
    )
    let halfLife =
      (rows.table[real: "evenkeel.moments.half_life"]
      + other.table[real: "evenkeel.moments.half_life"]).max() ?? 0
    var (weight, mean, variance) = (
      rows[real: "weight"], rows[real: "mean"], rows[real: "variance"]
    )
    let (otherWeight, otherMean, otherVariance) = (
      other[real: "weight"], other[real: "mean"], other[real: "variance"]
    )
    for index in weight.indices {
      var factors = (own: 1.0, other: 1.0)
      if halfLife > 0 {
        let key = index / width
        let later = max(seen[key], others[key])
        let decay = EventDecay(halfLife: halfLife)
        factors = (
          decay.factor(from: seen[key], to: later), decay.factor(from: others[key], to: later)
        )
      }
      var pooled = Moments(
        weight: weight[index] * factors.own, mean: mean[index],
        m2: weight[index] * factors.own * variance[index])
      let added = otherWeight[index] * factors.other
      pooled.merge(
        Moments(weight: added, mean: otherMean[index], m2: added * otherVariance[index]))
      guard pooled.weight > 0 else { continue }
      (weight[index], mean[index]) = (pooled.weight, pooled.mean)
      variance[index] = max(pooled.biasedVariance, 0)
    }
    rows[real: "weight"] = weight
    rows[real: "mean"] = mean
    rows[real: "variance"] = variance
  }
}
