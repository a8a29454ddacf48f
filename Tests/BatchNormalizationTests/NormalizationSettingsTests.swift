import Testing

@testable import BatchNormalization

@Test func `The framework presets are their library's row`() {
  var expected = NormalizationSettings()
  expected.momentum = .weight(0.1)
  expected.epsilon = .absolute(1e-5)
  expected.estimator = .batchNorm
  expected.biasCorrection = false
  expected.warmUp.records = 0
  expected.clip = nil
  #expect(NormalizationSettings(preset: .pytorch) == expected)
  expected.momentum = .weight(0.01)
  expected.epsilon = .absolute(1e-3)
  expected.variance = .biased
  #expect(NormalizationSettings(preset: .keras) == expected)
}
