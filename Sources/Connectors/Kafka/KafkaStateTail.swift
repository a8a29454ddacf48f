internal import CRdKafka
internal import Dataflow
internal import Storage
internal import Synchronization

/// Partitions of a state topic, read from their first messages on.
final class KafkaStateTail: StateTail, @unchecked Sendable {
  // @unchecked because only its owner uses it, in one call at a time.

  let name: String
  let ends: [Int]
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
    consumer = try KafkaClient(.consumer, connection, KafkaStateLog.ofConsumer, in: context)
    let count = try consumer.partitionCount()
    self.partitions = partitions ?? Array(0..<count)
    var ends = Array(repeating: 0, count: count)
    for partition in self.partitions {
      ends[partition] = try consumer.watermarks(of: partition).high
    }
    self.ends = ends
    queue = consumer.makeQueue()
    for partition in self.partitions {
      try consumer.start(partition, at: Int(RD_KAFKA_OFFSET_BEGINNING), into: queue)
    }
  }

  deinit {
    for partition in partitions { rd_kafka_consume_stop(consumer.topic, Int32(partition)) }
    rd_kafka_queue_destroy(queue)
  }

  func next(waiting seconds: Double) throws(FileError) -> (partition: Int, message: StateMessage)? {
    try consumer.takeEvents()
    while let message = rd_kafka_consume_queue(queue, CInt(1000 * min(seconds, 60))) {
      defer { rd_kafka_message_destroy(message) }
      let error = message.pointee.err
      guard error != RD_KAFKA_RESP_ERR_NO_ERROR else {
        return (Int(message.pointee.partition), KafkaStateLog.content(of: message))
      }
      statistics.brokerErrors.add(1, ordering: .relaxed)
      if let fault = KafkaClient.fault(error, in: name) { throw fault }
    }
    return nil
  }
}
