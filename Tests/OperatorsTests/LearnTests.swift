import BatchNormalization
import Configuration
import Records
import State
import Testing

@testable import Operators

/// A chain that learns γ and β of the features a and b.
func learner(
  _ optimizer: LearnOptimizer? = .sgd, state: StateTable? = nil,
  _ set: (inout SettingValues) -> Void = { _ in }
) throws -> OperatorChain {
  var values = SettingValues()
  values[LearnSettings.optimizer] = optimizer
  values[LearnSettings.learningRate] = 0.5
  set(&values)
  return try OperatorChain(
    BuiltInOperators.all,
    OperatorContext(
      schema: FeatureSchema(["a", "b"]), outputPrecision: .float64,
      normalization: NormalizationSettings(), settings: values),
    state: state)
}

private func gradients(
  _ weight: [Double] = [1, -1], _ bias: [Double] = [2, 0.5], version: Int = 0, count: Int? = nil,
  features: [String]? = nil
) -> StreamUpdate {
  StreamUpdate(
    "gradients",
    GradientsBody(
      version: version, count: count, weight: weight, bias: bias, features: features))
}

extension OperatorChain {
  fileprivate var weight: [Double] { state[real: "weight"] }
  fileprivate var bias: [Double] { state[real: "bias"] }

  /// Takes gradients for the version in force.
  fileprivate mutating func learn(_ weight: [Double] = [1, -1], _ bias: [Double] = [2, 0.5]) throws
  {
    try apply(gradients(weight, bias, version: parametersVersion))
  }

  /// The cause for which an update is refused. Nothing may have changed then.
  fileprivate mutating func refusal(_ update: StreamUpdate) -> (any Error)? {
    let before = state
    let error = #expect(throws: OperatorError.self) { try apply(update) }
    #expect(state == before)
    return error?.cause
  }
}

