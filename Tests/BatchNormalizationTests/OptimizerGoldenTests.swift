import Testing

@testable import BatchNormalization

/// Made by Tests/Oracles/make_optimizer_golden.py.
private struct OptimizerGolden: Decodable {
  struct Step: Decodable {
    var weight: [Double]
    var bias: [Double]
  }
  var weight: [Double]
  var bias: [Double]
  /// The steps from one entry to the next.
  var every: Int
  var cases: [String: [Step]]
}

/// An optimizer with the other settings of its case.
private struct OptimizerCase {
  var optimizer: AffineOptimizer
  var rate = LearningRate(0.01)
  var clipNorm: Double?
}

private let optimizerCases: [String: OptimizerCase] = [
  "sgd": .init(optimizer: AffineOptimizer(.sgd())),
  "sgd, momentum": .init(optimizer: AffineOptimizer(.sgd(momentum: 0.9))),
  "sgd, nesterov": .init(optimizer: AffineOptimizer(.sgd(momentum: 0.9, isNesterov: true))),
  "sgd, decay": .init(optimizer: AffineOptimizer(.sgd(momentum: 0.5), weightDecay: 0.05)),
  "sgd, schedule": .init(
    optimizer: AffineOptimizer(.sgd(momentum: 0.9)),
    rate: LearningRate(
      0.02, changes: [.init(0.5, afterSteps: 300), .init(0.25, afterSteps: 600)])),
  "adam": .init(optimizer: AffineOptimizer(.adam())),
  "adam, decay": .init(optimizer: AffineOptimizer(.adam(), weightDecay: 0.05)),
  "adam, other betas": .init(
    optimizer: AffineOptimizer(.adam(meanDecay: 0.4, squareDecay: 0.99, epsilon: 1e-3)),
    rate: LearningRate(0.005)),
  "adam, clipped": .init(optimizer: AffineOptimizer(.adam()), clipNorm: 2),
  "adamw": .init(optimizer: AffineOptimizer(.adam(decaysApart: true), weightDecay: 0.01)),
  "adamw, decay": .init(optimizer: AffineOptimizer(.adam(decaysApart: true), weightDecay: 0.1)),
]

/// The recorded gradients of a step of γ (kind 0) or β (kind 1), as the oracle makes them.
private func recordedGradients(_ step: Int, kind: Int) -> [Double] {
  var size = 0.125
  return (0..<4).map { feature in
    let number = step * 7919 + feature * 104_729 + kind * 1_299_709 + 17
    defer { size *= 4 }
    return (Double(number * number % 65_536) / 65_536 - 0.4375) * size
  }
}

struct OptimizerGoldenTests {
  @Test func `torch.optim takes the same thousand steps`() throws {
    let golden = try golden("optimizers", as: OptimizerGolden.self)
    #expect(golden.cases.keys.sorted() == optimizerCases.keys.sorted())
    for (name, each) in optimizerCases {
      let expected = try #require(golden.cases[name])
      #expect(expected.count * golden.every == 1000)
      var (weight, bias) = (golden.weight, golden.bias)
      var memories = (
        weight: AffineOptimizer.Memory(featureCount: 4),
        bias: AffineOptimizer.Memory(featureCount: 4)
      )
      for step in 0..<1000 {
        var gradients = AffineGradients(
          weight: recordedGradients(step, kind: 0), bias: recordedGradients(step, kind: 1))
        if let limit = each.clipNorm { gradients.clip(toNorm: limit) }
        let steps = Array(repeating: step + 1, count: 4)
        let rate = each.rate.rate(afterSteps: step)
        each.optimizer.step(
          &weight, against: gradients.weightGradients, rate: rate, steps: steps, &memories.weight)
        each.optimizer.step(
          &bias, against: gradients.biasGradients, rate: rate, steps: steps, &memories.bias)
        guard (step + 1).isMultiple(of: golden.every) else { continue }
        let found = expected[step / golden.every]
        let comment: Comment = "\(name), step \(step + 1)"
        expectAgreement(weight, found.weight, 1e-12, scale: 1, comment)
        expectAgreement(bias, found.bias, 1e-12, scale: 1, comment)
      }
    }
  }

  @Test func `a gradient that is always 0 moves nothing, and never divides by 0`() {
    for optimizer in [
      AffineOptimizer(.sgd(momentum: 0.9, isNesterov: true)), AffineOptimizer(.adam()),
      AffineOptimizer(.adam(epsilon: 0)),
    ] {
      var parameters = [2.0]
      var memory = AffineOptimizer.Memory(featureCount: 1)
      for step in 1...3 {
        optimizer.step(&parameters, against: [0], rate: 0.1, steps: [step], &memory)
      }
      #expect(parameters == [2])
    }
  }

  @Test func `gradients below the limit stay as they are, and greater ones get its norm`() {
    var short = AffineGradients(weight: [0.3], bias: [0.4])
    short.clip(toNorm: 1)
    #expect(short == AffineGradients(weight: [0.3], bias: [0.4]))
    var long = AffineGradients(weight: [30], bias: [-40])
    long.clip(toNorm: 1)
    #expect(abs(long.norm - 1) < 1e-6 && long.weightGradients[0] > 0 && long.biasGradients[0] < 0)
  }
}
