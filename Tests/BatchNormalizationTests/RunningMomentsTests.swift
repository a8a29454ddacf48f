import Records
import State
import TestSupport
import Testing

@testable import BatchNormalization

@Test func `One value moves the mean alone under batch_norm, both moments under total`() throws {
  var settings = NormalizationSettings.classic
  var normalizer = try makeNormalizer(settings)
  _ = try normalizer.normalized([[5, .nan]])
  #expect(normalizer.state.running.mean == [5])
  #expect(normalizer.state.running.variance == [1])
  #expect(normalizer.state.running.batches == [1])
  #expect(normalizer.state.running.values == [1])
  #expect(normalizer.state.running.varianceBatches == [0])
  #expect(normalizer.state.running.varianceValues == [0])

  // The variance's first batch replaces the initial 1, although the mean's was the one before.
  _ = try normalizer.normalized([[6, 10]])
  #expect(normalizer.state.running.variance == [8])
  #expect(normalizer.state.running.varianceBatches == [1])
  #expect(normalizer.state.running.varianceValues == [2])
  #expect(agree(normalizer.state.running.mean[0], (0.9 * 5 + 8) / 1.9, 1e-15))

  settings.variance = .biased
  var biased = try makeNormalizer(settings)
  _ = try biased.normalized([[5, .nan]])
  #expect(biased.state.running.variance == [0])

  settings.variance = .unbiased
  settings.estimator = .total
  var total = try makeNormalizer(settings)
  _ = try total.normalized([[5, .nan]])
  _ = try total.normalized([[7, .nan]])
  let alpha = 0.1 / 0.19
  #expect(total.state.running.varianceBatches == [2])
  #expect(agree(total.state.running.variance[0], alpha * (1 - alpha) * 4, 1e-14))
}

@Test func `A feature with nothing present stands still, and so does its own k`() throws {
  var normalizer = try makeNormalizer(features: 2)
  _ = try normalizer.normalized([[1, 3], [1, 3]])
  let before = normalizer.state.running
  _ = try normalizer.normalized([[.nan, .nan], [5, 9]])
  let after = normalizer.state.running
  #expect(after.mean[0] == before.mean[0])
  #expect(after.variance[0] == before.variance[0])
  #expect(after.batches == [1, 2])
  #expect(after.values == [2, 4])
  #expect(normalizer.state.batchesTracked == 2)
  #expect(normalizer.state.missing == [2, 0])
}

@Test
func `present and missing values are counted alike: in every mode, frozen, and after a reset`()
  throws
{
  for mode in NormalizationMode.allCases {
    var settings = NormalizationSettings()
    settings.mode = mode
    var learning = try makeNormalizer(features: 2, settings)
    _ = try learning.normalized([[1, 3, .nan], [1, 3, 4]])
    settings.isFrozen = true
    var frozen = try makeNormalizer(features: 2, settings, state: learning.state)
    _ = try frozen.normalized([[.nan, .nan, .nan, 5], [1, 3, 4, .nan]])
    #expect(frozen.state.present == [3, 6] && frozen.state.missing == [4, 1])
    frozen.resetMoments()
    _ = try frozen.normalized([[7], [.nan]])
    #expect(frozen.state.present == [4, 6] && frozen.state.missing == [4, 2])
    #expect(frozen.state.running.values == [0, 0])
  }
}

@Test func `Without bias correction the initial moments fade as PyTorch's do`() throws {
  var settings = NormalizationSettings.classic
  settings.biasCorrection = false
  var normalizer = try makeNormalizer(settings)
  _ = try normalizer.normalized([[2, 4]])
  #expect(agree(normalizer.state.running.mean[0], 0.3, 1e-15))
  #expect(agree(normalizer.state.running.variance[0], 1.1, 1e-15))
}

@Test func `Momentum 1 keeps the last batch exactly, however large the one before`() throws {
  for biasCorrection in [false, true] {
    for estimator in VarianceEstimator.allCases {
      var settings = NormalizationSettings.classic
      settings.mode = .batch
      settings.momentum = .weight(1)
      settings.biasCorrection = biasCorrection
      settings.estimator = estimator
      var normalizer = try makeNormalizer(settings)
      _ = try normalizer.normalized([[1.7e308, .nan]])
      // The difference to the mean before overflows, but has no part in the result.
      _ = try normalizer.normalized([[-1.7e308, .nan]])
      #expect(normalizer.state.running.mean == [-1.7e308])
      _ = try normalizer.normalized([[0.25, 0.75]])
      #expect(normalizer.state.running.mean == [0.5])
      #expect(normalizer.state.running.variance == [estimator == .total ? 0.0625 : 0.125])
    }
  }
}

