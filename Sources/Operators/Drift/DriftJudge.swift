internal import BatchNormalization
internal import Glibc
internal import State

/// A pool that is judged: its size and its place.
struct DriftFullPool: Sendable {
  let weight: Double
  let slowWeight: Double
  let start: DriftPlace
}

/// Gives the pools of a batch to their charts.
struct DriftJudge {
  let rules: DriftRules
  /// The rows of the charts whose phase has changed.
  private(set) var changed: [Int] = []
  private(set) var slow: SlowWeight
  private let count: Int

  /// The least deviation of a pool, in deviations of the feature, and its logarithm.
  private static let leastDeviation = 1e-3
  private static let leastLogarithm = -6.907_755_278_982_137

  /// - Parameter count: the number of features.
  init(_ rules: DriftRules, features count: Int, slow: SlowWeight) {
    self.rules = rules
    self.slow = slow
    self.count = count
  }

  /// Judges the mean and the deviation of a pool, and the share of its values that were clipped, if that is known.
  mutating func judge(
    _ pool: DriftPool, of feature: Int, clipped: Int?, _ charts: DriftRows
  ) {
    let moments = pool.moments
    let one = DriftFullPool(
      weight: moments.weight, slowWeight: slow.weight(ofHalfLives: pool.halfLives),
      start: pool.start)
    let root = moments.weight.squareRoot()
    let (meanRow, spreadRow) = (
      DriftKind.mean.row(of: feature, among: count), DriftKind.spread.row(of: feature, among: count)
    )
    // A feature that has stood still has no deviation: its mean sets the scale, and else the least number.
    let least = max(abs(moments.mean) * 1e-12, Double.leastNormalMagnitude)
    let own = max(moments.biasedVariance.squareRoot(), least)
    let reference = charts.pools(of: spreadRow) > 0 ? charts.reference(of: spreadRow) : log(own)
    let deviation = max(exp(reference), least)
    let before = charts.pools(of: meanRow)
    observe(
      moments.mean, one, meanRow, floor: Self.leastDeviation * deviation * root, charts)
    observe(
      max(log(own), reference + Self.leastLogarithm), one, spreadRow,
      floor: Self.leastDeviation * root, charts)
    guard let clipped else { return }
    let row = DriftKind.clipped.row(of: feature, among: count)
    guard clipped > 0 || charts.pools(of: row) > 0 else { return }
    judgeShare(clipped, one, row, afterPools: before, charts)
  }

  /// Judges the share of missing values in the pool of records.
  mutating func judgeMissing(
    _ found: Int, of feature: Int, _ shared: DriftSharedPool, _ charts: DriftRows
  ) {
    let row = DriftKind.missing.row(of: feature, among: count)
    guard found > 0 || charts.pools(of: row) > 0 else { return }
    let one = DriftFullPool(
      weight: Double(shared.records), slowWeight: slow.weight(ofHalfLives: shared.halfLives),
      start: shared.start)
    judgeShare(found, one, row, afterPools: shared.poolsBefore, charts)
  }

  /// Judges the distribution of a pool, and learns it.
  mutating func judgeDistribution(
    _ pool: DriftPool, of feature: Int, _ shapes: inout DriftShapes, _ charts: DriftRows
  ) {
    let counts = shapes.takeOpen(of: feature)
    let found = counts.reduce(0, +)
    guard found > 0 else { return }
    let row = DriftKind.distribution.row(of: feature, among: count)
    let slowWeight = slow.weight(ofHalfLives: pool.halfLives)
    let weight = charts[row].learningWeight(slowWeight, rules)
    let known = Double(found) / (weight > 0 ? weight : 1 / Double(DriftRules.startPools))
    // The first pool has nothing to be compared with.
    if charts.pools(of: row) > 0 || shapes.isKnown(feature) {
      let one = DriftFullPool(weight: 1, slowWeight: slowWeight, start: pool.start)
      let difference = DriftBins.difference(counts, from: shapes.shares(of: feature), of: known)
      observe(difference, one, row, floor: DriftBins.floor, rises: true, charts)
    }
    if !shapes.isKnown(feature) {
      shapes.learn(counts, of: feature, weight: 1)
    } else if weight > 0 {
      shapes.learn(counts, of: feature, weight: weight)
    }
  }

  private mutating func judgeShare(
    _ found: Int, _ one: DriftFullPool, _ row: Int, afterPools before: Int,
    _ charts: DriftRows
  ) {
    if charts.pools(of: row) == 0 {
      charts[row].begin(
        atShare: DriftShare.value(0, of: one.weight), root: one.weight.squareRoot(),
        afterPools: before)
    }
    observe(
      DriftShare.value(found, of: one.weight), one, row, floor: DriftShare.floor, charts)
  }

  private mutating func observe(
    _ value: Double, _ one: DriftFullPool, _ row: Int, floor: Double, rises: Bool = false,
    _ charts: DriftRows
  ) {
    if charts.observe(row, value, one, floor: floor, rises: rises, rules) { changed.append(row) }
  }
}

/// The weight of a pool in slow moments: computed once for features with as many values, as most have.
struct SlowWeight: Sendable {
  private var halfLives = 0.0
  private var weight = 0.0

  mutating func weight(ofHalfLives count: Double) -> Double {
    if count != halfLives {
      halfLives = count
      weight = DriftPace.slowWeight(ofHalfLives: count)
    }
    return weight
  }
}

/// Whole batches of the stream whose records are judged together: for the shares of missing values, which a feature
/// without any value has too.
struct DriftSharedPool: Sendable {
  private(set) var records = 0
  private(set) var halfLives = 0.0
  private(set) var start = DriftPlace()
  /// The pools of records before this one.
  private(set) var poolsBefore = 0

  init() {}

  init(_ columns: DriftColumns, of state: borrowing StateTable) {
    records = state[columns.sharedRecords][0]
    halfLives = state[columns.sharedHalfLives][0]
    start = DriftPlace(
      batch: state[columns.sharedBatch][0], record: state[columns.sharedRecord][0],
      seconds: state[columns.sharedSeconds][0])
    poolsBefore = state[columns.streamPools][0]
  }

  var isFull: Bool { Double(records) >= DriftPool.leastValues }

  mutating func add(_ count: Int, halfLives: Double, at place: DriftPlace) {
    if records == 0 { start = place }
    records += count
    self.halfLives += halfLives
  }

  /// Keeps an open pool in the state; of a full one, nothing is kept.
  func store(in state: inout StateTable, _ columns: DriftColumns) {
    let kept = isFull ? DriftSharedPool() : self
    // With batches of enough records, no pool is ever open.
    guard kept.records != state[columns.sharedRecords][0] else { return }
    state[columns.sharedRecords][0] = kept.records
    state[columns.sharedHalfLives][0] = kept.halfLives
    state[columns.sharedBatch][0] = kept.start.batch
    state[columns.sharedRecord][0] = kept.start.record
    state[columns.sharedSeconds][0] = kept.start.seconds
  }
}
