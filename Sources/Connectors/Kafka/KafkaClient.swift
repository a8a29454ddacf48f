internal import CRdKafka
internal import Dataflow
internal import Glibc
internal import Records
internal import Storage
internal import Synchronization

// Invariants:
// - No thread of librdkafka calls a function of Swift. It only writes to `wakeup`.
// - The handle is destroyed last, after the queue and the topics that belong to it. A client of another topic keeps the
//   one that owns the handle.

/// The brokers, the topic and the properties with which a client is made.
struct KafkaConnection: Sendable {
  var brokers: [String]
  var topic: String
  var properties: [KafkaProperty]
}

/// A client of one topic: a handle of librdkafka.
final class KafkaClient: @unchecked Sendable {
  // @unchecked because librdkafka locks its handle itself, and `lastError` and `knowsTopic` are only touched with
  // `lock` held.

  enum Role: Sendable {
    case consumer
    case producer
  }

  /// The longest time for which opening a stream waits for an answer of a broker, in milliseconds.
  private static let answerMilliseconds: CInt = 10_000
  /// The part of it after which a refused login is told.
  private static let refusalMilliseconds: CInt = 1000

  let topicName: String
  /// Readable when there may be messages, delivery reports or errors.
  let wakeup: Descriptor
  let handle: OpaquePointer
  let topic: OpaquePointer
  private let brokers: String
  private let role: Role
  private let events: OpaquePointer
  private let identity: KafkaIdentity
  private let statistics: ConnectorStatistics
  /// The client that owns the handle; nil if this one does.
  private let owner: KafkaClient?
  private let warn: @Sendable (String) -> Void
  private let lock = Lock()
  private var lastError: BrokerError?
  /// Whether brokers have told the topic. Before that, an error fails the start.
  private var knowsTopic = false

  /// Makes the client. Nothing is sent before the first request.
  ///
  /// - Parameter own: the properties that users cannot set.
  init(
    _ role: Role, _ connection: KafkaConnection, _ own: [(name: String, value: String)],
    in context: ConnectorContext
  ) throws(FileError) {
    topicName = connection.topic
    brokers = connection.brokers.joined(separator: ",")
    self.role = role
    owner = nil
    (statistics, warn) = (context.statistics, context.warn)
    wakeup = try .event(path: connection.topic)
    var properties = own + [("bootstrap.servers", brokers)]
    for property in connection.properties {
      properties.append((property.name, try property.value(in: context.fileSystem)))
    }
    identity = KafkaIdentity(properties)
    let configuration = try Self.configuration(properties, topic: topicName)
    var reason = [CChar](repeating: 0, count: 512)
    let kind = role == .consumer ? RD_KAFKA_CONSUMER : RD_KAFKA_PRODUCER
    guard let handle = rd_kafka_new(kind, configuration, &reason, reason.count) else {
      rd_kafka_conf_destroy(configuration)
      // Such as "ssl.ca.location failed", without the path.
      let words = text(of: reason)
      let file = properties.last { $0.name.hasSuffix(".location") && words.hasPrefix($0.name) }
      throw FileError(
        operation: .open, path: topicName,
        reason: words + (file.map { ": \(quoted($0.value))" } ?? ""), errno: EINVAL)
    }
    self.handle = handle
    guard let topic = rd_kafka_topic_new(handle, connection.topic, nil),
      let events = rd_kafka_queue_get_main(handle)
    else {
      preconditionFailure("librdkafka gave no topic \(topicName)")
    }
    (self.topic, self.events) = (topic, events)
    wake(by: events)
  }

  /// A client of another topic, with the handle and the events of a client.
  init(of topicName: String, with owner: KafkaClient) {
    guard let topic = rd_kafka_topic_new(owner.handle, topicName, nil) else {
      preconditionFailure("librdkafka gave no topic \(topicName)")
    }
    (self.topicName, self.topic, self.owner) = (topicName, topic, owner)
    (handle, events, wakeup) = (owner.handle, owner.events, owner.wakeup)
    (brokers, role, statistics) = (owner.brokers, owner.role, owner.statistics)
    (identity, warn) = (owner.identity, owner.warn)
  }

