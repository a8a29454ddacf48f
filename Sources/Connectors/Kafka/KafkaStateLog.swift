internal import CRdKafka
internal import Dataflow
internal import Glibc
internal import Storage
internal import Synchronization

// Invariants:
// - The queue of messages and the delivery reports write to one descriptor, that of the producer.
// - Every message is given back to librdkafka once.
// - `isReading` says that librdkafka fetches messages into the queue.

/// A partition of a state topic.
final class KafkaStateLog: StateLog, @unchecked Sendable {
  // @unchecked because only the run that owns it uses it, in one step at a time.

  /// The properties of a client that reads.
  static let ofConsumer: [(name: String, value: String)] = [
    ("client.id", "evenkeel"), ("auto.offset.reset", "error"), ("enable.auto.commit", "false"),
    ("isolation.level", "read_committed"), ("allow.auto.create.topics", "false"),
    ("queued.max.messages.kbytes", "16384"), ("receive.message.max.bytes", "100000000"),
  ]
  /// More headers, and longer values of them, are left out.
  private static let mostHeaders = 16
  private static let mostHeaderBytes = 256

  let name: String
  private let partition: Int32
  private let group: KafkaGroup?
  private let consumer: KafkaClient
  private let writer: KafkaStateWriter
  private let queue: OpaquePointer
  private let statistics: ConnectorStatistics
  private var isReading = false
  private(set) var position = 0

  /// - Parameters:
  ///   - connection: that of the source, with the state topic. The producer has its common properties.
  ///   - group: the member of the group that is told the offset of each state; nil for none.
  ///   - transactions: those of the messages; nil without them.
  init(
    _ connection: KafkaConnection, _ partition: Int, of group: KafkaGroup? = nil,
    _ transactions: KafkaTransactions? = nil, in context: ConnectorContext
  ) throws(FileError) {
    name = "\(connection.topic)/\(partition)"
    self.partition = Int32(partition)
    self.group = group
    statistics = context.statistics
    consumer = try KafkaClient(
      .consumer, connection, Self.ofConsumer + [("enable.partition.eof", "true")], in: context)
    let count = try consumer.partitionCount()
    guard partition < count else {
      throw FileError(
        operation: .open, path: name, reason: "expected partitions 0 to \(count - 1)",
        errno: ENOENT)
    }
    writer = try KafkaStateWriter(connection, partition, of: group, transactions, in: context)
    queue = consumer.makeQueue()
    writer.producer.wake(by: queue)
  }

  deinit {
    endReading()
    rd_kafka_queue_io_event_enable(queue, -1, nil, 0)
    rd_kafka_queue_destroy(queue)
  }

  // MARK: Waiting

  var awaiting: Awaiting { writer.awaiting }

  func wait() { writer.wait() }

  // MARK: Writing

  var transactions: KafkaTransactions? { writer.transactions }

  func append(_ message: StateMessage) throws(FileError) { try writer.append(message) }
  func stored() throws(FileError) -> Int? { try writer.stored() }

  // MARK: Reading

  var isExclusive: Bool { transactions != nil }

  func endReading() {
    if isReading { rd_kafka_consume_stop(consumer.topic, partition) }
    isReading = false
  }

  func next() throws(FileError) -> StateMessage? {
    if !isReading {
      // With transactions, after the claim: those before it have ended.
      try consumer.start(Int(partition), at: Int(RD_KAFKA_OFFSET_BEGINNING), into: queue)
      isReading = true
    }
    // Before the queues are looked at, so that no event is missed.
    writer.producer.wakeup.takeEvent()
    try consumer.takeEvents()
    while let message = rd_kafka_consume_queue(queue, 0) {
      defer { rd_kafka_message_destroy(message) }
      guard message.pointee.err == RD_KAFKA_RESP_ERR_NO_ERROR else {
        if message.pointee.err == RD_KAFKA_RESP_ERR__PARTITION_EOF {
          // The marks of transactions have offsets, and are no messages.
          position = Int(message.pointee.offset)
        } else {
          try note(message.pointee.err)
        }
        continue
      }
      position = Int(message.pointee.offset) + 1
      return Self.content(of: message)
    }
    return nil
  }

  func committed() throws(FileError) -> Int? { try group?.committed(of: Int(partition)) }

  func end() throws(FileError) -> Int { try consumer.watermarks(of: Int(partition)).high }

  static func content(of message: UnsafeMutablePointer<rd_kafka_message_t>) -> StateMessage {
    let found = message.pointee
    let key = UnsafeRawBufferPointer(start: found.key, count: found.key_len)
    let value = found.payload.map { UnsafeRawBufferPointer(start: $0, count: found.len) }
    return StateMessage(
      key: String(decoding: key.prefix(mostHeaderBytes), as: UTF8.self),
      value: value.map { $0.count > StateMessage.mostBytes ? [] : Array($0) },
      headers: headers(of: message), offset: Int(found.offset))
  }

  private static func headers(
    of message: UnsafeMutablePointer<rd_kafka_message_t>
  ) -> [String: String] {
    var found: [String: String] = [:]
    KafkaClient.forEachHeader(of: message, atMost: mostHeaders) { name, value in
      let value = value?.prefix(mostHeaderBytes)
      found[String(cString: name)] = value.map { String(decoding: $0, as: UTF8.self) } ?? ""
    }
    return found
  }

  private func note(_ error: rd_kafka_resp_err_t) throws(FileError) {
    statistics.brokerErrors.add(1, ordering: .relaxed)
    if let fault = KafkaClient.fault(error, in: name) { throw fault }
  }
}
