import CColumnKernel
import Records
import TestSupport
import Testing

@testable import BatchNormalization

/// The loops over columns again, value by value, in the order that is documented.
private struct PlainColumn {
  var values: [Double]

  private func lanes(_ term: (Double) -> Double) -> Double {
    var l = Array(repeating: 0.0, count: 8)
    for (index, value) in values.enumerated() where !value.isNaN { l[index % 8] += term(value) }
    return ((l[0] + l[4]) + (l[2] + l[6])) + ((l[1] + l[5]) + (l[3] + l[7]))
  }

  var statistics: ColumnStatistics {
    let present = values.filter { !$0.isNaN }
    var found = ColumnStatistics(
      extent: ColumnExtent(
        presentCount: present.count, sum: lanes { $0 }, minimum: present.min() ?? .infinity,
        maximum: present.max() ?? -.infinity))
    guard !present.isEmpty else { return found }
    let count = Double(present.count)
    let mean = found.extent.sum / count
    let deviation = lanes { $0 - mean }
    let m2 = lanes { ($0 - mean) * ($0 - mean) } - deviation * deviation / count
    found.moments = Moments(weight: count, mean: mean + deviation / count, m2: m2 < 0 ? 0 : m2)
    return found
  }

  func mapped(_ transform: ColumnTransform) -> (values: [Double], clipped: Int) {
    var clipped = 0
    let mapped = values.map { value -> Double in
      guard !value.isNaN else { return transform.fill }
      let deviation = value - transform.center
      if deviation < transform.low || deviation > transform.high { clipped += 1 }
      return transform(value)
    }
    return (mapped, clipped)
  }
}

@Suite struct ColumnKernelTests {
  static let kernels = [COLUMN_BASELINE, COLUMN_AVX2, COLUMN_AVX512]
    .filter { $0.rawValue <= column_instructions_best().rawValue }
    .map { ColumnKernel(instructions: $0) }

  /// Columns of one length, with and without missing values, of values that do not sum exactly.
  private static func columns(_ count: Int, seed: UInt64) -> [[Double]] {
    var random = SeededGenerator(seed: seed)
    return [0.0, 0.1, 0.9, 1].map { missing in
      random.values(count, mean: 3e3).map { value in
        Double.random(in: 0..<1, using: &random) < missing ? .nan : Double(Float(value))
      }
    }
  }

  @Test(arguments: [Precision.float32, .float64])
  func `every processor's loops find the bits that plain ones find`(precision: Precision) {
    for count in Array(0...33) + [255, 256, 1000] {
      let columns = Self.columns(count, seed: UInt64(count))
      let batch = makeBatch(columns, precision: precision)
      let expected = columns.map { PlainColumn(values: $0).statistics }
      for kernel in Self.kernels {
        #expect(
          batch.statistics(withMoments: true, kernel) == expected,
          "\(kernel.instructions), \(count) values")
      }
    }
  }

  @Test(arguments: [Precision.float32, .float64])
  func `moments bound the values of a column that misses none`(precision: Precision) {
    for count in [1, 2, 7, 8, 9, 31, 256] {
      for column in Self.columns(count, seed: UInt64(count)) + [Array(repeating: 1e9, count: count)]
      {
        let batch = makeBatch([column], precision: precision)
        for kernel in Self.kernels {
          let exact = batch.statistics(withMoments: true, kernel)[0]
          let bounded = batch.statistics(withMoments: true, exactly: false, kernel)[0]
          let comment: Comment = "\(kernel.instructions), \(count) values"
          #expect(bounded.moments == exact.moments, comment)
          #expect(bounded.extent.presentCount == exact.extent.presentCount, comment)
          let isConstant = bounded.moments.m2 == 0
          #expect(
            bounded.extent.isExact == (isConstant || column.contains { $0.isNaN }), comment)
          #expect(bounded.extent.minimum <= exact.extent.minimum, comment)
          #expect(bounded.extent.maximum >= exact.extent.maximum, comment)
        }
      }
    }
  }

  @Test(arguments: [Precision.float32, .float64])
  func `every processor's loops write the bits that plain ones write`(precision: Precision) {
    var clip = NormalizationSettings.classic
    clip.clip = 0.5
    var impute = NormalizationSettings.classic
    impute.imputesMissing = true
    for settings in [NormalizationSettings.classic, clip, impute] {
      let transform = ColumnTransform(
        mean: 2999.7, variance: 1.7, weight: 0.3, bias: -0.1, settings: settings)
      for count in Array(0...33) + [255, 256, 1000] {
        let columns = Self.columns(count, seed: UInt64(count))
        let expected = columns.map { PlainColumn(values: $0).mapped(transform) }
        for kernel in Self.kernels {
          var batch = makeBatch(columns, precision: precision)
          let clipped = batch.apply(kernel) { _ in transform }
          #expect(clipped == expected.map(\.clipped), "\(kernel.instructions), \(count) values")
          for (j, column) in expected.enumerated() {
            let written = column.values.map {
              precision == .float32 ? Double(Float($0)) : $0
            }
            // A NaN is missing, with any bits.
            #expect(
              zip(batch.column(j), written).allSatisfy {
                $0.bitPattern == $1.bitPattern || $0.isNaN && $1.isNaN
              }, "\(kernel.instructions), \(count) values, column \(j)")
          }
        }
      }
    }
  }

  @Test func `a column without a transform stays as it is`() {
    var batch = makeBatch([[1, 2], [3, 4]])
    #expect(batch.apply { _ in nil } == [0, 0])
    #expect(batch.column(0) == [1, 2])
    #expect(batch.column(1) == [3, 4])
  }

  @Test func `a missing value that stays so keeps its bits`() {
    let bits: [UInt32] = [0x7FC0_0001, 0xFFC0_1234, 0x7F80_0001, 0xFFA0_0000]
    for kernel in Self.kernels {
      // In whole groups of eight, and after them.
      var batch = FeatureColumns(featureCount: 1, capacity: 12, precision: .float32)
      batch.values = .float32((0..<12).map { Float(bitPattern: bits[$0 % 4]) })
      batch.count = 12
      _ = batch.apply(kernel) { _ in
        ColumnTransform(mean: 1, variance: 2, weight: 3, bias: 4, settings: .init())
      }
      #expect(batch.bits.prefix(12) == (0..<12).map { UInt64(bits[$0 % 4]) }[...])
    }
  }
}
