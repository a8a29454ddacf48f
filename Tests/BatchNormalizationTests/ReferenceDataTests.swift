import Testing

@testable import BatchNormalization

private struct NISTGolden: Decodable {
  struct DataSet: Decodable {
    var name: String
    var values: [Double]
    var certifiedMean: Double?
    var certifiedDeviation: Double?
    var exactMean: Double
    var exactDeviation: Double
  }
  var sets: [DataSet]
}

@Test func `NIST's univariate data sets give the exact moments, in one batch and in many`() throws {
  let sets = try golden("nist", as: NISTGolden.self).sets
  #expect(sets.count == 9)
  for set in sets {
    var settings = NormalizationSettings.classic
    var whole = try makeNormalizer(settings)
    _ = try whole.normalized([set.values])
    #expect(agree(whole.state.running.mean[0], set.exactMean, 4e-16), "\(set.name)")
    let deviation = whole.state.running.variance[0].squareRoot()
    #expect(agree(deviation, set.exactDeviation, 1e-14), "\(set.name): \(deviation)")
    if let mean = set.certifiedMean, let certified = set.certifiedDeviation {
      #expect(agree(whole.state.running.mean[0], mean, 1e-14), "\(set.name)")
      // The decimals 10000000.1 and .3 are not doubles; reading them costs NumAcc4 eight digits.
      #expect(agree(deviation, certified, 1e-8), "\(set.name): \(deviation)")
    }

    settings.momentum = .cumulative
    settings.estimator = .total
    var parts = try makeNormalizer(settings)
    for start in stride(from: 0, to: set.values.count, by: 7) {
      _ = try parts.normalized([Array(set.values[start..<min(start + 7, set.values.count)])])
    }
    let n = Double(set.values.count)
    let pooled = (parts.state.running.variance[0] * n / (n - 1)).squareRoot()
    #expect(agree(parts.state.running.mean[0], set.exactMean, 1e-15), "\(set.name)")
    #expect(agree(pooled, set.exactDeviation, 1e-8), "\(set.name): \(pooled)")
  }
}
