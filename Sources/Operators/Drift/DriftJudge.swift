internal import BatchNormalization

/// A pool that is judged: its size and its place.
struct DriftFullPool: Sendable {
  let weight: Double
  let slowWeight: Double
  let start: DriftPlace
}

/// Gives one batch to the charts.
///
/// `DriftKernel` moves most of them. The others, and features whose batches are pooled, are judged one by one.
struct DriftJudge {
  let rules: DriftRules
  /// The place of the batch.
  let place: DriftPlace
  let rows: DriftRows
  var kernel = DriftKernel.best
  /// The rows of the charts whose phase has changed.
  private(set) var changed: [Int] = []

  private var count: Int { rows.features }

  /// The least deviation of a pool, in deviations of the feature, and its logarithm.
  private static let leastDeviation = 1e-3
  private static let leastLogarithm = -6.907_755_278_982_137

  init(_ rules: DriftRules, at place: DriftPlace, _ rows: DriftRows) {
    self.rules = rules
    self.place = place
    self.rows = rows
  }

  /// Judges means, deviations and distributions, and the shares of values that were clipped.
  ///
  /// - Parameters:
  ///   - clipped: how many of each feature were; nil if that is not known.
  ///   - halfLives: those that a batch of so many values spans.
  mutating func judge(
    _ batch: inout DriftBatch, clipped: [Int]?, _ shapes: inout DriftShapes?,
    halfLives: (Double) -> Double
  ) {
    let watchesClipped = clipped.map { addClipped($0) || rows.inUse(.clipped) > 0 } ?? false
    let left = kernel.observeMoments(&batch, at: place, rules, rows)
    if left > 0 || shapes != nil {
      for j in 0..<count {
        let charts = batch.left[j]
        batch.left[j] = 0
        if charts != 0 || shapes != nil {
          judgeOne(
            j, &batch, charts: charts, watchesClipped: watchesClipped, &shapes, halfLives)
        }
      }
    }
    if watchesClipped { judgeClipped(&batch) }
  }

  /// Counts values that were clipped.
  ///
  /// - Returns: whether there are some since the last pool of their feature.
  private func addClipped(_ counts: [Int]) -> Bool {
    var hasSome = false
    for j in 0..<count {
      if counts[j] > 0 { rows.clipped[j] += counts[j] }
      if rows.clipped[j] > 0 { hasSome = true }
    }
    return hasSome
  }

  /// Whether the batch is a pool of a feature by itself.
  private func isPool(_ batch: DriftBatch, of feature: Int) -> Bool {
    batch.number(.weight, of: feature) >= DriftPool.leastValues && rows.openWeights[feature] == 0
  }

  /// Judges the charts of a feature that were left, or pools the batch.
  private mutating func judgeOne(
    _ feature: Int, _ batch: inout DriftBatch, charts: UInt8, watchesClipped: Bool,
    _ shapes: inout DriftShapes?, _ halfLives: (Double) -> Double
  ) {
    let moments = batch.moments(of: feature)
    guard moments.weight > 0 else { return }
    shapes?.addBatch(of: feature)
    let isWhole = isPool(batch, of: feature)
    var pool = isWhole ? DriftPool() : rows[pool: feature]
    pool.add(moments, halfLives: halfLives(moments.weight), at: place)
    guard pool.isFull else {
      rows[pool: feature] = pool
      return
    }
    let one = DriftFullPool(
      weight: pool.moments.weight, slowWeight: batch.slowWeight(ofHalfLives: pool.halfLives),
      start: pool.start)
    if shapes != nil { judgeDistribution(one, of: feature, &shapes) }
    if charts != 0 { judgeMoments(pool.moments, one, of: feature, charts: charts) }
    guard !isWhole else { return }
    // The pool began earlier than those of other features.
    if watchesClipped { judgeClipped(one, of: feature) }
    rows[pool: feature] = DriftPool()
    batch.forget(feature)
  }

  /// Judges the mean (1) and the deviation (2) of a pool.
  private mutating func judgeMoments(
    _ moments: Moments, _ one: DriftFullPool, of feature: Int, charts: UInt8
  ) {
    let root = one.weight.squareRoot()
    let (meanRow, spreadRow) = (
      DriftKind.mean.row(of: feature, among: count), DriftKind.spread.row(of: feature, among: count)
    )
    // A feature that has stood still has no deviation: its mean sets the scale, and else the least number.
    let least = max(abs(moments.mean) * 1e-12, Double.leastNormalMagnitude)
    let own = DriftKernel.log(max(moments.biasedVariance.squareRoot(), least))
    let reference = rows.pools(of: spreadRow) > 0 ? rows.reference(of: spreadRow) : own
    let deviation = max(DriftKernel.exp(reference), least)
    if charts & 1 != 0 {
      observe(moments.mean, one, meanRow, floor: Self.leastDeviation * deviation * root)
    }
    if charts & 2 != 0 {
      observe(
        max(own, reference + Self.leastLogarithm), one, spreadRow,
        floor: Self.leastDeviation * root)
    }
  }

  /// Judges the clipped values of the features of which the batch is a pool.
  private mutating func judgeClipped(_ batch: inout DriftBatch) {
    for j in 0..<count {
      let one = DriftFullPool(
        weight: batch.number(.weight, of: j), slowWeight: batch.number(.slowWeight, of: j),
        start: place)
      guard isPool(batch, of: j) else {
        batch.setShare(nil, one, of: j)
        continue
      }
      setShare(
        rows.clipped[j], .clipped, of: j, one, afterPools: poolsBefore(of: j), in: &batch)
      if rows.clipped[j] > 0 { rows.clipped[j] = 0 }
    }
    judgeShares(.clipped, &batch, at: place)
  }

