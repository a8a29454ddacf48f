import Storage
import TestSupport
import Testing

@testable import Connectors

/// Members of a group of librdkafka's mock cluster.
@Suite(.serialized) struct KafkaGroupTests {
  /// A member, and the partitions that it has.
  private struct Member {
    let group: KafkaGroup
    var partitions: Set<Int> = []
    /// Those that were revoked and not released.
    var leaving: Set<Int> = []

    init(_ kafka: MockKafka) throws {
      group = try KafkaGroup(
        "g",
        KafkaConnection(
          brokers: kafka.addresses, topic: "t",
          properties: ["session.timeout.ms=6000", "heartbeat.interval.ms=200"].compactMap {
            KafkaProperty($0)
          }), in: ConnectorContext(fileSystem: POSIXFileSystem()))
    }

    mutating func look() throws {
      while let event = try group.next() {
        switch event {
        case .assigned(let numbers): partitions.formUnion(numbers)
        case .revoked(let numbers): leaving.formUnion(numbers)
        case .lost(let numbers): partitions.subtract(numbers)
        }
      }
    }

    mutating func release() {
      guard !leaving.isEmpty else { return }
      partitions.subtract(leaving)
      leaving = []
      group.release()
    }
  }

  @Test func `members divide the partitions, and get those of one that leaves`() throws {
    let kafka = try MockKafka()
    try kafka.makeTopic("t", partitions: 4)
    try kafka.write(["a", "b"], to: "t", 1)
    var first = try Member(kafka)
    #expect(
      try eventually {
        try first.look()
        return first.partitions == [0, 1, 2, 3]
      })
    var second = try Member(kafka)
    #expect(
      try eventually {
        try first.look()
        try second.look()
        return first.leaving.count == 2
      })
    // Nobody else has them before they are released.
    #expect(second.partitions.isEmpty)
    first.release()
    #expect(
      try eventually {
        try first.look()
        try second.look()
        first.release()
        return first.partitions.union(second.partitions) == [0, 1, 2, 3]
          && second.partitions.count == 2
      })
    #expect(first.partitions.isDisjoint(with: second.partitions))
    first.group.leave()
    #expect(
      try eventually {
        try second.look()
        return second.partitions == [0, 1, 2, 3]
      })
    second.group.leave()
  }

  @Test func `a state that is stored tells the group its offset`() throws {
    let kafka = try MockKafka()
    for topic in ["t", "st"] { try kafka.makeTopic(topic, partitions: 2) }
    var member = try Member(kafka)
    #expect(
      try eventually {
        try member.look()
        return member.partitions == [0, 1]
      })
    let log = try KafkaStateLog(
      KafkaConnection(brokers: kafka.addresses, topic: "st", properties: []), 1, of: member.group,
      in: ConnectorContext(fileSystem: POSIXFileSystem()))
    #expect(try log.committed() == nil)
    for message in [
      StateMessage(key: "claim", value: [1]),
      StateMessage(key: "state", value: [2], headers: [StateHeader.offset: "17"]),
    ] {
      try log.append(message)
      while try log.stored() == nil { log.wait() }
    }
    #expect(try eventually { try log.committed() == 17 })
    #expect(try member.group.committed(of: 0) == nil)
    #expect(try kafka.committed("g", "t", 1) == 17)
    member.group.leave()
  }
}
