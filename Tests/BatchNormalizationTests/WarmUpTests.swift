import Records
import State
import TestSupport
import Testing

@testable import BatchNormalization

/// The defaults without clipping, so that bounds are those of the formula.
private func unclipped(_ change: (inout NormalizationSettings) -> Void = { _ in })
  -> NormalizationSettings
{
  var settings = NormalizationSettings()
  settings.clip = nil
  change(&settings)
  return settings
}

/// The values of one feature normalised each by all values up to and including it, in plain arithmetic.
private func byPrefixes(_ values: [Double]) -> [Double] {
  values.indices.map { last in
    let seen = values[...last].filter { !$0.isNaN }
    guard !values[last].isNaN else { return .nan }
    let mean = seen.reduce(0, +) / Double(seen.count)
    let variance = seen.map { ($0 - mean) * ($0 - mean) }.reduce(0, +) / Double(seen.count)
    return variance == 0 ? 0 : (values[last] - mean) / (variance * (1 + 1e-5)).squareRoot()
  }
}

@Test(arguments: UInt64(0)..<10)
func `A cold value is normalised by all values up to and including it`(seed: UInt64) throws {
  var random = SeededGenerator(seed: seed)
  let values = random.values(60, mean: 1e3).map {
    Double.random(in: 0..<1, using: &random) < 0.2 ? .nan : $0
  }
  for mode in [NormalizationMode.running, .renorm] {
    var normalizer = try makeNormalizer(unclipped { $0.mode = mode })
    let y = try normalizer.normalized([values])
    expectAgreement(y[0], byPrefixes(values), 1e-9, scale: 1, "seed \(seed)")
  }
}

@Test(arguments: UInt64(0)..<10)
func `Segments change no bit of a warm-up, and no cut ahead changes it either`(seed: UInt64) throws
{
  var random = SeededGenerator(seed: seed)
  let values = random.values(40)
  for emission in [WarmUp.Emission.prefix, .pass, .missing] {
    let settings = unclipped { $0.warmUp.emission = emission }
    var whole = try makeNormalizer(settings)
    let expected = try whole.normalized([values])[0]
    var parts = try makeNormalizer(settings)
    var found: [Double] = []
    var start = 0
    while start < values.count {
      let end = min(start + Int.random(in: 1...9, using: &random), values.count)
      var part = makeBatch([Array(values[start..<end])])
      _ = try parts.normalize(&part, as: .part)
      found += part.column(0)
      start = end
    }
    try parts.absorb(makeBatch([values]))
    #expect(found.map(\.bitPattern) == expected.map(\.bitPattern), "seed \(seed), \(emission)")
    #expect(parts.state == whole.state)
    // The next batch begins with the running moments again.
    #expect(try parts.normalized([[1, 2]])[0][0] == whole.normalized([[1, 2]])[0][0])
  }
}

@Test func `A later batch of a cold feature goes on from its running moments`() throws {
  var random = SeededGenerator(seed: 3)
  let values = random.values(30, mean: 5)
  var inOne = try makeNormalizer(
    unclipped {
      $0.momentum = .cumulative
    })
  var inTwo = inOne
  let expected = try inOne.normalized([values])[0]
  let found =
    try inTwo.normalized([Array(values[..<11])])[0]
    + inTwo.normalized([Array(values[11...])])[0]
  expectAgreement(found, expected, 1e-12, scale: 1)
  // With a half-life the values before weigh a little less than those of the open batch.
  var decaying = try makeNormalizer(unclipped())
  let near =
    try decaying.normalized([Array(values[..<11])])[0]
    + decaying.normalized([Array(values[11...])])[0]
  expectAgreement(near, expected, 0.01, scale: 1)
  #expect(near[20] != expected[20])
}

@Test func `A feature is warm once enough values were seen and its variance is above 0`() throws {
  var normalizer = try makeNormalizer(features: 3, unclipped())
  let rising = (0..<32).map(Double.init)
  let few = (0..<32).map { $0 < 31 ? Double($0) : .nan }
  _ = try normalizer.normalized([rising, few, Array(repeating: 0, count: 32)])
  let running = normalizer.state.running
  let y = try normalizer.normalized([[100], [100], [1]])
  let deviation = (running.variance[0] * (1 + 1e-5)).squareRoot()
  expectAgreement(y[0], [(100 - running.mean[0]) / deviation], 1e-12)
  // One of 32 values that is farther off than all others: x̂ is below its bound, √31.
  #expect(y[1][0] < 31.0.squareRoot())
  #expect(y[1][0] < (100 - running.mean[1]) / running.variance[1].squareRoot())
  // The first 1 of a flag.
  #expect(abs(y[2][0] - 32.0.squareRoot()) < 0.1)
}

@Test func `No cold value is farther from 0 than the root of the number of values`() throws {
  for first in [0.0, 1e-9, 1e6] {
    for jump in [1, 1e-12, -1e50] {
      var normalizer = try makeNormalizer(unclipped())
      for count in 1...40 {
        let x = count == 17 ? first + jump : first
        let y = try normalizer.normalized([[x]])[0][0]
        #expect(abs(y) <= Double(count).squareRoot(), "\(first), \(jump), \(count)")
      }
    }
  }
}

