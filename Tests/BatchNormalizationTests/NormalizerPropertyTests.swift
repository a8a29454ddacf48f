import Records
import TestSupport
import Testing

@testable import BatchNormalization

@Test(arguments: UInt64(0)..<20)
func `Batch mode is invariant to scale and offset`(seed: UInt64) throws {
  var random = SeededGenerator(seed: seed)
  var settings = NormalizationSettings.classic
  settings.mode = .batch
  settings.epsilon = .absolute(1e-12)
  let values = random.values(64)
  let scale = Double.random(in: 0.1...1000, using: &random)
  let offset = Double.random(in: -1000...1000, using: &random)
  var normalizer = try makeNormalizer(features: 2, settings)
  let y = try normalizer.normalized([values, values.map { scale * $0 + offset }])
  expectAgreement(y[1], y[0], 1e-9, scale: 1)
}

@Test(arguments: UInt64(0)..<20)
func `The folded scale and offset of the running moments give the same outputs`(
  seed: UInt64
) throws {
  var random = SeededGenerator(seed: seed)
  var normalizer = try makeNormalizer()
  let parameters = try AffineParameters(
    weight: random.values(1), bias: random.values(1, mean: 5))
  try normalizer.replaceParameters(parameters)
  for _ in 0..<5 {
    _ = try normalizer.normalized([random.values(30, mean: 12, deviation: 4)])
  }
  let running = normalizer.state.running
  let scale = parameters.weight[0] / (running.variance[0] + 1e-5).squareRoot()
  let offset = parameters.bias[0] - scale * running.mean[0]
  let values = random.values(30, mean: 12, deviation: 4)
  expectAgreement(
    try normalizer.normalized([values])[0], values.map { scale * $0 + offset },
    1e-13,
    scale: 1)
}

@Test(arguments: UInt64(0)..<40)
func `Renormalisation follows its formula, within and beyond the bounds of r and d`(
  seed: UInt64
) throws {
  var random = SeededGenerator(seed: seed)
  var settings = NormalizationSettings.classic
  settings.mode = .renorm
  settings.renormMaxScale = 1.5
  settings.renormMaxShift = 0.5
  settings.momentum = .weight(0.5)
  var normalizer = try makeNormalizer(settings)
  try normalizer.replaceParameters(AffineParameters(weight: [1.25], bias: [-3]))
  _ = try normalizer.normalized([random.values(50)])
  for k in 0..<6 {
    let drift = Double(k) * Double.random(in: -0.4...0.4, using: &random)
    let values = random.values(
      50, mean: drift, deviation: Double.random(in: 0.3...3, using: &random))
    let running = normalizer.state.running
    let y = try normalizer.normalized([values])[0]

    let mean = values.reduce(0, +) / 50
    let variance = values.map { ($0 - mean) * ($0 - mean) }.reduce(0, +) / 50
    let batchDeviation = (variance + 1e-5).squareRoot()
    let deviation = (running.variance[0] + 1e-5).squareRoot()
    let r = max(1 / 1.5, min(1.5, batchDeviation / deviation))
    let d = max(-0.5, min(0.5, (mean - running.mean[0]) / deviation))
    expectAgreement(
      y, values.map { 1.25 * (($0 - mean) / batchDeviation * r + d) - 3 }, 1e-12, scale: 1)
  }
}

@Test func `Unbounded renormalisation equals running moments, bounded to nothing batch moments`()
  throws
{
  var random = SeededGenerator(seed: 3)
  var settings = NormalizationSettings.classic
  var running = try makeNormalizer(settings)
  settings.mode = .batch
  var batch = try makeNormalizer(settings)
  settings.mode = .renorm
  settings.renormMaxScale = 1e6
  settings.renormMaxShift = 1e6
  var unbounded = try makeNormalizer(settings)
  settings.renormMaxScale = 1
  settings.renormMaxShift = 0
  var bounded = try makeNormalizer(settings)
  for k in 0..<5 {
    let values = random.values(40, mean: Double(k), deviation: 2)
    expectAgreement(
      try unbounded.normalized([values])[0], try running.normalized([values])[0], 1e-12, scale: 1)
    #expect(try bounded.normalized([values]) == batch.normalized([values]))
  }
}

@Test(arguments: UInt64(0)..<10, NormalizationMode.allCases)
func `Float and Double columns give the same outputs to within their width`(
  seed: UInt64, mode: NormalizationMode
) throws {
  var random = SeededGenerator(seed: seed)
  var settings = NormalizationSettings.classic
  settings.mode = mode
  settings.clip = seed.isMultiple(of: 2) ? 1.5 : nil
  settings.imputesMissing = seed.isMultiple(of: 3)
  var wide = try makeNormalizer(features: 3, settings)
  var narrow = try makeNormalizer(features: 3, settings, precision: .float32)
  for _ in 0..<4 {
    let columns = (0..<3).map { _ in
      random.values(29, mean: 50).map { $0 > 51 ? .nan : Double(Float($0)) }
    }
    let y = try wide.normalized(columns)
    let rounded = try narrow.normalized(columns, precision: .float32)
    for j in 0..<3 {
      expectAgreement(rounded[j], y[j].map { Double(Float($0)) }, 0)
    }
  }
  #expect(narrow.state == wide.state)
}

@Test(arguments: UInt64(0)..<10)
func `A large offset with a tiny deviation keeps its digits through the running moments`(
  seed: UInt64
) throws {
  var random = SeededGenerator(seed: seed)
  var settings = NormalizationSettings.classic
  settings.estimator = .total
  // By the initial moments, a value of 1e9 would have lost its digits.
  settings.warmUp.records = 1
  var far = try makeNormalizer(settings)
  var near = try makeNormalizer(settings)
  for _ in 0..<20 {
    let values = random.values(64).map { 1e9 + $0 }
    let y = try far.normalized([values])[0]
    let expected = try near.normalized([values.map { $0 - 1e9 }])[0]
    // The running mean itself is rounded to 1.2e-7.
    expectAgreement(y, expected, 1e-6, scale: 1)
  }
  #expect(agree(far.state.running.variance[0], near.state.running.variance[0], 1e-6))
}

@Test func `The columns beyond the count and between two columns are never touched`() throws {
  for precision in Precision.allCases {
    var normalizer = try makeNormalizer(features: 2, precision: .float32)
    var batch = FeatureColumns(featureCount: 2, capacity: 20, precision: precision)
    batch.count = 13
    switch precision {
    case .float32: batch.values = .float32((0..<40).map { Float($0) })
    case .float64: batch.values = .float64((0..<40).map { Double($0) })
    }
    let before = batch.bits
    _ = try normalizer.normalize(&batch)
    for j in 0..<2 {
      #expect(batch.bits[j * 20 + 13..<j * 20 + 20] == before[j * 20 + 13..<j * 20 + 20])
    }
    #expect(batch.bits != before)
  }
}
