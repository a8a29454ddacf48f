import Testing

@testable import Connectors
@testable import Stream

/// The delivery `exactly_once` of a sink of topics, and what it needs.
@Suite struct DeliverySettingTests {
  private static func stream(
    _ lines: String = "state: { topic: st }",
    source: String = "kafka: { brokers: [a:1, b:1], topic: t }",
    sink: String = "brokers: [b:1, a:1], topic: out"
  ) -> String {
    """
    state_directory: /tmp/state
    streams:
      s:
        source: { \(source) }
        sink: { kafka: { \(sink), delivery: exactly_once } }
        format: ndjson

    """ + lines.split(separator: "\n").map { "    \($0)\n" }.joined()
  }

  @Test func `a transaction lasts five times as long as the longest time between two states`()
    throws
  {
    for (time, delay, seconds) in [("1s", "1s", 10.0), ("2s", "10s", 60)] {
      let stream = try onlyStream(
        Self.stream(
          "state: { topic: st, every: { time: \(time) } }\nbatch: { max_delay: \(delay) }"))
      let settings = try #require(stream.partitions?.transactions)
      #expect(settings.timeoutSeconds == seconds)
    }
    let plain = try onlyStream(
      Self.stream().replacing("exactly_once", with: "at_least_once"))
    #expect(plain.partitions != nil && plain.partitions?.transactions == nil)
  }

  @Test func `settings with which it cannot hold are refused`() throws {
    let letters =
      "state: { topic: st }\non_bad_record: dead_letter\ndead_letters: { kafka: { topic: l, brokers: "
    for (text, message) in [
      (
        Self.stream(""),
        "expected state.topic beside exactly_once, as a transaction holds the state too"
      ),
      (
        Self.stream("", source: "fifo: { path: /tmp/f }"),
        "expected state.topic beside exactly_once"
      ),
      (
        Self.stream(sink: "brokers: [c:1], topic: out"),
        "expected the brokers of the source beside exactly_once"
      ),
      (Self.stream(letters + "[c:1] } }"), "expected dead letters with the brokers of the sink"),
      (
        Self.stream(letters + "[a:1, b:1], properties: { linger.ms: 9 } } }"),
        "and no other properties, beside exactly_once"
      ),
    ] {
      let errors = try configurationErrors(text).map { "\($0)" }
      #expect(errors.contains { $0.contains(message) }, "\(errors)")
    }
    #expect(try onlyStream(Self.stream(letters + "[a:1, b:1] } }")).letterTopic != nil)
  }
}
