internal import Features

// Loops over one column of a mini-batch. Invariants:
// - Everything is computed in Double, whatever the column's width.
// - The fold order is fixed: value i of a column goes to lane i mod 8, in order; the eight lanes l
//   fold as ((l0 + l4) + (l2 + l6)) + ((l1 + l5) + (l3 + l7)). So results depend on the values
//   alone, never on alignment or the number of threads.
// - A missing value is NaN and adds nothing to any lane.
// - Unsafe pointers stand in this file only: with bounds checks the loops do not vectorise.

/// What one pass over a column finds.
struct ColumnExtent: Equatable {
  var presentCount = 0
  var sum = 0.0
  /// The least and greatest present values; +∞ and −∞ where there is none.
  var minimum = Double.infinity
  var maximum = -Double.infinity
}

/// The widths a column may have; the generic loops are inlined into concrete entry points.
private typealias ColumnScalar = BinaryFloatingPoint & SIMDScalar

/// A column's extent, and its moments where they were asked for.
struct ColumnStatistics: Equatable {
  var extent: ColumnExtent
  var moments = Moments()
}

extension FeatureBatch {
  /// The statistics of every feature; moments cost a second pass.
  func statistics(withMoments: Bool) -> [ColumnStatistics] {
    switch columns {
    case .float32(let values): values.withUnsafeBufferPointer { statistics($0, withMoments) }
    case .float64(let values): values.withUnsafeBufferPointer { statistics($0, withMoments) }
    }
  }

  /// Replaces every column that has a transform by it; returns how many values of each were clipped.
  mutating func apply(_ transforms: [ColumnTransform?]) -> [Int] {
    // The array is taken out of the batch, or it would have two owners and be copied.
    switch columns {
    case .float32(var values):
      columns = .float32([])
      defer { columns = .float32(values) }
      return values.withUnsafeMutableBufferPointer { apply(transforms, $0) }
    case .float64(var values):
      columns = .float64([])
      defer { columns = .float64(values) }
      return values.withUnsafeMutableBufferPointer { apply(transforms, $0) }
    }
  }

  // The concrete entry points: each generic loop is inlined into one for either width.

  @inline(never)
  private func statistics(
    _ values: UnsafeBufferPointer<Float>, _ withMoments: Bool
  ) -> [ColumnStatistics] {
    statisticsOfColumns(values, withMoments)
  }

  @inline(never)
  private func statistics(
    _ values: UnsafeBufferPointer<Double>, _ withMoments: Bool
  ) -> [ColumnStatistics] {
    statisticsOfColumns(values, withMoments)
  }

  @inline(never)
  private func apply(
    _ transforms: [ColumnTransform?], _ values: UnsafeMutableBufferPointer<Float>
  ) -> [Int] {
    applyToColumns(transforms, values)
  }

  @inline(never)
  private func apply(
    _ transforms: [ColumnTransform?], _ values: UnsafeMutableBufferPointer<Double>
  ) -> [Int] {
    applyToColumns(transforms, values)
  }

  @inline(__always)
  private func statisticsOfColumns<Scalar: ColumnScalar>(
    _ values: UnsafeBufferPointer<Scalar>, _ withMoments: Bool
  ) -> [ColumnStatistics] {
    (0..<featureCount).map { j in
      let column = UnsafeBufferPointer(rebasing: values[j * capacity..<j * capacity + count])
      let extent = extentOfColumn(column)
      guard withMoments else { return ColumnStatistics(extent: extent) }
      return ColumnStatistics(extent: extent, moments: momentsOfColumn(column, extent))
    }
  }

  @inline(__always)
  private func applyToColumns<Scalar: ColumnScalar>(
    _ transforms: [ColumnTransform?], _ values: UnsafeMutableBufferPointer<Scalar>
  ) -> [Int] {
    transforms.indices.map { j in
      guard let transform = transforms[j] else { return 0 }
      let column = UnsafeMutableBufferPointer(
        rebasing: values[j * capacity..<j * capacity + count])
      if transform.isPlain {
        applyPlain(transform, column)
        return 0
      }
      return applyClipped(transform, column)
    }
  }
}

@inline(__always)
private func extentOfColumn<Scalar: ColumnScalar>(
  _ column: UnsafeBufferPointer<Scalar>
) -> ColumnExtent {
  let zero = SIMD8<Double>.zero
  var sums = zero
  var minima = SIMD8<Double>(repeating: .infinity)
  var maxima = SIMD8<Double>(repeating: -.infinity)
  var missing = SIMD8<Int64>.zero
  forEachGroup(of: column) { values in
    let absent = values .!= values
    sums += values.replacing(with: zero, where: absent)
    // A comparison with NaN is false, so missing values leave the extremes alone.
    minima.replace(with: values, where: values .< minima)
    maxima.replace(with: values, where: values .> maxima)
    missing.replace(with: missing &+ 1, where: absent)
  }
  let padding = (8 - column.count % 8) % 8
  return ColumnExtent(
    presentCount: column.count + padding - Int(missing.wrappedSum()), sum: fold(sums),
    minimum: minima.min(), maximum: maxima.max())
}

