internal import CRdKafka
internal import Glibc
internal import Storage

/// The requests of an administrator: the configuration of the topic, and making it.
extension KafkaClient {
  private static let requestMilliseconds: CInt = 10_000
  /// Some brokers never tell the configuration.
  private static let describeMilliseconds: CInt = 3000

  /// The configuration of the topic; nil if the brokers do not tell it.
  func topicConfiguration() -> [String: String]? {
    guard let resource = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topicName) else {
      return nil
    }
    defer { rd_kafka_ConfigResource_destroy(resource) }
    let event = ask(RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, Self.describeMilliseconds) {
      options, queue in
      var resources: [OpaquePointer?] = [resource]
      rd_kafka_DescribeConfigs(handle, &resources, 1, options, queue)
    }
    guard let event else { return nil }
    defer { rd_kafka_event_destroy(event) }
    guard rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR_NO_ERROR,
      let result = rd_kafka_event_DescribeConfigs_result(event)
    else { return nil }
    var count = 0
    let resources = rd_kafka_DescribeConfigs_result_resources(result, &count)
    guard count == 1, let found = resources?[0],
      rd_kafka_ConfigResource_error(found) == RD_KAFKA_RESP_ERR_NO_ERROR
    else { return nil }
    var entryCount = 0
    let entries = rd_kafka_ConfigResource_configs(found, &entryCount)
    var configuration: [String: String] = [:]
    for index in 0..<entryCount {
      guard let entry = entries?[index], let name = rd_kafka_ConfigEntry_name(entry),
        let value = rd_kafka_ConfigEntry_value(entry)
      else { continue }
      configuration[String(cString: name)] = String(cString: value)
    }
    return configuration
  }

  /// Makes the topic, with as many replicas as the brokers give a topic. Does nothing if another client was faster.
  func makeTopic(
    partitions: Int, _ entries: [(name: String, value: String)]
  ) throws(FileError) {
    var reason = [CChar](repeating: 0, count: 512)
    guard
      let topic = rd_kafka_NewTopic_new(topicName, CInt(partitions), -1, &reason, reason.count)
    else { throw notMade("expected another name or number of partitions") }
    defer { rd_kafka_NewTopic_destroy(topic) }
    for (name, value) in entries { rd_kafka_NewTopic_set_config(topic, name, value) }
    let event = ask(RD_KAFKA_ADMIN_OP_CREATETOPICS, Self.requestMilliseconds) {
      options, queue in
      var topics: [OpaquePointer?] = [topic]
      rd_kafka_CreateTopics(handle, &topics, 1, options, queue)
    }
    guard let event else { throw notMade("no answer") }
    defer { rd_kafka_event_destroy(event) }
    var error = rd_kafka_event_error(event)
    if error == RD_KAFKA_RESP_ERR_NO_ERROR, let result = rd_kafka_event_CreateTopics_result(event) {
      var count = 0
      let topics = rd_kafka_CreateTopics_result_topics(result, &count)
      if count == 1 { error = rd_kafka_topic_result_error(topics?[0]) }
    }
    switch error {
    case RD_KAFKA_RESP_ERR_NO_ERROR, RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS: return
    default: throw notMade(errorText(error))
    }
  }

  /// The number of partitions of a topic of which the brokers may not have heard yet.
  func partitionCount(afterMaking isNew: Bool) throws(FileError) -> Int {
    for _ in 0..<50 where isNew {
      do throws(FileError) {
        return try partitionCount()
      } catch {
        guard error.isMissing else { throw error }
      }
      usleep(100_000)
    }
    return try partitionCount()
  }

  /// Sends a request, and waits for the answer.
  private func ask(
    _ operation: rd_kafka_admin_op_t, _ milliseconds: CInt,
    _ send: (OpaquePointer?, OpaquePointer?) -> Void
  ) -> OpaquePointer? {
    guard let queue = rd_kafka_queue_new(handle) else { return nil }
    defer { rd_kafka_queue_destroy(queue) }
    let options = rd_kafka_AdminOptions_new(handle, operation)
    defer { rd_kafka_AdminOptions_destroy(options) }
    rd_kafka_AdminOptions_set_request_timeout(options, milliseconds, nil, 0)
    send(options, queue)
    return rd_kafka_queue_poll(queue, milliseconds + 5000)
  }

  private func notMade(_ reason: String) -> FileError {
    FileError(
      operation: .create, path: topicName,
      reason: "the brokers did not make the topic: \(reason)")
  }
}
