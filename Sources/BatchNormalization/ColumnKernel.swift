internal import CColumnKernel
internal import Records

// The Swift file that calls the C loops over columns; Keys/KeyKernel.swift calls those over keys. Invariants of these:
// - Everything is computed in Double, whatever the column's width.
// - The fold order is fixed: value i of a column goes to lane i mod 8, in order; the eight lanes l
//   fold as ((l0 + l4) + (l2 + l6)) + ((l1 + l5) + (l3 + l7)). So results depend on the values
//   alone, never on alignment, the number of threads or the processor.
// - A missing value is NaN and adds nothing to any lane.

/// The result of one pass over a column.
struct ColumnExtent: Equatable {
  var presentCount = 0
  /// Of the present values.
  var sum = 0.0
  /// The least and greatest present values, or bounds of them; +∞ and −∞ if there is none.
  var minimum = Double.infinity
  var maximum = -Double.infinity
  /// Whether the two are values of the column.
  var isExact = true
}

/// A column's extent, and its moments if they were asked for.
struct ColumnStatistics: Equatable {
  var extent: ColumnExtent
  var moments = Moments()
  /// The present values with a weight above 0, and the sum of the squares of their weights.
  var counted = 0
  var weightSquares = 0.0

  /// The statistics of values that each weigh 1.
  init(extent: ColumnExtent, moments: Moments = Moments()) {
    self.extent = extent
    self.moments = moments
    counted = extent.presentCount
    weightSquares = Double(counted)
  }
}

/// The loops for one kind of instructions; all of them give the same bits.
struct ColumnKernel: Sendable {
  let instructions: ColumnInstructions

  /// The fastest that this processor has.
  static let best = ColumnKernel(instructions: column_instructions_best())
}

extension FeatureColumns {
  /// The statistics of one feature in some records, all unless told; moments cost a second pass.
  ///
  /// - Parameter exactly: whether the extent must be exact. Otherwise the moments bound the values of
  ///   a column that misses none, which saves a third of the time.
  func statistics(
    of feature: Int, in records: Range<Int>? = nil, withMoments: Bool, exactly: Bool = true,
    _ kernel: ColumnKernel = .best
  ) -> ColumnStatistics {
    let instructions = kernel.instructions
    let records = records ?? 0..<count
    switch values {
    case .float32(let values):
      return statistics(
        of: feature, in: records, values, withMoments: withMoments, exactly: exactly,
        sum: { column_sum_float(instructions, $0, $1) },
        sums: { column_sums_float(instructions, $0, $1) },
        deviations: { column_deviations_float(instructions, $0, $1, $2, $3) })
    case .float64(let values):
      return statistics(
        of: feature, in: records, values, withMoments: withMoments, exactly: exactly,
        sum: { column_sum_double(instructions, $0, $1) },
        sums: { column_sums_double(instructions, $0, $1) },
        deviations: { column_deviations_double(instructions, $0, $1, $2, $3) })
    }
  }

  @inline(__always)
  private func statistics<Scalar>(
    of feature: Int, in records: Range<Int>, _ values: [Scalar], withMoments: Bool, exactly: Bool,
    sum: (UnsafePointer<Scalar>, Int) -> Double,
    sums: (UnsafePointer<Scalar>, Int) -> ColumnSums,
    deviations: (UnsafePointer<Scalar>, Int, Double, Bool) -> ColumnDeviations
  ) -> ColumnStatistics {
    values.withUnsafeBufferPointer { values in
      precondition(records.upperBound <= capacity && (feature + 1) * capacity <= values.count)
      guard let first = values.baseAddress else { return ColumnStatistics(extent: ColumnExtent()) }
      let (column, count) = (first + feature * capacity + records.lowerBound, records.count)
      // The processor does not foresee the columns of a small batch; four ahead, they are there in time.
      let ahead = min(feature + 4, featureCount - 1)
      column_prefetch(first + ahead * capacity + records.lowerBound)
      var extent = ColumnExtent(presentCount: count, isExact: false)
      extent.sum = withMoments && !exactly ? sum(column, count) : .nan
      if extent.sum.isNaN {
        let found = sums(column, count)
        extent = ColumnExtent(
          presentCount: Int(found.present_count), sum: found.sum, minimum: found.minimum,
          maximum: found.maximum)
      }
      guard withMoments, extent.presentCount > 0 else { return ColumnStatistics(extent: extent) }
      let mean = extent.sum / Double(extent.presentCount)
      var moments = Moments(
        weight: Double(extent.presentCount), provisionalMean: mean,
        deviations: deviations(column, count, mean, extent.presentCount < count))
      if moments.mayBeOfOneValue {
        let found = sums(column, count)
        (extent.minimum, extent.maximum) = (found.minimum, found.maximum)
        extent.isExact = true
        if found.minimum == found.maximum {
          moments = Moments(weight: moments.weight, mean: found.minimum, m2: 0)
        }
      }
      if !extent.isExact {
        // No square is greater than their sum; the factor is far more than rounding takes.
        let reach = moments.m2.squareRoot() * (1 + 1e-9)
        (extent.minimum, extent.maximum) = (moments.mean - reach, moments.mean + reach)
      }
      return ColumnStatistics(extent: extent, moments: moments)
    }
  }

