import Records
import Testing

@testable import BatchNormalization

private struct PyTorchGolden: Decodable {
  struct Case: Decodable {
    var name: String
    var momentum: Double?
    var epsilon: Double
    var precision: String
    var weight: [Double]
    var bias: [Double]
    var batchesTracked: Int
    var steps: [Step]
  }
  struct Step: Decodable {
    var evaluatedBefore: GoldenColumns
    var trained: GoldenColumns
    var runningMean: [Double]
    var runningVariance: [Double]
  }
  var wide: [GoldenColumns]
  var near: [GoldenColumns]
  var cases: [Case]
}

private struct KerasGolden: Decodable {
  struct Step: Decodable {
    var evaluatedBefore: GoldenColumns
    var trained: GoldenColumns
    var renormalised: GoldenColumns
    var runningMean: [Double]
    var runningVariance: [Double]
  }
  var batches: [GoldenColumns]
  var weight: [Double]
  var bias: [Double]
  var renormMaxScale: Double
  var renormMaxShift: Double
  var steps: [Step]
}

private struct ScikitLearnGolden: Decodable {
  struct Step: Decodable {
    var values: [Int]
    var runningMean: [Double]
    var runningVariance: [Double]
    var transformed: GoldenColumns
    /// The outputs without scaling, and without centring.
    var centred: GoldenColumns
    var scaled: GoldenColumns
    /// The outputs in rational arithmetic, rounded once.
    var exact: GoldenColumns
  }
  var batches: [GoldenColumns]
  var steps: [Step]
}

@Test func `PyTorch's BatchNorm1d gives the same outputs and running moments`() throws {
  let golden = try golden("pytorch", as: PyTorchGolden.self)
  #expect(golden.cases.count == 5)
  for each in golden.cases {
    let isWide = each.precision == "float64"
    let precision: Precision = isWide ? .float64 : .float32
    var settings = NormalizationSettings(preset: .pytorch)
    settings.momentum = each.momentum.map { .weight($0) } ?? .cumulative
    #expect(settings.epsilon == .absolute(each.epsilon))
    var training = try makeNormalizer(features: 4, settings, precision: precision)
    try training.replaceParameters(AffineParameters(weight: each.weight, bias: each.bias))
    var running = training
    settings.mode = .batch
    try training.replaceSettings(settings)

    for (k, step) in each.steps.enumerated() {
      let columns = values((isWide ? golden.wide : golden.near)[k])
      let trained = try training.normalized(columns, precision: precision)
      let evaluated = try running.normalized(columns, precision: precision)
      for j in 0..<4 {
        let comment: Comment = "\(each.name), batch \(k), feature \(j)"
        // A 4-byte module rounds to its own width; a value near 0 then has few digits.
        let (tolerance, scale) = isWide ? (1e-9, 0.0) : (1e-6, 1.0)
        expectAgreement(
          trained[j], values(step.trained)[j], tolerance, scale: scale, comment)
        expectAgreement(
          evaluated[j], values(step.evaluatedBefore)[j], tolerance, scale: scale, comment)
      }
      let tolerance = isWide ? 1e-12 : 1e-6
      expectAgreement(training.state.running.mean, step.runningMean, tolerance)
      expectAgreement(training.state.running.variance, step.runningVariance, tolerance)
    }
    #expect(training.state.running == running.state.running)
    #expect(training.state.batchesTracked == each.batchesTracked)
  }
}

@Test func `Keras' BatchNormalization gives the same outputs and moving moments`() throws {
  let golden = try golden("keras", as: KerasGolden.self)
  var settings = NormalizationSettings(preset: .keras)
  settings.renormMaxScale = golden.renormMaxScale
  settings.renormMaxShift = golden.renormMaxShift
  let parameters = try AffineParameters(weight: golden.weight, bias: golden.bias)
  func normalizer(_ mode: NormalizationMode) throws -> NormalizerRun {
    settings.mode = mode
    var normalizer = try makeNormalizer(features: 4, settings)
    try normalizer.replaceParameters(parameters)
    return normalizer
  }
  var training = try normalizer(.batch)
  var running = try normalizer(.running)
  var renorm = try normalizer(.renorm)
  for (k, step) in golden.steps.enumerated() {
    let columns = values(golden.batches[k])
    let trained = try training.normalized(columns)
    let evaluated = try running.normalized(columns)
    let renormalised = try renorm.normalized(columns)
    for j in 0..<4 {
      expectAgreement(trained[j], values(step.trained)[j], 1e-9, "batch \(k), feature \(j)")
      expectAgreement(
        evaluated[j], values(step.evaluatedBefore)[j], 1e-9, "batch \(k), feature \(j)")
      expectAgreement(
        renormalised[j], values(step.renormalised)[j], 1e-9, "batch \(k), feature \(j)")
    }
    expectAgreement(training.state.running.mean, step.runningMean, 1e-12)
    expectAgreement(training.state.running.variance, step.runningVariance, 1e-12)
  }
}

@Test func `Scikit-learn's partial_fit gives the same pooled moments and outputs`() throws {
  let golden = try golden("scikit_learn", as: ScikitLearnGolden.self)
  var normalizer = try makeNormalizer(features: 4, NormalizationSettings(preset: .sklearn))
  for (k, step) in golden.steps.enumerated() {
    let transformed = try normalizer.normalized(values(golden.batches[k]))
    #expect(normalizer.state.running.values == step.values.map(Double.init))
    expectAgreement(normalizer.state.running.mean, step.runningMean, 1e-12)
    expectAgreement(normalizer.state.running.variance, step.runningVariance, 1e-12)
    for j in 0..<4 {
      // A mean of 1e6 can only be kept to half its last place, by scikit-learn too.
      let rounding = step.runningMean[j].ulp / step.runningVariance[j].squareRoot()
      expectAgreement(
        transformed[j], values(step.transformed)[j], 1e-12 + rounding, scale: 1,
        "batch \(k), feature \(j)")
      expectAgreement(
        transformed[j], values(step.exact)[j], 1e-12 + rounding / 2, scale: 1,
        "batch \(k), feature \(j)")
    }
  }
}

@Test func `Scikit-learn gives the same outputs if it only centres or only scales`() throws {
  let golden = try golden("scikit_learn", as: ScikitLearnGolden.self)
  for (parts, expected) in [
    (TransformParts.center, \ScikitLearnGolden.Step.centred), (.scale, \.scaled),
  ] {
    var settings = NormalizationSettings(preset: .sklearn)
    settings.parts = parts
    var normalizer = try makeNormalizer(features: 4, settings)
    for (k, step) in golden.steps.enumerated() {
      let found = try normalizer.normalized(values(golden.batches[k]))
      for j in 0..<4 {
        let rounding = parts == .center ? step.runningMean[j].ulp : 0
        expectAgreement(
          found[j], values(step[keyPath: expected])[j], 1e-12 + rounding, scale: 1,
          "\(parts), batch \(k), feature \(j)")
      }
    }
  }
}
