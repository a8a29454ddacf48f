import Connectors
import Dataflow
import Records
import Storage
import TestSupport
import Testing

@testable import Stream

/// The state of a partition in a topic: which state counts, and who owns the partition.
@Suite struct TopicStateTests {
  /// A log in memory. Its messages are stored when the test says so.
  private final class MemoryStateLog: StateLog, @unchecked Sendable {
    // @unchecked because one test uses it.
    let name = "st/0"
    private(set) var messages: [StateMessage] = []
    private var read = 0
    private var last: Int?
    /// Messages that were appended and are not stored.
    private var waiting: [StateMessage] = []
    var storesAtOnce = true
    /// The offset that the group has of the input.
    var offsetOfGroup: Int?
    var isExclusive = false

    init(_ messages: [StateMessage] = []) { for message in messages { store(message) } }

    func store(_ message: StateMessage) {
      var stored = message
      stored.offset = messages.count
      messages.append(stored)
    }

    func storeAll() {
      for message in waiting {
        store(message)
        last = messages.count - 1
      }
      waiting = []
    }

    var awaiting: Awaiting { Awaiting(nil, seconds: 1) }

    func append(_ message: StateMessage) throws(FileError) {
      last = nil
      waiting.append(message)
      if storesAtOnce { storeAll() }
    }
    func stored() throws(FileError) -> Int? { last }
    func next() throws(FileError) -> StateMessage? {
      guard read < messages.count else { return nil }
      read += 1
      return messages[read - 1]
    }
    func wait() { storeAll() }
    func end() throws(FileError) -> Int { messages.count }
    var position: Int { read }
    func committed() throws(FileError) -> Int? { offsetOfGroup }
    func keys() -> [String] { messages.map(\.key) }
  }

  private static let me = StateOwner(id: "me", host: "here", pid: 1, since: 100)

  private static func open(_ log: MemoryStateLog) throws -> TopicCheckpoints {
    try TopicCheckpoints(
      TopicState(
        partition: TopicPartition(topic: "in", number: 0), owner: me, directory: "/state"
      ) { _ throws(FileError) in log }, of: "s",
      in: ConnectorContext(fileSystem: POSIXFileSystem(), clock: ManualClock().clock))
  }

  private static func checkpoint(_ offset: Int, _ topic: String = "in") -> Checkpoint {
    var checkpoint = Checkpoint(features: ["x"])
    var split = SplitCursor(split: "\(topic)/0", byteOffset: 8 * offset, records: offset)
    split.source = OpaqueBytes("\(topic)/0/\(offset)/0")
    checkpoint.input = InputCursor(splits: [split], done: OpaqueBytes("\(topic)/0:0"))
    return checkpoint
  }

  private static func state(
    _ offset: Int, header: String? = nil, topic: String = "in",
    damaging change: (inout [UInt8]) -> Void = { _ in }
  ) throws -> StateMessage {
    var bytes = try checkpoint(offset, topic).serialized()
    change(&bytes)
    return StateMessage(
      key: "state", value: bytes,
      headers: ["ek-offset": header ?? "\(offset)", "ek-epoch": "\(offset / 10)"])
  }

  private static func claim(_ owner: StateOwner) -> StateMessage {
    StateMessage(key: "claim", value: owner.claim)
  }

  private static func restore(_ messages: [StateMessage]) throws -> TopicCheckpoints.Restored {
    var state = try open(MemoryStateLog(messages))
    return try state.restore(.ofNormalizer)
  }

  // MARK: Restoring

  @Test func `the state with the highest offset counts, and the last of equal ones`() throws {
    var later = try Self.state(30)
    var checkpoint = Self.checkpoint(30)
    checkpoint.batchesTracked = 7
    later.value = try checkpoint.serialized()
    let restored = try Self.restore([
      StateMessage(key: "other", value: [1, 2, 3]), Self.state(10), Self.state(30), later,
      Self.state(20), StateMessage(key: "state", value: [1], headers: ["ek-offset": "x"]),
    ])
    #expect(restored.found?.checkpoint == checkpoint)
    #expect(restored.found?.path == "st/0 at offset 3")
    #expect(restored.found?.skipped == [])
  }

