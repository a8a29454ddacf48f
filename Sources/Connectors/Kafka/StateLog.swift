package import Dataflow
package import Records
package import Storage

/// A message of a partition of a state topic.
package struct StateMessage: Sendable, Equatable {
  /// The most bytes of a value. A larger one is read as an empty one.
  package static let mostBytes = 64 << 20

  package var key: String
  /// Nil if the message removes the earlier ones with its key.
  package var value: [UInt8]?
  package var headers: [String: String]
  /// Its offset in the log; nil before it is stored.
  package var offset: Int?

  package init(
    key: String, value: [UInt8]?, headers: [String: String] = [:], offset: Int? = nil
  ) {
    self.key = key
    self.value = value
    self.headers = headers
    self.offset = offset
  }
}

/// The headers of the messages in a state topic.
package enum StateHeader {
  /// The offset of the next message of the input after the state.
  package static let offset = "ek-offset"
  /// The number of states of the partition up to this one.
  package static let epoch = "ek-epoch"
  /// The identity of the owner.
  package static let owner = "ek-owner"
  /// The offset of the claim under which it was written.
  package static let claim = "ek-claim"
}

extension StateMessage {
  /// The offset of the input after the state; nil if the header is not one.
  package var inputOffset: Int? { number(StateHeader.offset) }
  /// The number of the state.
  package var epoch: Int { number(StateHeader.epoch) ?? 0 }
  /// The offset of the claim under which it was written; nil if it does not tell.
  package var claim: Int? { number(StateHeader.claim) }

  private func number(_ header: String) -> Int? {
    guard let number = headers[header].flatMap({ Int($0) }), (0...1 << 53).contains(number) else {
      return nil
    }
    return number
  }
}

/// A partition of a state topic, read from its first message on. Reading begins with the first call of `next`. Tests and the
/// simulator have one in memory.
///
/// At most one message that was appended is not stored yet.
package protocol StateLog: Sendable {
  /// The topic and the partition, for messages to people.
  var name: String { get }
  /// Appends a message, without waiting.
  func append(_ message: StateMessage) throws(FileError)
  /// The offset of the message that was appended last; nil until it is stored, and with transactions committed. Call it
  /// after `next`, so that no event is missed.
  func stored() throws(FileError) -> Int?
  /// The next message; nil if there is none for now.
  func next() throws(FileError) -> StateMessage?
  /// The event, or the thread that may wait, to wait for after both have returned nil.
  var awaiting: Awaiting { get }
  /// Waits for such an event in the calling thread, a second at most.
  func wait()
  /// The offset after the last message that is there now.
  func end() throws(FileError) -> Int
  /// The offset of the message that `next` looks for.
  var position: Int { get }
  /// Whether brokers refuse messages of an owner that was replaced, so that none of them is read back.
  var isExclusive: Bool { get }
  /// Ends reading. `next` is not called any more.
  func endReading()
  /// The transactions of the state, for the output that belongs to it; nil without them.
  var transactions: KafkaTransactions? { get }
  /// The offset of the input up to which the group of the source has processed the partition; nil without one. It tells
  /// nothing but that there was a state. Waits for the brokers.
  func committed() throws(FileError) -> Int?
}

extension StateLog {
  package var isExclusive: Bool { false }
  package func endReading() {}
  package var transactions: KafkaTransactions? { nil }
  package func committed() throws(FileError) -> Int? { nil }
}

/// Partitions of a state topic, read from their first messages on. Tests have one in memory.
package protocol StateTail: Sendable {
  var name: String { get }
  /// Whether every message was read that was there when the tail was opened.
  var isAtEnds: Bool { get }
  /// The next message, and its partition; nil if none comes in that time.
  func next(waiting seconds: Double) throws(FileError) -> (partition: Int, message: StateMessage)?
}

/// A partition of a topic.
package struct TopicPartition: Sendable, Equatable, CustomStringConvertible {
  package var topic: String
  package var number: Int

  package init(topic: String, number: Int) {
    (self.topic, self.number) = (topic, number)
  }

  package var description: String { "\(topic)/\(number)" }

  /// The offset of the next message that a source opened at a cursor reads; nil if the cursor is of another input.
  package func offset(in cursor: InputCursor) -> Int? {
    for case let mark? in cursor.splits.map({ $0.source.flatMap { KafkaMark($0) } })
    where mark.topic == topic && mark.partition == number {
      return mark.offset
    }
    guard let beginnings = cursor.done.flatMap({ KafkaBeginnings($0) }), beginnings.topic == topic
    else { return nil }
    return beginnings.offsets[number]
  }
}
