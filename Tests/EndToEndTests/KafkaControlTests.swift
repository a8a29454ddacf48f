import Foundation
import Glibc
import TestSupport
import Testing

/// Changes by users of a stream whose partitions are in several processes.
@Suite(.serialized) struct KafkaControlTests {
  private static func rows(_ range: Range<Int>, _ partition: Int) -> [String] {
    range.map { #"{"id":"\#(partition)-\#($0)","x":\#($0 * 7 % 101)}"# }
  }

  private static func stream(_ kafka: MockKafka, _ partitions: String, more: String = "") -> String
  {
    let brokers = "brokers: [\(kafka.addresses.joined(separator: ", "))]"
    return """
      s:
        source: { kafka: { \(brokers), topic: in, partitions: \(partitions) } }
        format: ndjson
        features: [x]
        batch: { size: 16, max_delay: 1h }
        compression: off\(more)
        state: { topic: st, every: { records: 100, time: 200ms } }
        sink: { kafka: { \(brokers), topic: out } }
      """
  }

  /// A change of a stream, as its status tells it.
  private struct Control: Decodable {
    let change: String
    let mode: String?
    let offset: Int
    let pid: Int32
    let partitions: [Int]
    let waiting: [Int]
  }

  private static func control(_ daemon: Daemon) throws -> [Control] {
    struct Status: Decodable { let control: [Control] }
    let answer = try daemon.ask("GET", "/api/v1/streams/s")
    return try JSONDecoder().decode(Status.self, from: Data(answer.body.utf8)).control
  }

  /// Whether all partitions of a process have made a change.
  private static func has(_ daemon: Daemon, _ change: String, _ partitions: [Int]) throws -> Bool {
    try control(daemon).contains {
      $0.change == change && $0.partitions == partitions && $0.waiting.isEmpty
    }
  }

  private static func change(
    _ daemon: Daemon, _ method: String, _ change: String, _ body: String = ""
  ) throws -> Int {
    let answer = try daemon.ask(method, "/api/v1/streams/s/\(change)", body)
    let object = try JSONSerialization.jsonObject(with: Data(answer.body.utf8)) as? [String: Any]
    #expect(answer.status == 202 && object?["accepted"] as? Bool == true, "\(answer.body)")
    return try #require(object?["control_offset"] as? Int)
  }

  /// The number of values in the moments of all partitions of a process.
  private static func count(_ daemon: Daemon) throws -> Double? {
    try daemon.features().first?["values"] as? Double
  }

  @Test func `a change through one process reaches the partitions of all, and stays`() throws {
    let kafka = try MockKafka()
    for topic in ["in", "st", "out"] { try kafka.makeTopic(topic, partitions: 3) }
    let first = try Daemon(in: try Workplace(), Self.stream(kafka, "[0, 1]"))
    var second = try Daemon(in: try Workplace(), Self.stream(kafka, "[2]"))
    var written = 0
    func write(_ count: Int) throws {
      for partition in 0..<3 {
        try kafka.write(Self.rows(written..<written + count, partition), to: "in", partition)
      }
      written += count
      #expect(
        try eventually {
          try (0..<3).map { try kafka.read("out", $0).count }.reduce(0, +) >= 3 * written
        })
    }
    func frozen(_ daemon: Daemon) throws -> Bool { try daemon.status("frozen", as: Bool.self) }
    try write(64)
    #expect(try !frozen(second))
    // Through the process without partition 2. No record comes.
    let offset = try Self.change(first, "POST", "freeze")
    for (daemon, partitions) in [(first, [0, 1]), (second, [2])] {
      #expect(try eventually { try Self.has(daemon, "freeze", partitions) }, "\(daemon.log)")
      #expect(try eventually { try frozen(daemon) })
      #expect(try Self.control(daemon).map(\.offset) == [offset])
      #expect(try Self.control(daemon).map(\.pid) == [first.running.identifier])
    }
    // Killed and replaced, it is frozen still, whatever the file says.
    second.running.signal(SIGKILL)
    _ = try second.end()
    second = try Daemon(in: try Workplace(), Self.stream(kafka, "[2]"))
    #expect(try eventually { try Self.has(second, "freeze", [2]) && frozen(second) })
    try write(32)
    #expect(try Self.count(second) == 64)
    // A reset through the other one, once for each partition.
    _ = try Self.change(second, "POST", "reset")
    _ = try Self.change(second, "POST", "thaw")
    #expect(
      try eventually { try Self.has(first, "reset", [0, 1]) && Self.has(first, "thaw", [0, 1]) })
    #expect(try eventually { try Self.has(second, "reset", [2]) && !frozen(second) })
    try write(16)
    #expect(try eventually { try Self.count(first) == 32 && Self.count(second) == 16 })
    second.running.signal(SIGKILL)
    _ = try second.end()
    second = try Daemon(in: try Workplace(), Self.stream(kafka, "[2]"))
    try write(16)
    #expect(try eventually { try Self.count(second) == 32 })
    #expect(
      try first.metric(
        "evenkeel_stream_changes_total{stream=\"s\",change=\"freeze\",result=\"applied\"}") == 1)
    #expect(try first.stop().exitCode == 0)
    #expect(try second.stop().exitCode == 0)
  }

  @Test func `a partition that begins later has the changes, and unfit ones are refused`() throws {
    let kafka = try MockKafka()
    for topic in ["in", "st", "st2", "out"] { try kafka.makeTopic(topic, partitions: 2) }
    let first = try Daemon(
      in: try Workplace(), Self.stream(kafka, "[0]", more: "\n  drift: on"))
    try kafka.write(Self.rows(0..<32, 0), to: "in", 0)
    #expect(try eventually { try kafka.read("out", 0).count == 32 })
    _ = try Self.change(first, "PUT", "mode", #"{"mode":"batch"}"#)
    _ = try Self.change(first, "POST", "drift/accept")
    #expect(try eventually { try Self.has(first, "drift/accept", [0]) })
    #expect(try eventually { try first.status("mode", as: String.self) == "batch" })
    let rollback = try first.ask("POST", "/api/v1/streams/s/rollback", #"{"generation":1}"#)
    #expect(rollback.body.contains("keeps its state in a topic"), "\(rollback)")
    let second = try Daemon(in: try Workplace(), Self.stream(kafka, "[1]"))
    #expect(second.log.contains("a change by a user is in force"))
    #expect(try Self.control(second).map(\.waiting) == [[1], [1]])
    try kafka.write(Self.rows(0..<32, 1), to: "in", 1)
    #expect(try eventually { try kafka.read("out", 1).count == 32 })
    #expect(try second.status("mode", as: String.self) == "batch")
    #expect(try eventually { try Self.has(second, "mode", [1]) })
    // A mode that the settings do not allow is not stored.
    _ = try second.stop()
    let keyed = try Daemon(
      in: try Workplace(),
      Self.stream(kafka, "[1]", more: "\n  normalize: { key: { columns: [id] } }")
        .replacing("topic: st,", with: "topic: st2,"))
    let refused = try keyed.ask("PUT", "/api/v1/streams/s/mode", #"{"mode":"batch"}"#)
    #expect(refused.status == 409 && refused.body.contains("expected running beside keys"))
    #expect(try Self.control(keyed).isEmpty)
    #expect(try first.stop().exitCode == 0)
    #expect(try keyed.stop().exitCode == 0)
  }
}
