import Foundation
import Glibc
import TestSupport
import Testing

/// The daemon between topics of a mock cluster.
@Suite(.serialized) struct KafkaTests {
  static func rows(_ range: Range<Int>, _ partition: Int) -> [String] {
    range.map { #"{"id":"\#(partition)-\#($0)","x":\#($0 * 7 % 101),"y":\#($0 % 13)}"# }
  }

  static func identities(_ messages: [[UInt8]]) throws -> [String] {
    try messages.map { message in
      let object = try JSONSerialization.jsonObject(with: Data(message)) as? [String: Any]
      return try #require(object?["id"] as? String)
    }
  }

  static func stream(_ kafka: MockKafka, more: String = "", sink: String? = nil) -> String {
    let brokers = "brokers: [\(kafka.addresses.joined(separator: ", "))]"
    let target = sink ?? "kafka: { \(brokers), topic: out }"
    return """
      s:
        source: { kafka: { \(brokers), topic: in\(more) } }
        format: ndjson
        features: [x, y]
        batch: { size: 32, max_delay: 50ms }
        checkpoint: { every_batches: 4, interval: 1h }
        on_bad_record: dead_letter
        sink: { \(target) }
      """
  }

  @Test func `a daemon that is killed between two topics loses no record`() throws {
    let place = try Workplace()
    let kafka = try MockKafka(brokers: 2)
    try kafka.makeTopic("in", partitions: 3)
    try kafka.makeTopic("out", partitions: 3)
    let count = runsFullDose ? 6000 : 1500
    var random = SeededGenerator()
    var sent = 0
    var expected: Set<String> = []
    for round in 0..<4 {
      let daemon = try Daemon(in: place, Self.stream(kafka))
      while sent < (round + 1) * count / 4 {
        let end = min(count, sent + .random(in: 1...100, using: &random))
        for partition in 0..<3 {
          try kafka.write(Self.rows(sent..<end, partition), to: "in", partition)
          expected.formUnion((sent..<end).map { "\(partition)-\($0)" })
        }
        sent = end
        usleep(.random(in: 0...20_000, using: &random))
      }
      daemon.running.signal(SIGKILL)
      _ = try daemon.end()
    }
    let daemon = try Daemon(in: place, Self.stream(kafka))
    var found: Set<String> = []
    #expect(
      try eventually {
        found = try Set((0..<3).flatMap { try Self.identities(kafka.read("out", $0)) })
        return found.count >= expected.count
      }, "seed \(testSeed)")
    #expect(found == expected, "seed \(testSeed)")
    #expect(try daemon.stop().exitCode == 0)
    for partition in 0..<3 {
      let messages = try kafka.messages("out", partition)
      let kept = try Self.withoutCopies(messages, partition)
      let expected = (0..<count).map { "\(partition)-\($0)" }
      #expect(try Self.identities(kept.compactMap(\.value)) == expected, "seed \(testSeed)")
    }
    // A clean stop writes a checkpoint, so that nothing comes twice after it.
    let before = try kafka.read("out", 1).count
    let again = try Daemon(in: place, Self.stream(kafka))
    try kafka.write(["{\"id\":\"last\",\"x\":1,\"y\":2}"], to: "in", 1)
    #expect(try eventually { try kafka.read("out", 1).count > before })
    #expect(try again.stop().exitCode == 0)
    #expect(try kafka.read("out", 1).count == before + 1)
  }

  /// Drops each message whose source is not after those before it, as a reader does.
  static func withoutCopies(
    _ messages: [MockKafka.Message], _ partition: Int
  ) throws -> [MockKafka.Message] {
    var newest = (-1, 0)
    return try messages.filter { message in
      let source = try #require(message["ek-src"])
      let numbers = source.split(separator: "/").compactMap { Int($0) }
      #expect(numbers[0] == partition)
      let place = (numbers[1], numbers.count > 2 ? numbers[2] : 0)
      guard place > newest else { return false }
      newest = place
      return true
    }
  }

