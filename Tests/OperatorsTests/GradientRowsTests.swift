import BatchNormalization
import Configuration
import Records
import State
import Testing

@testable import Operators

/// Gradients of a loss with respect to y, from which a stream computes those of γ and β.
struct GradientRowsTests {
  private func rows(
    _ y: [[Double]], _ gradients: [[Double]], version: Int, features: [String]? = nil
  ) -> StreamUpdate {
    StreamUpdate(
      "gradients",
      GradientsBody(version: version, .rows(y: y, gradients: gradients), features: features))
  }

  private func parameters(_ weight: [Double], _ bias: [Double]) -> StreamUpdate {
    StreamUpdate("parameters", ParametersBody(weight: weight, bias: bias))
  }

  /// γ, then β.
  private func learned(_ chain: OperatorChain) -> [[Double]] {
    [chain.state[real: "weight"], chain.state[real: "bias"]]
  }

  @Test func `γ and β move against the sums over the rows in which a feature is present`() throws {
    var chain = try learner()
    try chain.apply(parameters([0.5, 1.5], [-1, -0.25]))
    // x̂ of a is 1; that of b is 1 and 2. The gradients of a missing y do not count, whatever they are.
    let y = [[-0.5, 1.25], [.nan, 2.75], [.nan, .nan]]
    let gradients = [[-1, 2], [.nan, -1], [7, 0]]
    try chain.apply(rows(y, gradients, version: 1))
    #expect(learned(chain) == [[1, 1.5], [-0.5, -0.75]])
    #expect(chain.parametersVersion == 2)
    #expect(chain.state[count: "evenkeel.learn.examples"] == [3])
  }

  @Test func `rows may name their features in another order`() throws {
    var chain = try learner()
    try chain.apply(rows([[4, 2]], [[0.5, -1]], version: 0, features: ["b", "a"]))
    #expect(learned(chain) == [[2, 1e-3], [0.5, -0.25]])
  }

  @Test func `late rows are taken with the γ and β of their version, also by a later process`()
    throws
  {
    var chain = try learner()
    try chain.apply(parameters([2, 4], [1, -1]))
    try chain.apply(parameters([1, 1], [0, 0]))
    try chain.apply(parameters([3, 3], [0, 0]))
    var later = try learner(state: chain.state)
    // x̂ of version 1 is 1 and 0.5.
    try later.apply(rows([[3, 1]], [[1, 1]], version: 1))
    #expect(learned(later) == [[2.5, 2.75], [-0.5, -0.5]])
    // x̂ of version 0, with γ = 1 and β = 0, is y.
    try later.apply(rows([[3, 1]], [[1, 1]], version: 0))
    #expect(learned(later) == [[1, 2.25], [-1, -1]])
  }

  @Test func `γ and β of the oldest version that is allowed are known`() throws {
    let most = LearnColumns.greatestStaleness
    for version in [0, 1, 31, most] {
      var chain = try learner { $0[LearnSettings.maxStaleness] = most }
      for step in 1...most {
        try chain.apply(parameters([Double(step + 1), 1], [0, Double(step)]))
      }
      // x̂ is 1 and 2 in each version.
      let y = [Double(version + 1), Double(version + 2)]
      try chain.apply(rows([y], [[1, 1]], version: version))
      let last = Double(most)
      #expect(learned(chain) == [[last + 0.5, 1e-3], [-0.5, last - 0.5]], "\(version)")
    }
  }

  @Test func `rows that cannot be used change nothing`() throws {
    var chain = try learner()
    try chain.apply(parameters([0, 1e-90], [0, 0]))
    func reason(
      _ y: [[Double]], _ gradients: [[Double]], features: [String]? = nil
    ) -> String? {
      let before = chain.state
      var failure: (any Error)?
      do {
        try chain.apply(rows(y, gradients, version: 1, features: features))
      } catch {
        failure = error.cause
      }
      #expect(chain.state == before)
      return (failure as? UnusableBody)?.description
    }
    #expect(
      reason([[0, 1]], [])
        == "y and y_grad: expected the same number of rows, and at least one, found 1 and 0")
    #expect(
      reason([], [])
        == "y and y_grad: expected the same number of rows, and at least one, found 0 and 0")
    #expect(
      reason([[0, 0], [0]], [[0, 0], [0, 0]])
        == "row 2 of y: expected 2 numbers, one a feature, found 1")
    #expect(
      reason([[0, 0]], [[0, 0, 0]])
        == "row 1 of y_grad: expected 2 numbers, one a feature, found 3")
    #expect(
      reason([[0, .infinity]], [[0, 0]])
        == "row 1 of y: feature 'b': expected a finite number of at most 1e+100 in size, found inf")
    #expect(
      reason([[0, 0], [0, 0]], [[0, 0], [0, .nan]])
        == "row 2 of y_grad: feature 'b': expected a finite number of at most 1e+100 in size, found nan"
    )
    #expect(
      reason([[0, 1e20]], [[0, 1]])?.hasPrefix(
        "the sum of y_grad · x̂ of feature 'b': expected a finite number of at most 1e+100 in size, found 1"
      ) == true)
    #expect(
      reason([[0, 1]], [[1, 0]])
        == "y of feature 'a': expected the weight of version 1 to be known and not 0; send weight_grad and "
        + "bias_grad")
    #expect(
      reason([[0, 1]], [[1, 0]], features: ["b", "c"])
        == "features: expected 'a', found no such name")
    // A gradient of 0 needs no x̂.
    try chain.apply(rows([[5, 0]], [[0, 1]], version: 1))
    #expect(learned(chain)[1] == [0, -0.5])
  }
}
