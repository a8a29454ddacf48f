import Records
import TestSupport
import Testing

@testable import BatchNormalization

private func settings(_ mode: NormalizationMode) -> NormalizationSettings {
  var settings = NormalizationSettings.classic
  settings.mode = mode
  return settings
}

@Test func `Mode running uses the moments from before the batch, or after it if told`() throws {
  var running = settings(.running)
  var before = try makeNormalizer(running)
  let (first, second) = (1 / (1 + 1e-5).squareRoot(), 1 / (2 + 1e-5).squareRoot())
  expectAgreement(try before.normalized([[2, 4]])[0], [2 * first, 4 * first], 1e-15)
  expectAgreement(try before.normalized([[3, 7]])[0], [0, 4 * second], 1e-15)

  running.updateFirst = true
  var after = try makeNormalizer(running)
  expectAgreement(try after.normalized([[2, 4]])[0], [-second, second], 1e-15)
}

@Test func `A short batch uses the running moments in modes batch and renorm, and updates them`()
  throws
{
  for mode in [NormalizationMode.batch, .renorm] {
    var short = settings(mode)
    short.minBatchSize = 3
    var normalizer = try makeNormalizer(short)
    let scale = 1 / (1 + 1e-5).squareRoot()
    #expect(try normalizer.normalized([[2, 4]]) == [[2 * scale, 4 * scale]])
    #expect(normalizer.state.running.mean == [3])
    #expect(normalizer.state.batchesTracked == 1)
  }
  var running = settings(.running)
  running.minBatchSize = 3
  running.updateFirst = true
  var normalizer = try makeNormalizer(running)
  let y = try normalizer.normalized([[2, 4]])
  #expect(y[0][0] < 0)
}

@Test func `Frozen moments stand still, and warm-up does not apply to them`() throws {
  for mode in NormalizationMode.allCases {
    var frozen = settings(mode)
    frozen.warmUp.records = 5
    frozen.warmUp.emission = .pass
    frozen.isFrozen = true
    var normalizer = try makeNormalizer(frozen)
    let before = normalizer.state
    #expect(!normalizer.isHolding)
    let y = try normalizer.normalized([[3, 5]])
    #expect(normalizer.state.running == before.running && normalizer.state.present == [2])
    let scale = 1 / (1 + 1e-5).squareRoot()
    switch mode {
    case .running: #expect(y == [[3 * scale, 5 * scale]])
    case .batch: #expect(y == [[-scale, scale]])
    case .renorm: #expect(y != [[3, 5]])
    }
    _ = try normalizer.normalized([[.nan, 5]])
    #expect(normalizer.state.missing == [1])

    frozen.isFrozen = false
    try normalizer.replaceSettings(frozen)
    _ = try normalizer.normalized([[3, 5]])
    #expect(normalizer.state.running.mean == [4])
  }
}

@Test func `A constant feature gives exactly its bias in every mode`() throws {
  for constant in [0.1, -3, 1e-300, 1e15 + 0.3, 1_700_000_000.123] {
    for mode in NormalizationMode.allCases {
      for estimator in VarianceEstimator.allCases {
        var constantly = settings(mode)
        constantly.estimator = estimator
        constantly.warmUp.records = 1
        var normalizer = try makeNormalizer(constantly)
        try normalizer.replaceParameters(AffineParameters(weight: [3], bias: [0.7]))
        for count in [256, 7, 100, 31] {
          let y = try normalizer.normalized([Array(repeating: constant, count: count)])
          #expect(y == [Array(repeating: 0.7, count: count)], "\(constant), \(mode)")
        }
      }
    }
  }
}

@Test func `A missing value stays missing, or becomes the bias if imputed`() throws {
  for mode in NormalizationMode.allCases {
    var imputing = settings(mode)
    var keeping = try makeNormalizer(features: 2, imputing)
    imputing.imputesMissing = true
    var filling = try makeNormalizer(features: 2, imputing)
    let parameters = try AffineParameters(weight: [2, 2], bias: [-4, 0.5])
    try keeping.replaceParameters(parameters)
    try filling.replaceParameters(parameters)
    let columns = [[1, .nan, 6], [.nan, .nan, .nan]]
    let kept = try keeping.normalized(columns)
    let filled = try filling.normalized(columns)
    #expect(kept[0][1].isNaN)
    #expect(kept[1].allSatisfy { $0.isNaN })
    #expect(filled == [[kept[0][0], -4, kept[0][2]], [0.5, 0.5, 0.5]])
    #expect(keeping.state.missing == [1, 3])
    #expect(filling.state.missing == [1, 3])
  }
}

