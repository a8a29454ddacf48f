import Configuration
import Dataflow
import Records
import Storage
import TestSupport
import Testing

@testable import Connectors

/// The state of a partition in a topic of librdkafka's mock cluster.
@Suite(.serialized) struct KafkaStateLogTests {
  private static func context() -> ConnectorContext {
    ConnectorContext(fileSystem: POSIXFileSystem())
  }

  private static func log(_ kafka: MockKafka, _ partition: Int = 0) throws -> KafkaStateLog {
    try KafkaStateLog(
      KafkaConnection(brokers: kafka.addresses, topic: "st", properties: []), partition,
      in: context())
  }

  /// Waits for the descriptor as a runner does.
  private static func waited<Value>(
    _ log: KafkaStateLog, _ value: () throws -> Value?
  ) throws -> Value {
    let deadline = ContinuousClock.now + .seconds(hangSeconds)
    while ContinuousClock.now < deadline {
      if let found = try value() { return found }
      _ = log.awaiting.isReady(within: 60)
    }
    throw TookTooLong()
  }

  private static func append(_ message: StateMessage, to log: KafkaStateLog) throws -> Int {
    try log.append(message)
    return try waited(log) { try log.stored() }
  }

  @Test func `messages are read back as they were appended, with keys, headers and offsets`() throws
  {
    let kafka = try MockKafka(brokers: 2)
    try kafka.makeTopic("st", partitions: 2)
    let log = try Self.log(kafka, 1)
    var random = SeededGenerator()
    var messages = [
      StateMessage(key: "claim", value: Array("{}".utf8), headers: ["ek-owner": "ä"]),
      StateMessage(key: "state", value: nil),
      StateMessage(
        key: "state", value: (0..<300_000).map { _ in .random(in: 0...255, using: &random) },
        headers: ["ek-offset": "12", "ek-epoch": "", "ek-owner": "a"]),
    ]
    for index in messages.indices {
      messages[index].offset = try Self.append(messages[index], to: log)
    }
    #expect(messages.map(\.offset) == [0, 1, 2])
    // Another client reads the same, and each sees the messages of the other one.
    let other = try Self.log(kafka, 1)
    let last = StateMessage(key: "claim", value: [1], offset: 3)
    #expect(try Self.append(StateMessage(key: "claim", value: [1]), to: other) == 3)
    for each in [log, other] {
      for message in messages + [last] {
        #expect(try Self.waited(each) { try each.next() } == message)
      }
      #expect(try each.end() == 4)
    }
  }

  @Test func `a message is stored by a client of its own, or refused`() throws {
    let kafka = try MockKafka()
    try kafka.makeTopic("st", partitions: 2)
    let connection = KafkaConnection(brokers: kafka.addresses, topic: "st", properties: [])
    let topic = PartitionedTopic(
      source: connection, options: KafkaSourceOptions(), state: connection, creates: false)
    let message = StateMessage(key: "control/freeze", value: [1], headers: ["ek-owner": "a"])
    #expect(try topic.store(message, in: 1, Self.context()) == 0)
    #expect(try topic.store(message, in: 1, Self.context()) == 1)
    let log = try Self.log(kafka, 1)
    for offset in 0..<2 {
      var stored = message
      stored.offset = offset
      #expect(try Self.waited(log) { try log.next() } == stored)
    }
    kafka.fail(.produce, times: 1, withError: 10)
    #expect(throws: FileError.self) { try topic.store(message, in: 1, Self.context()) }
  }

  @Test func `the calling thread may wait for a message and for its report`() throws {
    let kafka = try MockKafka()
    try kafka.makeTopic("st", partitions: 1)
    let log = try Self.log(kafka)
    try log.append(StateMessage(key: "claim", value: [1]))
    while try log.stored() == nil { log.wait() }
    while try log.next() == nil { log.wait() }
  }

  @Test func `a state that is too large is told with its size`() throws {
    let kafka = try MockKafka()
    try kafka.makeTopic("st", partitions: 1)
    let log = try Self.log(kafka)
    let tooLarge = [UInt8](repeating: 0, count: StateMessage.mostBytes + 1)
    let error = #expect(throws: FileError.self) {
      try log.append(StateMessage(key: "state", value: tooLarge))
    }
    #expect(error?.description.contains("expected a state of at most 67108864 bytes") == true)
    // The brokers have a limit of their own.
    kafka.fail(.produce, times: 1, withError: 10)
    let refusal = #expect(throws: FileError.self) {
      try Self.append(StateMessage(key: "state", value: [1, 2, 3]), to: log)
    }
    #expect(
      refusal?.description.contains("take no state of 3 bytes: raise max.message.bytes") == true,
      "\(refusal as Any)")
  }

  @Test func `the partitions are found, and a state topic that does not fit is refused`() throws {
    let kafka = try MockKafka()
    try kafka.makeTopic("in", partitions: 3)
    try kafka.makeTopic("st", partitions: 3)
    try kafka.makeTopic("small", partitions: 2)
    func topic(_ state: String, _ partitions: [Int] = []) -> PartitionedTopic {
      let source = KafkaConnection(brokers: kafka.addresses, topic: "in", properties: [])
      var connection = source
      connection.topic = state
      return PartitionedTopic(
        source: source, options: KafkaSourceOptions(partitions: partitions), state: connection,
        creates: false)
    }
    let found = try topic("st").find(in: Self.context())
    #expect(found.partitions == [0, 1, 2])
    // The mock does not tell configurations.
    #expect(
      found.warnings == [
        "st: the brokers do not tell its configuration; it must have cleanup.policy=compact"
      ])
    #expect(try topic("st", [2, 0]).find(in: Self.context()).partitions == [2, 0])
    for (other, text) in [
      (topic("small"), "expected at least the 3 partitions of in, found 2"),
      (topic("st", [5]), "expected partitions 0 to 2, found 5"),
    ] {
      let error = #expect(throws: FileError.self) { try other.find(in: Self.context()) }
      #expect(error?.description.contains(text) == true, "\(error as Any)")
    }
  }

  @Test func `the offset of a partition is that of its cursor, or that of its beginning`() {
    let partition = TopicPartition(topic: "in", number: 3)
    var split = SplitCursor(split: "in/3")
    split.source = KafkaMark(topic: "in", partition: 3, offset: 12).opaque
    let done = KafkaBeginnings(topic: "in", offsets: [3: 7]).opaque
    #expect(partition.offset(in: InputCursor(splits: [split], done: done)) == 12)
    #expect(partition.offset(in: InputCursor(done: done)) == 7)
    #expect(partition.offset(in: InputCursor()) == nil)
    #expect(
      TopicPartition(topic: "other", number: 3).offset(
        in: InputCursor(splits: [split], done: done)) == nil)
  }
}
