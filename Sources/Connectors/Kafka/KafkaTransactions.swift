internal import CRdKafka
internal import Dataflow
internal import Glibc
internal import Storage
internal import Synchronization

// Invariants:
// - A transaction begins with the first message after a commit, and ends with a state. So it holds the output of one
//   stretch between two states, and the state after it.
// - `unstored` are the messages of the transaction of which no report was taken. It is 0 when `commit` is called, which
//   would otherwise wait for reports that nobody takes.

/// The transactions of one partition. Its output, its dead letters and its state are messages of one producer, so that
/// readers see all of a stretch or nothing of it.
///
/// Brokers know the producer by a name that stays the same. The newest one with the name ends the open transaction of an
/// earlier one, whose next call then fails.
package final class KafkaTransactions: @unchecked Sendable {
  // @unchecked because only the run that owns it uses it, in one step at a time.

  /// The settings of the transactions of a stream.
  struct Settings: Sendable {
    /// The brokers and properties of the sink, with the state topic.
    var connection: KafkaConnection
    /// The name of the producer of a partition begins with it.
    var name: String
    /// Brokers abort a transaction that is open for longer, in seconds.
    var timeoutSeconds: Double

    /// - Parameter epochSeconds: the longest time between two states.
    init(_ connection: KafkaConnection, name: String, epochSeconds: Double) {
      (self.connection, self.name) = (connection, name)
      timeoutSeconds = max(10, 5 * epochSeconds)
    }
  }

  /// How often the brokers are asked at the start, and for how long, in milliseconds.
  private static let mostStarts = 3
  private static let startMilliseconds: CInt = 10_000
  /// Until the rest of the time of the transaction, as librdkafka recommends.
  private static let untilTimeout: CInt = -1
  /// The pause before a call is repeated, in microseconds.
  private static let pause: UInt32 = 50_000

  /// A client of the state topic. Others of the same handle are clients of the output and of the dead letters.
  let client: KafkaClient
  private let name: String
  private let group: KafkaGroup?
  private let statistics: ConnectorStatistics
  private var hasStarted = false
  private var isOpen = false
  private var hasSentOffset = false
  private(set) var unstored = 0
  /// The offset of the last message of the state topic; nil until it is stored.
  private(set) var storedState: Int?

  /// - Parameter group: the member of the group that has the partition; nil without a group.
  init(
    _ settings: Settings, of partition: TopicPartition, _ group: KafkaGroup?,
    in context: ConnectorContext
  ) throws(FileError) {
    self.group = group
    statistics = context.statistics
    name = "\(settings.name)/\(partition)"
    client = try KafkaClient(
      .producer, settings.connection,
      [
        ("client.id", "evenkeel"), ("transactional.id", name), ("acks", "all"),
        ("transaction.timeout.ms", "\(Int(settings.timeoutSeconds * 1000))"),
        ("queue.buffering.max.messages", "10000000"), ("queue.buffering.max.kbytes", "16384"),
        // The topics bound the size of a message.
        ("message.max.bytes", "\(StateMessage.mostBytes + 1 << 20)"),
      ], in: context)
  }

  // MARK: Messages

  /// Begins a transaction, unless one is open. Waits for the brokers the first time.
  func begin() throws(FileError) {
    guard !isOpen else { return }
    if !hasStarted { try start() }
    isOpen = try isDone(rd_kafka_begin_transaction(client.handle))
    guard isOpen else { throw failure("no transaction begins") }
  }

  /// Ends the transaction that an earlier producer of the partition has left open.
  private func start() throws(FileError) {
    for _ in 0..<Self.mostStarts {
      hasStarted = try isDone(rd_kafka_init_transactions(client.handle, Self.startMilliseconds))
      if hasStarted { return }
    }
    try client.takeEvents()
    throw failure("the brokers did not begin transactions in time")
  }

  /// Takes note of a message that was sent.
  ///
  /// - Parameter isState: whether its offset is wanted.
  func noteSent(isState: Bool = false) {
    unstored += 1
    if isState { storedState = nil }
  }

  /// Takes note of what brokers have stored, of all topics.
  ///
  /// - Throws: an error if a message was not stored.
  func takeReports() throws(FileError) {
    client.wakeup.takeEvent()
    var stored = 0
    var refusal: FileError?
    try client.takeEvents { message in
      unstored -= 1
      guard message.err == RD_KAFKA_RESP_ERR_NO_ERROR else {
        // The later ones tell only that the transaction has failed.
        if refusal == nil { refusal = self.refusal(of: message) }
        return
      }
      if message.rkt == client.topic { storedState = Int(message.offset) } else { stored += 1 }
    }
    statistics.deliveredMessages.add(stored, ordering: .relaxed)
    if let refusal { throw refusal }
  }

  private func refusal(of message: rd_kafka_message_t) -> FileError {
    let topic = message.rkt.map { String(cString: rd_kafka_topic_name($0)) } ?? name
    if let replacement = client.replacement {
      return FileError(operation: .write, path: topic, reason: replacement)
    }
    let isTooLarge = message.err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE
    return FileError(
      operation: .write, path: topic,
      reason: "no broker stored a message of \(message.len) bytes: \(errorText(message.err))"
        + (isTooLarge ? "; raise max.message.bytes of the topic" : ""))
  }

  // MARK: Committing

  /// Commits the transaction. Waits for the brokers, so it runs on a thread that may wait.
  ///
  /// - Parameter offset: the offset of the input after the state, for the group.
  /// - Returns: false if the brokers have not told. Then it must be called again: the transaction may be committed.
  func commit(upTo offset: Int?, of partition: Int) throws(FileError) -> Bool {
    if let group, let offset, !hasSentOffset {
      hasSentOffset = try isDone(
        group.send(offset, of: partition, with: client.handle, milliseconds: Self.untilTimeout))
      guard hasSentOffset else { return false }
    }
    guard try isDone(rd_kafka_commit_transaction(client.handle, Self.untilTimeout)) else {
      return false
    }
    (isOpen, hasSentOffset) = (false, false)
    return true
  }

  /// Whether a call has succeeded. If it may be repeated, it has not.
  ///
  /// - Parameter error: what it returned; nil for success.
  private func isDone(_ error: OpaquePointer?) throws(FileError) -> Bool {
    guard let error else { return true }
    defer { rd_kafka_error_destroy(error) }
    if rd_kafka_error_is_retriable(error) != 0 {
      usleep(Self.pause)
      return false
    }
    if rd_kafka_error_txn_requires_abort(error) != 0,
      let refusal = rd_kafka_abort_transaction(client.handle, Self.untilTimeout)
    {
      // The producer of the next run aborts it.
      rd_kafka_error_destroy(refusal)
    }
    let reason = rd_kafka_error_string(error).map { String(cString: $0) } ?? ""
    if rd_kafka_error_code(error) == RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT {
      throw failure(
        "\(reason): lower state.every.time and batch.max_delay, or raise transaction.max.timeout.ms of the brokers"
      )
    }
    throw failure(client.replacement ?? "the transaction is not committed: \(reason)")
  }

  private func failure(_ reason: String) -> FileError {
    FileError(operation: .write, path: name, reason: reason)
  }
}

extension KafkaClient {
  /// The reason why a producer must end that another process has replaced; nil if none has.
  var replacement: String? {
    switch rd_kafka_fatal_error(handle, nil, 0) {
    case RD_KAFKA_RESP_ERR__FENCED, RD_KAFKA_RESP_ERR_PRODUCER_FENCED,
      RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH:
      "a newer producer has the partition, so nothing of this one counts any more"
    default: nil
    }
  }
}
