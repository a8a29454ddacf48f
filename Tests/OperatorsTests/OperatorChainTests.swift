import BatchNormalization
import Operators
import Records
import State
import Testing

private let kinds: [any BatchOperator.Type] = [Normalize.self, CountBatches.self, Guard.self]

private func makeChain(
  _ kinds: [any BatchOperator.Type] = kinds, features: [String] = ["a", "b"],
  state: StateTable? = nil, _ change: (inout NormalizationSettings) -> Void = { _ in }
) throws -> OperatorChain {
  var settings = NormalizationSettings()
  change(&settings)
  return try OperatorChain(
    kinds,
    OperatorContext(
      schema: FeatureSchema(features), outputPrecision: .float64, normalization: settings),
    state: state)
}

private func batch(_ columns: [[Double]]) -> FeatureColumns {
  let count = columns[0].count
  var batch = FeatureColumns(
    featureCount: columns.count, capacity: count, precision: .float64)
  batch.count = count
  batch.values = .float64(columns.flatMap { $0 })
  return batch
}

extension OperatorChain {
  /// Normalises one batch and returns its columns.
  @discardableResult
  fileprivate mutating func normalized(_ columns: [[Double]]) throws -> [Double] {
    var values = batch(columns)
    _ = try operate(on: &values)
    guard case .float64(let numbers) = values.values else { return [] }
    return numbers
  }

  fileprivate func metric(_ name: String) throws -> [Double?] {
    let metrics = declarations.flatMap(\.metrics)
    return try #require(metrics.first { $0.name == name }).values(view)
  }
}

struct OperatorChainTests {
  @Test func `every operator commits, with the summary of the values before they change`() throws {
    var chain = try makeChain()
    try chain.normalized([[1, 3], [10, 30]])
    try chain.normalized([[5, 7], [50, 70]])
    #expect(chain.state[count: "evenkeel.seen.batches"] == [2, 2])
    #expect(chain.state[real: "evenkeel.seen.mean"] == [6, 60])
    #expect(chain.state[count: "evenkeel.moments.batches"] == [2, 2])
    #expect(chain.takeEvents().map(\.text) == ["batch 1", "batch 2"])
    #expect(chain.takeEvents() == [])
  }

  @Test func `an operator vetoes the update of one feature, and all else goes on`() throws {
    var chain = try makeChain()
    try chain.normalized([[1, 3], [10, 30]])
    let before = chain.state
    try chain.normalized([[500, 700], [50, 70]])
    #expect(chain.state[real: "running_mean"][0] == before[real: "running_mean"][0])
    #expect(chain.state[real: "running_mean"][1] != before[real: "running_mean"][1])
    #expect(chain.state[count: "evenkeel.moments.batches"] == [1, 2])
    try chain.normalized([[1, 3], [10, 30]])
    #expect(chain.state[count: "evenkeel.moments.batches"] == [2, 3])
  }

  @Test func `if one operator refuses, nothing has changed`() throws {
    var chain = try makeChain()
    try chain.normalized([[1, 3], [10, 30]])
    _ = chain.takeEvents()
    let (state, means) = (chain.state, try chain.metric("batch_mean"))
    let columns = [Array(repeating: 2.0, count: 13), Array(repeating: 4.0, count: 13)]
    var refused = batch(columns)
    let error = #expect(throws: OperatorError.self) { try chain.operate(on: &refused) }
    #expect(error?.cause is Guard.Unlucky && error?.origin == "guard")
    let values = columns.indices.map { feature in
      (0..<refused.count).map { refused[record: $0, feature: feature] }
    }
    #expect(values == columns)
    // Another one refuses after it has planned, and after the guard has: the last to plan is the first.
    var infinite = batch([[1, 3], [1.7e308, -1.7e308]])
    #expect(throws: OperatorError.self) { try chain.operate(on: &infinite) }
    #expect(chain.state == state && chain.events == [])
    #expect(try chain.metric("batch_mean") == means)
  }

  @Test func `a part neither updates moments nor shows as the last batch`() throws {
    var chain = try makeChain()
    try chain.normalized([[1, 3], [10, 30]])
    let state = chain.state
    var part = batch([[2, 2], [20, 20]])
    #expect(try chain.operate(on: &part, as: .part) == .normalized)
    #expect(chain.state == state)
    #expect(try chain.metric("batch_mean") == [2, 20])
    var none = batch([[], []])
    _ = try chain.operate(on: &none)
    #expect(try chain.metric("batch_mean") == [2, 20])
    #expect(chain.stateVersion == 1)
  }

