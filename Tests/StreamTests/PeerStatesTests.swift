import BatchNormalization
import Codecs
import Configuration
import Connectors
import Dataflow
import Operators
import Records
import State
import Storage
import TestSupport
import Testing

@testable import Stream

/// The moments that a partition has of the others, from the state topic.
@Suite struct PeerStatesTests {
  private static let configuration: StreamConfiguration = {
    var configuration = StreamConfiguration(name: "s", format: .ndjson)
    configuration.decoder.features = [FeaturePattern("x")]
    return configuration
  }()

  /// A state with a mean, and with the time of its newest record.
  private static func state(
    _ mean: Double, offset: Int, time: Double = 0, features: [String] = ["x"],
    learned: (version: Int, bias: Double)? = nil, epoch: Int = 0
  ) throws -> StateMessage {
    var table = StateTable(
      OperatorChain.stateGroups(of: BuiltInOperators.all.filter { $0.isOn(SettingValues()) }),
      features: try FeatureSchema(features))
    let count = features.count
    table[real: "running_mean"] = Array(repeating: mean, count: count)
    table[real: "evenkeel.moments.weight"] = Array(repeating: 5, count: count)
    if time != 0 {
      table[real: "evenkeel.moments.time"] = Array(repeating: 1e6 * time, count: count)
      table[real: "evenkeel.moments.decayed_weight"] = Array(repeating: 3, count: count)
      table[real: "evenkeel.moments.half_life"] = Array(repeating: 60, count: count)
    }
    if let learned {
      table[count: "evenkeel.versions.state"] = [learned.version]
      table[count: "evenkeel.versions.parameters"] = [learned.version]
      table[real: "bias"] = Array(repeating: learned.bias, count: count)
    }
    let bytes = try Checkpoint(table, settings: [:]).serialized()
    return StateMessage(
      key: StateKey.state, value: bytes,
      headers: [StateHeader.offset: "\(offset)", StateHeader.epoch: "\(epoch)"])
  }

  private static func open(
    _ tail: MemoryTail, _ clock: ManualClock, ahead: Double = 300
  ) throws -> PeerStates {
    try PeerStates(tail, configuration.stateReading, aheadSeconds: ahead, clock: clock.clock)
  }

  private static func means(
    _ peers: PeerStates, _ partition: Int, newest: Double? = nil, reset: Int = -1
  ) -> [Double] {
    (peers.reading(for: partition).view?(newest, reset) ?? []).map { $0[real: "running_mean"][0] }
  }

  @Test func `the state with the highest offset counts, of every other partition`() throws {
    let clock = ManualClock()
    let tail = MemoryTail(clock, ends: [2, 1, 0])
    tail.store(try Self.state(1, offset: 10), in: 0)
    tail.store(try Self.state(2, offset: 4), in: 1)
    tail.store(try Self.state(3, offset: 20), in: 0)
    let peers = try Self.open(tail, clock)
    #expect(Self.means(peers, 0) == [2])
    #expect(Self.means(peers, 1) == [3])
    #expect(Self.means(peers, 2) == [3, 2])
    #expect(peers.age == 0)
    // A process that hung writes an old state late.
    tail.store(try Self.state(9, offset: 15), in: 0)
    tail.store(StateMessage(key: StateKey.claim, value: [1]), in: 0)
    tail.store(try Self.state(4, offset: 1), in: 2)
    clock.advance(by: 7)
    #expect(try peers.refresh() == [])
    #expect(Self.means(peers, 1) == [3, 4])
    #expect(peers.age == 7)
    // Somebody begins the partition again.
    tail.store(StateMessage(key: StateKey.state, value: nil), in: 0)
    _ = try peers.refresh()
    #expect(Self.means(peers, 1) == [4])
  }

