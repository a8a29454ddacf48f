import CColumnKernel
import Records
import State
import TestSupport
import Testing

@testable import BatchNormalization

private struct DeviationGolden: Decodable {
  struct Batch: Decodable {
    var keys: [String]
    var weights: [Double]
    var values: [[Double?]]
    var judged, away: [Int]

    var records: [KeyedRecord] {
      keys.indices.map { index in
        KeyedRecord(
          key: keys[index], values: values[index].map { $0 ?? .nan }, weight: weights[index])
      }
    }
  }
  var batches: [Batch]
}

/// The keys of a batch that are away from their own moments (Tests/Oracles/make_drift_golden.py).
struct KeyDeviationTests {
  private let golden: DeviationGolden

  init() throws {
    golden = try BatchNormalizationTests.golden("key_deviations", as: DeviationGolden.self)
  }

  @Test func `NumPy counts the same keys`() throws {
    var run = try makeNormalizer(features: 9, keySettings(.cumulative))
    run.countsKeys = true
    for (number, each) in golden.batches.enumerated() {
      var batch = KeyedRecord.batch(each.records)
      _ = try run.normalize(&batch)
      let found = try #require(run.keyDeviations)
      #expect(found.judged == each.judged && found.away == each.away, "batch \(number)")
    }
  }

  @Test func `frozen moments are compared with too, and other features are not`() throws {
    var run = try makeNormalizer(features: 9, keySettings(.cumulative))
    for each in golden.batches.prefix(30) {
      var batch = KeyedRecord.batch(each.records)
      _ = try run.normalize(&batch)
      #expect(run.keyDeviations == nil)
    }
    var settings = run.settings
    settings.isFrozen = true
    settings.key?.features = [FeaturePattern("f1"), FeaturePattern("f3")]
    var frozen = try makeNormalizer(features: 9, settings, state: run.state)
    frozen.countsKeys = true
    // As a live stream does: the records went out before their batch was cut.
    try frozen.absorb(KeyedRecord.batch(golden.batches[30].records))
    let found = try #require(frozen.keyDeviations)
    let expected = golden.batches[30]
    #expect(found.judged == expected.judged.enumerated().map { [1, 3].contains($0) ? $1 : 0 })
    #expect(found.away == expected.away.enumerated().map { [1, 3].contains($0) ? $1 : 0 })
  }

  @Test(arguments: [1, 7, 8, 9, 31], [false, true])
  func `every kind of instructions counts the same keys`(width: Int, isSpread: Bool) throws {
    var random = SeededGenerator(seed: UInt64(width))
    let table = StateTable(
      NormalizerColumns.groups, features: try FeatureSchema(FeatureSchema.unnamed(count: width)))
    var batch = KeyedBatch()
    let records = (0..<40).map { _ in
      KeyedRecord(
        key: "\(Int.random(in: 0..<5, using: &random))",
        values: (0..<width).map { _ in
          isSpread && random.once(in: 5) ? .nan : 2 * random.deviate()
        })
    }
    let columns = KeyedRecord.batch(records)
    batch.gather(try #require(columns.roles.keys), 0..<40, in: KeyIndex(), KeyNames())
    batch.copies.begin(KeyColumns(in: table), table.keyRows.layout, isSpread: isSpread)
    table.keyRows.copy(batch.rows, to: &batch.copies.numbers, isSpread: isSpread)
    for index in batch.copies.numbers.indices {
      batch.copies.numbers[index] = abs(random.deviate()) * (random.once(in: 2) ? 1 : 90)
    }
    batch.takeValues(columns, 0..<40)
    let found = [COLUMN_BASELINE, COLUMN_AVX2, COLUMN_AVX512]
      .filter { $0.rawValue <= column_instructions_best().rawValue }
      .map { batch.deviations(of: batch.numbers, width: width, ColumnKernel(instructions: $0)) }
    #expect(found.allSatisfy { $0 == found[0] } && (width == 1 || found[0].contains { $0 > 0 }))
  }
}