struct LearnTests {
  @Test func `a gradient moves γ and β between two batches, and makes a version`() throws {
    var chain = try learner()
    try chain.apply(gradients(count: 256))
    #expect(chain.weight == [0.5, 1.5] && chain.bias == [-1, -0.25])
    #expect(chain.stateVersion == 1 && chain.parametersVersion == 1)
    try chain.apply(gradients([0.5, 0], [0, 2], version: 1, count: 44, features: ["b", "a"]))
    #expect(chain.weight == [0.5, 1.25] && chain.bias == [-2, -0.25])
    #expect(chain.state[count: "evenkeel.learn.steps"] == [2])
    #expect(chain.state[count: "evenkeel.learn.examples"] == [300])
    #expect(
      LearnAffine.summary(of: chain.state)
        == "γ and β learned in 2 steps, from gradients of 300 examples")
    // A gradient of 0 with plain SGD changes neither γ nor β, so they keep their version.
    try chain.apply(gradients([0, 0], [0, 0], version: 2))
    #expect(chain.stateVersion == 3 && chain.parametersVersion == 2)
  }

  @Test(arguments: LearnOptimizer.allCases)
  func `the memory of the optimizer is state, so a later process goes on alike`(
    optimizer: LearnOptimizer
  ) throws {
    let set: (inout SettingValues) -> Void = { values in
      values[LearnSettings.learningRate] = 0.01
      values[LearnSettings.schedule] = [.init(0.5, afterSteps: 3)]
      values[LearnSettings.weightDecay] = 0.1
      values[LearnSettings.clipNorm] = 1.5
      if optimizer == .sgd {
        values[LearnSettings.momentum] = 0.9
        values[LearnSettings.nesterov] = true
      }
    }
    var (whole, parts) = (try learner(optimizer, set), try learner(optimizer, set))
    for step in 0..<8 {
      let weight = [Double(step % 3) - 0.75, 1.25 - Double(step % 2)]
      try whole.learn(weight)
      parts = try learner(optimizer, state: parts.state, set)
      try parts.learn(weight)
    }
    #expect(parts.state == whole.state)
    // And the arithmetic is that of the optimizer.
    var values = SettingValues()
    values[LearnSettings.optimizer] = optimizer
    set(&values)
    let expected = try #require(AffineOptimizer(values))
    var memory = AffineOptimizer.Memory(featureCount: 2)
    var bias = [0.0, 0]
    for step in 0..<8 {
      var each = AffineGradients(
        weight: [Double(step % 3) - 0.75, 1.25 - Double(step % 2)], bias: [2, 0.5])
      each.clip(toNorm: 1.5)
      expected.step(
        &bias, against: each.biasGradients, rate: step < 3 ? 0.01 : 0.005,
        steps: [step + 1, step + 1],
        &memory)
    }
    #expect(whole.bias == bias)
  }

  @Test func `staleness counts all changes of γ and β, by gradients and by others`() throws {
    var chain = try learner { $0[LearnSettings.maxStaleness] = 2 }
    try chain.learn()
    try chain.apply(StreamUpdate("freeze"))
    try chain.apply(StreamUpdate("parameters", ParametersBody(weight: [1, 1], bias: [0, 0])))
    #expect(chain.parametersVersion == 3)
    // Version 0 is two changes old. Versions 2 and 4 never were.
    try chain.apply(gradients(version: 0))
    #expect(chain.parametersVersion == 4)
    for version in [0, 2, 5, -1] {
      #expect(
        chain.refusal(gradients(version: version)) as? StaleGradients
          == StaleGradients(version: version, found: 4, limit: 2), "\(version)")
    }
    try chain.apply(gradients(version: 1))
    #expect(
      chain.refusal(gradients(version: 1)).map { "\($0)" }
        == "expected gradients of a version of γ and β that is at most 2 changes old, found 1; "
        + "the version now is 5")
    // The versions are state too.
    var later = try learner(state: chain.state) { $0[LearnSettings.maxStaleness] = 2 }
    try later.apply(gradients(version: 3))
    #expect(later.parametersVersion == 6)
  }

  @Test func `versions before a stream learned are not known`() throws {
    var plain = try learner(nil)
    for step in 1...3 {
      let weight = [Double(step), 2]
      try plain.apply(StreamUpdate("parameters", ParametersBody(weight: weight, bias: [0, 0])))
    }
    var chain = try learner(state: plain.state)
    #expect(chain.refusal(gradients(version: 2)) is StaleGradients)
    #expect(chain.refusal(gradients(version: 0)) is StaleGradients)
    try chain.apply(gradients(version: 3))
    try chain.apply(gradients(version: 3))
    #expect(chain.parametersVersion == 5)
    #expect(chain.refusal(gradients(version: 0)) is StaleGradients)
  }

  @Test func `numbers that cannot be used change nothing`() throws {
    var chain = try learner()
    try chain.learn()
    func reason(_ update: StreamUpdate) -> String? {
      (chain.refusal(update) as? UnusableBody)?.description
    }
    #expect(
      reason(gradients([1], version: 1))
        == "weight_grad: expected 2 numbers, one a feature, found 1")
    #expect(
      reason(gradients([1, 1], [1, 1, 1], version: 1))
        == "bias_grad: expected 2 numbers, one a feature, found 3")
    #expect(
      reason(gradients([1, .nan], version: 1))
        == "weight_grad of feature 'b': expected a finite number of at most 1e+100 in size, found nan"
    )
    #expect(
      reason(gradients([1, 1], [-.infinity, 1], version: 1, features: ["b", "a"]))
        == "bias_grad of feature 'b': expected a finite number of at most 1e+100 in size, found -inf"
    )
    #expect(
      reason(gradients(version: 1, features: ["a", "c"]))
        == "features: expected 'b', found no such name")
    for names in [["a", "b", "c"], ["a", "b", "a"]] {
      #expect(
        reason(gradients([1, 1, 1], [1, 1, 1], version: 1, features: names))
          == "features: expected each feature of the stream once and no other name, found also "
          + "'\(names[2])'")
    }
    // Two steps of 0.5 · 1e100 are still allowed; the third leaves the range of β.
    for version in [1, 2] { try chain.apply(gradients([0, 0], [1e100, 0], version: version)) }
    #expect(
      reason(gradients([0, 0], [1e100, 0], version: 3))?
        .hasPrefix("the step takes the bias of feature 'a' to -1.5") == true)
  }

  @Test func `γ stays within its bounds, and keeps its sign at the lower one`() throws {
    var chain = try learner { $0[LearnSettings.weightBounds] = [0.25, 2] }
    try chain.learn([1.9, -9])
    #expect(chain.weight == [0.25, 2])
    try chain.learn([0.6, 8])
    #expect(chain.weight == [-0.25, -2])
    try chain.learn([-0.4, 0])
    #expect(chain.weight == [-0.25, -2])
  }

  @Test func `another optimizer starts with an empty memory`() throws {
    var chain = try learner(.adam)
    try chain.learn()
    #expect(chain.state[count: "evenkeel.adam.steps"] == [1, 1])
    chain = try learner(.sgd, state: chain.state) { $0[LearnSettings.momentum] = 0.5 }
    try chain.learn([1, 1])
    #expect(chain.state[count: "evenkeel.adam.steps"] == [0, 0])
    #expect(chain.state[real: "evenkeel.adam.weight_square"] == [0, 0])
    #expect(chain.state[real: "evenkeel.sgd.weight_velocity"] == [1, 1])
    #expect(chain.state[count: "evenkeel.learn.steps"] == [2])
  }

  @Test func `a merge keeps the state that has learned, and refuses two that differ`() throws {
    var learned = try learner(.adam)
    try learned.learn([0, 0], [0, 0])
    let new = try learner(.adam)
    // The gradient of 0 has left γ and β alone.
    var merged = new.state
    try merged.merge(learned.state)
    #expect(merged[count: "evenkeel.adam.steps"] == [1, 1])
    try merged.merge(new.state)
    try merged.merge(learned.state)
    #expect(merged[count: "evenkeel.learn.steps"] == [1])
    try learned.learn([0, 0], [0, 0])
    #expect(
      throws: StateError.value("evenkeel.learn.steps", expected: "1.0", found: "2.0")
    ) { try merged.merge(learned.state) }
  }

  @Test func `a stream that does not learn has neither the update nor the state`() throws {
    var chain = try learner(nil)
    #expect(chain.state.group("learn") == nil && chain.state.group("adam") == nil)
    #expect(chain.refusal(gradients()) is UnknownUpdate)
    #expect(LearnAffine.summary(of: chain.state) == nil)
    #expect(try LearnAffine.summary(of: learner().state) == nil)
  }
}

