import Foundation
import Glibc
import TestSupport
import Testing

/// The key, timestamp, headers and partition of messages, on their way through the daemon.
@Suite(.serialized) struct KafkaMessageTests {
  @Test func `after kills, the copies of a record are the same bytes`() throws {
    let place = try Workplace()
    let kafka = try MockKafka()
    try kafka.makeTopic("in", partitions: 1)
    try kafka.makeTopic("out", partitions: 1)
    var random = SeededGenerator()
    let stream = KafkaTests.stream(kafka).replacing("max_delay: 50ms", with: "max_delay: 1h")
    let count = 3200
    for round in 0..<5 {
      let daemon = try Daemon(in: place, stream)
      for start in stride(from: round * count / 5, to: (round + 1) * count / 5, by: 64) {
        try kafka.write(KafkaTests.rows(start..<start + 64, 0), to: "in")
        usleep(.random(in: 0...30_000, using: &random))
      }
      daemon.running.signal(SIGKILL)
      _ = try daemon.end()
    }
    let daemon = try Daemon(in: place, stream)
    var messages: [MockKafka.Message] = []
    #expect(
      try eventually {
        messages = try kafka.messages("out")
        return try KafkaTests.withoutCopies(messages, 0).count == count
      }, "seed \(testSeed)")
    #expect(try daemon.stop().exitCode == 0)
    let values = Dictionary(grouping: messages) { $0["ek-src"] ?? "" }
      .mapValues { Set($0.map(\.value)) }
    #expect(values.count == count)
    #expect(values.values.allSatisfy { $0.count == 1 }, "seed \(testSeed)")
  }

  /// A random message with a key, a timestamp and headers, or without some of them.
  private static func message(
    _ text: String, _ number: Int, using random: inout SeededGenerator
  ) -> MockKafka.Message {
    var message = MockKafka.Message(
      Array(text.utf8), milliseconds: 1_790_000_000_000 + 7 * number)
    if number % 4 > 0 { message.key = Array("key \(number % 11)".utf8) }
    if number % 9 == 0 { message.key = [] }
    for header in 0..<Int.random(in: 0...3, using: &random) {
      message.headers.append(
        .init("h\(header)", number % 5 == 0 ? nil : [0, UInt8(number % 256)]))
    }
    if number % 6 == 0 { message.headers.append(.init("ek-src", Array("7/7".utf8))) }
    return message
  }

  /// The message that a record of it becomes.
  private static func written(
    _ message: MockKafka.Message, _ value: [UInt8]?, from place: String, fault: String? = nil
  ) -> MockKafka.Message {
    var written = message
    written.value = value
    written.headers.removeAll { $0.name == "ek-src" }
    written.headers.append(.init("ek-src", Array(place.utf8)))
    if let fault { written.headers.append(.init("ek-error", Array(fault.utf8))) }
    return written
  }

  @Test func `a message keeps its partition, key, timestamp and headers, and so does a bad one`()
    throws
  {
    let place = try Workplace()
    let kafka = try MockKafka()
    for topic in ["in", "out", "letters"] { try kafka.makeTopic(topic, partitions: 2) }
    var random = SeededGenerator()
    var expected: [[MockKafka.Message]] = [[], []]
    var letters: [[MockKafka.Message]] = [[], []]
    for partition in 0..<2 {
      var sent: [MockKafka.Message] = []
      for number in 0..<300 {
        var text = "\(number),\(number % 7),id\(partition)-\(number)"
        if number % 10 == 3 { text = "bad,\(number % 7),id\(partition)-\(number)" }
        // Two records, a line end of its own, and nothing.
        if number % 10 == 5 { text += "\n\(number),1,\"second\nline\"" }
        if number % 10 == 7 { text += "\n" }
        if number % 10 == 8 { text = "\n" }
        let message = Self.message(text, number, using: &random)
        sent.append(message)
        let source = "\(partition)/\(number)"
        switch number % 10 {
        case 3:
          letters[partition].append(
            Self.written(
              message, message.value, from: source,
              fault: "expected a number in feature 'f0', found 'bad'"))
        case 5:
          let first =
            text.utf8.firstIndex(of: 0x0A).map { text.utf8.distance(from: text.startIndex, to: $0) }
            ?? 0
          expected[partition].append(Self.written(message, nil, from: source))
          expected[partition].append(Self.written(message, nil, from: "\(source)/\(first + 1)"))
        case 8: break
        default: expected[partition].append(Self.written(message, nil, from: source))
        }
      }
      try kafka.write(sent, to: "in", partition)
    }
    let brokers = "brokers: [\(kafka.addresses[0])]"
    let daemon = try Daemon(
      in: place,
      """
      s:
        source: { kafka: { \(brokers), topic: in } }
        format: { csv: { header: false } }
        features: [f0, f1]
        batch: { size: 16, max_delay: 50ms }
        on_bad_record: dead_letter
        dead_letters: { kafka: { \(brokers), topic: letters } }
        sink: { kafka: { \(brokers), topic: out } }
      """)
    for partition in 0..<2 {
      #expect(
        try eventually {
          try kafka.messages("out", partition).count >= expected[partition].count
            && kafka.messages("letters", partition).count >= letters[partition].count
        })
      var found = try kafka.messages("out", partition)
      // The numbers are others; the text is that of the same record.
      for (message, source) in zip(found, expected[partition]) {
        let place = try #require(source["ek-src"])
        let number = try #require(Int(place.split(separator: "/")[1]))
        let isFirst = place.split(separator: "/").count == 2
        let end = isFirst ? "id\(partition)-\(number)" : "\"second\nline\""
        #expect(message.text.hasSuffix(end), "\(message.text)")
      }
      for index in found.indices { found[index].value = nil }
      #expect(found == expected[partition], "seed \(testSeed)")
      #expect(try kafka.messages("letters", partition) == letters[partition], "seed \(testSeed)")
    }
    #expect(try daemon.status("dead_letters", as: Int.self) == 60)
    #expect(try daemon.stop().exitCode == 0)
    #expect((try? place.read("state/s/dead-letters.ndjson")) == nil)
  }

  @Test func `frames and messages of Arrow keep what their records came with`() throws {
    let place = try Workplace()
    let kafka = try MockKafka()
    for topic in ["frames", "lines", "arrow", "arrows"] {
      try kafka.makeTopic(topic, partitions: 1)
    }
    var random = SeededGenerator()
    var (frames, streams): ([MockKafka.Message], [MockKafka.Message]) = ([], [])
    for number in 0..<20 {
      let rows = KafkaTests.rows(number * 10..<number * 10 + 5, 0).map { $0 + "\n" }.joined()
      try place.write("part.ndjson", rows.utf8)
      let compressed = try place.evenkeel(
        "normalize", "part.ndjson", "-o", "part.zst", "--format", "ndjson", "--features", "x",
        "--momentum", "cumulative")
      #expect(compressed.exitCode == 0, "\(compressed.errors)")
      let arrow = try place.evenkeel(
        "normalize", "part.ndjson", "-o", "part.arrows", "--features", "x,y")
      #expect(arrow.exitCode == 0, "\(arrow.errors)")
      var message = Self.message("", number, using: &random)
      message.value = try place.read("part.zst")
      frames.append(message)
      message.value = try place.read("part.arrows")
      streams.append(message)
    }
    try kafka.write(frames, to: "frames")
    try kafka.write(streams, to: "arrow")
    let brokers = "brokers: [\(kafka.addresses[0])]"
    let daemon = try Daemon(
      in: place,
      """
      frames:
        source: { kafka: { \(brokers), topic: frames, payload: frame } }
        format: ndjson
        features: [x, y]
        batch: { size: 8, max_delay: 50ms }
        sink: { kafka: { \(brokers), topic: lines } }
      arrow:
        source: { kafka: { \(brokers), topic: arrow } }
        format: arrow
        features: [x, y]
        batch: { size: 8, max_delay: 50ms }
        sink: { kafka: { \(brokers), topic: arrows } }
      """)
    #expect(
      try eventually {
        try kafka.messages("lines").count >= 100 && kafka.messages("arrows").count >= 20
      })
    #expect(try daemon.stop().exitCode == 0)
    let lines = try kafka.messages("lines")
    #expect(lines.count == 100)
    for (index, line) in lines.enumerated() {
      let id = "\"0-\(index / 5 * 10 + index % 5)\""
      #expect(line.text.contains(id), "\(line.text)")
      let source = try #require(line["ek-src"])
      #expect(source.hasPrefix(index % 5 == 0 ? "0/\(index / 5)" : "0/\(index / 5)/"))
      var found = line
      found.value = nil
      #expect(found == Self.written(frames[index / 5], nil, from: source))
    }
    #expect(try KafkaTests.withoutCopies(lines, 0).count == 100)
    for (index, stream) in try kafka.messages("arrows").enumerated() {
      let source = try #require(stream["ek-src"])
      #expect(source.hasPrefix("0/\(index)/"))
      var found = stream
      found.value = nil
      #expect(found == Self.written(streams[index], nil, from: source))
      // Each is a stream of its own.
      try place.write("one.arrows", stream.value ?? [])
      let text = try place.evenkeel(
        "normalize", "one.arrows", "--output-format", "csv", "--no-compress")
      #expect(text.exitCode == 0, "\(text.errors)")
      #expect(String(decoding: text.output, as: UTF8.self).contains("0-\(index * 10 + 4)"))
    }
  }

  @Test func `the timestamps of messages are event times, as those of a column are`() throws {
    let place = try Workplace()
    let kafka = try MockKafka()
    try kafka.makeTopic("in", partitions: 1)
    let start = Int(Date().timeIntervalSince1970) * 1000 - 86_400_000
    let messages = (0..<400).map { number in
      // Some are late, and one is of the future.
      var time = start + number * 1000 - (number % 10 == 4 ? 30_000 : 0)
      if number == 77 { time = start + 40 * 86_400_000 }
      let text = "{\"t\":\(time),\"k\":\"\(number % 3)\",\"x\":\(number * 7 % 101)}"
      return MockKafka.Message(Array(text.utf8), milliseconds: time)
    }
    try kafka.write(messages, to: "in")
    func stream(_ name: String, _ normalize: String) -> String {
      """
      \(name):
        source: { kafka: { brokers: [\(kafka.addresses[0])], topic: in } }
        format: ndjson
        features: [x]
        batch: { size: 16, max_delay: 1h }
        on_bad_record: dead_letter
        normalize: { \(normalize) }
        sink: { file: { path: \(name).ndjson } }

      """
    }
    let column = "time: { column: t, format: unix_ms }"
    let daemon = try Daemon(
      in: place,
      stream("decay", "half_life: { event_time: 1m }")
        + stream("decay-column", "half_life: { event_time: 1m }, \(column)")
        + stream("keys", "half_life: { event_time: 1m }, key: { columns: [k], idle: 20s }")
        + stream(
          "keys-column",
          "half_life: { event_time: 1m }, key: { columns: [k], idle: 20s }, \(column)")
        + stream("limit", "half_life: { event_time: 1m }, time: { future_limit: 50d }"))
    func lines(_ name: String) -> Int {
      ((try? place.read("\(name).ndjson")) ?? []).count { $0 == 0x0A }
    }
    let names = ["decay", "decay-column", "keys", "keys-column", "limit"]
    #expect(eventually { names.allSatisfy { lines($0) >= ($0 == "limit" ? 400 : 399) } })
    #expect(try daemon.stop().exitCode == 0)
    for name in ["decay", "keys"] {
      #expect(try place.read("\(name).ndjson") == place.read("\(name)-column.ndjson"))
      #expect(lines(name) == 399)
      let letters = String(
        decoding: try place.read("state/\(name)/dead-letters.ndjson"), as: UTF8.self)
      #expect(letters.contains("a time up to "), "\(letters)")
    }
    #expect(lines("limit") == 400)
    try Daemon.write(
      stream("s", "half_life: { event_time: 1m }, time: { format: unix_s }"), in: place)
    let refused = try place.evenkeel("check", "--config", "e.yaml")
    #expect(refused.exitCode == 78)
    #expect(refused.errors.contains("expected column: NAME"), "\(refused.errors)")
    // A command takes them too.
    let command = try place.evenkeel(
      "normalize", "kafka://\(kafka.addresses[0])/in", "--format", "ndjson", "--features", "x",
      "--half-life-event-time", "1m", "--on-bad-record", "skip", "--batch-size", "16",
      "--no-compress")
    #expect(command.exitCode == 0, "\(command.errors)")
    #expect(try command.output == place.read("decay.ndjson"))
  }
}
