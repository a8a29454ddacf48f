/// The counts of observations by upper bound, as in Prometheus.
package struct Histogram: Sendable, Equatable {
  /// Ascending. An observation counts in the first bucket with a bound that is not less.
  package let bounds: [Double]
  /// One more than `bounds`: the last one counts observations above all bounds. Not cumulative.
  package private(set) var counts: [Int]
  package private(set) var sum = 0.0

  package init(bounds: [Double]) {
    self.bounds = bounds
    counts = Array(repeating: 0, count: bounds.count + 1)
  }

  package mutating func observe(_ value: Double) {
    counts[bounds.firstIndex { value <= $0 } ?? bounds.count] += 1
    sum += value
  }

  /// Adds the observations of another one with the same bounds.
  package mutating func add(_ other: Histogram) {
    for (index, count) in other.counts.enumerated() where counts.indices.contains(index) {
      counts[index] += count
    }
    sum += other.sum
  }

  package var count: Int { counts.reduce(0, +) }
}
