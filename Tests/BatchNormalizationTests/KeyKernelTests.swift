import CColumnKernel
import Records
import TestSupport
import Testing

@testable import BatchNormalization

/// The loops over keys: the same bits from all instructions, for rows of every length.
struct KeyKernelTests {
  private static let kernels = [COLUMN_BASELINE, COLUMN_AVX2, COLUMN_AVX512]
    .filter { $0.rawValue <= column_instructions_best().rawValue }
    .map { ColumnKernel(instructions: $0) }

  @Test(arguments: [1, 7, 8, 9, 31])
  func `every kind of instructions gives the same bits`(width: Int) throws {
    var settings = NormalizationSettings()
    settings.clip = 3
    settings.varianceFloor = 0.1
    var results: [[UInt64]] = []
    for kernel in Self.kernels {
      var random = SeededGenerator(seed: UInt64(width))
      var moments = KeyMoments()
      moments.weights = Array(repeating: 0, count: 2 * width)
      moments.means = moments.weights
      moments.variances = moments.weights
      for _ in 0..<20 {
        let row = (0..<width).map { _ in random.once(in: 5) ? .nan : random.deviate() }
        moments.add(row, weight: 0.5, keeping: 0.9, to: 1, kernel)
      }
      var whole = KeyMoments()
      whole.means = random.values(width)
      whole.weights = whole.means
      whole.variances = random.values(width).map { $0 * $0 }
      var keys = KeyedBatch()
      let records = KeyedRecord.batch(["a", "b"].map { KeyedRecord(key: $0, values: [0]) })
      // Key a has row 1, and key b has none.
      let names = try #require(records.roles.keys)
      keys.gather(names, 0..<2) { _, name in name.elementsEqual("a".utf8) ? 1 : nil }
      keys.gammas = random.values(width)
      keys.plan(
        table: moments, factors: [1, .nan], whole: whole, prior: 2, settings, kernel)
      results.append(
        (moments.weights + moments.means + moments.variances + keys.means[..<width]
          + keys.reaches[..<width] + keys.scales[..<width]).map(\.bitPattern))
      // The first row has no values, and the second key has no say.
      let isUntouched = moments.weights.prefix(width).allSatisfy { $0 == 0 }
      let isMoved = moments.weights.dropFirst(width).allSatisfy { 0 < $0 && $0 < 5 }
      let isLeftOut = keys.scales.dropFirst(width).allSatisfy { $0.isNaN }
      #expect(isUntouched && isMoved && isLeftOut)
    }
    for result in results { #expect(result == results[0]) }
  }
}