  /// γ and β may have been learned while no record came. A process that hung writes its state late.
  @Test func `of two states with one offset the one with the higher number counts`() throws {
    func state(_ epoch: Int) throws -> StateMessage {
      var checkpoint = Self.checkpoint(30)
      checkpoint.batchesTracked = epoch
      var message = try Self.state(30)
      message.value = try checkpoint.serialized()
      message.headers["ek-epoch"] = "\(epoch)"
      return message
    }
    let restored = try Self.restore([try state(4), try state(6), try state(5)])
    #expect(restored.found?.checkpoint.batchesTracked == 6)
  }

  /// Its owner has written no output after it, and the next one may have made other changes by users.
  @Test func `a state that came after another claim counts only without another one`() throws {
    func state(_ offset: Int, claim: Int) throws -> StateMessage {
      var message = try Self.state(offset)
      message.headers["ek-claim"] = "\(claim)"
      return message
    }
    let claim = Self.claim(Self.me)
    let early = [claim, try state(10, claim: 0), claim]
    let late = try Self.restore(early + [try state(30, claim: 0)])
    #expect(late.found?.checkpoint == Self.checkpoint(10))
    let inTime = try Self.restore(
      early + [try state(30, claim: 0), try state(20, claim: 2), try state(25, claim: 0)])
    #expect(inTime.found?.checkpoint == Self.checkpoint(20))
    // The brokers have removed the others.
    #expect(
      try Self.restore([claim, try state(30, claim: 5)]).found?.checkpoint == Self.checkpoint(30))
  }

  @Test func `one partition has the gradients of a stream`() throws {
    let stream = try onlyStream(
      Self.stream(
        "state: { topic: st }\nparameters: { learn: { optimizer: sgd, gradients: /tmp/g } }"))
    let owner = StateOwner(id: "me", host: "here", pid: 1)
    let plans = (0..<3).map {
      StreamPlan(
        stream, directory: "/tmp/state", adopts: false, part: StreamPart($0, owner, peers: nil))
    }
    #expect(stream.stream.learns && plans.map { $0.gradients != nil } == [true, false, false])
  }

  @Test func `a damaged state is passed over, and only damaged ones are refused`() throws {
    let damaged = try Self.state(30) { $0[$0.count / 2] ^= 1 }
    let restored = try Self.restore([try Self.state(10), damaged, try Self.state(20)])
    #expect(restored.found?.checkpoint == Self.checkpoint(20))
    #expect(restored.found?.skipped.count == 1)
    // A header that lies is damage too.
    let lying = try Self.restore([try Self.state(10), try Self.state(5, header: "99")])
    #expect(lying.found?.checkpoint == Self.checkpoint(10))
    for messages in [
      [damaged, damaged], [StateMessage(key: "state", value: [1, 2])],
      [StateMessage(key: "state", value: [], headers: ["ek-offset": "-4"])],
    ] {
      let error = #expect(throws: StreamError.self) { try Self.restore(messages) }
      #expect(error?.description.contains("no checkpoint is intact") == true, "\(error as Any)")
    }
  }

  @Test func `the state of another topic is refused`() throws {
    let error = #expect(throws: StreamError.self) {
      try Self.restore([try Self.state(10, topic: "others")])
    }
    #expect(
      error?.description
        == "st/0 at offset 0: expected the state of in/0, found that of others/0: name another state topic"
    )
    #expect(throws: StreamError.self) {
      try Self.restore([StateMessage(key: "start", value: Array("others/0:5".utf8))])
    }
  }

  @Test func `a partition without a state begins where it began first`() throws {
    let log = MemoryStateLog()
    var first = try Self.open(log)
    let restored = try first.restore(.ofNormalizer)
    #expect(restored.found == nil && restored.start == nil)
    try first.begin(at: OpaqueBytes("in/0:17"))
    var second = try Self.open(log)
    #expect(try second.restore(.ofNormalizer).start == OpaqueBytes("in/0:17"))
    #expect(log.keys() == ["claim", "start", "claim"])
    // Somebody removes the state, to begin again.
    let again = try Self.restore([
      try Self.state(30), StateMessage(key: "state", value: nil),
      StateMessage(key: "start", value: nil),
    ])
    #expect(again.found == nil && again.start == nil)
  }

  @Test func `a partition that lost its state is refused, as its group has processed a part of it`()
    throws
  {
    let log = MemoryStateLog([StateMessage(key: "start", value: Array("in/0:17".utf8))])
    log.offsetOfGroup = 40
    var lost = try Self.open(log)
    let error = #expect(throws: StreamError.self) { try lost.restore(.ofNormalizer) }
    #expect(
      error?.description
        == "st/0: expected a state of in/0, since the group has processed it up to offset 40, found none: restore the "
        + "state topic; to begin again, delete the offsets of the group, or name another one")
    // The offset of the group decides nothing else.
    log.store(try Self.state(10))
    var whole = try Self.open(log)
    #expect(try whole.restore(.ofNormalizer).found?.checkpoint == Self.checkpoint(10))
  }

  @Test func `the newest state of a log is shown`() throws {
    let log = MemoryStateLog([try Self.state(10), try Self.state(20), Self.claim(Self.me)])
    let clock = ManualClock().clock
    #expect(try StateLocation.newest(in: log, .ofNormalizer, clock) == Self.checkpoint(20))
    #expect(throws: StreamError.self) {
      try StateLocation.newest(in: MemoryStateLog(), .ofNormalizer, clock)
    }
  }

  // MARK: Keeping

  @Test func `a state counts as stored when it was read back`() throws {
    let log = MemoryStateLog([try Self.state(10)])
    var state = try Self.open(log)
    _ = try state.restore(.ofNormalizer)
    log.storesAtOnce = false
    var checkpoint = Self.checkpoint(12)
    // The positions in files are those of one machine.
    checkpoint.outputs[.deadLetters] = OutputPosition(byteCount: 5, sequence: 0)
    _ = try state.keep(checkpoint, DoneChanges())
    #expect(try state.settle() != nil)
    log.storeAll()
    #expect(try state.settle() == nil)
    let stored = try #require(log.messages.last)
    #expect(
      stored.headers == ["ek-offset": "12", "ek-epoch": "2", "ek-owner": "me", "ek-claim": "1"])
    #expect(try Checkpoint(serialized: stored.value ?? [], .ofNormalizer) == Self.checkpoint(12))
  }

  @Test(arguments: [
    (StateOwner(id: "b", host: "there", pid: 7, since: 101), true),
    (StateOwner(id: "a", host: "there", pid: 7, since: 99), false),
  ])
  func `a claim of another owner ends the run, for good if that one is newer`(
    owner: StateOwner, isFinal: Bool
  ) throws {
    // Claims before ours are those of earlier owners.
    let log = MemoryStateLog([Self.claim(owner)])
    var state = try Self.open(log)
    _ = try state.restore(.ofNormalizer)
    _ = try state.keep(Self.checkpoint(1), DoneChanges())
    #expect(try state.settle() == nil)
    log.store(Self.claim(Self.me))
    log.store(Self.claim(owner))
    _ = try state.keep(Self.checkpoint(2), DoneChanges())
    let error = #expect(throws: StreamError.self) { try state.settle() }
    let text =
      "s: process 7 on host there has claimed in/0, which has one owner: this run of it ends"
    #expect(error?.description.hasPrefix(text) == true, "\(error as Any)")
    guard case .claimed(_, _, _, let found) = error else { return }
    #expect(found == isFinal)
  }

  /// As if the brokers had refused a message of the first run.
  @Test func `a run that failed finds the claim of its successor at its next start`() throws {
    let (older, newer) = (
      StateOwner(id: "a", host: "there", pid: 7, since: 99),
      StateOwner(id: "b", host: "there", pid: 7, since: 101)
    )
    let log = MemoryStateLog([Self.claim(newer), Self.claim(Self.me), Self.claim(older)])
    var again = try Self.open(log)
    _ = try again.restore(.ofNormalizer)
    log.store(Self.claim(newer))
    var replaced = try Self.open(MemoryStateLog(log.messages))
    let error = #expect(throws: StreamError.self) { try replaced.restore(.ofNormalizer) }
    guard case .claimed(_, _, _, true) = error else {
      Issue.record("\(error as Any)")
      return
    }
  }

  @Test func `a state of which brokers refuse others is not read back`() throws {
    let log = MemoryStateLog()
    log.isExclusive = true
    var state = try Self.open(log)
    _ = try state.restore(.ofNormalizer)
    log.store(Self.claim(StateOwner(id: "a", host: "there", pid: 7)))
    let read = log.position
    _ = try state.keep(Self.checkpoint(2), DoneChanges())
    #expect(try state.settle() == nil)
    #expect(log.position == read)
  }

  @Test func `a claim of any bytes ends the run in plain words`() throws {
    for bytes: [UInt8] in [
      [], [0xFF], Array("{}".utf8), Array(repeating: 0x5B, count: 100_000),
      Array(#"{"id":"x","host":"a\u001b[2J\nb","pid":1,"since":0}"#.utf8),
    ] {
      let log = MemoryStateLog()
      var state = try Self.open(log)
      _ = try state.restore(.ofNormalizer)
      log.store(StateMessage(key: "claim", value: bytes))
      _ = try state.keep(Self.checkpoint(2), DoneChanges())
      let error = #expect(throws: StreamError.self) { try state.settle() }
      #expect(error?.description.contains("\u{1B}") == false)
      #expect(error?.description.contains("\n") == false)
    }
  }

  // MARK: Settings

  private static func stream(
    _ lines: String, source: String = "kafka: { brokers: [b:1], topic: t }",
    sink: String = "kafka: { brokers: [b:1], topic: out }"
  ) -> String {
    """
    state_directory: /tmp/state
    streams:
      s:
        source: { \(source) }
        sink: { \(sink) }
        format: ndjson

    """ + lines.split(separator: "\n").map { "    \($0)\n" }.joined()
  }

  @Test func `a stream whose state is in a topic has its partitions and its schedule`() throws {
    let stream = try onlyStream(
      Self.stream("state: { topic: st, every: { records: 20, time: 2s } }"))
    #expect(stream.partitions != nil)
    #expect(
      stream.checkpoint.schedule
        == CheckpointSchedule(intervalSeconds: 2, everyRecords: 20, atTimedCuts: true))
    let plain = try onlyStream(Self.stream(""))
    #expect(plain.partitions == nil && plain.checkpoint.schedule.everyRecords == nil)
    let two = try onlyStream(
      Self.stream(
        "state: { topic: st }", source: "kafka: { brokers: [b:1], topic: t, partitions: [1, 4] }"))
    #expect(two.threadCount == 54 && two.descriptorCount == 117)
  }

  @Test(arguments: [
    ("state: { create: true }", "state.topic: expected"),
    ("state: { topic: a b }", "topic: expected a name"),
    ("state: { topic: st, every: { records: 0 } }", "records: expected a whole number"),
    ("state: { topic: out }", "expected a topic other than those of the source and the sink"),
    (
      "state: { topic: st }\ncheckpoint: { interval: 1s }",
      "expected state.every beside state.topic"
    ),
    (
      "state: { topic: st }\nnormalize: { half_life: { seconds: 1h } }",
      "expected a half-life in records"
    ),
  ])
  func `a setting that does not fit a state in a topic is refused`(
    lines: String, message: String
  ) throws {
    let errors = try configurationErrors(Self.stream(lines)).map { "\($0)" }
    #expect(errors.contains { $0.contains(message) }, "\(errors)")
  }

  @Test func `a state in a topic needs a source and a sink kafka`() throws {
    let line = "state: { topic: st }"
    let file = try configurationErrors(Self.stream(line, source: "fifo: { path: /tmp/f }"))
    #expect(file.contains { "\($0)".contains("expected a source kafka beside it") }, "\(file)")
    let sink = try configurationErrors(Self.stream(line, sink: "file: { path: /tmp/out }"))
    #expect(sink.contains { "\($0)".contains("expected a sink kafka beside it") }, "\(sink)")
  }

  @Test func `a group needs a state topic, and names no partitions`() throws {
    let group = "kafka: { brokers: [b:1], topic: t, group: g }"
    let missing = try configurationErrors(Self.stream("", source: group))
    #expect(missing.contains { "\($0)".contains("a state topic beside the group") }, "\(missing)")
    let both = try configurationErrors(
      Self.stream(
        "state: { topic: st }",
        source: "kafka: { brokers: [b:1], topic: t, group: g, partitions: [1] }"))
    #expect(both.contains { "\($0)".contains("no partitions beside group") }, "\(both)")
    #expect(try onlyStream(Self.stream("state: { topic: st }", source: group)).partitions != nil)
  }
}