@Test func `Clipping limits x̂ and counts what it limited`() throws {
  for mode in NormalizationMode.allCases {
    var clipping = settings(mode)
    clipping.clip = 1.5
    var normalizer = try makeNormalizer(features: 2, clipping)
    try normalizer.replaceParameters(AffineParameters(weight: [2, -2], bias: [10, 10]))
    clipping.clip = nil
    var free = try makeNormalizer(features: 2, clipping)
    try free.replaceParameters(AffineParameters(weight: [2, -2], bias: [10, 10]))
    for column in [
      [0, 0.5, -0.5, 0.25, .nan, -0.25, 0, 0, 0, 90], [8, 9, 9.5, 10, 2, 3, 4],
      [0, 1, 0, -1, 0, 1, 0, -700, 0, 2, 3],
    ] {
      let clippedBefore = normalizer.state.clipped
      let y = try normalizer.normalized([column, column])
      let unclipped = try free.normalized([column, column])
      for j in 0..<2 {
        let limited = unclipped[j].map { min(max($0, 7), 13) }
        expectAgreement(
          y[j], zip(limited, unclipped[j]).map { $1.isNaN ? .nan : $0 }, 1e-14, "\(mode)")
        #expect(
          normalizer.state.clipped[j] - clippedBefore[j]
            == unclipped[j].count { abs($0 - 10) > 3 })
      }
    }
    #expect(normalizer.state.clipped[0] > 0)
    #expect(free.state.clipped == [0, 0])
    #expect(normalizer.state.running == free.state.running)
  }
}

@Test func `The variance floor is the least variance that normalises`() throws {
  for mode in NormalizationMode.allCases {
    var floored = settings(mode)
    floored.varianceFloor = 4
    floored.updateFirst = true
    var normalizer = try makeNormalizer(floored)
    let y = try normalizer.normalized([[-0.5, 0.5]])
    expectAgreement(y[0], [-0.5, 0.5].map { $0 / (4 + 1e-5).squareRoot() }, 1e-15)
    #expect(normalizer.state.running.variance == [0.5])
    let wide = try normalizer.normalized([[-50, 50]])
    #expect(abs(wide[0][0]) < 20)
  }
}

@Test func `An empty batch changes nothing`() throws {
  var normalizer = try makeNormalizer(features: 2)
  let before = normalizer.state
  var batch = FeatureColumns(featureCount: 2, capacity: 4, precision: .float32)
  _ = try normalizer.normalize(&batch)
  #expect(normalizer.state == before)
}

@Test func `Settings, parameters and moments are replaced between batches`() throws {
  var normalizer = try makeNormalizer(settings(.batch))
  _ = try normalizer.normalized([[1, 3, .nan]])
  try normalizer.replaceParameters(AffineParameters(weight: [0], bias: [9]))
  #expect(try normalizer.normalized([[1, 3]]) == [[9, 9]])
  #expect(throws: NormalizationError.featureCount(of: "weight", expected: 1, found: 2)) {
    try normalizer.replaceParameters(AffineParameters(identity: 2))
  }
  var others = settings(.batch)
  others.epsilon = .absolute(3)
  try normalizer.replaceSettings(others)
  #expect(normalizer.settings == others)
  #expect(normalizer.state.batchesTracked == 2)
  normalizer.resetMoments()
  #expect(try normalizer.state.running == freshState(["f0"]).running)
  #expect(normalizer.state.batchesTracked == 0)
  #expect(normalizer.state.bias == [9])
  #expect(normalizer.state.missing == [1])
}

@Test func `A normaliser goes on from a kept state as if it had never stopped`() throws {
  var random = SeededGenerator(seed: 11)
  var through = try makeNormalizer(features: 2)
  var resumed = through
  for _ in 0..<6 {
    let columns = [random.values(20, mean: 4), random.values(20)]
    let y = try through.normalized(columns)
    resumed = try makeNormalizer(features: 2, state: resumed.state)
    #expect(try resumed.normalized(columns) == y)
  }
  #expect(resumed.state == through.state)
}
