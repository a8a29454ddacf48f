import Operators
import Testing

@testable import Stream

@Suite struct EventLogTests {
  private let log = EventLog()

  private func add(_ count: Int) {
    let kind = EventKind("met", .notice, help: "A made-up event.")
    for _ in 0..<count { log.append(OperatorEvent(kind, "met"), wallSeconds: 0) }
  }

  @Test func `a client gets the events that it has not seen`() {
    #expect(log.events(after: 0).isEmpty)
    add(3)
    #expect(log.events(after: 0).map(\.number) == [1, 2, 3])
    #expect(log.events(after: 2).map(\.number) == [3])
    #expect(log.events(after: 3).isEmpty)
  }

  /// Its number is of the daemon before, which has had more events.
  @Test func `a client that comes again after a restart gets all events`() {
    #expect(log.events(after: 70).isEmpty)
    add(2)
    #expect(log.events(after: 70).map(\.number) == [1, 2])
  }

  @Test func `only the last events are kept`() {
    add(EventLog.capacity + 5)
    let kept = log.events(after: 0).map(\.number)
    #expect(kept == Array(6...EventLog.capacity + 5))
  }
}
