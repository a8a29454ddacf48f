internal import CRdKafka
internal import Storage

/// Messages in the structures of librdkafka: how each is sent, and how each is read.
extension KafkaClient {
  /// librdkafka chooses the partition.
  static let anyPartition: Int32 = -1

  // MARK: Writing

  /// Hands a message with headers to librdkafka, which copies it.
  ///
  /// - Parameters:
  ///   - value: nil for a message that removes those of its key.
  ///   - milliseconds: the timestamp, since 1970; 0 for the time of now.
  ///   - addHeaders: called with the list of headers.
  func produce(
    _ value: UnsafeRawBufferPointer?, key: UnsafeRawBufferPointer?, to partition: Int32,
    milliseconds: Int = 0, headers addHeaders: (OpaquePointer) -> Void
  ) -> rd_kafka_resp_err_t {
    guard let headers = rd_kafka_headers_new(4) else { preconditionFailure("no memory") }
    addHeaders(headers)
    let refusal = withUnsafeTemporaryAllocation(of: rd_kafka_vu_t.self, capacity: 7) { parts in
      parts.initialize(repeating: rd_kafka_vu_t())
      (parts[0].vtype, parts[0].u.rkt) = (RD_KAFKA_VTYPE_RKT, topic)
      (parts[1].vtype, parts[1].u.i32) = (RD_KAFKA_VTYPE_PARTITION, partition)
      (parts[2].vtype, parts[2].u.i) = (RD_KAFKA_VTYPE_MSGFLAGS, RD_KAFKA_MSG_F_COPY)
      parts[3].vtype = RD_KAFKA_VTYPE_VALUE
      parts[3].u.mem.ptr = UnsafeMutableRawPointer(mutating: value?.baseAddress)
      parts[3].u.mem.size = value?.count ?? 0
      parts[4].vtype = RD_KAFKA_VTYPE_KEY
      parts[4].u.mem.ptr = UnsafeMutableRawPointer(mutating: key?.baseAddress)
      parts[4].u.mem.size = key?.count ?? 0
      (parts[5].vtype, parts[5].u.i64) = (RD_KAFKA_VTYPE_TIMESTAMP, Int64(milliseconds))
      (parts[6].vtype, parts[6].u.headers) = (RD_KAFKA_VTYPE_HEADERS, headers)
      return rd_kafka_produceva(handle, parts.baseAddress, parts.count)
    }
    guard let refusal else { return RD_KAFKA_RESP_ERR_NO_ERROR }
    defer { rd_kafka_error_destroy(refusal) }
    // Only a message that was taken owns its headers.
    rd_kafka_headers_destroy(headers)
    return rd_kafka_error_code(refusal)
  }

  /// Adds a header to a list.
  static func add(_ name: String, _ value: String, to headers: OpaquePointer) {
    var value = value
    value.withUTF8 { add(name, UnsafeRawBufferPointer($0), to: headers) }
  }

  static func add(_ name: String, _ value: UnsafeRawBufferPointer, to headers: OpaquePointer) {
    _ = rd_kafka_header_add(headers, name, -1, value.baseAddress, value.count)
  }

  // MARK: Reading

  /// A queue into which partitions are read; its owner destroys it.
  func makeQueue() -> OpaquePointer {
    guard let queue = rd_kafka_queue_new(handle) else {
      preconditionFailure("librdkafka gave no queue")
    }
    return queue
  }

  /// Begins to read a partition into a queue, from an offset on.
  func start(_ partition: Int, at offset: Int, into queue: OpaquePointer) throws(FileError) {
    guard rd_kafka_consume_start_queue(topic, Int32(partition), Int64(offset), queue) == 0 else {
      throw FileError(
        operation: .read, path: "\(topicName)/\(partition)",
        reason: errorText(rd_kafka_last_error()))
    }
  }

  /// Visits the name and the value of each header of a message.
  ///
  /// - Parameter most: further headers are left out.
  static func forEachHeader(
    of message: UnsafeMutablePointer<rd_kafka_message_t>, atMost most: Int = .max,
    _ visit: (_ name: UnsafePointer<CChar>, _ value: UnsafeRawBufferPointer?) -> Void
  ) {
    var headers: OpaquePointer?
    guard rd_kafka_message_headers(message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR,
      let headers
    else { return }
    for index in 0..<min(most, rd_kafka_header_cnt(headers)) {
      var (name, value, size): (UnsafePointer<CChar>?, UnsafeRawPointer?, Int) = (nil, nil, 0)
      guard
        rd_kafka_header_get_all(headers, index, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR,
        let name
      else { break }
      visit(name, value.map { UnsafeRawBufferPointer(start: $0, count: size) })
    }
  }

  /// The error of a partition that ends a run; nil for one after which librdkafka tries again.
  static func fault(_ error: rd_kafka_resp_err_t, in place: String) -> FileError? {
    switch error {
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE,
      RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC,
      RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
      RD_KAFKA_RESP_ERR__BAD_MSG, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
      RD_KAFKA_RESP_ERR__FATAL:
      FileError(operation: .read, path: place, reason: errorText(error))
    default: nil
    }
  }
}
