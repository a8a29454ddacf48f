internal import FoundationEssentials
package import Operators
internal import Records
internal import Synchronization

/// An event that left a stream, as the API and webhooks tell it.
package struct LoggedEvent: Sendable, Equatable {
  /// Rises by one with each event of the process.
  package let number: Int
  /// In seconds since 1970, UTC.
  package let wallSeconds: Double
  package let event: OperatorEvent
  /// The partition that raised it, if each is processed by itself.
  package let partition: Int?

  package init(number: Int, wallSeconds: Double, event: OperatorEvent, partition: Int? = nil) {
    self.number = number
    self.wallSeconds = wallSeconds
    self.event = event
    self.partition = partition
  }
}

extension LoggedEvent: Encodable {
  private struct Member: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }

    init(_ name: String) { stringValue = name }
    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
  }

  package func encode(to encoder: any Encoder) throws {
    var members = encoder.container(keyedBy: Member.self)
    try members.encode(number, forKey: Member("id"))
    try members.encode(wallSeconds, forKey: Member("time"))
    try members.encode(event.kind.name, forKey: Member("event"))
    try members.encode("\(event.kind.level)", forKey: Member("level"))
    try members.encodeIfPresent(partition, forKey: Member("partition"))
    try members.encodeIfPresent(event.feature, forKey: Member("feature"))
    try members.encode(event.text, forKey: Member("text"))
    for (name, value) in event.fields {
      switch value {
      case .number(let number) where number.isFinite:
        try members.encode(number, forKey: Member(name))
      case .number: try members.encodeNil(forKey: Member(name))
      case .count(let count): try members.encode(count, forKey: Member(name))
      case .text(let text): try members.encode(text, forKey: Member(name))
      }
    }
  }

  /// The event as one JSON object in one line.
  ///
  /// - Parameter stream: the name of the stream, as a further member.
  package func json(of stream: String? = nil) -> String {
    struct OfStream: Encodable {
      let stream: String?
      let event: LoggedEvent

      enum CodingKeys: CodingKey { case stream }

      func encode(to encoder: any Encoder) throws {
        try event.encode(to: encoder)
        var members = encoder.container(keyedBy: CodingKeys.self)
        try members.encodeIfPresent(stream, forKey: .stream)
      }
    }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    // Texts and finite numbers can always be encoded.
    let bytes = (try? encoder.encode(OfStream(stream: stream, event: self))).map { Array($0) } ?? []
    return String(decoding: printable(json: bytes), as: UTF8.self)
  }
}

/// The last events of a stream, of all its partitions. Its stages write them; any thread may read them.
package final class EventLog: Sendable {
  /// How many are kept.
  static let capacity = 256

  private struct State {
    var events: [LoggedEvent] = []
    var last = 0
  }

  private let state = Mutex(State())

  package init() {}

  func append(_ event: OperatorEvent, wallSeconds: Double, partition: Int? = nil) {
    state.withLock { state in
      state.last += 1
      state.events.append(
        LoggedEvent(
          number: state.last, wallSeconds: wallSeconds, event: event, partition: partition))
      if state.events.count > Self.capacity { state.events.removeFirst() }
    }
  }

  /// The kept events with a higher number, oldest first. All, if no event had the number yet: it is of an earlier
  /// daemon, or of the stream before a reload.
  package func events(after number: Int) -> [LoggedEvent] {
    state.withLock { state in
      state.events.filter { number > state.last || $0.number > number }
    }
  }
}
