import Dataflow
import Records
import Storage
import TestSupport
import Testing

@testable import Connectors

/// Output and state in transactions of librdkafka's mock cluster. It shows messages before they are committed; a real broker
/// is asked by `make kafka-check`.
@Suite(.serialized) struct KafkaTransactionsTests {
  /// A partition: its output, its dead letters and its state.
  private struct Partition {
    let transactions: KafkaTransactions
    let log: KafkaStateLog
    let output: KafkaProducer
    let letters: KafkaProducer

    init(_ kafka: MockKafka, _ group: KafkaGroup? = nil) throws {
      var context = ConnectorContext(fileSystem: POSIXFileSystem())
      func connection(_ topic: String) -> KafkaConnection {
        KafkaConnection(brokers: kafka.addresses, topic: topic, properties: [])
      }
      transactions = try KafkaTransactions(
        KafkaTransactions.Settings(connection("st"), name: "s", epochSeconds: 1),
        of: TopicPartition(topic: "t", number: 0), group, in: context)
      context.transactions = transactions
      log = try KafkaStateLog(connection("st"), 0, of: group, transactions, in: context)
      output = try KafkaProducer(connection("out"), in: context)
      letters = try KafkaProducer(connection("bad"), in: context)
    }

    func claim() throws {
      try log.append(StateMessage(key: "claim", value: [1]))
      while try log.stored() == nil { log.wait() }
    }

    /// Sends a record, a dead letter and a state, and waits until all are stored.
    ///
    /// - Returns: when the next call of `stored` commits.
    func send(_ offset: Int) throws {
      let origin = MessageOrigin(partition: 0, offset: offset)
      #expect(try output.send(OutgoingMessage(value: [1], origin: origin)))
      #expect(try letters.send(OutgoingMessage(value: [2], origin: origin, fault: "no record")))
      #expect(output.unstored > 0 && output.unstored == letters.unstored)
      while output.unstored > 0 {
        _ = output.awaiting.isReady(within: 60)
        try output.takeReports()
      }
      try log.append(
        StateMessage(key: "state", value: [3], headers: [StateHeader.offset: "\(offset + 1)"]))
      while log.awaiting.disk == nil {
        #expect(try log.stored() == nil)
        log.wait()
      }
      #expect(log.awaiting.disk == .brokers)
    }

    /// Commits, as on a thread that may wait.
    func commit() throws -> Int {
      while true { if let offset = try log.stored() { return offset } }
    }
  }

  private static func cluster() throws -> MockKafka {
    let kafka = try MockKafka()
    for topic in ["t", "st", "out", "bad"] { try kafka.makeTopic(topic, partitions: 1) }
    return kafka
  }

  @Test func `output, dead letters and state are committed together, again and again`() throws {
    let kafka = try Self.cluster()
    let partition = try Partition(kafka)
    try partition.claim()
    for number in 0..<3 {
      // Errors that pass are none.
      if number == 1 { kafka.fail(.endTransaction, times: 2, withError: 51) }
      try partition.send(number)
      #expect(try partition.commit() == number + 1)
      #expect(try partition.log.stored() == number + 1)
    }
    for topic in ["out", "bad"] { #expect(try kafka.read(topic).count == 3) }
    #expect(try kafka.messages("bad").last?["ek-error"] == "no record")
    // The log is read from its first message on.
    var found: [String] = []
    while found.count < 4 {
      if let message = try partition.log.next() {
        found.append(message.key)
      } else {
        partition.log.wait()
      }
    }
    #expect(found == ["claim", "state", "state", "state"])
  }

  @Test func `a transaction that cannot be committed is aborted, and ends the run`() throws {
    let kafka = try Self.cluster()
    let partition = try Partition(kafka)
    try partition.claim()
    try partition.send(0)
    // The brokers refuse the commit, and take the abort.
    kafka.fail(.endTransaction, times: 1, withError: 29)
    let error = #expect(throws: FileError.self) { try partition.commit() }
    #expect(
      error?.description.hasPrefix("cannot write s/t/0: the transaction is not committed: ")
        == true,
      "\(error as Any)")
    // The next run.
    let next = try Partition(kafka)
    try next.claim()
    try next.send(0)
    _ = try next.commit()
  }

  @Test func `a producer that was replaced ends with a clear line`() throws {
    let kafka = try Self.cluster()
    let partition = try Partition(kafka)
    try partition.claim()
    try partition.send(0)
    kafka.fail(.endTransaction, times: 1, withError: 47)
    let error = #expect(throws: FileError.self) { try partition.commit() }
    #expect(
      error?.description
        == "cannot write s/t/0: a newer producer has the partition, so nothing of this one counts any more",
      "\(error as Any)")
    #expect(throws: FileError.self) { try partition.send(1) }
  }

  @Test func `a time that the brokers do not allow is told with what to change`() throws {
    let kafka = try Self.cluster()
    let partition = try Partition(kafka)
    kafka.fail(.beginProducer, times: 1, withError: 50)
    let error = #expect(throws: FileError.self) { try partition.claim() }
    #expect(
      error?.description.contains("lower state.every.time and batch.max_delay, or raise") == true,
      "\(error as Any)")
  }

  /// The mock takes the offset, and does not keep it.
  @Test func `the offset of the group is a part of the transaction`() throws {
    let kafka = try Self.cluster()
    let group = try KafkaGroup(
      "g", KafkaConnection(brokers: kafka.addresses, topic: "t", properties: []),
      in: ConnectorContext(fileSystem: POSIXFileSystem()))
    #expect(try eventually { try group.next() == .assigned([0]) })
    let partition = try Partition(kafka, group)
    try partition.claim()
    #expect(try partition.log.committed() == nil)
    try partition.send(4)
    #expect(try partition.commit() == 1)
    // A member that the group has left out.
    try partition.send(5)
    kafka.fail(.commitInTransaction, times: 1, withError: 22)
    let error = #expect(throws: FileError.self) { try partition.commit() }
    #expect(
      error?.description.contains("the transaction is not committed: ") == true, "\(error as Any)")
    group.leave()
  }
}
