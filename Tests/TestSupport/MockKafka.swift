internal import CRdKafka
internal import Glibc

/// A cluster of brokers in this process: librdkafka's mock. Other processes reach it by loopback.
///
/// A partition keeps about 5 MB, and removes its oldest messages after that.
package final class MockKafka: @unchecked Sendable {
  // @unchecked because librdkafka locks its handles itself.

  /// The kinds of requests, by their numbers in Kafka's protocol.
  package enum Request: Int16, Sendable {
    case produce = 0
    case fetch = 1
  }

  package struct Refused: Error {
    package var reason: String
  }

  private let handle: OpaquePointer
  private let cluster: OpaquePointer
  /// The addresses of the brokers.
  package let addresses: [String]

  /// - Parameter count: the number of brokers. They count from 1.
  package init(brokers count: Int = 1) throws {
    handle = try Self.client(
      RD_KAFKA_PRODUCER, [("test.mock.num.brokers", "\(count)"), ("linger.ms", "0")])
    guard let cluster = rd_kafka_handle_mock_cluster(handle),
      let text = rd_kafka_mock_cluster_bootstraps(cluster)
    else { throw Refused(reason: "no cluster") }
    self.cluster = cluster
    addresses = String(cString: text).split(separator: ",").map(String.init)
  }

  deinit {
    rd_kafka_purge(handle, CInt(RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT))
    rd_kafka_destroy(handle)
  }

  private static func client(
    _ kind: rd_kafka_type_t, _ properties: [(String, String)]
  ) throws -> OpaquePointer {
    let configuration = rd_kafka_conf_new()
    for (name, value) in properties {
      guard rd_kafka_conf_set(configuration, name, value, nil, 0) == RD_KAFKA_CONF_OK else {
        throw Refused(reason: name)
      }
    }
    rd_kafka_conf_set_log_cb(configuration, nil)
    guard let handle = rd_kafka_new(kind, configuration, nil, 0) else {
      throw Refused(reason: "no client")
    }
    return handle
  }

  package func makeTopic(_ name: String, partitions: Int) throws {
    try check(rd_kafka_mock_topic_create(cluster, name, Int32(partitions), 1))
  }

  package func setLeader(of partition: Int, of topic: String, to broker: Int) throws {
    try check(
      rd_kafka_mock_partition_set_leader(cluster, topic, Int32(partition), Int32(broker)))
  }

  package func setDown(_ broker: Int, _ isDown: Bool) throws {
    try check(
      isDown
        ? rd_kafka_mock_broker_set_down(cluster, Int32(broker))
        : rd_kafka_mock_broker_set_up(cluster, Int32(broker)))
  }

  /// Has the next requests of a kind fail with an error of Kafka's protocol.
  package func fail(_ request: Request, times: Int, withError code: Int32) {
    var errors = [rd_kafka_resp_err_t](
      repeating: rd_kafka_resp_err_t(rawValue: code), count: times)
    rd_kafka_mock_push_request_errors_array(cluster, request.rawValue, times, &errors)
  }

  // MARK: Messages

  /// Writes messages to a partition, and waits until they are stored. Nil is a message without a value.
  package func write(_ messages: [[UInt8]?], to topic: String, _ partition: Int = 0) throws {
    let target = rd_kafka_topic_new(handle, topic, nil)
    defer { rd_kafka_topic_destroy(target) }
    for message in messages {
      let status = (message ?? []).withUnsafeBytes { bytes in
        var none: UInt8 = 0
        return withUnsafeMutableBytes(of: &none) { empty in
          let address =
            bytes.isEmpty ? empty.baseAddress : UnsafeMutableRawPointer(mutating: bytes.baseAddress)
          return rd_kafka_produce(
            target, Int32(partition), RD_KAFKA_MSG_F_COPY, message == nil ? nil : address,
            bytes.count, nil, 0, nil)
        }
      }
      guard status == 0 else { throw Refused(reason: Self.text(rd_kafka_last_error())) }
    }
    try check(rd_kafka_flush(handle, 60_000))
  }

  package func write(_ texts: [String], to topic: String, _ partition: Int = 0) throws {
    try write(texts.map { Array($0.utf8) }, to: topic, partition)
  }

  /// The messages of a partition.
  package func read(_ topic: String, _ partition: Int = 0) throws -> [[UInt8]] {
    let reader = try Self.client(
      RD_KAFKA_CONSUMER,
      [("bootstrap.servers", addresses.joined(separator: ",")), ("auto.offset.reset", "earliest")])
    defer { rd_kafka_destroy(reader) }
    let source = rd_kafka_topic_new(reader, topic, nil)
    defer { rd_kafka_topic_destroy(source) }
    let (low, high) = try watermarks(topic, partition)
    guard high > low else { return [] }
    rd_kafka_consume_start(source, Int32(partition), Int64(low))
    defer { rd_kafka_consume_stop(source, Int32(partition)) }
    var found: [[UInt8]] = []
    let deadline = ContinuousClock.now + .seconds(hangSeconds)
    while found.count < high - low, ContinuousClock.now < deadline {
      guard let message = rd_kafka_consume(source, Int32(partition), 1000) else { continue }
      defer { rd_kafka_message_destroy(message) }
      guard message.pointee.err == RD_KAFKA_RESP_ERR_NO_ERROR else { continue }
      found.append(
        Array(
          UnsafeRawBufferPointer(start: message.pointee.payload, count: message.pointee.len)))
    }
    return found
  }

  /// The offset of the first message of a partition, and the one after its last message.
  package func watermarks(_ topic: String, _ partition: Int = 0) throws -> (low: Int, high: Int) {
    var (low, high) = (Int64(0), Int64(0))
    try check(
      rd_kafka_query_watermark_offsets(handle, topic, Int32(partition), &low, &high, 60_000))
    return (Int(low), Int(high))
  }

  private func check(_ error: rd_kafka_resp_err_t) throws {
    guard error == RD_KAFKA_RESP_ERR_NO_ERROR else { throw Refused(reason: Self.text(error)) }
  }

  private static func text(_ error: rd_kafka_resp_err_t) -> String {
    rd_kafka_err2str(error).map { String(cString: $0) } ?? "error \(error.rawValue)"
  }
}