@Test func `A half-life in records halves a batch's weight after that many values`() throws {
  var settings = NormalizationSettings.classic
  settings.momentum = .halfLifeRecords(4)
  settings.biasCorrection = false
  var normalizer = try makeNormalizer(settings)
  _ = try normalizer.normalized([[8, 8, 8, 8]])
  #expect(agree(normalizer.state.running.mean[0], 4, 1e-15))
  // Two values move it less than four: 1 - 2^(-2/4).
  _ = try normalizer.normalized([[8, 8, .nan, .nan]])
  #expect(agree(normalizer.state.running.mean[0], 8 - 4 * 0.5.squareRoot(), 1e-15))
}

@Test func `A half-life in seconds weighs by the time that has passed, and asks for it`() throws {
  var settings = NormalizationSettings.classic
  settings.momentum = .halfLifeSeconds(10)
  settings.biasCorrection = false
  var normalizer = try makeNormalizer(settings)
  _ = try normalizer.normalized([[8, 8]])
  #expect(normalizer.state.running.mean == [8])
  let state = normalizer.state
  for bad in [nil, -1, Double.nan] {
    var batch = makeBatch([[1, 2]])
    #expect(throws: NormalizationError.self) {
      try normalizer.normalize(&batch, elapsedSeconds: bad)
    }
    #expect(batch.bits == makeBatch([[1, 2]]).bits)
  }
  #expect(normalizer.state == state)
  _ = try normalizer.normalized([[4, 4]], elapsedSeconds: 0)
  #expect(normalizer.state.running.mean == [8])
  _ = try normalizer.normalized([[4, 4]], elapsedSeconds: 10)
  #expect(agree(normalizer.state.running.mean[0], 6, 1e-15))
}

@Test(arguments: UInt64(0)..<10)
func `Pooled running moments merged from shards equal one pass`(seed: UInt64) throws {
  var random = SeededGenerator(seed: seed)
  var settings = NormalizationSettings.classic
  settings.momentum = .cumulative
  settings.estimator = .total
  settings.updateFirst = true
  var whole = try makeNormalizer(features: 2, settings)
  var shards = try (0..<4).map { _ in try makeNormalizer(features: 2, settings) }
  for k in 0..<12 {
    let count = Int.random(in: 1...40, using: &random)
    let columns = [
      random.values(count, mean: 10 + Double(k)),
      random.values(count).map { Double.random(in: 0..<1, using: &random) < 0.5 ? .nan : $0 },
    ]
    _ = try whole.normalized(columns)
    _ = try shards[Int.random(in: 0..<3, using: &random)].normalized(columns)
  }
  // The last shard saw nothing.
  shards.shuffle(using: &random)
  var merged = try freshState(["f0", "f1"])
  for shard in shards { try merged.merge(shard.state) }
  #expect(merged.running.values == whole.state.running.values)
  #expect(merged.running.varianceBatches == whole.state.running.varianceBatches)
  #expect(merged.batchesTracked == 12)
  expectAgreement(merged.running.mean, whole.state.running.mean, 1e-13, scale: 1)
  expectAgreement(merged.running.variance, whole.state.running.variance, 1e-13)
}

/// A state with these moments of each of the features `a` and `b`.
private func kept(
  mean: [Double] = [3, -1], variance: [Double] = [2, 1], batches: [Int] = [4, 1],
  values: [Double] = [9, 1], varianceBatches: [Int] = [3, 0], varianceValues: [Double] = [8, 0]
) throws -> StateTable {
  var state = try freshState(["a", "b"])
  state[real: "running_mean"] = mean
  state[real: "running_var"] = variance
  state[count: "evenkeel.moments.batches"] = batches
  state[real: "evenkeel.moments.weight"] = values
  state[count: "evenkeel.moments.variance_batches"] = varianceBatches
  state[real: "evenkeel.moments.variance_weight"] = varianceValues
  return state
}

@Test func `Running moments that nothing has moved are the neutral element of merging`() throws {
  let some = try kept()
  var left = try freshState(["a", "b"])
  try left.merge(some)
  #expect(left == some)
  var right = some
  try right.merge(freshState(["a", "b"]))
  #expect(right == some)
}

