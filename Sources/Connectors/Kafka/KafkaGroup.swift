internal import CRdKafka
internal import Glibc
package import Storage
internal import Synchronization

/// A change of the partitions of a member of a group.
package enum GroupEvent: Sendable, Equatable {
  case assigned([Int])
  /// Other members get them after the call of `release`.
  case revoked([Int])
  /// Other members may have them already.
  case lost([Int])
}

// Invariants:
// - `revoked` are the partitions that were revoked and not released.
// - The partitions are paused, so that librdkafka fetches no messages.

/// A member of a consumer group of librdkafka, with cooperative rebalances. It only learns which partitions it has. Others
/// read them.
package final class KafkaGroup: @unchecked Sendable {
  // @unchecked because librdkafka locks its handle itself, and only the stream that owns the member calls `next`,
  // `release` and `leave`, in one step at a time.

  /// The longest time to wait for the brokers when it leaves, in hundredths of a second.
  private static let mostWaits = 500
  /// The longest time to wait for the offset of a partition, in milliseconds.
  private static let answerMilliseconds: CInt = 10_000

  private let name: String
  private let client: KafkaClient
  private let queue: OpaquePointer
  private let statistics: ConnectorStatistics
  private var revoked: [Int] = []

  init(
    _ name: String, _ connection: KafkaConnection, in context: ConnectorContext
  ) throws(FileError) {
    self.name = name
    statistics = context.statistics
    client = try KafkaClient(
      .consumer, connection,
      KafkaStateLog.ofConsumer + [
        ("group.id", name), ("partition.assignment.strategy", "cooperative-sticky"),
        ("enable.auto.offset.store", "false"),
      ], in: context)
    guard let queue = rd_kafka_queue_get_consumer(client.handle) else {
      preconditionFailure("librdkafka gave no queue")
    }
    self.queue = queue
    let error = withList(of: [-1]) { rd_kafka_subscribe(client.handle, $0) }
    guard error == RD_KAFKA_RESP_ERR_NO_ERROR else {
      throw FileError(operation: .open, path: client.topicName, reason: errorText(error))
    }
  }

  deinit { rd_kafka_queue_destroy(queue) }

  /// The next change; nil if there is none for now. Call it several times a second.
  package func next() throws(FileError) -> GroupEvent? {
    try client.takeEvents()
    return next(of: queue)
  }

  private func next(of queue: OpaquePointer) -> GroupEvent? {
    while let event = rd_kafka_queue_poll(queue, 0) {
      defer { rd_kafka_event_destroy(event) }
      switch rd_kafka_event_type(event) {
      case RD_KAFKA_EVENT_REBALANCE: if let change = rebalance(event) { return change }
      case RD_KAFKA_EVENT_ERROR: statistics.brokerErrors.add(1, ordering: .relaxed)
      // A message that came before its partition was paused.
      default: break
      }
    }
    return nil
  }

  private func rebalance(_ event: OpaquePointer) -> GroupEvent? {
    guard let found = rd_kafka_event_topic_partition_list(event) else { return nil }
    let partitions = (0..<Int(found.pointee.cnt)).map { Int(found.pointee.elems[$0].partition) }
    guard rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS else {
      revoked += partitions
      guard rd_kafka_assignment_lost(client.handle) != 0 else { return .revoked(partitions) }
      release()
      return .lost(partitions)
    }
    withList(of: partitions) { list in
      destroy(rd_kafka_incremental_assign(client.handle, list))
      rd_kafka_pause_partitions(client.handle, list)
    }
    return .assigned(partitions)
  }

  /// Gives up the partitions that were revoked.
  package func release() {
    withList(of: revoked) { destroy(rd_kafka_incremental_unassign(client.handle, $0)) }
    revoked = []
  }

  /// Leaves the group, so that the other members get the partitions at once.
  package func leave() {
    guard let closing = rd_kafka_queue_new(client.handle) else { return }
    defer { rd_kafka_queue_destroy(closing) }
    destroy(rd_kafka_consumer_close_queue(client.handle, closing))
    for _ in 0..<Self.mostWaits where rd_kafka_consumer_closed(client.handle) == 0 {
      // The partitions that it has are revoked.
      if case .revoked = next(of: closing) { release() }
      usleep(10_000)
    }
  }

  // MARK: Offsets

  /// Tells the group how far a partition is processed, for tools that show the lag. Nothing waits for it, and nothing is
  /// read from it but `committed`.
  func commit(_ offset: Int, of partition: Int) {
    withList(of: [partition], at: offset) { _ = rd_kafka_commit(client.handle, $0, 1) }
  }

  /// Makes the offset of a partition a part of the transaction of a producer. Waits for the brokers, which refuse it if
  /// another member has the partition.
  ///
  /// - Returns: the error of librdkafka; nil for success.
  func send(
    _ offset: Int, of partition: Int, with producer: OpaquePointer, milliseconds: CInt
  ) -> OpaquePointer? {
    guard let metadata = rd_kafka_consumer_group_metadata(client.handle) else { return nil }
    defer { rd_kafka_consumer_group_metadata_destroy(metadata) }
    return withList(of: [partition], at: offset) {
      rd_kafka_send_offsets_to_transaction(producer, $0, metadata, milliseconds)
    }
  }

  /// The offset up to which the group has processed a partition; nil if nobody has told. Waits for the brokers.
  func committed(of partition: Int) throws(FileError) -> Int? {
    var (error, offset) = (RD_KAFKA_RESP_ERR_NO_ERROR, Int64(RD_KAFKA_OFFSET_INVALID))
    withList(of: [partition]) { list in
      error = rd_kafka_committed(client.handle, list, Self.answerMilliseconds)
      guard error == RD_KAFKA_RESP_ERR_NO_ERROR, let entry = list.pointee.elems else { return }
      (error, offset) = (entry.pointee.err, entry.pointee.offset)
    }
    guard error == RD_KAFKA_RESP_ERR_NO_ERROR else {
      throw FileError(
        operation: .read, path: "\(client.topicName)/\(partition)",
        reason: "the brokers do not tell the offset of the group \(name): \(errorText(error))")
    }
    return offset >= 0 ? Int(offset) : nil
  }

  private func destroy(_ error: OpaquePointer?) {
    if let error { rd_kafka_error_destroy(error) }
  }

  /// Calls `body` with a list of partitions of the topic.
  private func withList<Value>(
    of partitions: [Int], at offset: Int? = nil,
    _ body: (UnsafeMutablePointer<rd_kafka_topic_partition_list_t>) -> Value
  ) -> Value {
    guard let list = rd_kafka_topic_partition_list_new(CInt(partitions.count)) else {
      preconditionFailure("no memory")
    }
    defer { rd_kafka_topic_partition_list_destroy(list) }
    for partition in partitions {
      let entry = rd_kafka_topic_partition_list_add(list, client.topicName, Int32(partition))
      guard partition >= 0 else { continue }
      // With the end, no committed offset is asked for.
      entry?.pointee.offset = Int64(offset ?? Int(RD_KAFKA_OFFSET_END))
    }
    return body(list)
  }
}