  /// The statistics of one feature in some records, of which each counts with its weight in the moments.
  ///
  /// With weights of 1 they are those without weights, to the bit. The extent is exact, and of all present values.
  ///
  /// - Parameters:
  ///   - weights: those of all records from `first` on.
  func weightedStatistics(
    of feature: Int, in records: Range<Int>, _ weights: [Double], from first: Int = 0,
    _ kernel: ColumnKernel = .best
  ) -> ColumnStatistics {
    let instructions = kernel.instructions
    switch values {
    case .float32(let values):
      return weightedStatistics(
        of: feature, in: records, values, weights, from: first,
        sums: { column_sums_float(instructions, $0, $1) },
        weighted: { column_weighted_sums_float(instructions, $0, $1, $2) },
        deviations: { column_weighted_deviations_float(instructions, $0, $1, $2, $3) })
    case .float64(let values):
      return weightedStatistics(
        of: feature, in: records, values, weights, from: first,
        sums: { column_sums_double(instructions, $0, $1) },
        weighted: { column_weighted_sums_double(instructions, $0, $1, $2) },
        deviations: { column_weighted_deviations_double(instructions, $0, $1, $2, $3) })
    }
  }

  @inline(__always)
  private func weightedStatistics<Scalar>(
    of feature: Int, in records: Range<Int>, _ values: [Scalar], _ weights: [Double],
    from first: Int,
    sums: (UnsafePointer<Scalar>, Int) -> ColumnSums,
    weighted: (UnsafePointer<Scalar>, UnsafePointer<Double>, Int) -> ColumnWeightedSums,
    deviations: (UnsafePointer<Scalar>, UnsafePointer<Double>, Int, Double) -> ColumnDeviations
  ) -> ColumnStatistics {
    precondition(records.upperBound <= capacity && (feature + 1) * capacity <= values.count)
    precondition(first <= records.lowerBound && records.upperBound - first <= weights.count)
    return values.withUnsafeBufferPointer { values in
      weights.withUnsafeBufferPointer { weights in
        guard let values = values.baseAddress, let weights = weights.baseAddress else {
          return ColumnStatistics(extent: ColumnExtent())
        }
        let column = values + feature * capacity + records.lowerBound
        let (weight, count) = (weights + (records.lowerBound - first), records.count)
        let all = sums(column, count)
        var statistics = ColumnStatistics(
          extent: ColumnExtent(
            presentCount: Int(all.present_count), sum: all.sum, minimum: all.minimum,
            maximum: all.maximum))
        let found = weighted(column, weight, count)
        statistics.counted = Int(found.counted)
        statistics.weightSquares = found.weight_squares
        guard found.weight > 0 else { return statistics }
        let mean = found.sum / found.weight
        statistics.moments = Moments(
          weight: found.weight, provisionalMean: mean,
          deviations: deviations(column, weight, count, mean))
        if statistics.moments.mayBeOfOneValue, found.minimum == found.maximum {
          statistics.moments = Moments(weight: found.weight, mean: found.minimum, m2: 0)
        }
        return statistics
      }
    }
  }

  /// Replaces every column that has a transform by it in some records, all unless told, and adds to
  /// `clipped` how many values of each were.
  mutating func apply(
    _ kernel: ColumnKernel = .best, to records: Range<Int>? = nil,
    countingClipped clipped: inout [Int], transform: (_ feature: Int) -> ColumnTransform?
  ) {
    let shape = Shape(
      featureCount: featureCount, capacity: capacity, records: records ?? 0..<count)
    let instructions = kernel.instructions
    switch values {
    case .float32:
      withFloat32Columns { values in
        shape.map(&values, &clipped, transform) { column_map_float(instructions, $0, $1, $2) }
      }
    case .float64:
      withFloat64Columns { values in
        shape.map(&values, &clipped, transform) { column_map_double(instructions, $0, $1, $2) }
      }
    }
  }

  /// The extent of a batch while its columns are out of it.
  private struct Shape {
    let featureCount: Int
    let capacity: Int
    let records: Range<Int>

    @inline(__always)
    func map<Scalar>(
      _ values: inout [Scalar], _ clipped: inout [Int],
      _ transform: (_ feature: Int) -> ColumnTransform?,
      _ map: (UnsafeMutablePointer<Scalar>, Int, ColumnMap) -> Int64
    ) {
      precondition(
        records.upperBound <= capacity && featureCount * capacity <= values.count)
      values.withUnsafeMutableBufferPointer { values in
        guard let first = values.baseAddress else { return }
        for j in 0..<featureCount {
          guard let transform = transform(j) else { continue }
          let column = first + j * capacity + records.lowerBound
          let found = map(column, records.count, ColumnMap(transform))
          // Most often none.
          if found > 0 { clipped[j] += Int(found) }
        }
      }
    }
  }
}

extension Moments {
  /// The moments of values whose deviations from a first guess of their mean were summed: these tell
  /// the rounding error of the guess.
  ///
  /// Source: Chan, Golub & LeVeque 1983, "Algorithms for Computing the Sample Variance", the
  /// corrected two-pass algorithm.
  fileprivate init(weight: Double, provisionalMean: Double, deviations: ColumnDeviations) {
    // Rounding could take the corrected sum a little below 0. Overflow must stay visible:
    // max(NaN, 0) is NaN.
    let m2 = deviations.squares - deviations.sum * deviations.sum / weight
    self.init(
      weight: weight, mean: provisionalMean + deviations.sum / weight, m2: m2 < 0 ? 0 : m2)
  }
}

extension Moments {
  /// Whether the deviations are so small beside the mean that rounding alone may have made them: the mean of
  /// up to 2^20 equal values is not exact, and nothing else hides that where ε is relative.
  fileprivate var mayBeOfOneValue: Bool {
    let rounding = 1e-10 * mean
    return m2 <= weight * rounding * rounding
  }
}

extension ColumnMap {
  init(_ transform: ColumnTransform) {
    self.init(
      center: transform.center, low: transform.low, high: transform.high, scale: transform.scale,
      shift: transform.shift, fill: transform.fill, has_missing: transform.hasMissing)
  }
}
