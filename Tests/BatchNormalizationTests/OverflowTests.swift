import Records
import State
import Testing

@testable import BatchNormalization

private struct Overflow: CustomTestStringConvertible {
  /// The quantity that overflows; nil if values do not fit the output.
  var quantity: NormalizationError.Quantity?
  /// The records and values that do not fit the output.
  var unfit: [Int: Double] = [:]
  /// Batches of feature `bad`; the last one is to be refused.
  var batches: [[Double]]
  var weight = 1.0
  var precision = Precision.float64
  var prepare: @Sendable (inout NormalizationSettings) -> Void = { _ in }

  var testDescription: String { "\(error)" }

  var error: NormalizationError {
    let limit =
      precision == .float32
      ? Double(Float.greatestFiniteMagnitude) : Double.greatestFiniteMagnitude
    return quantity.map { .overflow(feature: "bad", quantity: $0) }
      ?? .unfit(
        unfit.sorted { $0.key < $1.key }.map {
          UnfitValue(record: $0.key, feature: "bad", value: $0.value, limit: limit)
        })
  }
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
  Overflow(
    unfit: [0: -1], batches: [[-1, 5, 5, 5, 5]], weight: 3e38, precision: .float32
  ) { $0.mode = .batch },
  Overflow(unfit: [1: .infinity], batches: [[1, .infinity]]) { $0.isFrozen = true },
  Overflow(unfit: [1: 1e39, 2: -1e40], batches: [[1, 1e39, -1e40]], precision: .float32) {
    $0.isFrozen = true
  },
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
  #expect(throws: overflow.error) {
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
  let error = #expect(throws: NormalizationError.self) { try normalizer.normalizeHeld(&batch) }
  #expect(
    error?.description
      == "expected a normalised value of at most 3.4028234663852886e+38 in size in feature 'f1', "
      + "found a greater one, from 2.0; clip or precision: float64 keeps it in range")
  #expect(batch.bits == bits)
  #expect(normalizer.state == state)
}

@Test func `An imputed bias must fit the output`() throws {
  var settings = NormalizationSettings.classic
  settings.imputesMissing = true
  var normalizer = try makeNormalizer(settings, precision: .float32)
  try normalizer.replaceParameters(AffineParameters(weight: [1], bias: [1e39]))
  let error = #expect(throws: NormalizationError.self) {
    try normalizer.normalized([[.nan, .nan]])
  }
  #expect(error?.description.contains("found a greater one, from a missing value") == true)
}

/// The defaults, every preset, and each mode, over values of the greatest size.
@Test func `Moments of values of the greatest size do not overflow`() throws {
  let greatest = FeatureColumns.greatest
  var all = NormalizationPreset.allCases.map { NormalizationSettings(preset: $0) }
  for mode in NormalizationMode.allCases {
    all.append(NormalizationSettings())
    all[all.count - 1].mode = mode
  }
  for settings in all {
    for batch in [[greatest], [greatest, -greatest], [greatest, -greatest, .nan, 0]] {
      var normalizer = try makeNormalizer(settings)
      for sign in [1.0, -1, 1, 1, -1] {
        _ = try normalizer.normalized([batch.map { sign * $0 }])
        try normalizer.state.validate()
      }
    }
  }
}

@Test func `moments above the greatest size are refused`() throws {
  for (column, value) in [("running_mean", -1.1e100), ("running_var", 5e200), ("weight", 1e101)] {
    var state = try freshState(["x"])
    state[real: column] = [value]
    let error = #expect(throws: NormalizationError.self) { try makeNormalizer(state: state) }
    #expect(error?.description.hasPrefix("\(column)[0]: expected a ") == true)
  }
}

@Test func `γ and β above the greatest size are refused`() throws {
  try #expect(AffineParameters(weight: [-1e100], bias: [1e100]).weight == [-1e100])
  let error = #expect(throws: NormalizationError.self) {
    try AffineParameters(weight: [1], bias: [1.1e100])
  }
  #expect(
    error?.description == "bias[0]: expected a number of at most 1e+100 in size, found 1.1e+100")
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
