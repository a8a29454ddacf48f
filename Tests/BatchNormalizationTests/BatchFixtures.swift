import Records
import State
import TestSupport
import Testing

@testable import BatchNormalization

extension SeededGenerator {
  /// A number of a nearly normal distribution with mean 0 and standard deviation 1: the sum of twelve uniform numbers.
  mutating func deviate() -> Double {
    (0..<12).reduce(-6.0) { sum, _ in sum + Double.random(in: 0..<1, using: &self) }
  }

  mutating func values(_ count: Int, mean: Double = 0, deviation: Double = 1) -> [Double] {
    (0..<count).map { _ in mean + deviation * deviate() }
  }
}

/// A batch of these columns, with room to spare, so that columns do not adjoin.
func makeBatch(_ columns: [[Double]], precision: Precision = .float64) -> FeatureColumns {
  let count = columns.first?.count ?? 0
  var batch = FeatureColumns(
    featureCount: columns.count, capacity: count + 3, precision: precision)
  batch.count = count
  let padded = columns.flatMap { $0 + [7e300, 7e300, 7e300] }
  switch precision {
  case .float32: batch.values = .float32(padded.map { Float($0) })
  case .float64: batch.values = .float64(padded)
  }
  return batch
}

extension FeatureColumns {
  func column(_ j: Int) -> [Double] {
    (0..<count).map { self[record: $0, feature: j] }
  }

  /// Every bit of the columns, spare rows included.
  var bits: [UInt64] {
    switch values {
    case .float32(let values): values.map { UInt64($0.bitPattern) }
    case .float64(let values): values.map(\.bitPattern)
    }
  }
}

extension NormalizationSettings {
  /// The estimator of frameworks, bias-corrected, without warm-up and limit: most tests are about no default.
  static var classic: NormalizationSettings {
    var settings = NormalizationSettings(preset: .pytorch)
    settings.biasCorrection = true
    return settings
  }
}

/// A normaliser with the state of one stream, which plans, checks, transforms and commits batch by batch.
struct NormalizerRun {
  var normalizer: Normalizer
  var state: StateTable
  private var summary: BatchSummary
  private var plan: BatchPlan
  /// Whether the keys are counted that are away from their own moments.
  var countsKeys = false
  private let outputPrecision: Precision

  init(
    _ settings: NormalizationSettings, state: StateTable, prior: PriorMoments? = nil,
    outputPrecision: Precision
  ) throws {
    normalizer = try Normalizer(settings: settings, state: state, prior: prior)
    self.state = state
    self.outputPrecision = outputPrecision
    summary = BatchSummary(featureCount: state.features.count)
    plan = BatchPlan(featureCount: state.features.count)
  }

  var settings: NormalizationSettings { normalizer.settings }
  /// The moments that a limit held in the last plan, by feature.
  var held: [HeldMoments?] { plan.features.map(\.held) }
  /// Those of the last plan.
  var keyDeviations: KeyDeviations? { plan.keyDeviations }
  var isHolding: Bool { normalizer.isHolding(state) }

  mutating func replaceSettings(_ settings: NormalizationSettings) throws {
    try normalizer.replaceSettings(settings, in: state)
  }

  mutating func replaceParameters(_ parameters: AffineParameters) throws {
    try normalizer.replaceParameters(parameters, in: &state)
  }

  mutating func resetMoments() { normalizer.resetMoments(in: &state) }

  mutating func normalize(
    _ batch: inout FeatureColumns, as role: BatchRole = .whole, elapsedSeconds: Double? = nil
  ) throws -> BatchEmission {
    let records = 0..<batch.count
    let needsMoments = normalizer.needsMoments(ofRecords: batch.count, role, state)
    try summary.measure(
      batch, records, withMoments: needsMoments,
      eventHalfLife: settings.momentum.eventHalfLife)
    plan.begin(role, elapsedSeconds: elapsedSeconds)
    if countsKeys { plan.countKeys() }
    try normalizer.plan(summary, state, &plan)
    try plan.validate(
      summary, batch, records, normalizer.schema, outputPrecision: outputPrecision)
    summary.transform(&batch, records, by: plan)
    normalizer.commit(summary, plan, &state)
    return plan.emission
  }

