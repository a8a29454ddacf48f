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
    case beginProducer = 22
    case endTransaction = 26
    case commitInTransaction = 28
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

  /// A message with everything that it carries.
  package struct Message: Sendable, Equatable {
    package struct Header: Sendable, Equatable {
      package var name: String
      package var value: [UInt8]?

      package init(_ name: String, _ value: [UInt8]?) { (self.name, self.value) = (name, value) }
    }

    package var value: [UInt8]?
    package var key: [UInt8]?
    /// In milliseconds since 1970; nil takes the time of now.
    package var milliseconds: Int?
    package var headers: [Header] = []

    package init(
      _ value: [UInt8]?, key: [UInt8]? = nil, milliseconds: Int? = nil, headers: [Header] = []
    ) {
      (self.value, self.key) = (value, key)
      (self.milliseconds, self.headers) = (milliseconds, headers)
    }

    package var text: String { String(decoding: value ?? [], as: UTF8.self) }

    /// The text of a header; nil if there is none.
    package subscript(header: String) -> String? {
      headers.first { $0.name == header }?.value.map { String(decoding: $0, as: UTF8.self) }
    }
  }

  /// Writes messages with keys, timestamps and headers, and waits until they are stored.
  package func write(_ messages: [Message], to topic: String, _ partition: Int = 0) throws {
    let target = rd_kafka_topic_new(handle, topic, nil)
    defer { rd_kafka_topic_destroy(target) }
    for message in messages {
      let headers = rd_kafka_headers_new(message.headers.count)
      for header in message.headers {
        (header.value ?? [0]).withUnsafeBytes { bytes in
          _ = rd_kafka_header_add(
            headers, header.name, -1, header.value == nil ? nil : bytes.baseAddress,
            header.value?.count ?? 0)
        }
      }
      var parts = [rd_kafka_vu_t](repeating: rd_kafka_vu_t(), count: 7)
      (parts[0].vtype, parts[0].u.rkt) = (RD_KAFKA_VTYPE_RKT, target)
      (parts[1].vtype, parts[1].u.i32) = (RD_KAFKA_VTYPE_PARTITION, Int32(partition))
      (parts[2].vtype, parts[2].u.i) = (RD_KAFKA_VTYPE_MSGFLAGS, RD_KAFKA_MSG_F_COPY)
      (parts[3].vtype, parts[4].vtype) = (RD_KAFKA_VTYPE_VALUE, RD_KAFKA_VTYPE_KEY)
      (parts[5].vtype, parts[5].u.i64) = (
        RD_KAFKA_VTYPE_TIMESTAMP, Int64(message.milliseconds ?? 0)
      )
      (parts[6].vtype, parts[6].u.headers) = (RD_KAFKA_VTYPE_HEADERS, headers)
      // A spare byte, so that an empty value is not a missing one.
      let error = ((message.value ?? []) + [0]).withUnsafeBytes { value in
        ((message.key ?? []) + [0]).withUnsafeBytes { key in
          parts[3].u.mem.ptr =
            message.value == nil ? nil : UnsafeMutableRawPointer(mutating: value.baseAddress)
          parts[3].u.mem.size = message.value?.count ?? 0
          parts[4].u.mem.ptr =
            message.key == nil ? nil : UnsafeMutableRawPointer(mutating: key.baseAddress)
          parts[4].u.mem.size = message.key?.count ?? 0
          return rd_kafka_produceva(handle, parts, parts.count)
        }
      }
      guard error == nil else {
        throw Refused(reason: Self.text(rd_kafka_error_code(error)))
      }
    }
    try check(rd_kafka_flush(handle, 60_000))
  }

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

  /// The values of the messages of a partition.
  package func read(_ topic: String, _ partition: Int = 0) throws -> [[UInt8]] {
    try messages(topic, partition).map { $0.value ?? [] }
  }

  /// The messages of a partition.
  package func messages(_ topic: String, _ partition: Int = 0) throws -> [Message] {
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
    var found: [Message] = []
    let deadline = ContinuousClock.now + .seconds(hangSeconds)
    while found.count < high - low, ContinuousClock.now < deadline {
      guard let message = rd_kafka_consume(source, Int32(partition), 1000) else { continue }
      defer { rd_kafka_message_destroy(message) }
      guard message.pointee.err == RD_KAFKA_RESP_ERR_NO_ERROR else { continue }
      found.append(Self.copy(message))
    }
    return found
  }

  private static func copy(_ message: UnsafeMutablePointer<rd_kafka_message_t>) -> Message {
    func bytes(_ start: UnsafeRawPointer?, _ count: Int) -> [UInt8]? {
      start.map { Array(UnsafeRawBufferPointer(start: $0, count: count)) }
    }
    var copy = Message(
      bytes(message.pointee.payload, message.pointee.len),
      key: bytes(message.pointee.key, message.pointee.key_len),
      milliseconds: Int(rd_kafka_message_timestamp(message, nil)))
    var headers: OpaquePointer?
    guard rd_kafka_message_headers(message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR,
      let headers
    else { return copy }
    for index in 0..<rd_kafka_header_cnt(headers) {
      var (name, value, size): (UnsafePointer<CChar>?, UnsafeRawPointer?, Int) = (nil, nil, 0)
      rd_kafka_header_get_all(headers, index, &name, &value, &size)
      if let name { copy.headers.append(.init(String(cString: name), bytes(value, size))) }
    }
    return copy
  }

  /// The offset of the first message of a partition, and the one after its last message.
  package func watermarks(_ topic: String, _ partition: Int = 0) throws -> (low: Int, high: Int) {
    var (low, high) = (Int64(0), Int64(0))
    try check(
      rd_kafka_query_watermark_offsets(handle, topic, Int32(partition), &low, &high, 60_000))
    return (Int(low), Int(high))
  }

  /// The offset of a group for a partition; nil if it has none.
  package func committed(_ group: String, _ topic: String, _ partition: Int = 0) throws -> Int? {
    let reader = try Self.client(
      RD_KAFKA_CONSUMER,
      [("bootstrap.servers", addresses.joined(separator: ",")), ("group.id", group)])
    defer { rd_kafka_destroy(reader) }
    let list = rd_kafka_topic_partition_list_new(1)
    defer { rd_kafka_topic_partition_list_destroy(list) }
    let entry = rd_kafka_topic_partition_list_add(list, topic, Int32(partition))
    try check(rd_kafka_committed(reader, list, 60_000))
    let offset = entry?.pointee.offset ?? -1
    return offset >= 0 ? Int(offset) : nil
  }

  private func check(_ error: rd_kafka_resp_err_t) throws {
    guard error == RD_KAFKA_RESP_ERR_NO_ERROR else { throw Refused(reason: Self.text(error)) }
  }

  private static func text(_ error: rd_kafka_resp_err_t) -> String {
    rd_kafka_err2str(error).map { String(cString: $0) } ?? "error \(error.rawValue)"
  }
}
