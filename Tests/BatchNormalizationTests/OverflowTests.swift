import Records
import Testing

@testable import BatchNormalization

private struct Overflow: CustomTestStringConvertible {
  var quantity: NormalizationError.Quantity
  /// Batches of feature `bad`; the last one is to be refused.
  var batches: [[Double]]
  var weight = 1.0
  var precision = Precision.float64
  var prepare: @Sendable (inout NormalizationSettings) -> Void = { _ in }

  var testDescription: String { "\(quantity), \(batches)" }
}

private let overflows = [
  Overflow(quantity: .batchMean, batches: [[1.7e308, 1.7e308]]),
  Overflow(quantity: .batchMean, batches: [[1, .infinity]]),
  Overflow(quantity: .batchVariance, batches: [[1e200, -1e200]]),
  Overflow(quantity: .runningMean, batches: [[1.7e308, .nan], [-1.7e308, .nan]]) {
    $0.minBatchSize = 1
    $0.mode = .batch
  },
  Overflow(quantity: .runningVariance, batches: [[1e160, .nan], [-1e160, .nan]]) {
    $0.estimator = .total
    $0.mode = .batch
  },
  Overflow(quantity: .scale, batches: [[2, 2]], weight: 1e308) { $0.mode = .batch },
  Overflow(quantity: .shift, batches: [[99, 101]], weight: 1e308) { $0.mode = .renorm },
  Overflow(quantity: .output, batches: [[-1, 5, 5, 5, 5]], weight: 3e38, precision: .float32) {
    $0.mode = .batch
  },
  Overflow(quantity: .output, batches: [[1, .infinity]]) { $0.isFrozen = true },
  Overflow(quantity: .output, batches: [[1, 1e39]], precision: .float32) { $0.isFrozen = true },
]

@Test(arguments: overflows)
private func `A batch that overflows is refused and leaves no trace`(overflow: Overflow) throws {
  var settings = NormalizationSettings.classic
  overflow.prepare(&settings)
  var normalizer = try NormalizerRun(
    settings, state: freshState(["good", "bad", "last"]), outputPrecision: overflow.precision)
  try normalizer.replaceParameters(
    AffineParameters(weight: [1, overflow.weight, 1], bias: [0, 0, 0]))
  let good = { (count: Int) in (0..<count).map { Double($0) } }
  for column in overflow.batches.dropLast() {
    _ = try normalizer.normalized([good(column.count), column, good(column.count)])
  }
  let state = normalizer.state
  let column = try #require(overflow.batches.last)
  var batch = makeBatch([good(column.count), column, good(column.count)])
  let bits = batch.bits
  #expect(throws: NormalizationError.overflow(feature: "bad", quantity: overflow.quantity)) {
    try normalizer.normalize(&batch)
  }
  #expect(normalizer.state == state)
  #expect(batch.bits == bits)
}

@Test func `A batch that fits the output is not refused for what bounds it`() throws {
  var settings = NormalizationSettings.classic
  settings.mode = .batch
  settings.epsilon = .absolute(1e-9)
  var normalizer = try makeNormalizer(settings, precision: .float32)
  try normalizer.replaceParameters(AffineParameters(weight: [2.5e38], bias: [0]))
  // Four deviations of 1: their squares allow for one of 2, which would be 5e38.
  let y = try normalizer.normalized([[-1, -1, 1, 1]])
  expectAgreement(y[0], [-2.5e38, -2.5e38, 2.5e38, 2.5e38], 1e-6)
}

@Test func `A held batch that overflows is refused and leaves no trace`() throws {
  var settings = NormalizationSettings.classic
  settings.clip = 3
  var normalizer = try makeNormalizer(features: 2, settings, precision: .float32)
  try normalizer.replaceParameters(AffineParameters(weight: [1, 3e38], bias: [0, 0]))
  var batch = makeBatch([[9, 9], [2, 2]])
  let (bits, state) = (batch.bits, normalizer.state)
  #expect(throws: NormalizationError.overflow(feature: "f1", quantity: .output)) {
    try normalizer.normalizeHeld(&batch)
  }
  #expect(batch.bits == bits)
  #expect(normalizer.state == state)
}

@Test func `An imputed bias must fit the output`() throws {
  var settings = NormalizationSettings.classic
  settings.imputesMissing = true
  var normalizer = try makeNormalizer(settings, precision: .float32)
  try normalizer.replaceParameters(AffineParameters(weight: [1], bias: [1e39]))
  #expect(throws: NormalizationError.overflow(feature: "f0", quantity: .output)) {
    try normalizer.normalized([[.nan, .nan]])
  }
}

@Test func `A batch of other features is refused`() throws {
  var normalizer = try makeNormalizer(features: 2)
  #expect(throws: NormalizationError.featureCount(of: "batch", expected: 2, found: 1)) {
    try normalizer.normalized([[1, 2]])
  }
}

@Test func `Errors name the feature and say what was expected`() {
  #expect(
    NormalizationError.overflow(feature: "temp", quantity: .batchVariance).description
      == "feature 'temp': the variance of the batch overflows")
  #expect(
    NormalizationError.elapsedSeconds(found: nil).description
      == "half_life.seconds: expected the time since the batch before in seconds, found none")
}
