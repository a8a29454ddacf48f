// A batch of a key that has not moved is away in one of 22 batches, if means are normal.

/// How many keys of a batch are away from their own moments before it, for each feature.
///
/// The n values of a key have the mean m. The key is away if |m − μ| > 2 σ √(1/n + 1/N), where N is the weight of its
/// moments. A key with N below 32, or without a deviation, is not judged.
package struct KeyDeviations: Sendable, Equatable {
  /// The least N.
  static let leastWeight = 32.0
  /// In standard errors.
  static let reach = 2.0

  package let judged: [Int]
  package let away: [Int]
}

extension KeyedBatch {
  /// Counts the keys that are away.
  ///
  /// - Parameters:
  ///   - weights: those of all records of the block, if they have some. Records of weight 0 count for nothing.
  ///   - isByKey: whether keys have moments of a feature.
  mutating func countAway(
    _ records: Range<Int>, weights: [Double]?, isByKey: [Bool], _ kernel: ColumnKernel = .best
  ) {
    let width = isByKey.count
    var counted = numbers
    if let weights {
      for (offset, record) in records.enumerated() where weights[record] == 0 {
        counted[offset] = -1
      }
    }
    let found = deviations(of: counted, width: width, kernel)
    let (judged, away) = (found.prefix(width), found.dropFirst(width))
    deviations = KeyDeviations(
      judged: zip(judged, isByKey).map { $1 ? Int($0) : 0 },
      away: zip(away, isByKey).map { $1 ? Int($0) : 0 })
  }
}