  /// Updates the moments by a batch whose records were emitted before its cut.
  mutating func absorb(_ batch: FeatureColumns, elapsedSeconds: Double? = nil) throws {
    var batch = batch
    _ = try normalize(&batch, as: .emitted, elapsedSeconds: elapsedSeconds)
  }

  /// Normalises a batch that was held.
  mutating func normalizeHeld(_ batch: inout FeatureColumns) throws {
    _ = try normalize(&batch, as: .held)
  }

  /// Normalises one batch of the given columns and returns what became of them.
  mutating func normalized(
    _ columns: [[Double]], elapsedSeconds: Double? = nil, precision: Precision = .float64
  ) throws -> [[Double]] {
    var batch = makeBatch(columns, precision: precision)
    _ = try normalize(&batch, elapsedSeconds: elapsedSeconds)
    return columns.indices.map { batch.column($0) }
  }
}

func makeNormalizer(
  features: Int = 1, _ settings: NormalizationSettings = .classic, precision: Precision = .float64,
  state: StateTable? = nil, prior: PriorMoments? = nil
) throws -> NormalizerRun {
  try NormalizerRun(
    settings, state: state ?? freshState(FeatureSchema.unnamed(count: features)), prior: prior,
    outputPrecision: precision)
}

/// The running moments of a state, apart from all else in it.
struct KeptMoments: Equatable {
  var mean, variance, values, varianceValues: [Double]
  var batches, varianceBatches: [Int]
}

/// The columns of a normaliser by short names.
extension StateTable {
  var running: KeptMoments {
    KeptMoments(
      mean: self[real: "running_mean"], variance: self[real: "running_var"],
      values: self[real: "evenkeel.moments.weight"],
      varianceValues: self[real: "evenkeel.moments.variance_weight"],
      batches: self[count: "evenkeel.moments.batches"],
      varianceBatches: self[count: "evenkeel.moments.variance_batches"])
  }
  var bias: [Double] { self[real: "bias"] }
  var batchesTracked: Int { self[count: "num_batches_tracked"][0] }
  var missing: [Int] { self[count: "evenkeel.values.missing"] }
  var present: [Int] { self[count: "evenkeel.values.present"] }
  var clipped: [Int] { self[count: "evenkeel.values.clipped"] }
}

/// The state of a normaliser before the first batch.
func freshState(_ features: [String]) throws -> StateTable {
  StateTable(NormalizerColumns.groups, features: try FeatureSchema(features))
}

/// The moments of a column by the kernel.
func moments(_ values: [Double]) -> Moments {
  makeBatch([values]).statistics(withMoments: true)[0].moments
}

/// Whether two numbers agree to within `tolerance` of the greater, or of `scale` where that is more.
func agree(_ a: Double, _ b: Double, _ tolerance: Double, scale: Double = 0) -> Bool {
  a == b || abs(a - b) <= tolerance * max(abs(a), abs(b), scale)
}

/// Expects the same numbers, and the same of them missing.
func expectAgreement(
  _ found: [Double], _ expected: [Double], _ tolerance: Double, scale: Double = 0,
  _ comment: Comment? = nil, sourceLocation: SourceLocation = #_sourceLocation
) {
  #expect(found.count == expected.count, comment, sourceLocation: sourceLocation)
  for (index, pair) in zip(found, expected).enumerated() {
    #expect(
      agree(pair.0, pair.1, tolerance, scale: scale) || (pair.0.isNaN && pair.1.isNaN),
      "at \(index): found \(pair.0), expected \(pair.1); \(comment?.rawValue ?? "")",
      sourceLocation: sourceLocation)
  }
}

extension FeatureColumns {
  /// The statistics of every feature.
  func statistics(
    withMoments: Bool, exactly: Bool = true, _ kernel: ColumnKernel = .best
  ) -> [ColumnStatistics] {
    (0..<featureCount).map {
      statistics(of: $0, withMoments: withMoments, exactly: exactly, kernel)
    }
  }

  /// Transforms the columns; returns how many values of each were clipped.
  mutating func apply(
    _ kernel: ColumnKernel = .best, transform: (_ feature: Int) -> ColumnTransform?
  ) -> [Int] {
    var clipped = Array(repeating: 0, count: featureCount)
    apply(kernel, countingClipped: &clipped, transform: transform)
    return clipped
  }
}