  private mutating func judgeClipped(_ one: DriftFullPool, of feature: Int) {
    let found = rows.clipped[feature]
    rows.clipped[feature] = 0
    let row = DriftKind.clipped.row(of: feature, among: count)
    guard found > 0 || rows.pools(of: row) > 0 else { return }
    begin(row, one, afterPools: poolsBefore(of: feature))
    observe(DriftShare.value(found, of: one.weight), one, row, floor: DriftShare.floor)
  }

  /// The pools of a feature before the present one, which its chart of means has taken in.
  private func poolsBefore(of feature: Int) -> Int {
    rows.pools(of: DriftKind.mean.row(of: feature, among: count)) - 1
  }

  /// Judges the shares of missing values in the pool of records.
  mutating func judgeMissing(
    _ features: [FeatureSummary], _ batch: inout DriftBatch, _ shared: DriftSharedPool
  ) {
    var isWatched = rows.inUse(.missing) > 0
    for j in 0..<count {
      if features[j].missingCount > 0 { rows.missing[j] += features[j].missingCount }
      if rows.missing[j] > 0 { isWatched = true }
    }
    guard shared.isFull, isWatched else { return }
    let one = DriftFullPool(
      weight: Double(shared.records),
      slowWeight: batch.slowWeight(ofHalfLives: shared.halfLives), start: shared.start)
    for j in 0..<count {
      setShare(
        rows.missing[j], .missing, of: j, one, afterPools: shared.poolsBefore, in: &batch)
      if rows.missing[j] > 0 { rows.missing[j] = 0 }
    }
    judgeShares(.missing, &batch, at: one.start)
  }

  /// Judges the shares of keys that are away from their own moments.
  mutating func judgeKeys(
    _ deviations: KeyDeviations, _ pools: inout DriftKeyPools, _ batch: inout DriftBatch,
    halfLives: (Double) -> Double
  ) {
    for j in 0..<count where deviations.judged[j] > 0 {
      pools.add(
        deviations, of: j, halfLives: halfLives(batch.number(.weight, of: j)), at: place)
      guard let full = pools.takeFull(of: j) else { continue }
      let one = DriftFullPool(
        weight: Double(full.judged), slowWeight: batch.slowWeight(ofHalfLives: full.halfLives),
        start: full.start)
      observe(
        DriftShare.value(full.away, of: one.weight), one,
        DriftKind.keys.row(of: j, among: count), floor: DriftShare.floor,
        rises: DriftKind.keys.rises)
    }
  }

  /// Judges the distribution of a pool, and learns it.
  private mutating func judgeDistribution(
    _ pool: DriftFullPool, of feature: Int, _ shapes: inout DriftShapes?
  ) {
    guard let counts = shapes?.takeOpen(of: feature), let isKnown = shapes?.isKnown(feature) else {
      return
    }
    let found = counts.reduce(0, +)
    guard found > 0 else { return }
    let row = DriftKind.distribution.row(of: feature, among: count)
    let weight = rows[row].learningWeight(pool.slowWeight, rules)
    let known = Double(found) / (weight > 0 ? weight : 1 / Double(DriftRules.startPools))
    // The first pool has nothing to be compared with.
    if let shares = shapes?.shares(of: feature), rows.pools(of: row) > 0 || isKnown {
      let one = DriftFullPool(weight: 1, slowWeight: pool.slowWeight, start: pool.start)
      let difference = DriftBins.difference(counts, from: shares, of: known)
      observe(difference, one, row, floor: DriftBins.floor, rises: DriftKind.distribution.rises)
    }
    if !isKnown {
      shapes?.learn(counts, of: feature, weight: 1)
    } else if weight > 0 {
      shapes?.learn(counts, of: feature, weight: weight)
    }
  }

  // MARK: Shares

  /// Sets the share of a feature in a pool. A feature that never had such a value gets none.
  private func setShare(
    _ found: Int, _ kind: DriftKind, of feature: Int, _ one: DriftFullPool, afterPools before: Int,
    in batch: inout DriftBatch
  ) {
    let row = kind.row(of: feature, among: count)
    let isWatched = found > 0 || rows.pools(of: row) > 0
    if isWatched { begin(row, one, afterPools: before) }
    batch.setShare(isWatched ? found : nil, one, of: feature)
  }

  /// Begins the chart of a share that was 0 so far.
  private func begin(_ row: Int, _ one: DriftFullPool, afterPools before: Int) {
    guard rows.pools(of: row) == 0 else { return }
    var chart = rows[row]
    chart.begin(
      atShare: DriftShare.value(0, of: one.weight), root: one.weight.squareRoot(),
      afterPools: before)
    rows[row] = chart
  }

  /// Judges the shares of the batch.
  private mutating func judgeShares(
    _ kind: DriftKind, _ batch: inout DriftBatch, at start: DriftPlace
  ) {
    guard kernel.observeShares(kind, &batch, at: start, rules, rows) > 0 else { return }
    for j in 0..<count where batch.left[j] != 0 {
      batch.left[j] = 0
      let value = batch.number(.share, of: j)
      guard !value.isNaN else { continue }
      let one = DriftFullPool(
        weight: batch.number(.shareWeight, of: j),
        slowWeight: batch.number(.shareSlowWeight, of: j), start: start)
      observe(value, one, kind.row(of: j, among: count), floor: DriftShare.floor)
    }
  }

  private mutating func observe(
    _ value: Double, _ one: DriftFullPool, _ row: Int, floor: Double, rises: Bool = false
  ) {
    if rows.observe(row, value, one, floor: floor, rises: rises, rules) { changed.append(row) }
  }
}