  deinit {
    guard owner == nil else { return rd_kafka_topic_destroy(topic) }
    rd_kafka_queue_io_event_enable(events, -1, nil, 0)
    rd_kafka_queue_destroy(events)
    rd_kafka_topic_destroy(topic)
    if role == .producer {
      // A restart sends again the messages that no broker has stored.
      rd_kafka_purge(handle, CInt(RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT))
    }
    rd_kafka_destroy_flags(handle, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE)
  }

  private static func configuration(
    _ properties: [(name: String, value: String)], topic: String
  ) throws(FileError) -> OpaquePointer {
    guard let configuration = rd_kafka_conf_new() else { preconditionFailure("no memory") }
    for (name, value) in properties {
      guard rd_kafka_conf_set(configuration, name, value, nil, 0) == RD_KAFKA_CONF_OK else {
        rd_kafka_conf_destroy(configuration)
        // The value may be a secret.
        throw FileError(
          operation: .open, path: topic, reason: "expected another value of \(name)", errno: EINVAL)
      }
    }
    // Otherwise librdkafka would write to standard error.
    rd_kafka_conf_set_log_cb(configuration, nil)
    rd_kafka_conf_set_events(
      configuration, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_REBALANCE)
    return configuration
  }

  /// The reason why librdkafka refuses a value of a property; nil if it takes it.
  static func refusal(of value: String, for name: String) -> String? {
    guard let configuration = rd_kafka_conf_new() else { return nil }
    defer { rd_kafka_conf_destroy(configuration) }
    var reason = [CChar](repeating: 0, count: 512)
    guard rd_kafka_conf_set(configuration, name, value, &reason, reason.count) != RD_KAFKA_CONF_OK
    else { return nil }
    return text(of: reason)
  }

  // MARK: Events

  /// Has a queue that is no longer empty write to `wakeup`.
  func wake(by queue: OpaquePointer) {
    var one: UInt64 = 1
    withUnsafeBytes(of: &one) {
      rd_kafka_queue_io_event_enable(queue, wakeup.number, $0.baseAddress, $0.count)
    }
  }

  /// Takes the errors and the delivery reports so far.
  ///
  /// - Parameter report: called for each message that was delivered or not.
  func takeEvents(_ report: (rd_kafka_message_t) -> Void = { _ in }) throws(FileError) {
    while let event = rd_kafka_queue_poll(events, 0) {
      defer { rd_kafka_event_destroy(event) }
      switch rd_kafka_event_type(event) {
      case RD_KAFKA_EVENT_DR:
        while let message = rd_kafka_event_message_next(event) { report(message.pointee) }
      case RD_KAFKA_EVENT_ERROR:
        statistics.brokerErrors.add(1, ordering: .relaxed)
        let error = BrokerError(
          rd_kafka_event_error(event),
          rd_kafka_event_error_string(event).map { String(cString: $0) } ?? "")
        note(error)
        guard error.code == RD_KAFKA_RESP_ERR__FATAL else { continue }
        throw FileError(
          operation: role == .consumer ? .read : .write, path: topicName,
          reason: replacement ?? error.text)
      default: break
      }
    }
  }

  /// Keeps the error that tells most. While the stream runs, warns of one that no repetition mends.
  private func note(_ error: BrokerError) {
    let warns = lock.withLock {
      guard error != lastError, error.replaces(lastError) else { return false }
      lastError = error
      return knowsTopic && error.isRefusal
    }
    if warns { warn("no access to \(brokers): \(error.text)\(identity.hint(for: error))") }
  }

  // MARK: Requests

