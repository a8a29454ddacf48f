import BatchNormalization
import Configuration
import Records
import State
import Testing

@testable import Operators

/// The last versions of γ and β, which are kept in a ring.
struct LastVersionsTests {
  /// γ and β after each step, and their versions.
  private struct History {
    var versions: [Int] = []
    var weights: [[Double]] = []
    var biases: [[Double]] = []

    mutating func note(_ chain: OperatorChain) {
      versions.append(chain.parametersVersion)
      weights.append(chain.state[real: "weight"])
      biases.append(chain.state[real: "bias"])
    }
  }

  private func staleLearner(state: StateTable? = nil) throws -> OperatorChain {
    try learner(state: state) { $0[LearnSettings.maxStaleness] = LearnColumns.greatestStaleness }
  }

  private func step(_ chain: inout OperatorChain, _ number: Int) throws {
    let body = GradientsBody(
      version: chain.parametersVersion, weight: [Double(number % 7) - 2.5, 0.25],
      bias: [0.125, Double(number % 5) - 1.5])
    try chain.apply(StreamUpdate("gradients", body))
  }

  private func expectKept(_ chain: OperatorChain, _ history: History) {
    let versions = LastVersions(in: chain.state)
    let count = history.versions.count
    for age in 0...LearnColumns.greatestStaleness {
      guard age < count else { break }
      let past = count - 1 - age
      #expect(versions.age(of: history.versions[past], chain.state) == age)
      let found = versions.parameters(ofAge: age, chain.state)
      #expect(found.weight == history.weights[past] && found.bias == history.biases[past])
    }
  }

  @Test func `the γ and β of each version are found until it is too old`() throws {
    var chain = try staleLearner()
    var history = History()
    history.note(chain)
    for number in 0..<150 {
      try step(&chain, number)
      history.note(chain)
      expectKept(chain, history)
      // A later process goes on with the ring.
      if number % 50 == 20 { chain = try staleLearner(state: chain.state) }
    }
    let versions = LastVersions(in: chain.state)
    #expect(versions.age(of: history.versions[149 - 64], chain.state) == nil)
    // Rows of y use those of their version.
    let old = history.versions.count - 31
    let (weight, bias) = (history.weights[old], history.biases[old])
    var byRows = chain
    let y = [[weight[0] * 3 + bias[0], weight[1] * -2 + bias[1]]]
    try byRows.apply(
      StreamUpdate(
        "gradients",
        GradientsBody(version: history.versions[old], .rows(y: y, gradients: [[0.5, 0.25]]))))
    try chain.apply(
      StreamUpdate(
        "gradients",
        GradientsBody(version: history.versions[old], weight: [1.5, -0.5], bias: [0.5, 0.25])))
    let pairs = zip(byRows.state[real: "weight"], chain.state[real: "weight"])
    #expect(pairs.allSatisfy { abs($0 - $1) < 1e-12 })
  }

  @Test func `a state without a ring has the newest version first`() throws {
    var chain = try staleLearner()
    var history = History()
    history.note(chain)
    for number in 0..<5 {
      try step(&chain, number)
      history.note(chain)
    }
    var state = chain.state
    state[count: "evenkeel.learn_ring.head"] = [0]
    func rows(_ past: [[Double]]) -> [Double] {
      let kept = past.dropLast().reversed().flatMap(\.self)
      return kept + Array(repeating: 0, count: 2 * LearnColumns.greatestStaleness - kept.count)
    }
    state[real: "evenkeel.learn_parameters.weight"] = rows(history.weights)
    state[real: "evenkeel.learn_parameters.bias"] = rows(history.biases)
    chain = try staleLearner(state: state)
    expectKept(chain, history)
    for number in 5..<80 {
      try step(&chain, number)
      history.note(chain)
    }
    expectKept(chain, history)
  }

  @Test func `a place beyond the ring is refused`() throws {
    var chain = try staleLearner()
    try step(&chain, 0)
    var state = chain.state
    state[count: "evenkeel.learn_ring.head"] = [64]
    #expect(throws: OperatorError.self) { try staleLearner(state: state) }
  }

  @Test func `a chain that is shown lets go of them, and its own stay`() throws {
    var chain = try staleLearner()
    for number in 0..<3 { try step(&chain, number) }
    let shown = chain.shown
    #expect(shown.state[real: "evenkeel.learn_parameters.weight"].isEmpty)
    #expect(
      shown.parametersVersion == 3 && shown.state[real: "weight"] == chain.state[real: "weight"])
    #expect(chain.state[real: "evenkeel.learn_parameters.weight"].count == 128)
  }
}
