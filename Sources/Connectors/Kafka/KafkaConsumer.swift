internal import CRdKafka
internal import Dataflow
internal import Glibc
internal import Records
internal import Storage
internal import Synchronization

// Invariants:
// - `batch[next..<count]` are the messages that were fetched and not taken.
// - Every message is given back to librdkafka once.

/// Reads partitions without a group: the positions are the caller's.
final class KafkaConsumer: MessageLog, @unchecked Sendable {
  // @unchecked because only the source that owns it uses it, in one step at a time.

  /// The most messages that are taken out of librdkafka at once.
  private static let batchSize = 512

  private let client: KafkaClient
  private let queue: OpaquePointer
  private let statistics: ConnectorStatistics
  private var started: Set<Int> = []
  private var ends: [Int: Int] = [:]
  private var batch = [UnsafeMutablePointer<rd_kafka_message_t>?](
    repeating: nil, count: batchSize)
  private var next = 0
  private var count = 0

  /// - Parameter tellsEnds: whether it tells the ends of partitions.
  init(
    _ connection: KafkaConnection, tellsEnds: Bool = false, in context: ConnectorContext
  ) throws(FileError) {
    statistics = context.statistics
    client = try KafkaClient(
      .consumer, connection,
      [
        ("client.id", "evenkeel"),
        // A position that the log does not have is an error. Another one would lose messages without a word.
        ("auto.offset.reset", "error"), ("enable.auto.commit", "false"),
        ("isolation.level", "read_committed"), ("allow.auto.create.topics", "false"),
        ("queued.max.messages.kbytes", "16384"), ("fetch.max.bytes", "8388608"),
        ("receive.message.max.bytes", "100000000"),
        ("enable.partition.eof", tellsEnds ? "true" : "false"),
      ], in: context)
    queue = client.makeQueue()
    client.wake(by: queue)
  }

  deinit {
    giveBack()
    for partition in started { rd_kafka_consume_stop(client.topic, Int32(partition)) }
    rd_kafka_queue_io_event_enable(queue, -1, nil, 0)
    rd_kafka_queue_destroy(queue)
  }

  var awaiting: Awaiting { Awaiting(.readable(descriptor: client.wakeup.number)) }

  func start(_ partition: Int, at offset: Int) throws(FileError) {
    try client.start(partition, at: offset, into: queue)
    started.insert(partition)
  }

  func stop(_ partition: Int) {
    guard started.remove(partition) != nil else { return }
    rd_kafka_consume_stop(client.topic, Int32(partition))
  }

  func first() throws(FileError) -> LogMessage? {
    while true {
      if next == count { try fetch() }
      guard next < count, let message = batch[next]?.pointee else { return nil }
      guard message.err == RD_KAFKA_RESP_ERR_NO_ERROR else {
        defer { take() }
        try note(message.err, at: message)
        continue
      }
      let value = message.payload.map { UnsafeRawBufferPointer(start: $0, count: message.len) }
      return LogMessage(
        partition: Int(message.partition), offset: Int(message.offset), bytes: value)
    }
  }

  func origin() -> MessageOrigin {
    guard next < count, let message = batch[next] else {
      return MessageOrigin(partition: 0, offset: 0)
    }
    let time = rd_kafka_message_timestamp(message, nil)
    return MessageOrigin(
      partition: Int(message.pointee.partition), offset: Int(message.pointee.offset),
      milliseconds: time >= 0 ? Int(time) : nil, attributes: Self.attributes(of: message).bytes)
  }

  private static func attributes(
    of message: UnsafeMutablePointer<rd_kafka_message_t>
  ) -> MessageAttributes {
    var attributes = MessageAttributes()
    attributes.setKey(
      message.pointee.key.map {
        UnsafeRawBufferPointer(start: $0, count: message.pointee.key_len)
      })
    KafkaClient.forEachHeader(of: message) { name, value in
      attributes.add(UnsafeRawBufferPointer(start: name, count: strlen(name)), value)
    }
    return attributes
  }

  func take() {
    guard next < count else { return }
    if let message = batch[next] { rd_kafka_message_destroy(message) }
    next += 1
  }

  func watermarks(of partition: Int) throws(FileError) -> (low: Int, high: Int) {
    try client.watermarks(of: partition)
  }

  func knownHigh(of partition: Int) -> Int? { client.knownHigh(of: partition) }

  func offset(of partition: Int, atMilliseconds time: Int) throws(FileError) -> Int? {
    try client.offset(of: partition, atMilliseconds: time)
  }

  func seenEnd(of partition: Int) -> Int? { ends[partition] }

  func partitionCount() throws(FileError) -> Int { try client.partitionCount() }

  private func fetch() throws(FileError) {
    (next, count) = (0, 0)
    // Before the queues are looked at, so that no event is missed.
    client.wakeup.takeEvent()
    try client.takeEvents()
    let found = rd_kafka_consume_batch_queue(queue, 0, &batch, Self.batchSize)
    count = max(0, found)
  }

  private func giveBack() {
    while next < count { take() }
  }

  /// Takes note of an error of a partition. librdkafka tries again after most of them.
  private func note(
    _ error: rd_kafka_resp_err_t, at message: rd_kafka_message_t
  ) throws(FileError) {
    if error == RD_KAFKA_RESP_ERR__PARTITION_EOF {
      ends[Int(message.partition)] = Int(message.offset)
      return
    }
    statistics.brokerErrors.add(1, ordering: .relaxed)
    let place = "\(client.topicName)/\(message.partition)"
    switch error {
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
      throw FileError(
        operation: .read, path: place,
        reason: "the brokers do not have the next offset; the next start tells which are gone")
    default:
      if let fault = KafkaClient.fault(error, in: place) { throw fault }
    }
  }
}
