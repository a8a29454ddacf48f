internal import CColumnKernel
internal import Features

// The one Swift file that calls the C loops over columns. Invariants of these:
// - Everything is computed in Double, whatever the column's width.
// - The fold order is fixed: value i of a column goes to lane i mod 8, in order; the eight lanes l
//   fold as ((l0 + l4) + (l2 + l6)) + ((l1 + l5) + (l3 + l7)). So results depend on the values
//   alone, never on alignment, the number of threads or the processor.
// - A missing value is NaN and adds nothing to any lane.

/// What one pass over a column finds.
struct ColumnExtent: Equatable {
  var presentCount = 0
  /// 0 unless moments were asked for.
  var sum = 0.0
  /// The least and greatest present values, or what bounds them; +∞ and −∞ where there is none.
  var minimum = Double.infinity
  var maximum = -Double.infinity
  /// Whether the two are values of the column.
  var isExact = true
}

/// A column's extent, and its moments where they were asked for.
struct ColumnStatistics: Equatable {
  var extent: ColumnExtent
  var moments = Moments()
}

/// The loops for one kind of instructions; all of them give the same bits.
struct ColumnKernel: Sendable {
  let instructions: ColumnInstructions

  /// The fastest that this processor has.
  static let best = ColumnKernel(instructions: column_instructions_best())
}

extension FeatureBatch {
  /// The statistics of every feature; moments cost a second pass.
  ///
  /// - Parameter exactly: whether the extent must be exact. Otherwise the moments bound the values of
  ///   a column that misses none, which saves a third of the time.
  func statistics(
    withMoments: Bool, exactly: Bool = true, _ kernel: ColumnKernel = .best
  ) -> [ColumnStatistics] {
    let instructions = kernel.instructions
    switch columns {
    case .float32(let values):
      return values.withUnsafeBufferPointer { values in
        let loops = Loops<Float>(
          sum: { column_sum_float(instructions, $0, $1) },
          sums: { column_sums_float(instructions, $0, $1, withMoments) },
          deviations: { column_deviations_float(instructions, $0, $1, $2, $3) })
        return statistics(values, loops, withMoments: withMoments, exactly: exactly)
      }
    case .float64(let values):
      return values.withUnsafeBufferPointer { values in
        let loops = Loops<Double>(
          sum: { column_sum_double(instructions, $0, $1) },
          sums: { column_sums_double(instructions, $0, $1, withMoments) },
          deviations: { column_deviations_double(instructions, $0, $1, $2, $3) })
        return statistics(values, loops, withMoments: withMoments, exactly: exactly)
      }
    }
  }

  /// The C loops over columns of one width.
  private struct Loops<Scalar> {
    let sum: (UnsafePointer<Scalar>, Int) -> Double
    let sums: (UnsafePointer<Scalar>, Int) -> ColumnSums
    let deviations: (UnsafePointer<Scalar>, Int, Double, Bool) -> ColumnDeviations
  }

  @inline(__always)
  private func statistics<Scalar>(
    _ values: UnsafeBufferPointer<Scalar>, _ loops: Loops<Scalar>, withMoments: Bool, exactly: Bool
  ) -> [ColumnStatistics] {
    guard let first = values.baseAddress, featureCount * capacity <= values.count else { return [] }
    return (0..<featureCount).map { j in
      let column = first + j * capacity
      var extent = ColumnExtent(presentCount: count, isExact: false)
      extent.sum = withMoments && !exactly ? loops.sum(column, count) : .nan
      if extent.sum.isNaN {
        let found = loops.sums(column, count)
        extent = ColumnExtent(
          presentCount: Int(found.present_count), sum: found.sum, minimum: found.minimum,
          maximum: found.maximum)
      }
      guard withMoments, extent.presentCount > 0 else { return ColumnStatistics(extent: extent) }
      let mean = extent.sum / Double(extent.presentCount)
      let moments = Moments(
        count: extent.presentCount, provisionalMean: mean,
        deviations: loops.deviations(column, count, mean, extent.presentCount < count))
      if !extent.isExact {
        // No square is greater than their sum; the factor is far more than rounding takes.
        let reach = moments.m2.squareRoot() * (1 + 1e-9)
        (extent.minimum, extent.maximum) = (moments.mean - reach, moments.mean + reach)
      }
      return ColumnStatistics(extent: extent, moments: moments)
    }
  }

  /// Replaces every column that has a transform by it; returns how many values of each were clipped.
  mutating func apply(
    _ kernel: ColumnKernel = .best, transform: (_ feature: Int) -> ColumnTransform?
  ) -> [Int] {
    let (shape, instructions) = (Shape(self), kernel.instructions)
    switch columns {
    case .float32:
      return withFloat32Columns { values in
        shape.map(&values, transform) { column_map_float(instructions, $0, $1, $2) }
      }
    case .float64:
      return withFloat64Columns { values in
        shape.map(&values, transform) { column_map_double(instructions, $0, $1, $2) }
      }
    }
  }

  /// The extent of a batch while its columns are out of it.
  private struct Shape {
    let featureCount: Int
    let capacity: Int
    let count: Int

    init(_ batch: FeatureBatch) {
      (featureCount, capacity, count) = (batch.featureCount, batch.capacity, batch.count)
    }

    @inline(__always)
    func map<Scalar>(
      _ values: inout [Scalar], _ transform: (_ feature: Int) -> ColumnTransform?,
      _ map: (UnsafeMutablePointer<Scalar>, Int, ColumnMap) -> Int64
    ) -> [Int] {
      precondition(count <= capacity && featureCount * capacity <= values.count)
      return values.withUnsafeMutableBufferPointer { values in
        (0..<featureCount).map { j in
          guard let first = values.baseAddress, let transform = transform(j) else { return 0 }
          return Int(map(first + j * capacity, count, ColumnMap(transform)))
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
  fileprivate init(count: Int, provisionalMean: Double, deviations: ColumnDeviations) {
    let weight = Double(count)
    // Rounding could take the corrected sum a little below 0. Overflow must stay visible:
    // max(NaN, 0) is NaN.
    let m2 = deviations.squares - deviations.sum * deviations.sum / weight
    self.init(
      weight: weight, mean: provisionalMean + deviations.sum / weight, m2: m2 < 0 ? 0 : m2)
  }
}

extension ColumnMap {
  fileprivate init(_ transform: ColumnTransform) {
    self.init(
      center: transform.center, low: transform.low, high: transform.high, scale: transform.scale,
      shift: transform.shift, fill: transform.fill, has_missing: transform.hasMissing)
  }
}