/// The second pass: squared deviations, and the deviations themselves, whose sum is the rounding
/// error of the mean.
///
/// Source: Chan, Golub & LeVeque 1983, "Algorithms for Computing the Sample Variance", the corrected
/// two-pass algorithm.
@inline(__always)
private func momentsOfColumn<Scalar: ColumnScalar>(
  _ column: UnsafeBufferPointer<Scalar>, _ extent: ColumnExtent
) -> Moments {
  guard extent.presentCount > 0 else { return Moments() }
  let zero = SIMD8<Double>.zero
  let count = Double(extent.presentCount)
  let mean = extent.sum / count
  let center = SIMD8(repeating: mean)
  var deviations = zero
  var squares = zero
  forEachGroup(of: column) { values in
    let deviation = (values - center).replacing(with: zero, where: values .!= values)
    deviations += deviation
    squares += deviation * deviation
  }
  let deviation = fold(deviations)
  // Rounding could take the corrected sum a little below 0. Overflow must stay visible: max(NaN, 0)
  // is NaN.
  let m2 = fold(squares) - deviation * deviation / count
  return Moments(weight: count, mean: mean + deviation / count, m2: m2 < 0 ? 0 : m2)
}

@inline(__always)
private func applyPlain<Scalar: ColumnScalar>(
  _ transform: ColumnTransform, _ column: UnsafeMutableBufferPointer<Scalar>
) {
  let center = SIMD8(repeating: transform.center)
  let scale = SIMD8(repeating: transform.scale)
  let shift = SIMD8(repeating: transform.shift)
  replaceGroups(of: column) { values in (values - center) * scale + shift }
}

@inline(__always)
private func applyClipped<Scalar: ColumnScalar>(
  _ transform: ColumnTransform, _ column: UnsafeMutableBufferPointer<Scalar>
) -> Int {
  let center = SIMD8(repeating: transform.center)
  let scale = SIMD8(repeating: transform.scale)
  let shift = SIMD8(repeating: transform.shift)
  let low = SIMD8(repeating: transform.low)
  let high = SIMD8(repeating: transform.high)
  let fill = SIMD8(repeating: transform.fill)
  var clipped = SIMD8<Int64>.zero
  replaceGroups(of: column) { values in
    var deviation = values - center
    let below = deviation .< low
    let above = deviation .> high
    deviation.replace(with: low, where: below)
    deviation.replace(with: high, where: above)
    clipped.replace(with: clipped &+ 1, where: below .| above)
    return (deviation * scale + shift).replacing(with: fill, where: values .!= values)
  }
  return Int(clipped.wrappedSum())
}

/// Visits a column by groups of eight, the last one padded with missing values.
@inline(__always)
private func forEachGroup<Scalar: ColumnScalar>(
  of column: UnsafeBufferPointer<Scalar>, _ visit: (SIMD8<Double>) -> Void
) {
  let bytes = UnsafeRawBufferPointer(column)
  let stride = 8 * MemoryLayout<Scalar>.stride
  let whole = column.count / 8
  for group in 0..<whole {
    visit(
      SIMD8<Double>(
        bytes.loadUnaligned(fromByteOffset: group * stride, as: SIMD8<Scalar>.self)))
  }
  if whole * 8 < column.count {
    visit(rest(of: column, from: whole * 8))
  }
}

/// Replaces a column by groups of eight.
@inline(__always)
private func replaceGroups<Scalar: ColumnScalar>(
  of column: UnsafeMutableBufferPointer<Scalar>, _ replacement: (SIMD8<Double>) -> SIMD8<Double>
) {
  let bytes = UnsafeMutableRawBufferPointer(column)
  let stride = 8 * MemoryLayout<Scalar>.stride
  let whole = column.count / 8
  for group in 0..<whole {
    let values = bytes.loadUnaligned(fromByteOffset: group * stride, as: SIMD8<Scalar>.self)
    bytes.storeBytes(
      of: SIMD8<Scalar>(replacement(SIMD8<Double>(values))), toByteOffset: group * stride,
      as: SIMD8<Scalar>.self)
  }
  if whole * 8 < column.count {
    let values = SIMD8<Scalar>(
      replacement(rest(of: UnsafeBufferPointer(column), from: whole * 8)))
    for index in whole * 8..<column.count {
      column[index] = values[index % 8]
    }
  }
}

@inline(__always)
private func rest<Scalar: ColumnScalar>(
  of column: UnsafeBufferPointer<Scalar>, from start: Int
) -> SIMD8<Double> {
  var values = SIMD8<Double>(repeating: .nan)
  for index in start..<column.count {
    values[index % 8] = Double(column[index])
  }
  return values
}

@inline(__always)
private func fold(_ lanes: SIMD8<Double>) -> Double {
  let four = lanes.lowHalf + lanes.highHalf
  let two = four.lowHalf + four.highHalf
  return two.x + two.y
}
