internal import CRdKafka
internal import Dataflow
internal import Storage
internal import Synchronization

/// Partitions of a state topic, read from their first messages on.
final class KafkaStateTail: StateTail, @unchecked Sendable {
  // @unchecked because only its owner uses it, in one call at a time.

  let name: String
  /// For each partition, the offset after the last message that was there at first, and that of the next message; 0 for
  /// those that are not read.
  private let ends: [Int]
  private var positions: [Int]
  private let consumer: KafkaClient
  private let partitions: [Int]
  private let queue: OpaquePointer
  private let statistics: ConnectorStatistics

  /// Begins to read. Waits for the brokers.
  ///
  /// - Parameters:
  ///   - connection: that of the source, with the state topic.
  ///   - partitions: those to read; nil for all.
  init(
    _ connection: KafkaConnection, of partitions: [Int]? = nil, in context: ConnectorContext
  ) throws(FileError) {
    name = connection.topic
    statistics = context.statistics
    consumer = try KafkaClient(
      .consumer, connection, KafkaStateLog.ofConsumer + [("enable.partition.eof", "true")],
      in: context)
    let count = try consumer.partitionCount()
    self.partitions = partitions ?? Array(0..<count)
    var ends = Array(repeating: 0, count: count)
    for partition in self.partitions {
      ends[partition] = try consumer.watermarks(of: partition).high
    }
    self.ends = ends
    positions = Array(repeating: 0, count: count)
    queue = consumer.makeQueue()
    for partition in self.partitions {
      try consumer.start(partition, at: Int(RD_KAFKA_OFFSET_BEGINNING), into: queue)
    }
  }

  deinit {
    for partition in partitions { rd_kafka_consume_stop(consumer.topic, Int32(partition)) }
    rd_kafka_queue_destroy(queue)
  }

  var isAtEnds: Bool { zip(positions, ends).allSatisfy { $0 >= $1 } }

  func next(waiting seconds: Double) throws(FileError) -> (partition: Int, message: StateMessage)? {
    try consumer.takeEvents()
    while let message = rd_kafka_consume_queue(queue, CInt(1000 * min(seconds, 60))) {
      defer { rd_kafka_message_destroy(message) }
      let (error, partition) = (message.pointee.err, Int(message.pointee.partition))
      if error == RD_KAFKA_RESP_ERR_NO_ERROR {
        positions[partition] = Int(message.pointee.offset) + 1
        return (partition, KafkaStateLog.content(of: message))
      }
      if error == RD_KAFKA_RESP_ERR__PARTITION_EOF {
        // The marks of transactions have offsets, and are no messages.
        positions[partition] = Int(message.pointee.offset)
        if isAtEnds, seconds > 0 { return nil }
        continue
      }
      statistics.brokerErrors.add(1, ordering: .relaxed)
      if let fault = KafkaClient.fault(error, in: name) { throw fault }
    }
    return nil
  }
}
