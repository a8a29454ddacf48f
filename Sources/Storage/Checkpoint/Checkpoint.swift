package import Records

/// The state of a normaliser between two batches: all that is needed to go on from there, or to
/// apply it elsewhere.
///
/// Vectors have length d and the order of `features`. `validate()` says what must hold; files that do
/// not keep to it are neither read nor written.
package struct Checkpoint: Sendable, Equatable {
  package var features: [String]
  /// γ.
  package var weight: [Double]
  /// β.
  package var bias: [Double]
  /// μ, in the unit of the feature.
  package var runningMean: [Double]
  /// σ², in the squared unit of the feature.
  package var runningVariance: [Double]
  /// The batches of the stream.
  package var batchesTracked: Int
  /// The values that moved each feature's mean, and the batches they came in.
  package var values: [Int]
  package var batches: [Int]
  /// The values that moved each feature's variance, and the batches they came in.
  package var varianceValues: [Int]
  package var varianceBatches: [Int]
  /// The values of each feature that were missing, and those that were clipped.
  package var missing: [Int]
  package var clipped: [Int]
  /// The settings of the estimator as text, such as `"momentum": "0.1"`; empty where unknown.
  package var settings: [String: String]
  /// Where in the input the state stands, if that means anything.
  package var position: StreamPosition?
  /// How far the output and the dead letters had come, where they are files.
  package var output: OutputPosition?
  package var deadLetters: OutputPosition?
  /// The settings and the choice of features that a reload gave the state to: what fits of it goes on
  /// with them. What these have moved is their own, and lent to none.
  package var lentTo: [String: String]?

  /// The version of the format that is written; newer ones are refused.
  package static let formatVersion = 1
  /// The highest count that is believed: exact as a Double, and far from overflow as it goes on.
  package static let countLimit = 1 << 53

  /// The state before the first batch: μ = 0, σ² = 1, γ = 1, β = 0, all counts 0.
  package init(features: [String], settings: [String: String] = [:]) {
    let zeros = Array(repeating: 0.0, count: features.count)
    let ones = Array(repeating: 1.0, count: features.count)
    let counts = Array(repeating: 0, count: features.count)
    self.features = features
    weight = ones
    bias = zeros
    runningMean = zeros
    runningVariance = ones
    batchesTracked = 0
    values = counts
    batches = counts
    varianceValues = counts
    varianceBatches = counts
    missing = counts
    clipped = counts
    self.settings = settings
  }
}

extension Checkpoint {
  /// Checks what every checkpoint must be: names that differ, vectors of length d, finite numbers, no
  /// negative variance, and counts from 0 to `countLimit`.
  package func validate() throws(ContentError) {
    do throws(FeatureError) {
      _ = try FeatureSchema(features)
    } catch {
      throw .unexpected(part: "features", expected: "names that differ", found: "\(error)")
    }
    try check("weight", weight, is: "a finite number") { $0.isFinite }
    try check("bias", bias, is: "a finite number") { $0.isFinite }
    try check("running_mean", runningMean, is: "a finite number") { $0.isFinite }
    try check("running_var", runningVariance, is: "a finite number of 0 or more") {
      $0.isFinite && $0 >= 0
    }
    let possible = 0...Self.countLimit
    for (name, counts) in counts { try check(name, counts, is: "0 to 2^53", possible.contains) }
    guard possible.contains(batchesTracked) else {
      throw .unexpected(
        part: "num_batches_tracked", expected: "0 to 2^53", found: "\(batchesTracked)")
    }
    if let position {
      let numbers = [
        position.records, position.byteOffset, position.frameOffset, position.byteOffsetInFrame,
      ]
      guard numbers.allSatisfy(possible.contains) else {
        throw .unexpected(part: "position", expected: "0 to 2^53", found: "\(numbers)")
      }
    }
  }

  /// The counts per feature, by the names they have in files.
  var counts: [(name: String, values: [Int])] {
    [
      ("values", values), ("batches", batches), ("variance_values", varianceValues),
      ("variance_batches", varianceBatches), ("missing", missing), ("clipped", clipped),
    ]
  }

  private func check<Number>(
    _ name: String, _ numbers: [Number], is expected: String, _ isValid: (Number) -> Bool
  ) throws(ContentError) {
    guard numbers.count == features.count else {
      throw .unexpected(
        part: name, expected: "\(features.count) numbers, one a feature", found: "\(numbers.count)")
    }
    for (feature, number) in zip(features, numbers) where !isValid(number) {
      throw .unexpected(
        part: "\(name) of feature \(quoted(feature))", expected: expected, found: "\(number)")
    }
  }
}
