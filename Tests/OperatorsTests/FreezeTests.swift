import BatchNormalization
import Configuration
import Records
import State
import Testing

@testable import Operators

/// γ and β that are not learned for a while, and those of an earlier checkpoint.
struct FreezeTests {
  private let freeze = StreamUpdate("parameters/freeze")
  private let thaw = StreamUpdate("parameters/thaw")

  /// Takes gradients for the version in force.
  private func learn(_ size: Double, _ chain: inout OperatorChain) throws {
    try chain.apply(
      StreamUpdate(
        "gradients",
        GradientsBody(
          version: chain.parametersVersion, count: 8, weight: [size, -size], bias: [2, size])))
  }

  private func parameters(_ chain: OperatorChain) -> [Double] {
    chain.state[real: "weight"] + chain.state[real: "bias"]
  }

  @Test func `frozen γ and β refuse gradients, and take what a user sets`() throws {
    var chain = try learner()
    try learn(0.5, &chain)
    let learned = parameters(chain)
    try chain.apply(freeze)
    #expect(chain.parametersAreFrozen && chain.stateVersion == 2 && chain.parametersVersion == 1)
    let before = chain.state
    let error = #expect(throws: OperatorError.self) { try learn(0.5, &chain) }
    #expect(error?.cause is FrozenParameters)
    #expect(
      error?.description
        == "expected γ and β that may be learned, found them frozen; thaw them with parameters/thaw"
    )
    #expect(chain.state == before && parameters(chain) == learned)
    try chain.apply(StreamUpdate("parameters", ParametersBody(weight: [3, 4], bias: [5, 6])))
    #expect(parameters(chain) == [3, 4, 5, 6])
    #expect(LearnAffine.summary(of: chain.state)?.hasSuffix("; frozen") == true)
    try chain.apply(thaw)
    #expect(!chain.parametersAreFrozen)
    try learn(0.5, &chain)
    #expect(parameters(chain) == [2.75, 4.25, 4, 5.75])
  }

  @Test func `a freeze is state, so that a later process and a merge keep it`() throws {
    var chain = try learner()
    try chain.apply(freeze)
    var later = try learner(state: chain.state)
    #expect(later.parametersAreFrozen)
    #expect(throws: OperatorError.self) { try learn(1, &later) }
    let other = try learner()
    var merged = other.state
    try merged.merge(chain.state)
    #expect(LearnAffine.isFrozen(merged))
    // Files of a stream that was never frozen have nothing of it.
    #expect(!other.state.writtenGroups.map(\.name).contains("learn_freeze"))
    try chain.apply(thaw)
    #expect(!chain.state.writtenGroups.map(\.name).contains("learn_freeze"))
    var spoilt = chain.state
    spoilt[count: "evenkeel.learn_freeze.frozen"] = [2]
    let error = #expect(throws: StateError.self) { try spoilt.validate() }
    #expect(error.map { "\($0)" } == "evenkeel.learn_freeze.frozen: expected 0 or 1, found 2")
  }

  @Test func `the freeze of the moments is another one`() throws {
    var chain = try learner()
    try chain.apply(StreamUpdate("freeze"))
    try learn(1, &chain)
    #expect(chain.state[count: "evenkeel.learn.steps"] == [1])
    #expect(chain.normalization?.isFrozen == true && !chain.parametersAreFrozen)
    try chain.apply(freeze)
    try chain.apply(StreamUpdate("thaw"))
    #expect(chain.normalization?.isFrozen == false && chain.parametersAreFrozen)
  }

  @Test func `a stream that does not learn cannot be frozen`() throws {
    var chain = try learner(nil)
    #expect(throws: OperatorError.self) { try chain.apply(freeze) }
    #expect(!chain.parametersAreFrozen)
  }

  /// After a rollback, the same gradients must give what they gave after the checkpoint: the velocity of SGD, the means of
  /// Adam, and the number of steps, which decides on the learning rate, are those of the checkpoint.
  @Test(arguments: LearnOptimizer.allCases)
  func `a rollback of γ and β restores what the optimizer keeps of them`(
    optimizer: LearnOptimizer
  ) throws {
    var chain = try learner(optimizer) { values in
      values[LearnSettings.schedule] = [.init(0.5, afterSteps: 3)]
      if optimizer == .sgd { values[LearnSettings.momentum] = 0.9 }
    }
    for size in [0.5, -0.25] { try learn(size, &chain) }
    var other = chain
    let saved = chain.state
    // The trainer goes wrong.
    for _ in 0..<5 { try learn(100, &chain) }
    let update = StreamUpdate(
      "rollback", RollbackBody(generation: 7, part: .parameters, saved: saved))
    try chain.apply(update)
    #expect(parameters(chain) == parameters(other))
    #expect(chain.state[count: "evenkeel.learn.steps"] == [2])
    #expect(chain.state[count: "evenkeel.learn.examples"] == [16])
    for size in [1, 0.125, -0.5] {
      try learn(size, &chain)
      try learn(size, &other)
      #expect(parameters(chain) == parameters(other))
    }
    for group in ["sgd", "adam", "learn"] {
      for column in chain.state.group(group)?.columns ?? [] {
        #expect(chain.state[column.fileName] == other.state[column.fileName])
      }
    }
    // The versions go on: they never mean two things.
    #expect(chain.parametersVersion > other.parametersVersion)
  }

  @Test func `a rollback to a time before learning empties the memory of the optimizer`() throws {
    let plain = try learner(nil)
    var chain = try learner { $0[LearnSettings.momentum] = 0.5 }
    for _ in 0..<3 { try learn(1, &chain) }
    // The groups that its file lacks have their initial values.
    let saved = plain.state.regrouped(to: chain.state.groups)
    try chain.apply(
      StreamUpdate("rollback", RollbackBody(generation: 1, part: .parameters, saved: saved)))
    #expect(parameters(chain) == [1, 1, 0, 0])
    #expect(chain.state[real: "evenkeel.sgd.weight_velocity"] == [0, 0])
    #expect(chain.state[count: "evenkeel.learn.steps"] == [0])
  }

  @Test func `a rollback does not thaw`() throws {
    var chain = try learner()
    try learn(1, &chain)
    let saved = chain.state
    try chain.apply(freeze)
    try chain.apply(
      StreamUpdate("rollback", RollbackBody(generation: 1, part: .parameters, saved: saved)))
    #expect(chain.parametersAreFrozen)
  }
}
