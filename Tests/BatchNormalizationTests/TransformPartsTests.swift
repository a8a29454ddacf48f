import Records
import State
import TestSupport
import Testing

@testable import BatchNormalization

/// A transform that only centres or only scales, and the way back.
@Suite struct TransformPartsTests {
  private static let all = [TransformParts.both, .center, .scale]

  private func settings(
    _ parts: TransformParts, _ change: (inout NormalizationSettings) -> Void = { _ in }
  ) -> NormalizationSettings {
    var settings = NormalizationSettings()
    settings.parts = parts
    change(&settings)
    return settings
  }

  /// Values of a mean of 1e6, which a sum of squares around 0 would lose.
  private func values(_ count: Int) -> [Double] {
    var random = SeededGenerator(seed: 15)
    return random.values(count, mean: 1e6, deviation: 2)
  }

  @Test func `each part uses the moments of the whole transform, in warm-up and after it`() throws {
    let values = values(200)
    var whole = try makeNormalizer(settings(.both))
    var centred = try makeNormalizer(settings(.center))
    var scaled = try makeNormalizer(settings(.scale))
    for start in stride(from: 0, to: 200, by: 20) {
      let batch = Array(values[start..<start + 20])
      let both = try whole.normalized([batch])[0]
      let distances = try centred.normalized([batch])[0]
      let quotients = try scaled.normalized([batch])[0]
      for (i, x) in batch.enumerated() where start + i > 1 {
        // σ from the two parts, and the whole from σ.
        let deviation = x / quotients[i]
        #expect(abs(distances[i] / deviation - both[i]) < 1e-8, "record \(start + i)")
      }
    }
    #expect(centred.state == whole.state)
    #expect(scaled.state == whole.state)
  }

  @Test func `clip limits the distance from the mean in deviations, whatever the parts are`() throws
  {
    for parts in Self.all {
      let settings = settings(parts) {
        $0.isFrozen = true
        $0.clip = 3
        $0.epsilon = .absolute(0)
      }
      var state = try freshState(["x"])
      state[real: "running_mean"] = [10]
      state[real: "running_var"] = [4]
      state[real: "evenkeel.moments.weight"] = [100]
      var normalizer = try makeNormalizer(settings, state: state)
      let y = try normalizer.normalized([[10, 12, 17, 3]])[0]
      let expected: [Double] =
        switch parts {
        case .both: [0, 1, 3, -3]
        case .center: [0, 2, 6, -6]
        case .scale: [5, 6, 8, 2]
        }
      #expect(y == expected, "\(parts)")
      #expect(normalizer.state.clipped == [2])
    }
  }

  @Test func `an imputed value is the transform of the mean`() throws {
    for parts in Self.all {
      var normalizer = try makeNormalizer(settings(parts) { $0.imputesMissing = true })
      try normalizer.replaceParameters(AffineParameters(weight: [2], bias: [7]))
      let cold = try normalizer.normalized([[8, 12, .nan]])[0]
      // The mean is 10 and the deviation 2.
      let deviation = (4 * (1 + 1e-5)).squareRoot()
      let x: Double = parts == .scale ? 20 / deviation + 7 : 7
      #expect(agree(cold[2], x, 1e-12), "\(parts): \(cold[2])")
      let values: [Double] = Array(repeating: 9, count: 20) + Array(repeating: 11, count: 20)
      _ = try normalizer.normalized([values])
      let (mean, variance) = (
        normalizer.state.running.mean[0], normalizer.state.running.variance[0]
      )
      let warm = try normalizer.normalized([[.nan, 10]])[0]
      let running = (variance * (1 + 1e-5)).squareRoot()
      let y: Double = parts == .scale ? 2 * mean / running + 7 : 7
      #expect(agree(warm[0], y, 1e-12), "\(parts): \(warm[0])")
    }
  }

  // MARK: The way back

  @Test(arguments: [1.5, -0.25])
  func `the inverse by frozen moments gives the values back`(weight: Double) throws {
    for parts in Self.all {
      var forward = try makeNormalizer(settings(parts))
      _ = try forward.normalized([values(100)])
      try forward.replaceParameters(AffineParameters(weight: [weight], bias: [3]))
      try forward.replaceSettings(settings(parts) { $0.isFrozen = true })
      let x = values(300) + [.nan]
      let y = try forward.normalized([x])[0]
      var back = try makeNormalizer(
        settings(parts) {
          $0.isFrozen = true
          $0.isInverse = true
        }, state: forward.state)
      expectAgreement(try back.normalized([y])[0], x, 1e-13, "\(parts)")
      #expect(back.state.running == forward.state.running)
    }
  }

  @Test func `an inverse that does not exist is refused`() throws {
    func refusal(
      _ settings: NormalizationSettings, mean: Double = 1, variance: Double = 4, weight: Double = 1
    ) throws -> String {
      var state = try freshState(["x"])
      state[real: "running_mean"] = [mean]
      state[real: "running_var"] = [variance]
      state[real: "weight"] = [weight]
      let error = #expect(throws: NormalizationError.self) {
        try makeNormalizer(settings, state: state)
      }
      return error?.description ?? ""
    }
    let inverse = settings(.both) {
      $0.isFrozen = true
      $0.isInverse = true
    }
    let zero =
      "inverse: expected a transform of feature 'x' that can be undone, found a scale of 0, "
      + "by which every value becomes β; exclude it"
    #expect(try refusal(inverse, variance: 0) == zero)
    #expect(try refusal(inverse, weight: 0) == zero)
    #expect(
      try refusal(inverse, mean: 0, variance: 1)
        == "inverse: expected a transform of feature 'x' that can be undone, found no moments; "
        + "give a checkpoint (--checkpoint-in)")
    let other = "inverse: expected frozen moments in mode running"
    #expect(try refusal(settings(.both) { $0.isInverse = true }) == other)
    #expect(
      try refusal(
        settings(.both) {
          $0.isFrozen = true
          $0.isInverse = true
          $0.mode = .batch
        }) == other)
  }

  @Test func `a constant can be undone if it was only centred`() throws {
    var state = try freshState(["x"])
    state[real: "running_mean"] = [5]
    state[real: "running_var"] = [0]
    let settings = settings(.center) {
      $0.isFrozen = true
      $0.isInverse = true
    }
    var normalizer = try makeNormalizer(settings, state: state)
    #expect(try normalizer.normalized([[0, 2]]) == [[5, 7]])
  }
}

/// The preset `online`.
@Test func `The preset for online models gives about the same numbers however the stream is cut`()
  throws
{
  // A trend, which moments that move only between batches would show as a saw-tooth.
  let values = (0..<1024).map { Double($0) }
  let runs = try [1, 7, 32, 256].map { size in
    var normalizer = try makeNormalizer(NormalizationSettings(preset: .online))
    return try stride(from: 0, to: values.count, by: size).flatMap { start in
      try normalizer.normalized([Array(values[start..<min(start + size, values.count)])])[0]
    }
  }
  for run in runs {
    // A value of the open batch weighs 1 and one before it less, which is the whole difference.
    #expect(zip(run, runs[0]).map { abs($0 - $1) }.max() ?? 1 < 0.1)
  }
}