  @Test func `hostile messages are bad records, each by itself, and named by their offsets`() throws
  {
    let place = try Workplace()
    let kafka = try MockKafka()
    try kafka.makeTopic("in", partitions: 1)
    let hostile: [[UInt8]?] = [
      Array("1,2,\"open".utf8), nil, [], [0xFF, 0xFE, 0x00], Array("1".utf8),
      Array(repeating: 0x22, count: 30_001), Array(repeating: 0x2C, count: 900_000),
    ]
    let good = (0..<40).map { Array("\($0),\($0 % 7),id\($0)".utf8) as [UInt8]? }
    // Each hostile message comes between two good ones.
    var messages = Array(good.prefix(20))
    for (index, message) in hostile.enumerated() { messages += [message, good[20 + index]] }
    messages += good.dropFirst(20 + hostile.count)
    try kafka.write(messages, to: "in")
    let daemon = try Daemon(
      in: place,
      """
      s:
        source: { kafka: { brokers: [\(kafka.addresses[0])], topic: in } }
        format: { csv: { header: false } }
        features: [f0, f1]
        batch: { size: 8, max_delay: 50ms }
        on_bad_record: dead_letter
        sink: { file: { path: out.csv } }
        compression: off
      """)
    let identities = (0..<40).map { "id\($0)" }
    #expect(
      eventually {
        let text = String(decoding: (try? place.read("out.csv")) ?? [], as: UTF8.self)
        return text.split(separator: "\n").compactMap { $0.split(separator: ",").last }.map(
          String.init) == identities
      })
    #expect(try daemon.status("skipped_messages", as: Int.self) == 2)
    #expect(try daemon.stop().exitCode == 0)
    let letters = String(decoding: try place.read("state/s/dead-letters.ndjson"), as: UTF8.self)
    let lines = letters.split(separator: "\n")
    #expect(lines.count == 5, "\(letters.prefix(2000))")
    for offset in [20, 26, 28, 30, 32] {
      #expect(letters.contains("\"split\":\"in/0 at offset \(offset)\""), "\(offset)")
    }
  }

  @Test func `messages that are gone fail the stream, or are passed and counted`() throws {
    let place = try Workplace()
    let kafka = try MockKafka()
    try kafka.makeTopic("in", partitions: 1)
    try kafka.makeTopic("out", partitions: 1)
    try kafka.write(Self.rows(0..<100, 0), to: "in")
    let first = try Daemon(in: place, Self.stream(kafka))
    #expect(try eventually { try kafka.read("out").count == 100 })
    #expect(try first.stop().exitCode == 0)
    // The cluster keeps 5 MB of a partition.
    let large = Array("{\"id\":\"\(String(repeating: "z", count: 400_000))\",\"x\":1,\"y\":2}".utf8)
    for _ in 0..<16 { try kafka.write([large], to: "in") }
    let failing = try Daemon(in: place, Self.stream(kafka))
    #expect(eventually { failing.log.contains("in/0: offsets 100 to ") })
    #expect(failing.log.contains("on_gap: continue goes on after them"))
    _ = try failing.stop()
    let going = try Daemon(in: place, Self.stream(kafka, more: ", on_gap: continue"))
    #expect(try eventually { try going.status("lost_messages", as: Int.self) > 0 })
    #expect(try eventually { try kafka.read("out").count > 105 })
    #expect(try going.stop().exitCode == 0)
  }

  @Test func `a command reads what a topic has, or a part of it`() throws {
    let place = try Workplace()
    let kafka = try MockKafka()
    try kafka.makeTopic("in", partitions: 1)
    let rows = Self.rows(0..<2000, 0)
    try kafka.write(rows, to: "in")
    func normalize(_ input: String) throws -> Finished {
      try place.evenkeel(
        "normalize", input, "--format", "ndjson", "--features", "x,y", "--batch-size", "64",
        "--no-compress")
    }
    func expected(_ rows: ArraySlice<String>) throws -> [UInt8] {
      try place.write("in.ndjson", rows.map { $0 + "\n" }.joined().utf8)
      return try normalize("in.ndjson").output
    }
    let location = "kafka://\(kafka.addresses[0])/in"
    let whole = try normalize(location)
    #expect(whole.exitCode == 0, "\(whole.errors)")
    #expect(try whole.output == expected(rows[...]))
    let part = try normalize(location + "/0/500-900")
    #expect(try part.output == expected(rows[500..<900]))
    let wrong = try normalize(location + "/0/500-9000")
    #expect(wrong.exitCode == 74)
    #expect(wrong.errors.contains("expected offsets of 0 to 2000, found 500 to 9000"))
    #expect(try normalize("kafka://nowhere/in").errors.contains("expected kafka://HOST:PORT/TOPIC"))
    #expect(try normalize(location + "/7").exitCode == 66)
  }

  @Test func `check asks the brokers, and tells each fault in a line`() throws {
    let place = try Workplace()
    let kafka = try MockKafka()
    try kafka.makeTopic("in", partitions: 2)
    try kafka.makeTopic("out", partitions: 2)
    try kafka.makeTopic("narrow", partitions: 1)
    func check(_ streams: String, _ connects: Bool = true) throws -> Finished {
      try Daemon.write(streams, in: place)
      return connects
        ? try place.evenkeel("check", "--config", "e.yaml", "--connect")
        : try place.evenkeel("check", "--config", "e.yaml")
    }
    #expect(try check(Self.stream(kafka)).exitCode == 0)
    let narrow = Self.stream(kafka).replacing("topic: out", with: "topic: narrow")
    let refused = try check(narrow)
    #expect(refused.exitCode == 78)
    #expect(
      refused.errors.contains(
        "expected 2 partitions or more, since each record goes to the partition that it came from, found 1"
      ),
      "\(refused.errors)")
    let frames = narrow.replacing("topic: narrow", with: "topic: narrow, payload: frame")
    #expect(try check(frames).exitCode == 0)
    #expect(
      try check(narrow.replacing("topic: in", with: "topic: in, partitions: [0]")).exitCode == 0)
    let letters =
      Self.stream(kafka) + "\n  dead_letters: { kafka: { brokers: [\(kafka.addresses[0])], topic: "
    #expect(try check(letters + "narrow } }").errors.contains("expected 2 partitions"))
    #expect(try check(letters + "in } }", false).errors.contains("a topic other than the source"))
    let lone = try check(
      Self.stream(kafka) + "\n  dead_letters: { kafka: { topic: narrow } }", false)
    #expect(lone.errors.contains("expected addresses of brokers"), "\(lone.errors)")
    let absent = try check(Self.stream(kafka, more: ", partitions: [0, 5]"))
    #expect(absent.exitCode == 78)
    #expect(absent.errors.contains("expected partitions 0 to 1, found 5"), "\(absent.errors)")
    for (more, words) in [
      (
        ", properties: { sasl.pasword: hidden }",
        "expected a property that may be set, found 'sasl.pasword'; did you mean 'sasl.password'?"
      ),
      (", properties: { fetch.min.bytes: hidden }", "a value that fetch.min.bytes can have"),
      (", properties: { enable.auto.commit: hidden }", "expected a property that may be set"),
      (
        ", properties: { client.id: [hidden] }",
        "a text or { file: PATH }, found a list for 'client.id'"
      ),
      (", start: 2026-02-30T00:00:00Z", "expected earliest, latest, or a time"),
      (", partitions: [-1]", "expected numbers of partitions"),
    ] {
      let found = try check(Self.stream(kafka, more: more), false)
      #expect(found.exitCode == 78)
      #expect(found.errors.contains(words), "\(found.errors)")
      #expect(!found.errors.contains("hidden"), "\(found.errors)")
      #expect(found.errors.split(separator: "\n").count <= 2, "\(found.errors)")
    }
    let csv = Self.stream(kafka).replacing("format: ndjson", with: "format: csv")
    #expect(try check(csv, false).errors.contains("header: false"))
    let compressed = Self.stream(kafka) + "\n  compression: { level: 3 }"
    #expect(try check(compressed, false).errors.contains("payload: frame"))
    let loop = Self.stream(kafka).replacing("topic: out", with: "topic: in")
    #expect(try check(loop, false).errors.contains("expected a sink other than the source"))
  }
}
