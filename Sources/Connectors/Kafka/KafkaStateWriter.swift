internal import CRdKafka
internal import Dataflow
internal import Glibc
internal import Storage

// Invariant: with transactions, `isToCommit` says that the last message is stored, and that the next call of `stored` is on
// a thread that may wait.

/// Writes messages to a partition of a state topic.
final class KafkaStateWriter: @unchecked Sendable {
  // @unchecked because only its owner uses it, in one call at a time.

  /// The properties of a client that writes. The topic bounds the size of a message.
  private static let ofProducer: [(name: String, value: String)] = [
    ("client.id", "evenkeel"), ("enable.idempotence", "true"), ("acks", "all"), ("linger.ms", "0"),
    ("message.timeout.ms", "120000"), ("message.max.bytes", "\(StateMessage.mostBytes + 1 << 20)"),
  ]

  let producer: KafkaClient
  let transactions: KafkaTransactions?
  private let group: KafkaGroup?
  private let name: String
  private let partition: Int32
  /// The last message that was appended: its size, the offset of the input after it, and its own one when it is stored.
  private var last: (byteCount: Int, inputOffset: Int?, offset: Int?) = (0, nil, nil)
  private var isToCommit = false

  /// - Parameters:
  ///   - connection: that of the source, with the state topic. The producer has its common properties.
  ///   - group: the member of the group that is told the offset of each state; nil for none.
  ///   - transactions: those of the messages; nil without them.
  init(
    _ connection: KafkaConnection, _ partition: Int, of group: KafkaGroup? = nil,
    _ transactions: KafkaTransactions? = nil, in context: ConnectorContext
  ) throws(FileError) {
    name = "\(connection.topic)/\(partition)"
    (self.partition, self.group, self.transactions) = (Int32(partition), group, transactions)
    var writing = connection
    writing.properties = connection.properties.filter {
      KafkaProperties.common.contains($0.name)
    }
    if let transactions {
      producer = transactions.client
    } else {
      producer = try KafkaClient(.producer, writing, Self.ofProducer, in: context)
    }
  }

  var awaiting: Awaiting {
    isToCommit
      ? Awaiting(threadOf: .brokers)
      : Awaiting(.readable(descriptor: producer.wakeup.number), seconds: 1)
  }

  func append(_ message: StateMessage) throws(FileError) {
    let byteCount = message.value?.count ?? 0
    guard byteCount <= StateMessage.mostBytes else {
      throw FileError(
        operation: .write, path: name,
        reason: "expected a state of at most \(StateMessage.mostBytes) bytes, found \(byteCount)",
        errno: EMSGSIZE)
    }
    last = (byteCount, message.inputOffset, nil)
    try transactions?.begin()
    let error = produce(message)
    guard error == RD_KAFKA_RESP_ERR_NO_ERROR else { throw failure(error) }
    transactions?.noteSent(isState: true)
  }

  private func produce(_ message: StateMessage) -> rd_kafka_resp_err_t {
    Array(message.key.utf8).withUnsafeBytes { key in
      (message.value ?? []).withUnsafeBytes { value in
        producer.produce(message.value == nil ? nil : value, key: key, to: partition) { headers in
          for (name, value) in message.headers.sorted(by: { $0.key < $1.key }) {
            KafkaClient.add(name, value, to: headers)
          }
        }
      }
    }
  }

  func stored() throws(FileError) -> Int? {
    if let transactions { return try committed(transactions) }
    var offset: Int?
    var refusal: rd_kafka_resp_err_t?
    try producer.takeEvents { message in
      if message.err == RD_KAFKA_RESP_ERR_NO_ERROR {
        offset = Int(message.offset)
      } else {
        refusal = message.err
      }
    }
    if let refusal { throw failure(refusal) }
    if let offset {
      last.offset = offset
      if let position = last.inputOffset { group?.commit(position, of: Int(partition)) }
    }
    return last.offset
  }

  private func committed(_ transactions: KafkaTransactions) throws(FileError) -> Int? {
    if last.offset != nil { return last.offset }
    guard isToCommit else {
      try transactions.takeReports()
      isToCommit = transactions.storedState != nil
      return nil
    }
    guard try transactions.commit(upTo: last.inputOffset, of: Int(partition)) else { return nil }
    isToCommit = false
    last.offset = transactions.storedState
    return last.offset
  }

  private func failure(_ error: rd_kafka_resp_err_t) -> FileError {
    if error == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE {
      return FileError(
        operation: .write, path: name,
        reason:
          "the brokers take no state of \(last.byteCount) bytes: raise max.message.bytes of the topic",
        errno: EMSGSIZE)
    }
    if error == RD_KAFKA_RESP_ERR__QUEUE_FULL {
      return FileError(
        operation: .write, path: name,
        reason:
          "a state of \(last.byteCount) bytes is larger than queue.buffering.max.kbytes of the sink allows",
        errno: EMSGSIZE)
    }
    return FileError(
      operation: .write, path: name, reason: "no broker stored the state: \(errorText(error))")
  }

  /// Waits in the calling thread until a message is stored.
  ///
  /// - Returns: its offset.
  func store(_ message: StateMessage, within seconds: Double) throws(FileError) -> Int {
    try append(message)
    let end = ContinuousClock.now + .seconds(seconds)
    while true {
      if let offset = try stored() { return offset }
      guard ContinuousClock.now < end else {
        throw FileError(
          operation: .write, path: name, reason: "no broker stored the message in \(Int(seconds)) s"
        )
      }
      wait()
    }
  }

  /// Waits for an event in the calling thread, a second at most.
  func wait() {
    guard !isToCommit else { return }
    var query = pollfd(fd: producer.wakeup.number, events: CShort(POLLIN), revents: 0)
    _ = poll(&query, 1, 1000)
    // The caller looks for everything that this may tell.
    producer.wakeup.takeEvent()
  }
}
