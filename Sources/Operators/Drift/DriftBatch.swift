internal import BatchNormalization

/// The moments of a batch, and shares of its values, as columns for the loops over charts.
///
/// Its memory is used again for the next batch.
struct DriftBatch: Sendable {
  /// The columns, one after another: a number for each feature.
  enum Column: Int {
    /// The moments of the batch, and its weight in slow moments.
    case weight, mean, squares, slowWeight
    /// A share as a number, NaN for none; the weight of its values, and the weight in slow moments.
    case share, shareWeight, shareSlowWeight
  }

  private(set) var features = 0
  private(set) var numbers: [Double] = []
  /// The charts of each feature that the loops have left; 0 between two calls.
  var left: [UInt8] = []
  private var slow = SlowWeight()
  private var shares = ShareNumbers()

  private static let columnCount = 7

  func number(_ column: Column, of feature: Int) -> Double {
    numbers[column.rawValue * features + feature]
  }

  func moments(of feature: Int) -> Moments {
    Moments(
      weight: number(.weight, of: feature), mean: number(.mean, of: feature),
      m2: number(.squares, of: feature))
  }

  /// Takes the moments of a batch.
  ///
  /// - Parameter seconds: the time since the batch before.
  mutating func take(_ summaries: [FeatureSummary], _ pace: DriftPace, seconds: Double) {
    let count = summaries.count
    if features != count {
      features = count
      numbers = Array(repeating: 0, count: Self.columnCount * count)
      left = Array(repeating: 0, count: count)
    }
    Self.fill(&numbers, summaries, &slow) { pace.halfLives(ofValues: $0, seconds: seconds) }
  }

  private static func fill(
    _ numbers: inout [Double], _ summaries: [FeatureSummary], _ slow: inout SlowWeight,
    halfLives: (Double) -> Double
  ) {
    let count = summaries.count
    var (weight, slowWeight) = (0.0, 0.0)
    var span = numbers.mutableSpan
    for j in summaries.indices {
      let moments = summaries[j].moments
      if moments.weight != weight {
        weight = moments.weight
        slowWeight = slow.weight(ofHalfLives: halfLives(weight))
      }
      span[j] = moments.weight
      span[count + j] = moments.mean
      span[2 * count + j] = moments.m2
      span[3 * count + j] = slowWeight
    }
  }

  /// Forgets the values of a feature, which its open pool has taken in.
  mutating func forget(_ feature: Int) { numbers[Column.weight.rawValue * features + feature] = 0 }

  /// The weight of a pool in slow moments.
  mutating func slowWeight(ofHalfLives count: Double) -> Double { slow.weight(ofHalfLives: count) }

  /// Sets the share of a feature: of `count` values in a pool; nil for none.
  mutating func setShare(_ count: Int?, _ pool: DriftFullPool, of feature: Int) {
    let value = count.map { shares.value($0, of: pool.weight) } ?? .nan
    let features = features
    var span = numbers.mutableSpan
    span[4 * features + feature] = value
    span[5 * features + feature] = pool.weight
    span[6 * features + feature] = pool.slowWeight
  }
}

/// The weights of pools in slow moments. Those of late are kept: most features have as many values as others.
struct SlowWeight: Sendable {
  private var halfLives = Array(repeating: 0.0, count: 64)
  private var weights = Array(repeating: 0.0, count: 64)

  mutating func weight(ofHalfLives count: Double) -> Double {
    let place = Int((count.bitPattern &* 0x9e37_79b9_7f4a_7c15) >> 58)
    if halfLives[place] != count {
      halfLives[place] = count
      weights[place] = DriftPace.slowWeight(ofHalfLives: count)
    }
    return weights[place]
  }
}

/// The shares of values as numbers (`DriftShare`). Those of late are kept: most counts are the same again.
struct ShareNumbers: Sendable {
  private struct Entry {
    var count = -1
    var total = 0.0
    var value = 0.0
  }
  private var entries = Array(repeating: Entry(), count: 256)

  mutating func value(_ count: Int, of total: Double) -> Double {
    let place = (count &* 31 &+ Int(min(total, 1e15))) & 255
    if entries[place].count != count || entries[place].total != total {
      entries[place] = Entry(
        count: count, total: total, value: DriftShare.value(count, of: total))
    }
    return entries[place].value
  }
}
