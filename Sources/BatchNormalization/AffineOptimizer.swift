internal import Glibc

/// Moves γ and β against the gradients of a loss, as `torch.optim` moves parameters, in float64.
package struct AffineOptimizer: Sendable, Equatable {
  package enum Method: Sendable, Equatable {
    /// `torch.optim.SGD` with dampening 0.
    case sgd(momentum: Double = 0, isNesterov: Bool = false)
    /// `torch.optim.Adam`; `torch.optim.AdamW` if weights decay apart from the gradient.
    case adam(
      meanDecay: Double = 0.9, squareDecay: Double = 0.999, epsilon: Double = 1e-8,
      decaysApart: Bool = false)
  }

  /// The columns that an optimizer keeps of γ or of β, one value a feature.
  package struct Memory: Sendable, Equatable {
    /// The velocity of SGD, or the running mean of Adam's gradients; 0 before the first step.
    package var first: [Double]
    /// The running mean of the squared gradients of Adam; 0 before the first step, and with SGD.
    package var second: [Double]

    package init(first: [Double], second: [Double]) {
      self.first = first
      self.second = second
    }

    package init(featureCount: Int) {
      first = Array(repeating: 0, count: featureCount)
      second = first
    }
  }

  package var method: Method
  package var weightDecay = 0.0

  package init(_ method: Method, weightDecay: Double = 0) {
    self.method = method
    self.weightDecay = weightDecay
  }

  /// Makes one step of one column of parameters. All arrays have one element a feature.
  ///
  /// - Parameters:
  ///   - gradients: ∂L/∂γ or ∂L/∂β, finite.
  ///   - rate: the learning rate of this step.
  ///   - steps: the number of steps of each feature so far, this one among them.
  package func step(
    _ parameters: inout [Double], against gradients: [Double], rate: Double, steps: [Int],
    _ memory: inout Memory
  ) {
    var corrections = Corrections()
    for j in parameters.indices {
      // Most often all features have made the same number of steps.
      if case .adam(let meanDecay, let squareDecay, _, _) = method, corrections.step != steps[j] {
        corrections = Corrections(after: steps[j], meanDecay, squareDecay)
      }
      parameters[j] = moved(
        parameters[j], gradients[j], rate: rate, corrections, &memory.first[j], &memory.second[j])
    }
  }

  /// By how much the running means of Adam are too small, since they began at 0.
  private struct Corrections {
    var step = -1
    var ofMean = 1.0
    /// For the root of the mean of the squares.
    var ofRoot = 1.0

    init() {}

    init(after step: Int, _ meanDecay: Double, _ squareDecay: Double) {
      self.step = step
      ofMean = 1 - pow(meanDecay, Double(step))
      ofRoot = (1 - pow(squareDecay, Double(step))).squareRoot()
    }
  }

  private func moved(
    _ parameter: Double, _ gradient: Double, rate: Double, _ corrections: Corrections,
    _ first: inout Double, _ second: inout Double
  ) -> Double {
    switch method {
    case .sgd(let momentum, let isNesterov):
      let gradient = gradient + weightDecay * parameter
      guard momentum > 0 else { return parameter - rate * gradient }
      first = momentum * first + gradient
      return parameter - rate * (isNesterov ? gradient + momentum * first : first)
    case .adam(let meanDecay, let squareDecay, let epsilon, let decaysApart):
      let start = decaysApart ? parameter * (1 - rate * weightDecay) : parameter
      let gradient = decaysApart ? gradient : gradient + weightDecay * parameter
      first += (1 - meanDecay) * (gradient - first)
      second = squareDecay * second + (1 - squareDecay) * gradient * gradient
      let root = second.squareRoot() / corrections.ofRoot + epsilon
      // Without ε, a gradient that was always 0 gives 0/0, and moves nothing.
      return root > 0 ? start - rate / corrections.ofMean * first / root : start
    }
  }
}

/// The gradients of a loss with respect to γ and β, one pair a feature.
package struct AffineGradients: Sendable, Equatable {
  package var weightGradients: [Double]
  package var biasGradients: [Double]

  package init(weight: [Double], bias: [Double]) {
    weightGradients = weight
    biasGradients = bias
  }

  /// √Σ g² over γ and β.
  package var norm: Double {
    (weightGradients + biasGradients).reduce(0) { $0 + $1 * $1 }.squareRoot()
  }

  /// Shortens the gradients of γ and β together, as `torch.nn.utils.clip_grad_norm_` does.
  package mutating func clip(toNorm limit: Double) {
    let factor = limit / (norm + 1e-6)
    guard factor < 1 else { return }
    for j in weightGradients.indices { weightGradients[j] *= factor }
    for j in biasGradients.indices { biasGradients[j] *= factor }
  }
}

/// The learning rate: that of the settings times the factor of the last change that has come.
package struct LearningRate: Sendable, Equatable {
  /// From some step on, the rate is this share of the first one.
  package struct Change: Sendable, Equatable {
    package var factor: Double
    /// The number of steps before it.
    package var steps: Int

    package init(_ factor: Double, afterSteps steps: Int) {
      self.factor = factor
      self.steps = steps
    }
  }

  package var first: Double
  /// By rising numbers of steps.
  package var changes: [Change]

  package init(_ first: Double, changes: [Change] = []) {
    self.first = first
    self.changes = changes
  }

  /// The rate of the step after `steps` others.
  package func rate(afterSteps steps: Int) -> Double {
    first * (changes.last { $0.steps <= steps }?.factor ?? 1)
  }
}