@Test func `A merge that overflows is refused by the feature's name`() throws {
  var state = try kept(mean: [0, 1e200], varianceBatches: [1, 1], varianceValues: [2, 2])
  let before = state
  let other = try kept(mean: [0, -1e200], varianceBatches: [1, 1], varianceValues: [2, 2])
  #expect(
    throws: StateError.value(
      "running_var of feature 'b'", expected: "a finite number of 0 or more", found: "inf")
  ) { try state.merge(other) }
  #expect(state == before)
  #expect(throws: StateError.self) { try state.merge(freshState(["a"])) }
}

@Test func `Streams with another γ or β cannot be merged`() throws {
  var state = try kept()
  var other = state
  other[real: "bias"][1] = 5
  #expect(
    throws: StateError.value("bias of feature 'b'", expected: "0.0", found: "5.0")
  ) { try state.merge(other) }
}

@Test func `Kept moments and parameters are taken only whole and finite`() throws {
  func expectRefusal(_ state: StateTable) {
    #expect(throws: StateError.self) { try state.validate() }
  }
  #expect(throws: Never.self) { try kept().validate() }
  expectRefusal(try kept(mean: [0, .nan]))
  expectRefusal(try kept(variance: [1, -1]))
  expectRefusal(try kept(variance: [1, .infinity]))
  expectRefusal(try kept(batches: [1, -1]))
  expectRefusal(try kept(varianceBatches: [1]))
  var state = try freshState(["a", "b"])
  state[count: "evenkeel.values.clipped"] = [0, -1]
  expectRefusal(state)
  #expect(
    throws: NormalizationError.element(
      of: "bias", index: 1, expected: "a number of at most 1e+100 in size", found: "nan")
  ) {
    try AffineParameters(weight: [1, 1], bias: [0, .nan])
  }
  #expect(throws: NormalizationError.featureCount(of: "bias", expected: 2, found: 1)) {
    try AffineParameters(weight: [1, 1], bias: [0])
  }
}

@Test func `Names decide the order of parameters, and without them their number must fit`() throws {
  func arranged(
    _ names: [String]?, _ expected: [String]
  ) throws(NormalizationError) -> AffineParameters {
    try AffineParameters(weight: [1, 2, 3], bias: [4, 5, 6], of: names, arrangedFor: expected)
  }
  #expect(
    try arranged(["a", "b", "c"], ["c", "a"]) == AffineParameters(weight: [3, 1], bias: [6, 4]))
  #expect(
    try arranged(nil, ["x", "y", "z"]) == AffineParameters(weight: [1, 2, 3], bias: [4, 5, 6]))
  #expect(throws: NormalizationError.surplusFeatures(["a"])) {
    try arranged(["a", "b", "a"], ["a", "b"])
  }
  #expect(throws: NormalizationError.absentFeatures(["y", "z"])) {
    try arranged(["a", "b", "c"], ["a", "y", "z"])
  }
  #expect(
    throws: NormalizationError.featureCount(of: "weight and bias", expected: 2, found: 3)
  ) { try arranged(nil, ["x", "y"]) }
  #expect(throws: NormalizationError.featureCount(of: "features", expected: 3, found: 1)) {
    try arranged(["a"], ["a"])
  }
}

@Test func `A vetoed feature keeps its moments and is normalised by them`() throws {
  for updateFirst in [false, true] {
    var settings = NormalizationSettings.classic
    settings.updateFirst = updateFirst
    var state = try freshState(["a", "b"])
    state[count: "num_batches_tracked"] = [1]
    var normalizer = try Normalizer(settings: settings, state: state)
    var batch = makeBatch([[3, 5], [3, 5]])
    var (summary, plan) = (BatchSummary(featureCount: 2), BatchPlan(featureCount: 2))
    try summary.measure(batch, 0..<2, withMoments: true)
    plan.begin(.whole, elapsedSeconds: nil)
    plan.vetoUpdate(of: 0)
    try normalizer.plan(summary, state, &plan)
    summary.transform(&batch, 0..<2, by: plan)
    normalizer.commit(summary, plan, &state)
    #expect(state.running.mean == [0, 4] && state.running.batches == [0, 1])
    #expect(agree(batch.column(0)[0], 3, 1e-5))
    #expect(agree(batch.column(1)[0], updateFirst ? -0.7071 : 3, 1e-4))
    // The veto is for one batch.
    plan.begin(.whole, elapsedSeconds: nil)
    try normalizer.plan(summary, state, &plan)
    normalizer.commit(summary, plan, &state)
    #expect(state.running.batches == [1, 2])
  }
}