/// The ranges of the settings of learning.
struct LearnSettingsTests {
  private static let refused: [(any SettingDescription, [[String]])] = [
    (LearnSettings.learningRate, [["0"], ["-1"], ["nan"], ["1e7"]]),
    (LearnSettings.momentum, [["-0.1"], ["1"], ["nan"]]),
    (LearnSettings.betas, [["0.9"], ["0.9", "1"], ["-0.1", "0.9"], ["0.9", "0.9", "0.9"]]),
    (LearnSettings.weightDecay, [["-1"], ["inf"]]), (LearnSettings.clipNorm, [["0"], ["inf"]]),
    (LearnSettings.maxStaleness, [["-1"], ["65"], ["0.5"]]),
    (
      LearnSettings.weightBounds,
      [["2", "1"], ["0", "0"], ["-1", "1"], ["1", "inf"], ["1", "x"]]
    ),
    (
      LearnSettings.schedule,
      [
        ["0.1"], ["0.1 after x"], ["0.1 at 5"], ["0 after 5"], ["0.1 after 0"], ["0.1 after 5 6"],
        ["0.1 after 5", "0.2 after 5"],
      ]
    ),
  ]

  @Test func `a value out of its range is refused`() {
    for (setting, lists) in Self.refused {
      for texts in lists {
        #expect(throws: SettingRefusal.self, "\(setting.key ?? "") \(texts)") {
          try setting.parse(texts, as: .file)
        }
      }
    }
  }

  @Test func `values are written as they are read`() throws {
    var values = SettingValues()
    values[LearnSettings.schedule] = [.init(0.1, afterSteps: 10), .init(2, afterSteps: 20)]
    #expect(LearnSettings.schedule.text(in: values) == #"["0.1 after 10", "2 after 20"]"#)
    let read = try LearnSettings.schedule.parse(["0.1 after 10", "2 after 20"], as: .file)
    #expect(read as? [LearningRate.Change] == values[LearnSettings.schedule])
    #expect(LearnSettings.weightBounds.text(in: values) == "[0.001, 1000]")
  }
}
