import CColumnKernel
import Records
import State
import TestSupport
import Testing

@testable import BatchNormalization

/// The loops over keys: the same bits from all instructions, for rows of every length.
struct KeyKernelTests {
  private static let kernels = [COLUMN_BASELINE, COLUMN_AVX2, COLUMN_AVX512]
    .filter { $0.rawValue <= column_instructions_best().rawValue }
    .map { ColumnKernel(instructions: $0) }

  @Test(arguments: [1, 7, 8, 9, 31], [false, true])
  func `every kind of instructions gives the same bits`(width: Int, isSpread: Bool) throws {
    try expectSameBits(width: width, isSpread: isSpread, isLimited: false)
    try expectSameBits(width: width, isSpread: isSpread, isLimited: true)
  }

  private func expectSameBits(width: Int, isSpread: Bool, isLimited: Bool) throws {
    var settings = NormalizationSettings()
    settings.clip = 3
    settings.varianceFloor = 0.1
    var results: [[UInt64]] = []
    for kernel in Self.kernels {
      var random = SeededGenerator(seed: UInt64(width))
      let table = StateTable(
        NormalizerColumns.groups,
        features: try FeatureSchema(FeatureSchema.unnamed(count: width)))
      var batch = KeyedBatch()
      // Key a has row 1, and key b has none.
      let keys = (0..<20).map { _ in random.once(in: 3) ? "b" : "a" }
      let records = KeyedRecord.batch(
        keys.map { key in
          KeyedRecord(
            key: key,
            values: (0..<width).map { _ in
              isSpread && random.once(in: 5) ? .nan : random.deviate()
            })
        })
      batch.gather(try #require(records.roles.keys), 0..<20, in: KeyIndex(), KeyNames())
      batch.gammas = random.values(width)
      batch.copies.begin(KeyColumns(in: table), table.keyRows.layout, isSpread: isSpread)
      table.keyRows.copy([-1, -1], to: &batch.copies.numbers, isSpread: isSpread)
      batch.takeValues(records, 0..<20, kernel)
      for (record, number) in batch.numbers.enumerated() {
        batch.add(record, weight: 0.5, keeping: 0.9, to: Int(number), kernel)
      }
      var whole = WholeMoments(
        means: random.values(width), variances: random.values(width).map { $0 * $0 })
      for feature in 0..<width where isLimited {
        let (mean, variance) = (whole.means[feature], whole.variances[feature])
        whole.append(
          feature % 4 == 3
            ? nil : MomentBounds(mean: mean - 0.1...mean + 0.1, variance: variance / 2...variance))
      }
      let first = Int(batch.numbers[0])
      batch.plan(
        factors: first == 0 ? [1, .nan] : [.nan, 1], whole: whole, prior: 2, settings, kernel)
      var columns = records
      var plans = Array(repeating: FeaturePlan(), count: width)
      for feature in 0..<width {
        plans[feature].isByKey = feature != 2
        plans[feature].transform = ColumnTransform(
          mean: whole.means[feature], variance: whole.variances[feature], weight: 1, bias: 0.5,
          settings: settings)
      }
      var clipped = Array(repeating: 0, count: width)
      columns.apply(
        batch, plans, to: 0..<20, isCentred: true, countingClipped: &clipped, kernel)
      var bits = batch.copies.numbers.map(\.bitPattern)
      for transforms in [batch.means, batch.reaches, batch.scales] {
        bits += transforms.dropFirst(first * width).prefix(width).map(\.bitPattern)
      }
      for feature in 0..<width {
        for record in 0..<20 {
          let (x, y) = (
            records[record: record, feature: feature], columns[record: record, feature: feature]
          )
          bits.append(y.bitPattern)
          if feature == 2 || x.isNaN { #expect(x.bitPattern == y.bitPattern) }
        }
      }
      results.append(bits + clipped.map { UInt64($0) })
      // The second key has no say.
      let other = batch.scales.dropFirst((1 - first) * width).prefix(width)
      let isLeftOut = other.allSatisfy { $0.isNaN }
      #expect(isLeftOut && !batch.scales[first * width].isNaN)
    }
    for result in results { #expect(result == results[0]) }
  }
}
