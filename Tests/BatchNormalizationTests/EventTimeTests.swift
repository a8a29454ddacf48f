import Foundation
import Records
import State
import TestSupport
import Testing

@testable import BatchNormalization

/// Running moments whose values weigh less the older they are, by event time.
@Suite struct EventTimeTests {
  private struct Record {
    /// In nanoseconds since 1970.
    var time: Int64
    var values: [Double]
    var weight = 1.0
  }

  private static let halfLife = 600.0

  private static func settings(
    _ change: (inout NormalizationSettings) -> Void = { _ in }
  ) -> NormalizationSettings {
    var settings = NormalizationSettings()
    settings.momentum = .halfLifeEventTime(halfLife)
    settings.clip = nil
    settings.epsilon = .absolute(0)
    change(&settings)
    return settings
  }

  /// Records of three hours, some of them late, with missing values and weights.
  private static func records(_ count: Int, _ seed: UInt64) -> [Record] {
    var random = SeededGenerator(seed: seed)
    let start: Int64 = 1_700_000_000_123_456_789
    return (0..<count).map { index in
      let late = Int.random(in: 0..<8, using: &random) == 0
      let seconds =
        10_800 * Double(index) / Double(count)
        - (late ? Double.random(in: 0..<1800, using: &random) : 0)
      return Record(
        time: start + Int64(seconds * 1e9),
        values: [(0.0, 1.0), (1e6, 30)].map { mean, deviation in
          Int.random(in: 0..<12, using: &random) == 0
            ? .nan : mean + deviation * (random.deviate() + seconds / 3600)
        }, weight: Double(Int.random(in: 0...4, using: &random)) / 4)
    }
  }

  private static func batch(_ records: some Collection<Record>) -> FeatureColumns {
    let records = Array(records)
    var batch = makeBatch((0..<2).map { j in records.map { $0.values[j] } })
    for (index, record) in records.enumerated() {
      var roles = RecordRoles()
      (roles.time, roles.weight) = (record.time, record.weight)
      batch.setRoles(roles, of: index)
    }
    return batch
  }

  private static func run(
    _ records: [Record], batches: Int, _ settings: NormalizationSettings = settings()
  ) throws -> NormalizerRun {
    var run = try makeNormalizer(features: 2, settings)
    for start in stride(from: 0, to: records.count, by: batches) {
      var batch = Self.batch(records[start..<min(start + batches, records.count)])
      _ = try run.normalize(&batch)
    }
    return run
  }

  /// The mean and the variance of one feature by the definition of forward decay, with weights at the newest time.
  private static func oracle(
    _ records: [Record], _ j: Int
  ) -> (weight: Double, mean: Double, variance: Double) {
    let present = records.filter { !$0.values[j].isNaN && $0.weight > 0 }
    guard let newest = records.map(\.time).max(), let origin = present.first?.values[j] else {
      return (0, 0, 0)
    }
    let weights = present.map {
      $0.weight * pow(2, -Double(newest - $0.time) / (1e9 * halfLife))
    }
    let total = weights.reduce(0, +)
    let mean = zip(present, weights).reduce(0) { $0 + $1.1 * ($1.0.values[j] - origin) } / total
    let variance = zip(present, weights).reduce(0) {
      let distance = $1.0.values[j] - origin - mean
      return $0 + $1.1 * distance * distance / total
    }
    return (total, origin + mean, variance)
  }

