internal import CRdKafka
internal import Dataflow
internal import Glibc
internal import Records
internal import Storage
internal import Synchronization

/// A message that a sink sends.
struct OutgoingMessage: Sendable {
  var value: ArraySlice<UInt8>
  /// The message from which it has its partition, timestamp, key and headers; nil if it has none of them.
  var origin: MessageOrigin?
  /// The reason why it was refused, for a dead letter.
  var fault: String?
}

/// Takes messages for a topic. Tests have one in memory.
protocol MessageTarget: Sendable {
  /// Takes a message.
  ///
  /// - Returns: false if it takes no more for now.
  func send(_ message: OutgoingMessage) throws(FileError) -> Bool
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

  /// The header with the place of a record in its source.
  static let sourceHeader = "ek-src"
  /// The header of a dead letter with its fault.
  static let faultHeader = "ek-error"

  private let client: KafkaClient
  /// The transactions of the messages; nil without them. They take the reports.
  private let transactions: KafkaTransactions?
  private let statistics: ConnectorStatistics
  private let partitionCount: Int
  private var ownUnstored = 0

  init(_ connection: KafkaConnection, in context: ConnectorContext) throws(FileError) {
    statistics = context.statistics
    transactions = context.transactions
    if let transactions {
      client = KafkaClient(of: connection.topic, with: transactions.client)
    } else {
      client = try KafkaClient(
        .producer, connection,
        [
          ("client.id", "evenkeel"), ("enable.idempotence", "true"), ("acks", "all"),
          // The bytes bound the queue.
          ("queue.buffering.max.messages", "10000000"), ("queue.buffering.max.kbytes", "16384"),
          ("message.timeout.ms", "120000"),
        ], in: context)
    }
    // A topic that is not there, or a password that is wrong, is told before the first record.
    partitionCount = try client.partitionCount()
  }

  /// Refuses a topic that lacks a partition of the source.
  func require(partitions needed: Int) throws(FileError) {
    guard partitionCount < needed else { return }
    throw FileError(
      operation: .open, path: client.topicName,
      reason:
        "expected \(needed) partitions or more, since each record goes to the partition that it came from, "
        + "found \(partitionCount)", errno: EINVAL)
  }

  var unstored: Int { transactions?.unstored ?? ownUnstored }

  // Reports wake the sink. Messages that wait for room may also be in the client's own timers.
  var awaiting: Awaiting {
    Awaiting(.readable(descriptor: client.wakeup.number), seconds: 1)
  }

  func send(_ message: OutgoingMessage) throws(FileError) -> Bool {
    try transactions?.begin()
    let isPlain = message.origin == nil && message.fault == nil
    let error = isPlain ? produce(message.value) : produce(message)
    switch error {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
      if let transactions { transactions.noteSent() } else { ownUnstored += 1 }
      return true
    case RD_KAFKA_RESP_ERR__QUEUE_FULL: return false
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
      throw FileError(
        operation: .write, path: client.topicName,
        reason: "a message of \(message.value.count) bytes is larger than message.max.bytes allows",
        errno: EMSGSIZE)
    default:
      throw FileError(operation: .write, path: client.topicName, reason: errorText(error))
    }
  }

  private func produce(_ value: ArraySlice<UInt8>) -> rd_kafka_resp_err_t {
    let status = value.withUnsafeBytes { bytes in
      rd_kafka_produce(
        client.topic, KafkaClient.anyPartition, RD_KAFKA_MSG_F_COPY,
        UnsafeMutableRawPointer(mutating: bytes.baseAddress), bytes.count, nil, 0, nil)
    }
    return status == -1 ? rd_kafka_last_error() : RD_KAFKA_RESP_ERR_NO_ERROR
  }

  /// Sends a message with headers, and with what another one had.
  private func produce(_ message: OutgoingMessage) -> rd_kafka_resp_err_t {
    let attributes = MessageAttributes(message.origin?.attributes ?? [])
    let partition = message.origin.map { Int32($0.partition) } ?? KafkaClient.anyPartition
    return attributes.bytes.withUnsafeBytes { bytes in
      let key = attributes.key.map { UnsafeRawBufferPointer(rebasing: bytes[$0]) }
      return message.value.withUnsafeBytes { value in
        client.produce(
          value, key: key, to: partition, milliseconds: message.origin?.milliseconds ?? 0
        ) { addHeaders($0, attributes, bytes, message) }
      }
    }
  }

  private func addHeaders(
    _ headers: OpaquePointer, _ attributes: MessageAttributes, _ bytes: UnsafeRawBufferPointer,
    _ message: OutgoingMessage
  ) {
    attributes.forEachHeader { name, value in
      let name = UnsafeRawBufferPointer(rebasing: bytes[name])
      // Those of an earlier stream tell another topic.
      guard !name.elementsEqual(Self.sourceHeader.utf8), !name.elementsEqual(Self.faultHeader.utf8)
      else { return }
      let text = name.bindMemory(to: CChar.self)
      let value = value.map { UnsafeRawBufferPointer(rebasing: bytes[$0]) }
      rd_kafka_header_add(
        headers, text.baseAddress, text.count, value?.baseAddress, value?.count ?? 0)
    }
    message.origin?.withPlace { KafkaClient.add(Self.sourceHeader, $0, to: headers) }
    if let fault = message.fault { KafkaClient.add(Self.faultHeader, fault, to: headers) }
  }

  func takeReports() throws(FileError) {
    if let transactions { return try transactions.takeReports() }
    client.wakeup.takeEvent()
    var stored = 0
    var failure: rd_kafka_resp_err_t?
    try client.takeEvents { message in
      ownUnstored -= 1
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

extension MessageOrigin {
  /// Calls `body` with the partition and the offset as text, with a slash between. The number of the part of a later record
  /// follows. It allocates nothing, since every message has one.
  func withPlace(_ body: (UnsafeRawBufferPointer) -> Void) {
    // A number of 64 bits has at most 20 digits.
    withUnsafeTemporaryAllocation(byteCount: 64, alignment: 1) { bytes in
      var start = bytes.count
      func put(_ byte: UInt8) {
        start -= 1
        bytes[start] = byte
      }
      func put(_ number: Int) {
        var rest = number.magnitude
        repeat {
          put(UInt8(ascii: "0") + UInt8(rest % 10))
          rest /= 10
        } while rest > 0
      }
      // From the end, as digits come.
      if part > 0 {
        put(part)
        put(UInt8(ascii: "/"))
      }
      put(offset)
      put(UInt8(ascii: "/"))
      put(partition)
      body(UnsafeRawBufferPointer(rebasing: bytes[start...]))
    }
  }
}
