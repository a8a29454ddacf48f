import Records
import Testing

@testable import BatchNormalization

private struct RiverGolden: Decodable {
  var given: GoldenColumns
  var scaled: GoldenColumns
  var runningMean: [Double]
  var runningVariance: [Double]
}

@Test func `River's StandardScaler gives the same numbers, record by record`() throws {
  let golden = try golden("river", as: RiverGolden.self)
  let (given, scaled) = (values(golden.given), values(golden.scaled))
  var settings = NormalizationSettings(preset: .river)
  settings.minBatchSize = 1
  var normalizer = try makeNormalizer(features: given.count, settings)
  for record in given[0].indices {
    let y = try normalizer.normalized(given.map { [$0[record]] })
    for j in given.indices {
      // Both round differently at a variance that has just begun.
      expectAgreement(y[j], [scaled[j][record]], 1e-12, scale: 1, "record \(record), column \(j)")
    }
  }
  expectAgreement(normalizer.state.running.mean, golden.runningMean, 1e-12, scale: 1e-12)
  expectAgreement(normalizer.state.running.variance, golden.runningVariance, 1e-12)
}
