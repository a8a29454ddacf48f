/// Counts of observations by upper bound, as Prometheus has them.
package struct Histogram: Sendable, Equatable {
  /// Ascending; an observation counts in the first bucket whose bound is not below it.
  package let bounds: [Double]
  /// One more than `bounds`: the last counts what is above them all. Not cumulative.
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

  package var count: Int { counts.reduce(0, +) }
}
