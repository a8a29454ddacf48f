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

/// Changes by users that all partitions of a stream make.
@Suite struct StreamControlTests {
  private let clock = ManualClock()
  private let tail: MemoryTail
  private let peers: PeerStates
  private let configuration: StreamConfiguration

  init() throws {
    var configuration = StreamConfiguration(name: "s", format: .ndjson)
    configuration.decoder.features = [FeaturePattern("x")]
    configuration.normalization.momentum = .cumulative
    configuration.normalization.updateFirst = true
    self.configuration = configuration
    tail = MemoryTail(clock)
    peers = try PeerStates(
      tail, configuration.stateReading, aheadSeconds: 300, clock: clock.clock)
  }

  /// A member of the stream stores a change.
  private func change(_ subject: String, _ update: StreamUpdate, by host: String = "a") throws {
    let owner = StateOwner(id: host, host: host, pid: 1)
    tail.store(RequestedChange.message(update, of: subject, by: owner), in: 0)
    #expect(try peers.refresh() == [])
  }

  private func mode(_ mode: NormalizationMode) -> StreamUpdate {
    StreamUpdate("mode", ModeBody(mode: mode))
  }

  private func stage(of partition: Int, from checkpoint: Checkpoint? = nil) throws -> OperateStage {
    var configuration = configuration
    var initial = InitialState(checkpoint: checkpoint)
    initial.peers = peers.reading(for: partition)
    let control = StreamControl(
      over: configuration.normalization, made: checkpoint?.control ?? [:])
    initial.control = control
    configuration.normalization = control.settings
    var stage = OperateStage(configuration, from: initial, clock: clock.clock)
    let opening = StreamOpening(schema: try FeatureSchema(["x"]), prologue: [])
    _ = try stage.step(.element(.opened(opening))) { _ in }
    return stage
  }

  /// The state at a barrier, as it is stored and read.
  private func checkpoint(
    _ stage: inout OperateStage, isRepeating: Bool = false
  ) throws -> Checkpoint {
    var checkpoint: Checkpoint?
    var barrier = Barrier(input: InputCursor())
    barrier.isRepeating = isRepeating
    for item in [IngestedItem.barrier(barrier), .idle] {
      _ = try stage.step(.element(item)) { checkpoint = $0.barrier?.checkpoint ?? checkpoint }
    }
    return try Checkpoint(
      serialized: #require(checkpoint).serialized(), configuration.stateReading)
  }

  private func add(_ value: Double, to stage: inout OperateStage) throws {
    var columns = FeatureColumns(featureCount: 1, capacity: 1, precision: .float64)
    columns.withFloat64Columns { (values: inout [Double]) in values[0] = value }
    columns.count = 1
    _ = try stage.operate(on: &columns, as: .whole)
  }

  private func mean(_ checkpoint: Checkpoint) -> Double {
    checkpoint.state[real: "running_mean"][0]
  }

  // MARK: Making changes

  @Test func `a change is made at the next state, and a restart keeps it`() throws {
    var first = try stage(of: 0)
    var second = try stage(of: 1)
    _ = try checkpoint(&second)
    try change("freeze", StreamUpdate("freeze"))
    try change("mode", mode(.batch))
    // Not before the barrier, and not among records that an earlier run may have written.
    #expect(first.operators?.normalization?.isFrozen == false)
    #expect(try checkpoint(&first, isRepeating: true).control.isEmpty)
    #expect(first.operators?.normalization?.isFrozen == false)
    for state in [try checkpoint(&first), try checkpoint(&second)] {
      #expect(
        state.control == [
          "freeze": ControlChange("freeze", offset: 0),
          "mode": ControlChange("mode", mode: "batch", offset: 1),
        ])
      // Another process goes on from it.
      let next = try stage(of: 1, from: state)
      #expect(next.operators?.normalization?.isFrozen == true)
      #expect(next.operators?.normalization?.mode == .batch)
      #expect(next.operators?.stateVersion == first.operators?.stateVersion)
    }
    #expect(first.operators?.normalization?.isFrozen == true)
    // A partition that begins has it at once.
    #expect(try stage(of: 7).operators?.normalization?.isFrozen == true)
    // And gives it up as it took it: with the settings of the file, which a restart has too.
    try change("freeze", StreamUpdate("thaw"))
    try change("mode", mode(.running))
    let state = try checkpoint(&first)
    #expect(first.operators?.normalization == configuration.normalization)
    #expect(try stage(of: 0, from: state).operators?.normalization == configuration.normalization)
  }

  @Test func `a reset is made once`() throws {
    var stage = try stage(of: 0)
    try add(5, to: &stage)
    #expect(try mean(checkpoint(&stage)) == 5)
    try change("reset", StreamUpdate("reset"))
    let state = try checkpoint(&stage)
    #expect(mean(state) == 0)
    try add(3, to: &stage)
    let later = try checkpoint(&stage)
    #expect(mean(later) == 3)
    // Neither the next state nor a restart makes it again; another one does.
    var again = try self.stage(of: 0, from: later)
    #expect(try mean(checkpoint(&again)) == 3)
    try change("reset", StreamUpdate("reset"))
    #expect(try mean(checkpoint(&again)) == 0)
    // One from before it makes it then.
    var old = try self.stage(of: 0, from: later)
    #expect(try mean(checkpoint(&old)) == 0)
  }

