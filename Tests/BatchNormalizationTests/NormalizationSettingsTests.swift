import Testing

@testable import BatchNormalization

private struct Refused: CustomTestStringConvertible {
  var name: String
  var change: @Sendable (inout NormalizationSettings) -> Void

  var testDescription: String { name }
}

private let refused: [Refused] =
  [-1, .nan, .infinity].flatMap { value in
    [
      Refused(name: "epsilon") { $0.epsilon = .absolute(value) },
      Refused(name: "epsilon.relative") { $0.epsilon = .relative(value) },
    ]
  }
  + [0, -0.1, 1.1, .nan].map { value in Refused(name: "momentum") { $0.momentum = .weight(value) } }
  + [0, -1, .nan, .infinity].flatMap { value in
    [
      Refused(name: "half_life.records") { $0.momentum = .halfLifeRecords(value) },
      Refused(name: "half_life.seconds") { $0.momentum = .halfLifeSeconds(value) },
      Refused(name: "clip") { $0.clip = value },
    ]
  }
  + [-1, .nan, .infinity].flatMap { value in
    [
      Refused(name: "variance_floor") { $0.varianceFloor = value },
      Refused(name: "renorm.max_scale") { $0.renormMaxScale = value },
      Refused(name: "renorm.max_shift") { $0.renormMaxShift = value },
    ]
  }
  + [
    Refused(name: "renorm.max_scale") { $0.renormMaxScale = 0.99 },
    Refused(name: "batch.min_size") { $0.minBatchSize = 0 },
    Refused(name: "warm_up.records") { $0.warmUp.records = -1 },
  ]

@Test(arguments: refused)
private func `A setting out of its range is refused by its name`(refused: Refused) throws {
  var settings = NormalizationSettings()
  refused.change(&settings)
  let error = try #require(throws: NormalizationError.self) { try settings.validate() }
  guard case .setting(refused.name, _, _) = error else {
    Issue.record("\(error)")
    return
  }
}

@Test func `The limits of every range are allowed`() {
  var settings = NormalizationSettings()
  #expect(throws: Never.self) { try settings.validate() }
  settings.momentum = .weight(1)
  settings.varianceFloor = 0
  settings.epsilon = .absolute(0)
  settings.renormMaxScale = 1
  settings.renormMaxShift = 0
  settings.minBatchSize = 1
  settings.warmUp.records = 0
  #expect(throws: Never.self) { try settings.validate() }
}

@Test func `The framework presets are their library's row`() throws {
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
  for preset in NormalizationPreset.allCases {
    try NormalizationSettings(preset: preset).validate()
  }
}
