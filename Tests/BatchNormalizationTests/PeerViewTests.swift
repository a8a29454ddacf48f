import Foundation
import Records
import State
import TestSupport
import Testing

@testable import BatchNormalization

/// Streams that each see the moments of the others normalise as one stream that reads everything.
@Suite struct PeerViewTests {
  private static func settings(
    _ momentum: Momentum, _ change: (inout NormalizationSettings) -> Void = { _ in }
  ) -> NormalizationSettings {
    var settings = NormalizationSettings()
    settings.momentum = momentum
    settings.clip = nil
    change(&settings)
    return settings
  }

  /// Records of a stream whose mean, spread and rate are its own; some lack a value.
  private static func records(
    _ count: Int, of stream: Int, from time: Int, _ random: inout SeededGenerator
  ) -> [KeyedRecord] {
    (0..<count).map { index in
      KeyedRecord(
        values: [0.0, 1e4].map { base in
          random.once(in: 12)
            ? .nan : base + Double(10 * stream) + Double(1 + stream) * random.deviate()
        },
        weight: Double(Int.random(in: 1...4, using: &random)) / 4,
        time: 1_700_000_000 + time + 7 * index - (random.once(in: 9) ? 300 : 0))
    }
  }

  private static func prior() throws -> PriorMoments {
    var state = try freshState(FeatureSchema.unnamed(count: 2))
    state[real: "running_mean"] = [1, 1e4]
    state[real: "running_var"] = [4, 9]
    state[real: "evenkeel.moments.weight"] = [100, 100]
    state[real: "evenkeel.moments.variance_weight"] = [100, 100]
    return PriorMoments(state)
  }

  @Test(arguments: [Momentum.cumulative, .halfLifeEventTime(1200)], [nil, 40.0])
  func `with fresh views the output is that of one stream`(
    momentum: Momentum, prior: Double?
  ) throws {
    var random = SeededGenerator(seed: testSeed)
    let settings = Self.settings(momentum) { $0.prior = prior.map { Prior(values: $0) } }
    func make() throws -> NormalizerRun {
      try makeNormalizer(features: 2, settings, prior: prior == nil ? nil : Self.prior())
    }
    var whole = try make()
    var streams = try (0..<4).map { _ in try make() }
    let columns = NormalizerColumns(in: whole.state)
    for turn in 0..<60 {
      let stream = random.once(in: 3) ? 0 : Int.random(in: 1..<4, using: &random)
      let records = Self.records(
        Int.random(in: 1...25, using: &random), of: stream, from: 100 * turn, &random)
      let others = streams.indices.filter { $0 != stream }.map { streams[$0].state }
      _ = try columns.setView(of: &streams[stream].state, to: others)
      var (one, all) = (
        KeyedRecord.batch(records, timed: true), KeyedRecord.batch(records, timed: true)
      )
      _ = try streams[stream].normalize(&one)
      _ = try whole.normalize(&all)
      for j in 0..<2 {
        expectAgreement(
          one.column(j), all.column(j), 1e-12, scale: 1e4, "seed \(testSeed), \(turn)")
      }
    }
    // The moments of each are those of its own records.
    var sum = streams[0].state
    for other in streams.dropFirst() { try sum.merge(other.state) }
    for j in 0..<2 {
      let (found, expected) = (sum.running, whole.state.running)
      #expect(
        agree(found.mean[j], expected.mean[j], 1e-12, scale: expected.variance[j].squareRoot()))
      #expect(agree(found.variance[j], expected.variance[j], 1e-12, scale: 1e4))
    }
    #expect(sum[real: "evenkeel.view.weight"] == [0, 0])
  }

  @Test func `a stream without records is warm by its view`() throws {
    var random = SeededGenerator(seed: testSeed)
    let settings = Self.settings(.cumulative) { $0.warmUp.emission = .missing }
    var (new, old) = (
      try makeNormalizer(features: 2, settings), try makeNormalizer(features: 2, settings)
    )
    var batch = KeyedRecord.batch(Self.records(200, of: 1, from: 0, &random))
    _ = try old.normalize(&batch)
    let columns = NormalizerColumns(in: old.state)
    batch = makeBatch([[12], [10_012]])
    var copy = batch
    _ = try new.normalize(&copy)
    #expect(copy.column(0)[0].isNaN)
    new = try makeNormalizer(features: 2, settings)
    #expect(try columns.setView(of: &new.state, to: [old.state]))
    #expect(try !columns.setView(of: &new.state, to: [old.state]))
    _ = try new.normalize(&batch)
    #expect(batch.column(0)[0].isFinite && abs(batch.column(0)[0]) < 4)
    // A reset forgets it, and another half-life is refused.
    new.resetMoments()
    #expect(new.state[real: "evenkeel.view.weight"] == [0, 0])
  }

  @Test func `states that do not fit are refused`() throws {
    var state = try freshState(FeatureSchema.unnamed(count: 2))
    let other = try freshState(FeatureSchema.unnamed(count: 3))
    let columns = NormalizerColumns(in: state)
    #expect(throws: StateError.self) { _ = try columns.setView(of: &state, to: [other]) }
    var (hourly, daily) = (state, state)
    for (table, seconds) in [(0, 3600.0), (1, 86_400.0)] {
      var one = try freshState(FeatureSchema.unnamed(count: 2))
      one[real: "evenkeel.moments.half_life"] = [seconds, seconds]
      one[real: "evenkeel.moments.decayed_weight"] = [3, 3]
      one[real: "evenkeel.moments.weight"] = [3, 3]
      if table == 0 { hourly = one } else { daily = one }
    }
    #expect(throws: StateError.self) { _ = try columns.setView(of: &state, to: [hourly, daily]) }
    #expect(state[real: "evenkeel.view.weight"] == [0, 0])
  }
}