  @Test func `the state version counts changes, that of γ and β names the last of theirs`() throws {
    var chain = try makeChain()
    #expect(chain.stateVersion == 0 && chain.parametersVersion == 0)
    try chain.normalized([[1, 3], [1, 3]])
    try chain.normalized([[1, 3], [1, 3]])
    #expect(chain.stateVersion == 2 && chain.parametersVersion == 0)
    try chain.apply(StreamUpdate("parameters", ParametersBody(weight: [2, 1], bias: [0, 0])))
    #expect(chain.stateVersion == 3 && chain.parametersVersion == 3)
    // Another client was faster.
    let late = ParametersBody(weight: [9, 9], bias: [9, 9], ifVersion: 0)
    let refusal = #expect(throws: OperatorError.self) {
      try chain.apply(StreamUpdate("parameters", late))
    }
    #expect(refusal?.cause as? OtherVersion == OtherVersion(expected: 0, found: 3))
    #expect(chain.stateVersion == 3 && chain.state[real: "weight"] == [2, 1])
    try chain.apply(
      StreamUpdate("parameters", ParametersBody(weight: [2, 1], bias: [0, 0], ifVersion: 3)))
    // γ and β are the same numbers, and keep their version.
    #expect(chain.stateVersion == 4 && chain.parametersVersion == 3)
    try chain.apply(StreamUpdate("freeze"))
    #expect(chain.stateVersion == 5 && chain.parametersVersion == 3)
    try chain.normalized([[1, 3], [1, 3]])
    #expect(chain.stateVersion == 5)
    var other = chain.state
    other[count: "evenkeel.versions.parameters"] = [6]
    let error = #expect(throws: OperatorError.self) { _ = try makeChain(state: other) }
    #expect(
      error?.description
        == "evenkeel.versions.parameters: expected at most the state version, 5, found 6")
  }

  @Test func `an update goes to the operator that declares it`() throws {
    var chain = try makeChain()
    try chain.normalized([[1, 3], [10, 30]])
    try chain.apply(StreamUpdate("recount"))
    #expect(chain.state[count: "evenkeel.seen.batches"] == [0, 0])
    #expect(chain.state[count: "evenkeel.moments.batches"] == [1, 1])
    try chain.apply(StreamUpdate("mode", ModeBody(mode: .batch)))
    #expect(chain.normalization?.mode == .batch)
    #expect(try chain.normalized([[1, 3], [10, 30]])[0] < -0.99)
    try chain.apply(StreamUpdate("freeze"))
    #expect(chain.normalization?.isFrozen == true)
    try chain.apply(StreamUpdate("thaw"))
    #expect(chain.normalization?.isFrozen == false)
    let before = chain.state
    try chain.apply(StreamUpdate("reset"))
    #expect(chain.state[real: "running_mean"] == [0, 0])
    #expect(chain.state[count: "num_batches_tracked"] == [0])
    #expect(
      chain.state[count: "evenkeel.seen.batches"] == before[count: "evenkeel.seen.batches"])
  }

  @Test func `a refused update leaves everything as it was`() throws {
    var chain = try makeChain()
    try chain.normalized([[1, 3], [10, 30]])
    let state = chain.state
    func refusal(_ update: StreamUpdate) -> String? {
      #expect(throws: OperatorError.self) { try chain.apply(update) }?.description
    }
    #expect(refusal(StreamUpdate("dance")) == "expected an update of the stream, found 'dance'")
    #expect(refusal(StreamUpdate("mode")) == "expected an update of the stream, found 'mode'")
    #expect(
      refusal(StreamUpdate("parameters", ParametersBody(weight: [1], bias: [2])))
        == "weight and bias: expected 2 features, found 1")
    #expect(
      refusal(
        StreamUpdate("parameters", ParametersBody(weight: [1], bias: [2], features: ["b"])))
        == "features: expected 'a', found no such name")
    #expect(
      refusal(
        StreamUpdate(
          "parameters",
          ParametersBody(weight: [1, 2, 3], bias: [2, 3, 4], features: ["a", "b", "b"])
        ))
        == "features: expected each feature of the stream once and no other name, found also 'b'")
    #expect(
      refusal(StreamUpdate("spoil"))
        == "evenkeel.seen.mean of feature 'a': expected a finite number, found nan")
    #expect(chain.state == state)
  }

  @Test func `an update is checked by what it has changed, not by the rest`() throws {
    var chain = try makeChain([Normalize.self, CountBatches.self, LeaveNaN.self])
    try chain.normalized([[1, 3], [10, 30]])
    // The batch has left a number that no state can have, where these updates do not look.
    try chain.apply(StreamUpdate("freeze"))
    try chain.apply(StreamUpdate("parameters", ParametersBody(weight: [2, 1], bias: [0, 0])))
    try chain.apply(StreamUpdate("recount"))
    #expect(chain.stateVersion == 4)
    let before = chain.state
    let error = #expect(throws: OperatorError.self) { try chain.apply(StreamUpdate("touch")) }
    #expect(
      error?.description == "evenkeel.left.number: expected a finite number, found nan")
    #expect(chain.stateVersion == 4 && chain.state[count: "evenkeel.left.touched"] == [0])
    #expect(chain.state[count: "evenkeel.seen.batches"] == before[count: "evenkeel.seen.batches"])
  }

  @Test func `operators take the groups that they declare from a state with others`() throws {
    var full = try makeChain()
    try full.normalized([[1, 3], [10, 30]])
    let fewer = try makeChain([Normalize.self], state: full.state)
    #expect(fewer.state[real: "running_mean"] == [2, 20] && fewer.state.group("seen") == nil)
    let more = try makeChain(state: fewer.state)
    #expect(more.state[count: "evenkeel.seen.batches"] == [0, 0] && more.stateVersion == 1)
    let error = #expect(throws: OperatorError.self) {
      _ = try makeChain(features: ["a", "c"], state: full.state)
    }
    #expect(error?.description == "state: expected features 'a', 'c', found 'a', 'b'")
  }

  @Test func `metrics tell the state and the last batch`() throws {
    var chain = try makeChain {
      $0.mode = .renorm
      $0.warmUp.records = 0
    }
    #expect(try chain.metric("mean") == [0, 0] && chain.metric("batch_mean") == [nil, nil])
    #expect(try chain.metric("missing_ratio") == [nil, nil])
    try chain.normalized([[1, 3], [10, .nan]])
    try chain.normalized([[5, 7], [.nan, .nan]])
    #expect(try chain.metric("values") == [4, 1] && chain.metric("missing") == [0, 3])
    #expect(try chain.metric("missing_ratio") == [0, 0.75])
    #expect(try chain.metric("batch_mean") == [6, nil])
    #expect(try chain.metric("batch_stddev") == [1, nil])
    #expect(try chain.metric("drift") == [4, nil])
    #expect(try chain.metric("renorm_scale")[0] != nil && chain.metric("renorm_shift")[0] != nil)
    let names = chain.declarations.flatMap(\.metrics).map(\.name)
    #expect(Set(names).count == names.count)
  }

  @Test func `a jump shows in full at the defaults, and fades as the moments learn it`() throws {
    var chain = try makeChain([Normalize.self], features: ["a"])
    // Mean 0, standard deviation 1.
    let steady = (0..<256).map { $0.isMultiple(of: 2) ? 1.0 : -1 }
    try chain.normalized([steady])
    #expect(try chain.metric("drift") == [nil], "there were no moments before")
    for _ in 0..<20 { try chain.normalized([steady]) }
    #expect(try chain.metric("drift") == [0])
    try chain.normalized([steady.map { $0 + 10 }])
    let first = try #require(chain.metric("drift")[0])
    #expect(abs(first - 10) < 0.1)
    for _ in 0..<40 { try chain.normalized([steady.map { $0 + 10 }]) }
    #expect(try #require(chain.metric("drift")[0]) < 1)
  }

  @Test func `drift is unknown in warm-up`() throws {
    var chain = try makeChain([Normalize.self], features: ["a"]) { $0.warmUp.records = 4 }
    var drifts: [Double?] = []
    for _ in 0..<3 {
      try chain.normalized([[1, 3]])
      drifts.append(try chain.metric("drift")[0])
    }
    #expect(drifts == [nil, nil, 0])
  }

  @Test func `a frozen stream drifts from its frozen moments`() throws {
    for isLive in [false, true] {
      var chain = try makeChain([Normalize.self]) { $0.warmUp.records = 0 }
      try chain.normalized([[1, 3], [10, 30]])
      try chain.apply(StreamUpdate("freeze"))
      var columns = batch([[6, .nan], [1.7e308, 1.7e308]])
      // The records of a live stream leave as a part, before their batch is cut.
      var part = columns
      if isLive { _ = try chain.operate(on: &part, as: .part) }
      _ = try chain.operate(on: &columns, as: isLive ? .emitted : .whole)
      #expect(try chain.metric("batch_mean") == [6, nil])
      #expect(try chain.metric("drift") == [4, nil])
      #expect(try chain.metric("mean") == [2, 20] && chain.metric("batch_stddev") == [nil, nil])
    }
    var initial = try makeChain([Normalize.self]) { $0.isFrozen = true }
    try initial.normalized([[5, 7], [5, 7]])
    #expect(try initial.metric("batch_mean") == [6, 6] && initial.metric("drift") == [nil, nil])
  }
}
