import Testing

@testable import BatchNormalization

private struct PandasGolden: Decodable {
  struct Moments: Decodable {
    var mean: [Double?]
    var variance: [Double?]
  }
  var values: [Double?]
  var gaps: [Double?]
  var elapsedSeconds: [Double]
  var alpha: Moments
  var smallAlpha: Moments
  var alphaGaps: Moments
  var halfLife: Moments
  var halfLifeGaps: Moments
  var halfLifeSeconds: [Double?]
  var batchSizes: [Int]
  var batchMeans: [Double]
  var batchVariances: [Double]
}

/// The running moments after each record, one record a batch; nil while nothing was seen.
private func traced(
  _ values: [Double?], _ momentum: Momentum, elapsedSeconds: [Double]? = nil
) throws -> [(mean: Double, variance: Double)?] {
  var settings = NormalizationSettings.classic
  settings.momentum = momentum
  settings.estimator = .total
  var normalizer = try makeNormalizer(settings)
  return try values.enumerated().map { k, value in
    _ = try normalizer.normalized([[value ?? .nan]], elapsedSeconds: elapsedSeconds?[k])
    let running = normalizer.state.running
    return running.values[0] == 0 ? nil : (running.mean[0], running.variance[0])
  }
}

@Test(arguments: ["alpha", "smallAlpha", "alphaGaps", "halfLife", "halfLifeGaps"])
func `Pandas' adjusted exponential weights give the same mean and total variance`(
  name: String
) throws {
  let golden = try golden("pandas", as: PandasGolden.self)
  let (values, momentum, expected): ([Double?], Momentum, PandasGolden.Moments) =
    switch name {
    case "alpha": (golden.values, .weight(0.1), golden.alpha)
    case "smallAlpha": (golden.values, .weight(1e-9), golden.smallAlpha)
    case "alphaGaps": (golden.gaps, .weight(0.1), golden.alphaGaps)
    case "halfLife": (golden.values, .halfLifeRecords(12.5), golden.halfLife)
    default: (golden.gaps, .halfLifeRecords(12.5), golden.halfLifeGaps)
    }
  for (k, found) in try traced(values, momentum).enumerated() {
    #expect((found == nil) == (expected.mean[k] == nil))
    guard let found, let mean = expected.mean[k], let variance = expected.variance[k] else {
      continue
    }
    #expect(agree(found.mean, mean, 1e-12), "record \(k)")
    #expect(agree(found.variance, variance, 1e-9), "record \(k)")
  }
}

@Test func `Pandas' half-life in time gives the same mean`() throws {
  let golden = try golden("pandas", as: PandasGolden.self)
  let found = try traced(
    golden.values, .halfLifeSeconds(7), elapsedSeconds: golden.elapsedSeconds)
  expectAgreement(
    found.map { $0?.mean ?? .nan }, golden.halfLifeSeconds.map { $0 ?? .nan }, 1e-12)
}

@Test func `Corrected momentum weighs whole batches as pandas weighs their moments`() throws {
  let golden = try golden("pandas", as: PandasGolden.self)
  var settings = NormalizationSettings.classic
  settings.momentum = .weight(0.3)
  var normalizer = try makeNormalizer(settings)
  var start = 0
  for (k, size) in golden.batchSizes.enumerated() {
    _ = try normalizer.normalized([golden.values[start..<start + size].map { $0 ?? .nan }])
    start += size
    #expect(agree(normalizer.state.running.mean[0], golden.batchMeans[k], 1e-12))
    #expect(agree(normalizer.state.running.variance[0], golden.batchVariances[k], 1e-12))
  }
}