  /// The number of partitions of the topic. Waits for the answer of a broker.
  func partitionCount() throws(FileError) -> Int {
    for attempt in 1... {
      var found: UnsafePointer<rd_kafka_metadata>?
      var error = ask(for: &found)
      defer { rd_kafka_metadata_destroy(found) }
      if error == RD_KAFKA_RESP_ERR_NO_ERROR, let told = found?.pointee.topics?.pointee {
        error = told.err
        if error == RD_KAFKA_RESP_ERR_NO_ERROR, told.partition_cnt > 0 {
          lock.withLock { knowsTopic = true }
          return Int(told.partition_cnt)
        }
      }
      // A broker that makes the topic says so for a moment.
      guard error == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, attempt < 50 else {
        throw refused(error)
      }
      usleep(100_000)
    }
    throw refused(RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE)
  }

  /// Asks for the partitions of the topic. If brokers refuse the client, does not wait for the whole time.
  private func ask(for found: inout UnsafePointer<rd_kafka_metadata>?) -> rd_kafka_resp_err_t {
    let error = rd_kafka_metadata(handle, 0, topic, &found, Self.refusalMilliseconds)
    guard error == RD_KAFKA_RESP_ERR__TRANSPORT || error == RD_KAFKA_RESP_ERR__TIMED_OUT else {
      return error
    }
    try? takeEvents()
    guard lock.withLock({ lastError?.mayBeRefusal != true }) else { return error }
    let left = Self.answerMilliseconds - Self.refusalMilliseconds
    return rd_kafka_metadata(handle, 0, topic, &found, left)
  }

  /// The offset of the first message of a partition, and the one after its last message.
  func watermarks(of partition: Int) throws(FileError) -> (low: Int, high: Int) {
    var (low, high) = (Int64(0), Int64(0))
    let error = rd_kafka_query_watermark_offsets(
      handle, topicName, Int32(partition), &low, &high, Self.answerMilliseconds)
    guard error == RD_KAFKA_RESP_ERR_NO_ERROR else { throw refused(error) }
    return (Int(low), Int(high))
  }

  /// The watermark after the last message that the client has heard of; nil before the first answer.
  func knownHigh(of partition: Int) -> Int? {
    var (low, high) = (Int64(0), Int64(0))
    let error = rd_kafka_get_watermark_offsets(
      handle, topicName, Int32(partition), &low, &high)
    return error == RD_KAFKA_RESP_ERR_NO_ERROR && high >= 0 ? Int(high) : nil
  }

  /// The offset of the first message of a partition that is not older than a time; nil if there is none.
  func offset(of partition: Int, atMilliseconds time: Int) throws(FileError) -> Int? {
    guard let list = rd_kafka_topic_partition_list_new(1) else { preconditionFailure("no memory") }
    defer { rd_kafka_topic_partition_list_destroy(list) }
    let entry = rd_kafka_topic_partition_list_add(list, topicName, Int32(partition))
    entry?.pointee.offset = Int64(time)
    var error = rd_kafka_offsets_for_times(handle, list, Self.answerMilliseconds)
    if error == RD_KAFKA_RESP_ERR_NO_ERROR { error = entry?.pointee.err ?? error }
    guard error == RD_KAFKA_RESP_ERR_NO_ERROR else { throw refused(error) }
    let offset = entry?.pointee.offset ?? -1
    return offset >= 0 ? Int(offset) : nil
  }

  /// The error of a request at the start of a stream.
  private func refused(_ error: rd_kafka_resp_err_t) -> FileError {
    switch error {
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC,
      RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
      return FileError(
        operation: .open, path: topicName, reason: "the brokers \(brokers) have no such topic",
        errno: ENOENT)
    default:
      try? takeEvents()
      guard let told = lock.withLock({ lastError }) else {
        return FileError(
          operation: .open, path: topicName,
          reason: "no answer from \(brokers): \(errorText(error))"
        )
      }
      return FileError(
        operation: .open, path: topicName,
        reason: "no answer from \(brokers): \(told.text)\(identity.hint(for: told))")
    }
  }
}

/// The words of librdkafka for an error.
func errorText(_ error: rd_kafka_resp_err_t) -> String {
  rd_kafka_err2str(error).map { String(cString: $0) } ?? "error \(error.rawValue)"
}

private func text(of characters: [CChar]) -> String {
  String(decoding: characters.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
}
