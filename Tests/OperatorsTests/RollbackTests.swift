import BatchNormalization
import Records
import State
import Testing

@testable import Operators

struct RollbackTests {
  private func chain(_ features: [String] = ["a", "b"]) throws -> OperatorChain {
    try OperatorChain(
      [Normalize.self],
      OperatorContext(
        schema: FeatureSchema(features), outputPrecision: .float64,
        normalization: NormalizationSettings()))
  }

  private func add(_ columns: [[Double]], to chain: inout OperatorChain) throws {
    var batch = FeatureColumns(
      featureCount: columns.count, capacity: columns[0].count, precision: .float64)
    batch.count = columns[0].count
    batch.values = .float64(columns.flatMap { $0 })
    _ = try chain.operate(on: &batch)
  }

  private func rollback(_ part: RollbackBody.Part, to saved: StateTable?) -> StreamUpdate {
    StreamUpdate("rollback", RollbackBody(generation: 7, part: part, saved: saved))
  }

  /// A chain after a batch and other γ and β, its state then, and the chain after more of both.
  private func moved() throws -> (saved: OperatorChain, now: OperatorChain) {
    var chain = try chain()
    try add([[1, 3], [10, 30]], to: &chain)
    try chain.apply(StreamUpdate("parameters", ParametersBody(weight: [2, 3], bias: [4, 5])))
    let saved = chain
    try add([[100, 300], [7, 7]], to: &chain)
    try chain.apply(StreamUpdate("parameters", ParametersBody(weight: [6, 7], bias: [8, 9])))
    return (saved, chain)
  }

  @Test func `the moments come back, and γ and β stay`() throws {
    var (saved, now) = try moved()
    let (version, parameters) = (now.stateVersion, now.parametersVersion)
    try now.apply(rollback(.moments, to: saved.state))
    for column in ["running_mean", "running_var"] {
      #expect(now.state[real: column] == saved.state[real: column])
    }
    #expect(now.state[count: "num_batches_tracked"] == saved.state[count: "num_batches_tracked"])
    #expect(now.state[real: "weight"] == [6, 7] && now.state[real: "bias"] == [8, 9])
    #expect(now.stateVersion == version + 1 && now.parametersVersion == parameters)
    // The next batch then gives what it gives after the checkpoint.
    try add([[5, 6], [1, 2]], to: &now)
    try add([[5, 6], [1, 2]], to: &saved)
    #expect(now.state[real: "running_var"] == saved.state[real: "running_var"])
  }

  @Test func `γ and β come back with a new version, and the moments stay`() throws {
    var (saved, now) = try moved()
    let mean = now.state[real: "running_mean"]
    try now.apply(rollback(.parameters, to: saved.state))
    #expect(now.state[real: "weight"] == [2, 3] && now.state[real: "bias"] == [4, 5])
    #expect(now.state[real: "running_mean"] == mean)
    #expect(now.parametersVersion == now.stateVersion)
  }

  @Test func `a feature that the checkpoint lacks keeps its values`() throws {
    var older = try chain(["b", "c"])
    try add([[1, 3], [8, 9]], to: &older)
    var (_, now) = try moved()
    let mean = now.state[real: "running_mean"]
    try now.apply(rollback(.moments, to: older.state))
    #expect(now.state[real: "running_mean"] == [mean[0], older.state[real: "running_mean"][0]])
  }

  @Test func `a checkpoint without a feature of the stream changes nothing`() throws {
    var (_, now) = try moved()
    let before = now.state
    for saved in [nil, try chain(["x"]).state] {
      let update = rollback(.moments, to: saved)
      let error = #expect(throws: OperatorError.self) { try now.apply(update) }
      #expect(error?.description == "expected a feature of the stream in generation 7, found none")
    }
    #expect(now.state == before)
  }
}