  @Test func `a damaged state is told once, and the one before it stays`() throws {
    let clock = ManualClock()
    let tail = MemoryTail(clock, ends: [1, 1])
    for partition in 0..<2 {
      tail.store(try Self.state(Double(partition), offset: 1), in: partition)
    }
    let peers = try Self.open(tail, clock)
    for offset in 2..<5 {
      var damaged = try Self.state(7, offset: offset)
      var bytes = try #require(damaged.value)
      bytes[bytes.count - 1] ^= 1
      damaged.value = bytes
      tail.store(damaged, in: 1)
    }
    let warnings = try peers.refresh()
    #expect(warnings.count == 1)
    #expect(
      warnings.first?.hasPrefix("st/1: a state is not taken, the one before it stays: ") == true,
      "\(warnings)")
    #expect(Self.means(peers, 0) == [1])
    tail.store(try Self.state(8, offset: 9), in: 1)
    #expect(try peers.refresh() == [])
    #expect(Self.means(peers, 0) == [8])
    // Bytes of any kind, and no offset.
    tail.store(StateMessage(key: StateKey.state, value: [1, 2, 3]), in: 1)
    tail.store(
      StateMessage(key: StateKey.state, value: [1], headers: [StateHeader.offset: "99"]), in: 1)
    #expect(try peers.refresh().count == 1)
    #expect(Self.means(peers, 0) == [8])
  }

  @Test func `a partition that lags does not take what is much newer`() throws {
    let clock = ManualClock()
    let tail = MemoryTail(clock, ends: [0, 1])
    tail.store(try Self.state(1, offset: 1, time: 1_000), in: 1)
    let peers = try Self.open(tail, clock, ahead: 100)
    #expect(Self.means(peers, 0, newest: 950e6) == [1])
    tail.store(try Self.state(2, offset: 2, time: 2_000), in: 1)
    _ = try peers.refresh()
    #expect(Self.means(peers, 0, newest: 960e6) == [1])
    #expect(Self.means(peers, 0, newest: 1_900e6) == [2])
    // Without a record of its own it has no time.
    #expect(Self.means(peers, 3) == [2])
    // Without an earlier one, its own moments are alone.
    let late = MemoryTail(clock, ends: [0, 1])
    late.store(try Self.state(2, offset: 2, time: 2_000), in: 1)
    #expect(try Self.means(Self.open(late, clock, ahead: 100), 0, newest: 5e6) == [])
  }

  // MARK: γ and β

  @Test func `γ and β are those of partition 0, of its last state, and its owner is known`() throws
  {
    let clock = ManualClock()
    let tail = MemoryTail(clock, ends: [1, 0])
    tail.store(try Self.state(1, offset: 5, learned: (7, 2)), in: 0)
    let peers = try PeerStates(
      tail, Self.configuration.stateReading, aheadSeconds: nil, learns: true, clock: clock.clock)
    let reading = peers.reading(for: 2)
    func bias() -> Double? { reading.learner()?[real: "bias"][0] }
    #expect(bias() == 2 && peers.learnedVersion == 7)
    #expect(reading.view == nil && peers.reading(for: 0).learner() == nil)
    #expect(peers.learnerText == nil)
    // No record came, and it has learned. A process that hung writes an older state late.
    tail.store(try Self.state(1, offset: 5, learned: (9, 3), epoch: 4), in: 0)
    tail.store(try Self.state(1, offset: 5, learned: (8, 1), epoch: 3), in: 0)
    let owner = StateOwner(id: "a", host: "there", pid: 12)
    tail.store(StateMessage(key: StateKey.claim, value: owner.claim), in: 0)
    tail.store(StateMessage(key: StateKey.claim, value: [1]), in: 1)
    #expect(try peers.refresh() == [])
    #expect(bias() == 3 && peers.learnedVersion == 9)
    #expect(peers.learnerText == "process 12 on host there")
    // Without learning, each partition keeps its own.
    let plain = MemoryTail(clock, ends: [1])
    plain.store(try Self.state(1, offset: 5, learned: (7, 2)), in: 0)
    #expect(try Self.open(plain, clock).reading(for: 2).learner() == nil)
  }

  @Test func `a partition takes γ and β at a barrier, and its checkpoint has them`() throws {
    let clock = ManualClock()
    let tail = MemoryTail(clock)
    let peers = try PeerStates(
      tail, Self.configuration.stateReading, aheadSeconds: nil, learns: true, clock: clock.clock)
    func stage(_ checkpoint: Checkpoint?) throws -> OperateStage {
      var initial = InitialState(checkpoint: checkpoint)
      initial.peers = peers.reading(for: 1)
      var stage = OperateStage(Self.configuration, from: initial, clock: clock.clock)
      let opening = StreamOpening(schema: try FeatureSchema(["x"]), prologue: [])
      _ = try stage.step(.element(.opened(opening))) { _ in }
      return stage
    }
    func checkpoint(_ stage: inout OperateStage) throws -> Checkpoint {
      var checkpoint: Checkpoint?
      _ = try stage.step(.element(.barrier(Barrier(input: InputCursor())))) {
        checkpoint = $0.barrier?.checkpoint ?? checkpoint
      }
      _ = try stage.step(.element(.idle)) {
        checkpoint = $0.barrier?.checkpoint ?? checkpoint
      }
      return try #require(checkpoint)
    }
    func shown(_ checkpoint: Checkpoint) -> [Double] {
      let state = checkpoint.state
      return state[real: "bias"] + state[count: "evenkeel.versions.parameters"].map(Double.init)
    }
    var first = try stage(nil)
    #expect(try shown(checkpoint(&first)) == [0, 0])
    tail.store(try Self.state(1, offset: 5, learned: (7, 2)), in: 0)
    _ = try peers.refresh()
    // Not before the barrier.
    #expect(first.operators?.parametersVersion == 0)
    let taken = try checkpoint(&first)
    #expect(shown(taken) == [2, 7] && first.operators?.stateVersion == 7)
    // Another partition without a state begins with them; one with a state keeps those of its state.
    tail.store(try Self.state(1, offset: 6, learned: (8, 3)), in: 0)
    _ = try peers.refresh()
    #expect(try stage(nil).operators?.parametersVersion == 8)
    #expect(try stage(taken).operators?.parametersVersion == 7)
    // Those of other features are not taken, and that is told.
    tail.store(try Self.state(1, offset: 7, features: ["y"], learned: (9, 4)), in: 0)
    _ = try peers.refresh()
    #expect(try shown(checkpoint(&first)) == [2, 7])
    let told = try peers.refresh()
    let reason = "γ and β of partition 0 are not taken: state: expected features 'x', found 'y'"
    #expect(told == [reason], "\(told)")
  }

  @Test func `the features of all partitions are shown with the newest γ and β`() throws {
    func snapshot(_ value: Double, bias: Double?) throws -> StreamSnapshot {
      var settings = SettingValues()
      settings[LearnSettings.optimizer] = .sgd
      var chain = try OperatorChain(
        BuiltInOperators.all,
        OperatorContext(
          schema: FeatureSchema(["x"]), outputPrecision: .float64,
          normalization: NormalizationSettings(), settings: settings))
      var columns = FeatureColumns(featureCount: 1, capacity: 1, precision: .float64)
      columns.withFloat64Columns { (values: inout [Double]) in values[0] = value }
      columns.count = 1
      _ = try chain.operate(on: &columns)
      if let bias {
        try chain.apply(StreamUpdate("parameters", ParametersBody(weight: [2], bias: [bias])))
      }
      let snapshot = StreamSnapshot()
      snapshot.show(chain, position: StreamPosition())
      return snapshot
    }
    let shown = StreamSnapshot.features(
      of: [try snapshot(3, bias: nil), try snapshot(5, bias: 7), try snapshot(9, bias: nil)])
    #expect(shown.map { $0["bias"] } == [7] && shown.map { $0["weight"] } == [2])
    // Those of the first partition alone would have one value.
    #expect(shown.map { $0["values"] } == [3], "\(shown.map { $0.readings.map(\.metric.name) })")
  }

  @Test func `a topic that cannot be read to its end is refused`() throws {
    let clock = ManualClock()
    let tail = MemoryTail(clock, ends: [2, 0])
    tail.store(try Self.state(1, offset: 1), in: 0)
    let error = #expect(throws: FileError.self) { try Self.open(tail, clock) }
    #expect("\(error as Any)".contains("no news from the brokers for 30 s"), "\(error as Any)")
    let broken = MemoryTail(clock, ends: [1])
    broken.isBroken = true
    #expect(throws: FileError.self) { try Self.open(broken, clock) }
  }

  @Test(arguments: [
    ("state: { scope: global }", "state.topic"),
    (
      "state: { topic: st, scope: global }",
      "momentum cumulative or half_life.event_time beside global"
    ),
    (
      "state: { topic: st, scope: global }\nnormalize: { momentum: 0.1 }",
      "momentum cumulative or half_life.event_time beside global"
    ),
    (
      "state: { topic: st, scope: global }\nnormalize: { momentum: cumulative, estimator: batch_norm }",
      "estimator total beside global"
    ),
    (
      "state: { topic: st, scope: global }\nnormalize: { momentum: cumulative, key: { columns: [a] } }",
      "no keys or classes beside global"
    ),
    ("state: { topic: st, view_ahead: 5m }", "expected scope: global"),
  ])
  func `settings that do not add up are refused`(lines: String, says: String) throws {
    let text = """
      state_directory: /tmp/state
      streams:
        s:
          source: { kafka: { brokers: [b:1], topic: t } }
          sink: { kafka: { brokers: [b:1], topic: out } }
          format: ndjson

      """ + lines.split(separator: "\n").map { "    \($0)\n" }.joined()
    let errors = try configurationErrors(text).map { "\($0)" }
    #expect(errors.contains { $0.contains(says) }, "\(errors)")
  }
}