@Test func `Warm-up that passes or hides concerns cold features alone`() throws {
  for emission in [WarmUp.Emission.pass, .missing] {
    let settings = unclipped {
      $0.warmUp.records = 4
      $0.warmUp.emission = emission
    }
    var normalizer = try makeNormalizer(features: 2, settings)
    var first = makeBatch([[1, 2, 3, 4], [5, .nan, 6, .nan]])
    let form: UnnormalizedFeatures.Form = emission == .pass ? .asRead : .missing
    #expect(
      try normalizer.normalize(&first) == .partly(UnnormalizedFeatures([true, true], form)))
    let kept: [[Double]] =
      emission == .pass
      ? [[1, 2, 3, 4], [5, .nan, 6, .nan]]
      : [[.nan, .nan, .nan, .nan], [.nan, .nan, .nan, .nan]]
    for j in 0..<2 { expectAgreement(first.column(j), kept[j], 0) }
    #expect(normalizer.state.running.values == [4, 2] && normalizer.state.missing == [0, 2])
    var second = makeBatch([[2.5, 3], [7, 8]])
    #expect(
      try normalizer.normalize(&second) == .partly(UnnormalizedFeatures([false, true], form)))
    #expect(second.column(0)[0] == 0)
    var third = makeBatch([[1], [2]])
    #expect(try normalizer.normalize(&third) == .normalized)
  }
}

@Test func `Held batches are normalised once enough records came, by the moments that then stand`()
  throws
{
  for mode in [NormalizationMode.running, .renorm] {
    var holding = NormalizationSettings.classic
    holding.mode = mode
    holding.warmUp.records = 5
    holding.warmUp.emission = .hold
    holding.minBatchSize = 3
    var normalizer = try makeNormalizer(holding)
    var first = makeBatch([[1, 2, 3]])
    // Shorter than the least batch, but it must not overtake the first.
    var second = makeBatch([[4, .nan]])
    let bits = second.bits
    #expect(try normalizer.normalize(&first) == .held)
    #expect(normalizer.isHolding)
    #expect(try normalizer.normalize(&second) == .held)
    #expect(!normalizer.isHolding)
    #expect(second.bits == bits)
    #expect(normalizer.state.missing == [1])
    let warm = normalizer.state
    try normalizer.normalizeHeld(&first)
    try normalizer.normalizeHeld(&second)
    #expect(normalizer.state == warm)
    let scale = 1 / (warm.running.variance[0] + 1e-5).squareRoot()
    expectAgreement(
      first.column(0), [1, 2, 3].map { ($0 - warm.running.mean[0]) * scale }, 0)
    expectAgreement(
      second.column(0), [4, .nan].map { ($0 - warm.running.mean[0]) * scale }, 0)
  }
}

@Test func `A relative ε makes the unit of a feature irrelevant, and its denominator may be 0`()
  throws
{
  var random = SeededGenerator(seed: 8)
  let values = random.values(200)
  for scale in [1e-120, 2e-4, 3, 1e90] {
    for mode in NormalizationMode.allCases {
      var normalizer = try makeNormalizer(
        features: 2,
        unclipped {
          $0.mode = mode
        })
      for start in stride(from: 0, to: 200, by: 50) {
        let part = Array(values[start..<start + 50])
        let y = try normalizer.normalized([part, part.map { scale * $0 }])
        expectAgreement(y[1], y[0], 1e-9, scale: 1, "\(scale), \(mode)")
      }
    }
  }
  for mode in NormalizationMode.allCases {
    for epsilon in [Epsilon.relative(1e-5), .relative(0), .absolute(0)] {
      var settings = unclipped {
        $0.mode = mode
        $0.epsilon = epsilon
        $0.isFrozen = true
      }
      settings.clip = 3
      var state = try freshState(["f0"])
      state[real: "running_mean"] = [5]
      state[real: "running_var"] = [0]
      var normalizer = try makeNormalizer(settings, state: state)
      try normalizer.replaceParameters(AffineParameters(weight: [2], bias: [0.5]))
      #expect(try normalizer.normalized([[7, 7, 7]])[0] == [0.5, 0.5, 0.5], "\(mode)")
      if mode == .running {
        #expect(try normalizer.normalized([[-1, 5, 1e99]])[0] == [0.5, 0.5, 0.5])
      }
      #expect(normalizer.state.clipped == [0])
    }
  }
}

@Test func `Moments without the number of their values are refused if a batch would replace them`()
  throws
{
  var state = try freshState(["a", "b"])
  state[real: "running_mean"] = [0, 3]
  state[count: "evenkeel.moments.batches"] = [0, 7]
  state[count: "evenkeel.moments.variance_batches"] = [0, 7]
  func refusal(_ change: (inout NormalizationSettings) -> Void) -> NormalizationError? {
    do throws(NormalizationError) {
      var settings = NormalizationSettings()
      change(&settings)
      _ = try Normalizer(settings: settings, state: state)
      return nil
    } catch {
      return error
    }
  }
  let uncounted = NormalizationError.uncounted(feature: "b")
  #expect(refusal { _ in } == uncounted)
  #expect(refusal { $0.mode = .batch } == uncounted)
  #expect(refusal { $0 = NormalizationSettings(preset: .sklearn) } == uncounted)
  #expect(refusal { $0.isFrozen = true } == nil)
  #expect(refusal { $0 = NormalizationSettings(preset: .pytorch) } == nil)
  #expect(
    refusal {
      $0 = NormalizationSettings(preset: .pytorch)
      $0.warmUp.records = 1
    } == uncounted)
  state[real: "evenkeel.moments.weight"] = [0, 70]
  #expect(refusal { _ in } == nil)
}
