internal import Glibc
internal import Records
internal import State

// Invariants:
// - `index` and `order` have each key of the table once.
// - A batch is normalised by the moments before it, and then moves them record by record. So neither depends on the
//   order in which keys are found.

/// Normalises by the moments of keys, and keeps the keys of a stream within their bounds.
struct KeyedMoments: Sendable {
  let settings: KeySettings
  let columns: KeyColumns
  /// The features that have moments by key.
  let features: [Int]
  let width: Int
  var index = KeyIndex()
  var order = KeyOrder()

  /// - Throws: `NormalizationError.keys` for features that the stream lacks, or for more keys than a checkpoint holds.
  init(
    _ settings: KeySettings, _ columns: KeyColumns, _ state: borrowing StateTable
  ) throws(NormalizationError) {
    (self.settings, self.columns) = (settings, columns)
    width = state.features.count
    do throws(FeatureError) {
      features =
        settings.features.isEmpty
        ? Array(0..<width)
        : try FeaturePattern.select(settings.features, from: state.features.names)
    } catch {
      // Its text begins with the setting of all features.
      throw .keys("key.\(error)")
    }
    let greatest = Self.mostMoments / max(1, width)
    guard settings.most <= greatest else {
      throw .keys(
        "key.max: expected at most \(greatest) keys for \(width) feature\(width == 1 ? "" : "s"), which a "
          + "checkpoint can hold, found \(settings.most)")
    }
    readKeys(of: state)
  }

  /// The most keys × features. A checkpoint has 24 bytes of each.
  static let mostMoments = 1 << 26

  /// Takes the keys of a table, after another part of the program has changed them.
  mutating func readKeys(of state: borrowing StateTable) {
    index = KeyIndex()
    order = KeyOrder()
    for row in 0..<state.keyCount { index.insert(KeyIndex.hash(of: state.keys[row]), row: row) }
    let last = (0..<state.keyCount).map { state.count(columns.last, row: $0) }
    for row in last.indices.sorted(by: { (last[$0], $0) < (last[$1], $1) }) { order.append(row) }
  }

  /// Forgets the keys, in a copy that only shows the state.
  mutating func forgetKeys() {
    index = KeyIndex()
    order = KeyOrder()
  }

  // MARK: Planning

  /// Copies the rows of the keys of a batch. A key that is not known, or had no record for too long before its first one
  /// in the batch, has the initial values.
  ///
  /// - Parameters:
  ///   - newest: the newest event time before the batch; nil without event times.
  ///   - times: the event times of the records of the batch.
  ///   - isSpread: whether features of one key may get other weights.
  func copyRows(
    of batch: inout KeyedBatch, _ state: borrowing StateTable, newest: Double?,
    times: ArraySlice<Int64>?, isSpread: Bool
  ) {
    let table = state.keyRows
    var rows = batch.rows
    if settings.idleSeconds != nil, let times {
      // The first record of each key, as keys are numbered.
      var next = 0
      for (number, time) in zip(batch.numbers, times) where Int(number) == next {
        let row = batch.rows[next]
        let now = time == RoleNumbers.noTime ? newest : EventDecay.microseconds(time)
        let latest = [now, newest].compactMap { $0 }.max()
        if row >= 0, isIdle(state.number(columns.seen, row: Int(row)), latest) { rows[next] = -1 }
        next += 1
      }
    }
    batch.copies.begin(columns, table.layout, isSpread: isSpread || table.hasSpread(among: rows))
    table.copy(rows, to: &batch.copies.numbers, isSpread: batch.copies.isSpread)
    batch.copied = rows
  }

  /// Plans how each key normalises its records: by its moments, merged with κ values of those of all records.
  ///
  ///     W = n + κ,  a = n / W,  μ̂ = μ_G + a (μ − μ_G),  σ̂² = (n σ² + κ σ_G²) / W + a (1 − a) (μ − μ_G)²
  ///
  /// Source: Chan, Golub & LeVeque 1979, as `Moments.merge`.
  ///
  /// - Parameters:
  ///   - newest: the newest event time before the batch; nil without event times.
  ///   - whole: μ_G and σ_G² of each feature.
  func planTransforms(
    _ batch: inout KeyedBatch, newest: Double?, _ normalization: NormalizationSettings,
    whole: WholeMoments
  ) {
    let decay = normalization.momentum.eventHalfLife.map { EventDecay(halfLife: $0) }
    var factors: [Double] = []
    factors.reserveCapacity(batch.count)
    for (number, row) in batch.copied.enumerated() {
      guard row >= 0 else {
        factors.append(.nan)
        continue
      }
      guard let decay, let newest, newest > batch.copies.time(of: number) else {
        factors.append(1)
        continue
      }
      factors.append(decay.factor(from: batch.copies.time(of: number), to: newest))
    }
    batch.plan(factors: factors, whole: whole, prior: settings.prior, normalization)
  }

  func isIdle(_ seen: Double, _ newest: Double?) -> Bool {
    guard let idle = settings.idleSeconds, let newest else { return false }
    return newest - seen > 1e6 * idle
  }

  /// Plans the moments of each key after the batch, in its copies of their rows. The batch has taken the values.
  ///
  /// - Parameters:
  ///   - recordsBefore: the number of records of the stream before the batch.
  ///   - isMoved: whether the batch moves the moments of a feature.
  func planUpdates(
    _ values: BatchValues, _ batch: inout KeyedBatch, recordsBefore: Int,
    _ normalization: NormalizationSettings, isMoved: [Bool]
  ) {
    for feature in 0..<width where !isMoved[feature] {
      for offset in 0..<values.records.count { batch.values[offset * width + feature] = .nan }
    }
    batch.copies.setLast(batch.lastUses, after: recordsBefore)
    let roles = values.columns.roles
    let decay = normalization.momentum.eventHalfLife.map { EventDecay(halfLife: $0) }
    let (keptOfOne, addedOfOne) = normalization.keyWeights(1)
    for (offset, record) in values.records.enumerated() {
      let number = Int(batch.numbers[offset])
      let time = roles.times?[record]
      guard time != RoleNumbers.noTime else { continue }
      let now = time.map(EventDecay.microseconds) ?? 0
      if now != 0 { batch.newest = batch.newest == 0 ? now : max(batch.newest, now) }
      guard number >= 0 else { continue }
      let weight = roles.weights?[record] ?? 1
      var (kept, added) = weight == 1 ? (keptOfOne, addedOfOne) : normalization.keyWeights(weight)
      if let time {
        let before = batch.copies.time(of: number)
        let isFirst = before == 0
        let later = isFirst ? now : max(before, now)
        batch.copies.setTime(of: number, to: later)
        if let decay {
          let factor = isFirst || later == before ? 1 : decay.factor(from: before, to: later)
          if factor != 1 { batch.copies.decay(number, by: factor, width: width) }
          (kept, added) = (1, weight * decay.weight(of: time, at: later))
        }
      }
      if added > 0 { batch.add(offset, weight: added, keeping: kept, to: number) }
    }
  }
}

extension NormalizationSettings {
  /// The factor by which a record of this weight decays those before it in the moments of its key, and its own weight
  /// there.
  func keyWeights(_ weight: Double) -> (kept: Double, added: Double) {
    guard case .halfLifeRecords(let halfLife) = momentum else { return (1, weight) }
    return (exp2(-weight / halfLife), rememberedCount(of: weight))
  }
}
