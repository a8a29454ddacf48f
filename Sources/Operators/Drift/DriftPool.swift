internal import BatchNormalization
internal import Glibc
internal import State

/// Whole batches of one feature that are judged together, because each has few of its values.
struct DriftPool {
  /// The values that a pool must have.
  static let leastValues = 32.0

  var moments = Moments()
  /// How many half-lives of the running moments it spans.
  var halfLives = 0.0
  var start = DriftPlace()

  /// Whether it is large enough to be judged.
  var isFull: Bool { moments.weight >= Self.leastValues }

  mutating func add(_ batch: Moments, halfLives: Double, at place: DriftPlace) {
    if moments.weight == 0 { start = place }
    moments.merge(batch)
    self.halfLives += halfLives
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
    poolsBefore = state.value(columns.streamPools)
    records = state.value(columns.sharedRecords)
    guard records > 0 else { return }
    halfLives = state.value(columns.sharedHalfLives)
    start = DriftPlace(
      batch: state.value(columns.sharedBatch), record: state.value(columns.sharedRecord),
      seconds: state.value(columns.sharedSeconds))
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
    guard kept.records != state.value(columns.sharedRecords) else { return }
    state[columns.sharedRecords][0] = kept.records
    state[columns.sharedHalfLives][0] = kept.halfLives
    state[columns.sharedBatch][0] = kept.start.batch
    state[columns.sharedRecord][0] = kept.start.record
    state[columns.sharedSeconds][0] = kept.start.seconds
  }
}

/// The keys of whole batches that are judged together, feature by feature, as columns out of the table.
struct DriftKeyPools {
  private var keys, keysAway, firstBatches, firstRecords: [Int]
  private var halfLives, firstSeconds: [Double]

  init(_ columns: DriftColumns, taking state: inout StateTable) {
    keys = state.take(columns.keysJudged)
    keysAway = state.take(columns.keysAway)
    firstBatches = state.take(columns.keysBatch)
    firstRecords = state.take(columns.keysRecord)
    halfLives = state.take(columns.keysHalfLives)
    firstSeconds = state.take(columns.keysSeconds)
  }

  consuming func put(in state: inout StateTable, _ columns: DriftColumns) {
    state.put(keys, in: columns.keysJudged)
    state.put(keysAway, in: columns.keysAway)
    state.put(firstBatches, in: columns.keysBatch)
    state.put(firstRecords, in: columns.keysRecord)
    state.put(halfLives, in: columns.keysHalfLives)
    state.put(firstSeconds, in: columns.keysSeconds)
  }

  mutating func add(
    _ deviations: KeyDeviations, of feature: Int, halfLives count: Double, at place: DriftPlace
  ) {
    if keys[feature] == 0 {
      (firstBatches[feature], firstRecords[feature]) = (place.batch, place.record)
      firstSeconds[feature] = place.seconds
    }
    keys[feature] += deviations.judged[feature]
    keysAway[feature] += deviations.away[feature]
    halfLives[feature] += count
  }

  /// Takes the pool of a feature if it is large enough to be judged.
  mutating func takeFull(
    of feature: Int
  ) -> (judged: Int, away: Int, halfLives: Double, start: DriftPlace)? {
    guard Double(keys[feature]) >= DriftPool.leastValues else { return nil }
    defer { (keys[feature], keysAway[feature], halfLives[feature]) = (0, 0, 0) }
    let start = DriftPlace(
      batch: firstBatches[feature], record: firstRecords[feature], seconds: firstSeconds[feature])
    return (keys[feature], keysAway[feature], halfLives[feature], start)
  }
}

/// How fast the running moments forget.
enum DriftPace: Sendable {
  case values(halfLife: Double)
  case batches(halfLife: Double)
  case seconds(halfLife: Double)
  case never

  /// The half-life of the slow moments, in half-lives of the running ones.
  static let slowness = 20.0

  init(_ momentum: Momentum) {
    switch momentum {
    case .halfLifeRecords(let records): self = .values(halfLife: records)
    case .halfLifeSeconds(let seconds), .halfLifeEventTime(let seconds):
      self = .seconds(halfLife: seconds)
    case .weight(let weight) where weight < 1: self = .batches(halfLife: -M_LN2 / log1p(-weight))
    // A batch that replaces the moments has a half-life of less than itself.
    case .weight: self = .batches(halfLife: 0.01)
    case .cumulative: self = .never
    }
  }

  /// The half-lives of the running moments in a batch whose values weigh this together.
  func halfLives(ofValues weight: Double, seconds: Double) -> Double {
    switch self {
    case .values(let halfLife): weight / halfLife
    case .batches(let halfLife): 1 / halfLife
    case .seconds(let halfLife): seconds / halfLife
    case .never: 0
    }
  }

  /// The weight of so many half-lives in the slow moments.
  static func slowWeight(ofHalfLives count: Double) -> Double {
    -expm1(-count * (M_LN2 / slowness))
  }
}
