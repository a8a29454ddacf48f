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

/// The open pools of all features, as columns out of the table.
struct DriftPools {
  private var weights, means, squares, halfLives, times: [Double]
  private var firstBatches, firstRecords: [Int]

  init(_ columns: DriftColumns, of state: borrowing StateTable) {
    weights = state[columns.weight]
    means = state[columns.poolMean]
    squares = state[columns.m2]
    halfLives = state[columns.halfLives]
    times = state[columns.poolSeconds]
    firstBatches = state[columns.poolBatch]
    firstRecords = state[columns.poolRecord]
  }

  init(_ columns: DriftColumns, taking state: inout StateTable) {
    weights = state.take(columns.weight)
    means = state.take(columns.poolMean)
    squares = state.take(columns.m2)
    halfLives = state.take(columns.halfLives)
    times = state.take(columns.poolSeconds)
    firstBatches = state.take(columns.poolBatch)
    firstRecords = state.take(columns.poolRecord)
  }

  consuming func put(in state: inout StateTable, _ columns: DriftColumns) {
    state.put(weights, in: columns.weight)
    state.put(means, in: columns.poolMean)
    state.put(squares, in: columns.m2)
    state.put(halfLives, in: columns.halfLives)
    state.put(times, in: columns.poolSeconds)
    state.put(firstBatches, in: columns.poolBatch)
    state.put(firstRecords, in: columns.poolRecord)
  }

  /// Whether the pool of a feature has no batch yet.
  func isEmpty(_ feature: Int) -> Bool { weights[feature] == 0 }

  subscript(feature: Int) -> DriftPool {
    get {
      DriftPool(
        moments: Moments(weight: weights[feature], mean: means[feature], m2: squares[feature]),
        halfLives: halfLives[feature],
        start: DriftPlace(
          batch: firstBatches[feature], record: firstRecords[feature], seconds: times[feature]))
    }
    set {
      weights[feature] = newValue.moments.weight
      means[feature] = newValue.moments.mean
      squares[feature] = newValue.moments.m2
      halfLives[feature] = newValue.halfLives
      firstBatches[feature] = newValue.start.batch
      firstRecords[feature] = newValue.start.record
      times[feature] = newValue.start.seconds
    }
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
