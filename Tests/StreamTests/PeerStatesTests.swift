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
  /// A state topic in memory. Each wait takes a second of the clock.
  private final class MemoryTail: StateTail, @unchecked Sendable {
    // @unchecked because one test uses it.
    let name = "st"
    var ends: [Int]
    private let clock: ManualClock
    private var messages: [(partition: Int, message: StateMessage)] = []
    private var read = 0
    var isBroken = false

    init(_ clock: ManualClock, ends: [Int] = []) { (self.clock, self.ends) = (clock, ends) }

    func store(_ message: StateMessage, in partition: Int) {
      var stored = message
      stored.offset = messages.count { $0.partition == partition }
      messages.append((partition, stored))
    }

    func next(
      waiting seconds: Double
    ) throws(FileError) -> (partition: Int, message: StateMessage)? {
      if isBroken { throw FileError(operation: .read, path: name, reason: "broken") }
      guard read < messages.count else {
        clock.advance(by: seconds)
        return nil
      }
      read += 1
      return messages[read - 1]
    }
  }

  private static let configuration: StreamConfiguration = {
    var configuration = StreamConfiguration(name: "s", format: .ndjson)
    configuration.decoder.features = [FeaturePattern("x")]
    return configuration
  }()

  /// A state with a mean, and with the time of its newest record.
  private static func state(
    _ mean: Double, offset: Int, time: Double = 0, features: [String] = ["x"]
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
    let bytes = try Checkpoint(table, settings: [:]).serialized()
    return StateMessage(
      key: StateKey.state, value: bytes, headers: [StateHeader.offset: "\(offset)"])
  }

  private static func open(
    _ tail: MemoryTail, _ clock: ManualClock, ahead: Double = 300
  ) throws -> PeerStates {
    try PeerStates(tail, configuration.stateReading, aheadSeconds: ahead, clock: clock.clock)
  }

  private static func means(
    _ peers: PeerStates, _ partition: Int, newest: Double? = nil
  ) -> [Double] {
    peers.view(for: partition, newest: newest).map { $0[real: "running_mean"][0] }
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
