import BatchNormalization
import Configuration
import Records
import State
import Testing

@testable import Operators

/// The settings of a prior and of its limit, and what the operator tells of the limit.
@Suite struct PriorOperatorTests {
  private func read(_ options: String) throws -> NormalizationSettings {
    let groups = [NormalizeSettings.group]
    let words = options.split(separator: " ").map(String.init)
    let values = try CommandLineSettings(words, of: groups, others: []).read(groups)
    if let violation = NormalizeSettings.group.violations(in: values).first {
      throw CommandLineError(violation)
    }
    return NormalizationSettings(values)
  }

  @Test func `the options of a prior are those of its settings`() throws {
    let prior = try #require(
      try read("--prior train --prior-values 500 --limit-mean 3 --limit-deviation 2").prior)
    #expect(prior.values == 500 && prior.limit.mean == 3 && prior.limit.deviation == 2)
    #expect(try read("--prior train --prior-values 0.5 --mode renorm").prior?.limit.isOn == false)
    #expect(try read("--prior a --prior-values 1 --momentum cumulative").prior != nil)
    #expect(try read("--prior a --prior-values 1 --preset online").prior != nil)
    #expect(
      try read("--prior a --prior-values 1 --half-life-event-time 1h --time-column t").prior != nil)
    #expect(try read("--prior a --prior-values 1 --limit-mean 3 --key b").prior?.limit.mean == 3)
    #expect(try read("--mode running").prior == nil)
  }

  @Test(arguments: [
    ("--prior a", "--prior: expected --prior-values N, found none"),
    ("--prior-values 5", "--prior-values: expected --prior FILE, found none"),
    ("--limit-mean 3", "--limit-mean: expected --prior FILE, found none"),
    ("--limit-deviation 3", "--limit-deviation: expected --prior FILE, found none"),
    (
      "--prior a --prior-values 5 --mode batch",
      "--prior: expected mode running or renorm, found batch, in which a prior has no effect"
    ),
    (
      "--prior a --prior-values 5 --momentum 0.1",
      "--prior: expected a half-life in records or in event time, or momentum cumulative, found momentum 0.1, "
        + "whose moments do not tell how many values the prior is weighed against"
    ),
    (
      "--prior a --prior-values 5 --preset pytorch",
      "--prior: expected a half-life in records or in event time, or momentum cumulative, found momentum 0.1, "
        + "whose moments do not tell how many values the prior is weighed against"
    ),
    (
      "--prior a --prior-values 5 --bias-correction false",
      "--bias-correction: expected true beside a prior, found false, with which μ = 0 counts too"
    ),
    ("--prior a --prior-values 0", "--prior-values: expected a finite number above 0, found '0'"),
    (
      "--prior a --prior-values 5 --limit-deviation 0.5",
      "--limit-deviation: expected a finite number of at least 1, found '0.5'"
    ),
    (
      "--prior a --prior-values 5 --limit-mean=-1",
      "--limit-mean: expected a finite number of at least 0, found '-1'"
    ),
  ])
  func `settings of a prior that do not fit are refused`(options: String, says: String) throws {
    let error = #expect(throws: CommandLineError.self) { try read(options) }
    #expect("\(try #require(error))".contains(says), "\(String(describing: error))")
  }

  // MARK: The limit

  private func chain(_ change: (inout Prior) -> Void) throws -> OperatorChain {
    let schema = try FeatureSchema(["x", "y"])
    var state = StateTable(OperatorChain.stateGroups(of: [Normalize.self]), features: schema)
    state[real: "running_mean"] = [10, 0]
    state[real: "running_var"] = [4, 1]
    state[real: "evenkeel.moments.weight"] = [100, 100]
    var settings = NormalizationSettings()
    var prior = Prior(values: 32)
    change(&prior)
    settings.prior = prior
    settings.momentum = .halfLifeRecords(64)
    var values = SettingValues()
    values[NormalizeSettings.limitMean] = prior.limit.mean
    values[NormalizeSettings.limitDeviation] = prior.limit.deviation
    return try OperatorChain(
      [Normalize.self],
      OperatorContext(
        schema: schema, outputPrecision: .float64, normalization: settings, settings: values,
        prior: PriorMoments(state)))
  }

  private func run(_ chain: inout OperatorChain, _ values: [[Double]]) throws -> [OperatorEvent] {
    var columns = FeatureColumns(featureCount: 2, capacity: values[0].count, precision: .float64)
    columns.count = values[0].count
    columns.values = .float64(values.flatMap { $0 })
    _ = try chain.operate(on: &columns)
    return chain.takeEvents()
  }

  private func limited(_ chain: OperatorChain) throws -> [Double?] {
    let metrics = chain.declarations.flatMap(\.metrics)
    return try #require(metrics.first { $0.name == "limited" }).values(chain.view)
  }

  private func batch(x: Double) -> [[Double]] {
    [(0..<64).map { x + Double($0 % 3) }, (0..<64).map { Double($0 % 3) - 1 }]
  }

  @Test func `a limit is told once when it begins to hold, and once when it ends`() throws {
    var chain = try chain { $0.limit.mean = 3 }
    #expect(try limited(chain) == [nil, nil])
    #expect(try run(&chain, batch(x: 9)) == [])
    #expect(try limited(chain) == [0, 0])
    #expect(try run(&chain, batch(x: 100)) == [])
    let begun = try run(&chain, batch(x: 100))
    #expect(begun.map(\.kind.name) == ["limit_reached"] && begun.map(\.feature) == ["x"])
    let text = try #require(begun.first?.text)
    #expect(text.hasPrefix("its mean is "), "\(text)")
    #expect(
      text.hasSuffix(
        " deviations of the prior from that of the prior; the limit holds the moments that normalise it"
      ), "\(text)")
    guard case .number(let distance) = begun[0].fields["mean_distance"] else {
      Issue.record("\(begun)")
      return
    }
    #expect(distance > 3 && distance < 45)
    #expect(try limited(chain) == [1, 0])
    for _ in 0..<30 { #expect(try run(&chain, batch(x: 100)) == []) }
    var events: [OperatorEvent] = []
    for _ in 0..<60 { events += try run(&chain, batch(x: 9)) }
    #expect(events.map(\.kind.name) == ["limit_left"] && events.map(\.feature) == ["x"])
    #expect(try limited(chain) == [0, 0])
  }

  @Test func `without a limit nothing is told and no metric is shown`() throws {
    var chain = try chain { _ in }
    for _ in 0..<5 { #expect(try run(&chain, batch(x: 1e6)) == []) }
    #expect(try limited(chain) == [nil, nil])
  }

  @Test func `the drift of a batch is told by the moments that normalise it`() throws {
    var chain = try chain { _ in }
    _ = try run(&chain, [Array(repeating: 14, count: 64), Array(repeating: 0, count: 64)])
    let metrics = chain.declarations.flatMap(\.metrics)
    let drift = try #require(metrics.first { $0.name == "drift" }).values(chain.view)
    #expect(drift == [2, 0])
  }

  @Test func `a stream with a prior cannot change to mode batch`() throws {
    var chain = try chain { _ in }
    let before = chain.state
    let error = #expect(throws: OperatorError.self) {
      try chain.apply(StreamUpdate("mode", ModeBody(mode: .batch)))
    }
    #expect(error?.description.contains("in which it has no effect") == true)
    #expect(chain.state == before && chain.normalization?.mode == .running)
    try chain.apply(StreamUpdate("mode", ModeBody(mode: .renorm)))
  }

  @Test func `a constant stream beside a prior is not said to become β`() throws {
    var chain = try chain { _ in }
    for _ in 0..<40 {
      _ = try run(&chain, [Array(repeating: 14, count: 64), (0..<64).map { Double($0) }])
    }
    #expect(
      chain.warnings(.underWay).map(\.text) == ["all of its 2560 values are 14.0"])
  }
}