  private static func expectOracle(
    _ state: StateTable, _ records: [Record], _ comment: Comment,
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    for j in 0..<2 {
      let expected = oracle(records, j)
      let running = state.running
      #expect(
        agree(
          running.mean[j], expected.mean, 1e-12, scale: expected.variance.squareRoot()),
        comment, sourceLocation: sourceLocation)
      // The last digit of a mean of 1e6 is 4e-12 of σ.
      #expect(
        agree(running.variance[j], expected.variance, j == 0 ? 1e-12 : 1e-11), comment,
        sourceLocation: sourceLocation)
    }
  }

  @Test(arguments: [1, 7, 64, 5000])
  func `the moments are those of forward decay, however the records are cut and ordered`(
    batches: Int
  ) throws {
    let seed = testSeed
    let records = Self.records(900, seed)
    let comment: Comment = "batches of \(batches), seed \(seed)"
    Self.expectOracle(try Self.run(records, batches: batches).state, records, comment)
    var random = SeededGenerator(seed: seed)
    let shuffled = records.shuffled(using: &random)
    Self.expectOracle(try Self.run(shuffled, batches: batches).state, records, comment)
    let backwards = Array(records.reversed())
    Self.expectOracle(try Self.run(backwards, batches: batches).state, records, comment)
  }

  @Test func `shards merge to the moments of one run, in any order`() throws {
    let seed = testSeed
    let records = Self.records(1200, seed)
    // Shards of places, whose newest records differ.
    let shards = (0..<4).map { shard in
      records.enumerated().filter { ($0.offset * 7 + $0.offset / 100) % 4 == shard }.map(\.element)
    }
    let states = try shards.map { try Self.run($0, batches: 16).state }
    for order in [[0, 1, 2, 3], [3, 1, 0, 2], [2, 3, 1, 0]] {
      var merged = states[order[0]]
      for shard in order.dropFirst() { try merged.merge(states[shard]) }
      Self.expectOracle(merged, records, "\(order), seed \(seed)")
    }
    // A state that nothing has moved changes nothing.
    var first = states[0]
    try first.merge(freshState(FeatureSchema.unnamed(count: 2)))
    #expect(first.running.mean == states[0].running.mean)
    var empty = try freshState(FeatureSchema.unnamed(count: 2))
    try empty.merge(states[0])
    #expect(empty.running.mean == states[0].running.mean)
    let other = try Self.run(
      records, batches: 64, Self.settings { $0.momentum = .halfLifeEventTime(60) })
    #expect(throws: StateError.self) { try first.merge(other.state) }
  }

  @Test func `a warm-up value is normalised by the decayed values up to it`() throws {
    let seed = testSeed
    let records = Self.records(200, seed)
    for batches in [1, 32, 500] {
      var run = try makeNormalizer(
        features: 2, Self.settings { $0.warmUp.records = StateColumn.countLimit })
      for start in stride(from: 0, to: records.count, by: batches) {
        let end = min(start + batches, records.count)
        var batch = Self.batch(records[start..<end])
        _ = try run.normalize(&batch)
        for index in start..<end {
          for j in 0..<2 where !records[index].values[j].isNaN {
            let found = Self.oracle(Array(records[...index]), j)
            guard found.weight > 0, found.variance > 1e-6 else { continue }
            let expected = (records[index].values[j] - found.mean) / found.variance.squareRoot()
            #expect(
              agree(batch.column(j)[index - start], expected, 1e-8, scale: 1),
              "record \(index), batches of \(batches), seed \(seed)")
          }
        }
      }
    }
  }

  @Test func `values that are far too old weigh nothing, and new ones everything`() throws {
    func record(_ seconds: Double, _ value: Double) -> Record {
      Record(time: Int64(seconds * 1e9), values: [value, value])
    }
    var run = try Self.run([record(1e9, 5), record(1e9 + 1, 7)], batches: 2)
    var old = Self.batch([record(1, 1e9)])
    _ = try run.normalize(&old)
    #expect(agree(run.state.running.mean[0], 6, 1e-3))
    #expect(run.state.running.values == [3, 3])
    var new = Self.batch([record(2e9, 100), record(2e9, 102)])
    _ = try run.normalize(&new)
    #expect(run.state.running.mean == [101, 101] && run.state.running.variance == [1, 1])
    // Records without a time stay in the output of Arrow, and count for nothing.
    let before = run.state.running
    var none = Self.batch([Record(time: RoleNumbers.noTime, values: [1, 1])])
    _ = try run.normalize(&none)
    #expect(run.state.running == before)
  }

  @Test func `moments without a time count as of the first record`() throws {
    var state = try freshState(FeatureSchema.unnamed(count: 2))
    state[real: "running_mean"] = [10, 10]
    state[real: "evenkeel.moments.weight"] = [3, 3]
    state[real: "evenkeel.moments.variance_weight"] = [3, 3]
    var run = try makeNormalizer(features: 2, Self.settings(), state: state)
    var batch = Self.batch([Record(time: 1_000_000_000, values: [14, 14])])
    _ = try run.normalize(&batch)
    #expect(run.state.running.mean == [11, 11])
  }

  @Test func `times of three centuries are decayed, and a checkpoint with others is refused`()
    throws
  {
    let decay = EventDecay(halfLife: Self.halfLife)
    // 1700-01-01 and 2025-01-01; the difference does not fit into an Int64.
    let (early, late): (Int64, Int64) = (-8_520_336_000_000_000_000, 1_735_689_600_000_000_000)
    #expect(decay.factor(fromNanoseconds: early, to: late) == 0)
    #expect(decay.weight(of: early, at: Double(late / 1000)) == 0)
    var state = StateTable(NormalizerColumns.groups, features: try FeatureSchema(["x"]))
    state[real: "evenkeel.moments.time"] = [1e30]
    #expect(throws: StateError.self) { try state.validate() }
  }
}
