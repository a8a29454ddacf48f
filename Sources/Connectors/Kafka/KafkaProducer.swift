internal import CRdKafka
internal import Dataflow
internal import Glibc
internal import Storage
internal import Synchronization

/// Takes messages for a topic. Tests have one in memory.
protocol MessageTarget: Sendable {
  /// Takes a message.
  ///
  /// - Returns: false if it takes no more for now.
  func send(_ message: ArraySlice<UInt8>) throws(FileError) -> Bool
  /// Takes note of what brokers have stored.
  ///
  /// - Throws: an error if a message was not stored.
  func takeReports() throws(FileError)
  /// The number of messages that no broker has stored yet.
  var unstored: Int { get }
  /// The event to wait for until it has news.
  var awaiting: Awaiting { get }
}

/// Sends messages to a topic, each once and in order for each partition.
final class KafkaProducer: MessageTarget, @unchecked Sendable {
  // @unchecked because only the sink that owns it uses it, in one step at a time.

  /// librdkafka chooses the partition.
  private static let anyPartition: Int32 = -1

  private let client: KafkaClient
  private let statistics: ConnectorStatistics
  private(set) var unstored = 0

  init(_ connection: KafkaConnection, in context: ConnectorContext) throws(FileError) {
    statistics = context.statistics
    client = try KafkaClient(
      .producer, connection,
      [
        ("client.id", "evenkeel"), ("enable.idempotence", "true"), ("acks", "all"),
        // The bytes bound the queue.
        ("queue.buffering.max.messages", "10000000"), ("queue.buffering.max.kbytes", "16384"),
        ("message.timeout.ms", "120000"),
      ], in: context)
    // A topic that is not there, or a password that is wrong, is told before the first record.
    _ = try client.partitionCount()
  }

  // Reports wake the sink. Messages that wait for room may also be in the client's own timers.
  var awaiting: Awaiting {
    Awaiting(.readable(descriptor: client.wakeup.number), seconds: 1)
  }

  func send(_ message: ArraySlice<UInt8>) throws(FileError) -> Bool {
    let status = message.withUnsafeBytes { bytes in
      rd_kafka_produce(
        client.topic, Self.anyPartition, RD_KAFKA_MSG_F_COPY,
        UnsafeMutableRawPointer(mutating: bytes.baseAddress), bytes.count, nil, 0, nil)
    }
    guard status == -1 else {
      unstored += 1
      return true
    }
    let error = rd_kafka_last_error()
    switch error {
    case RD_KAFKA_RESP_ERR__QUEUE_FULL: return false
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
      throw FileError(
        operation: .write, path: client.topicName,
        reason: "a message of \(message.count) bytes is larger than message.max.bytes allows",
        errno: EMSGSIZE)
    default:
      throw FileError(operation: .write, path: client.topicName, reason: errorText(error))
    }
  }

  func takeReports() throws(FileError) {
    client.wakeup.takeEvent()
    var stored = 0
    var failure: rd_kafka_resp_err_t?
    try client.takeEvents { message in
      unstored -= 1
      if message.err == RD_KAFKA_RESP_ERR_NO_ERROR { stored += 1 } else { failure = message.err }
    }
    statistics.deliveredMessages.add(stored, ordering: .relaxed)
    if let failure {
      throw FileError(
        operation: .write, path: client.topicName,
        reason: "no broker stored a message: \(errorText(failure))")
    }
  }
}