  @Test func `moments of partitions that have not made the reset are left out`() throws {
    var (first, second) = (try stage(of: 0), try stage(of: 1))
    func store(_ state: Checkpoint, _ offset: Int) throws {
      tail.store(
        StateMessage(
          key: StateKey.state, value: try state.serialized(),
          headers: [StateHeader.offset: "1", StateHeader.epoch: "\(offset)"]), in: 1)
      _ = try peers.refresh()
    }
    func view(_ state: Checkpoint) -> Double { state.state[real: "evenkeel.view.weight"][0] }
    try add(9, to: &second)
    try store(try checkpoint(&second), 1)
    #expect(try view(checkpoint(&first)) == 1)
    try change("reset", StreamUpdate("reset"))
    #expect(try view(checkpoint(&first)) == 0)
    _ = try checkpoint(&second)
    try add(7, to: &second)
    try store(try checkpoint(&second), 2)
    #expect(try view(checkpoint(&first)) == 1)
  }

  @Test func `a change that does not fit is told, and is not made again`() throws {
    var keyed = configuration
    keyed.normalization.key = KeySettings(columns: ["k"])
    var control = StreamControl(over: keyed.normalization)
    let new = control.take(["mode": ControlChange("mode", mode: "batch", offset: 3)])
    #expect(new.count == 1 && control.settings == keyed.normalization)
    #expect("\(try #require(control.fault(of: new[0])))".contains("expected running beside keys"))
    #expect(control.take(["mode": ControlChange("mode", mode: "batch", offset: 3)]).isEmpty)
    // One of another version.
    var stage = try stage(of: 2)
    try change("spin", StreamUpdate("spin"))
    #expect(try checkpoint(&stage).control["spin"]?.offset == 0)
    let told = try peers.refresh()
    #expect(
      told == [
        "partition 2: the change 'spin' is not made: expected an update of the stream, found 'spin'"
      ],
      "\(told)")
    _ = try checkpoint(&stage)
    #expect(try peers.refresh() == [])
  }

  // MARK: The topic

  @Test func `changes of two members at once both hold, and the last one of a subject`() throws {
    try change("freeze", StreamUpdate("freeze"), by: "a")
    try change("mode", mode(.renorm), by: "b")
    try change("freeze", StreamUpdate("thaw"), by: "b")
    try change("mode", mode(.batch), by: "a")
    #expect(
      peers.requestedChanges.mapValues { [$0.change.change, $0.change.mode, $0.by.host] } == [
        "freeze": ["thaw", nil, "b"], "mode": ["mode", "batch", "a"],
      ])
    #expect(peers.controlOffset == 3)
    // A process with an older view of the topic does not take a newer change back.
    var control = StreamControl(
      over: configuration.normalization, made: ["freeze": ControlChange("freeze", offset: 9)])
    #expect(control.take(["freeze": ControlChange("thaw", offset: 2)]).isEmpty)
    // Somebody begins again.
    tail.store(StateMessage(key: StateKey.control + "freeze", value: nil), in: 0)
    _ = try peers.refresh()
    #expect(Array(peers.requestedChanges.keys) == ["mode"])
  }

  @Test func `other texts are told and not taken`() throws {
    let texts: [[UInt8]] = [
      [], [0xFF], Array("{}".utf8), Array(#"{"change":"freeze"}"#.utf8),
      Array(repeating: 0x5B, count: 100_000),
    ]
    for text in texts {
      tail.store(StateMessage(key: StateKey.control + "freeze", value: text), in: 0)
    }
    let told = try peers.refresh()
    #expect(told.count == texts.count)
    #expect(
      told.first
        == "st/0 at offset 0: expected a change by a user, found another text: it is not made")
    // Only partition 0 has changes, and not without end.
    let owner = StateOwner(id: "a", host: "a", pid: 1)
    tail.store(RequestedChange.message(StreamUpdate("freeze"), of: "freeze", by: owner), in: 1)
    for number in 0..<100 {
      tail.store(RequestedChange.message(StreamUpdate("x"), of: "\(number)", by: owner), in: 0)
    }
    #expect(try peers.refresh().count == 100 - StreamControl.mostSubjects)
    #expect(peers.requestedChanges.count == StreamControl.mostSubjects)
    #expect(peers.requestedChanges["freeze"] == nil)
  }

  @Test func `a state with an offset that is none is refused`() throws {
    var checkpoint = Checkpoint(features: ["x"])
    checkpoint.control["reset"] = ControlChange("reset", offset: -1)
    #expect(throws: ContentError.self) { try checkpoint.serialized() }
  }
}
