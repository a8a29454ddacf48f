import Foundation
import Glibc
import TestSupport
import Testing

/// The daemon with its state in a topic of a mock cluster.
@Suite(.serialized) struct KafkaStateTests {
  private static func rows(_ range: Range<Int>, _ partition: Int) -> [String] {
    range.map { #"{"id":"\#(partition)-\#($0)","x":\#($0 * 7 % 101),"y":\#($0 % 13)}"# }
  }

  private static func identity(_ message: [UInt8]) throws -> String {
    let object = try JSONSerialization.jsonObject(with: Data(message)) as? [String: Any]
    return try #require(object?["id"] as? String)
  }

  private static func stream(_ kafka: MockKafka, more: String = "") -> String {
    let brokers = "brokers: [\(kafka.addresses.joined(separator: ", "))]"
    return """
      s:
        source: { kafka: { \(brokers), topic: in\(more) } }
        format: ndjson
        features: [x, y]
        batch: { size: 32, max_delay: 1h }
        on_bad_record: dead_letter
        compression: off
        state: { topic: st, every: { records: 100, time: 200ms } }
        sink: { kafka: { \(brokers), topic: out } }
      """
  }

  private static func cluster(partitions: Int) throws -> MockKafka {
    let kafka = try MockKafka()
    for topic in ["in", "st", "out"] { try kafka.makeTopic(topic, partitions: partitions) }
    return kafka
  }

  /// The messages of the output by the identities of their records.
  private static func output(_ kafka: MockKafka, partitions: Int) throws -> [String: [[UInt8]]] {
    var found: [String: [[UInt8]]] = [:]
    for partition in 0..<partitions {
      for message in try kafka.read("out", partition) {
        found[try identity(message), default: []].append(message)
      }
    }
    return found
  }

  @Test func `each partition is normalised by the moments of all`() throws {
    let kafka = try Self.cluster(partitions: 2)
    let place = try Workplace()
    let text = Self.stream(kafka).replacing(
      "state: { topic: st,",
      with: "normalize: { momentum: cumulative }\n  state: { topic: st, scope: global,")
    /// The values of x by the number of its record.
    func normalized(_ partition: Int, _ count: Int) throws -> [Int: Double] {
      var found: [Int: Double] = [:]
      #expect(
        try eventually {
          for message in try (0..<2).flatMap({ try kafka.read("out", $0) }) {
            let object = try JSONSerialization.jsonObject(with: Data(message)) as? [String: Any]
            guard
              let parts = (object?["id"] as? String)?.split(separator: "-").compactMap({ Int($0) }),
              parts.first == partition, let number = parts.last, let x = object?["x"] as? Double
            else { continue }
            found[number] = x
          }
          return found.count >= count
        })
      return found
    }
    func moments(_ values: [Double]) -> (mean: Double, deviation: Double) {
      let mean = values.reduce(0, +) / Double(values.count)
      let variance = values.map { ($0 - mean) * ($0 - mean) }.reduce(0, +) / Double(values.count)
      return (mean, (variance * (1 + 1e-5)).squareRoot())
    }
    func x(_ range: Range<Int>) -> [Double] { range.map { Double($0 * 7 % 101) } }

    var daemon = try Daemon(in: place, text)
    try kafka.write(Self.rows(0..<96, 1), to: "in", 1)
    _ = try normalized(1, 96)
    #expect(try daemon.stop().exitCode == 0)
    // Another process, for the other partition. It reads the state of the first one when it starts.
    daemon = try Daemon(in: try Workplace(), text)
    // The partition takes the others' moments when it writes a state of its own.
    var isOfAll = false
    for chunk in 0..<30 where !isOfAll {
      let start = 1000 + 32 * chunk
      try kafka.write(Self.rows(start..<start + 32, 0), to: "in", 0)
      let found = try normalized(0, 32 * (chunk + 1))
      let all = moments(x(0..<96) + x(1000..<start))
      isOfAll = (start..<start + 32).allSatisfy { number in
        abs((found[number] ?? .nan) - (Double(number * 7 % 101) - all.mean) / all.deviation) < 1e-4
      }
      if !isOfAll { usleep(300_000) }
    }
    #expect(isOfAll)
    #expect(
      try eventually { try daemon.metric("evenkeel_stream_view_age_seconds{stream=\"s\"}") != nil })
    #expect(try daemon.stop().exitCode == 0)
  }

  @Test func `daemons that are killed lose nothing, write equal copies, and go on elsewhere`()
    throws
  {
    let kafka = try Self.cluster(partitions: 2)
    var random = SeededGenerator()
    let count = runsFullDose ? 4000 : 960
    var sent = 0
    for round in 0..<4 {
      // Each on a machine of its own.
      let daemon = try Daemon(in: try Workplace(), Self.stream(kafka))
      while sent < (round + 1) * count / 4 {
        let end = min(count, sent + .random(in: 1...100, using: &random))
        for partition in 0..<2 {
          try kafka.write(Self.rows(sent..<end, partition), to: "in", partition)
        }
        sent = end
        usleep(.random(in: 0...40_000, using: &random))
      }
      daemon.running.signal(SIGKILL)
      _ = try daemon.end()
    }
    let place = try Workplace()
    let daemon = try Daemon(in: place, Self.stream(kafka))
    var found: [String: [[UInt8]]] = [:]
    #expect(
      try eventually {
        found = try Self.output(kafka, partitions: 2)
        return found.count >= 2 * count
      }, "seed \(testSeed)")
    #expect(found.count == 2 * count)
    for (identity, copies) in found {
      #expect(Set(copies).count == 1, "\(identity), seed \(testSeed)")
    }
    #expect(try daemon.status("partitions", as: [Int].self) == [0, 1])
    #expect(try daemon.metric("evenkeel_stream_partitions{stream=\"s\"}") == 2)
    #expect(try daemon.features().count == 2)
    #expect(try daemon.stop().exitCode == 0)
    // The newest state has every record once.
    let location = "kafka://\(kafka.addresses[0])/st/1"
    let shown = try place.evenkeel("inspect", location)
    #expect(shown.exitCode == 0, "\(shown.errors)")
    let text = String(decoding: shown.output, as: UTF8.self)
    #expect(text.contains("\(count / 32) batches, up to record "), "\(text)")
    let exported = try place.evenkeel("export", location, "--to", "json", "-o", "-")
    #expect(exported.exitCode == 0)
    // A clean stop leaves nothing to read again.
    func written() throws -> Int { try kafka.read("out", 0).count + kafka.read("out", 1).count }
    let before = try written()
    let again = try Daemon(in: try Workplace(), Self.stream(kafka))
    try kafka.write(["{\"id\":\"last\",\"x\":1,\"y\":2}"], to: "in", 0)
    #expect(try eventually { try written() > before })
    #expect(try again.stop().exitCode == 0)
    #expect(try written() == before + 1)
  }

  @Test func `a process that hung finds out that another one has its partition, and ends the run`()
    throws
  {
    let kafka = try Self.cluster(partitions: 1)
    try kafka.write(Self.rows(0..<100, 0), to: "in")
    let first = try Daemon(in: try Workplace(), Self.stream(kafka))
    #expect(try eventually { try kafka.read("out").count == 100 })
    first.running.signal(SIGSTOP)
    let second = try Daemon(in: try Workplace(), Self.stream(kafka))
    try kafka.write(Self.rows(100..<200, 0), to: "in")
    #expect(try eventually { try Self.output(kafka, partitions: 1).count == 200 })
    first.running.signal(SIGCONT)
    // It reads what the other one has read, and may write it once more.
    try kafka.write(Self.rows(200..<300, 0), to: "in")
    #expect(
      eventually {
        first.log.contains(
          "s: process \(second.running.identifier) on host ")
          && first.log.contains(" has claimed in/0, which has one owner")
      }, "\(first.log)")
    #expect(try eventually { try first.status("state", as: String.self) == "failed" })
    #expect(try eventually { try Self.output(kafka, partitions: 1).count == 300 })
    #expect(try second.status("state", as: String.self) == "running")
    _ = try first.stop()
    #expect(try second.stop().exitCode == 0)
  }

  @Test func `members of a group take over the partitions of one that is killed`() throws {
    let kafka = try Self.cluster(partitions: 4)
    let group = ", group: g, properties: { session.timeout.ms: 6000, heartbeat.interval.ms: 500 }"
    func write(_ range: Range<Int>) throws {
      for partition in 0..<4 { try kafka.write(Self.rows(range, partition), to: "in", partition) }
    }
    func arrives(_ count: Int) throws -> Bool {
      try eventually { try Self.output(kafka, partitions: 4).count == 4 * count }
    }
    func partitions(_ daemon: Daemon) throws -> [Int] {
      try daemon.status("partitions", as: [Int].self)
    }
    let first = try Daemon(in: try Workplace(), Self.stream(kafka, more: group))
    #expect(try eventually { try partitions(first) == [0, 1, 2, 3] }, "\(first.log)")
    try write(0..<200)
    #expect(try arrives(200))
    // The partitions are divided, and nothing is repeated: a partition is drained before it moves.
    let second = try Daemon(in: try Workplace(), Self.stream(kafka, more: group))
    #expect(
      try eventually {
        try partitions(first).count == 2 && partitions(second).count == 2
      }, "\(first.log)\n\(second.log)")
    try write(200..<400)
    #expect(try arrives(400))
    #expect(try first.metric("evenkeel_stream_rebalances_total{stream=\"s\"}") ?? 0 > 1)
    first.running.signal(SIGKILL)
    _ = try first.end()
    #expect(try eventually { try partitions(second) == [0, 1, 2, 3] }, "\(second.log)")
    try write(400..<600)
    #expect(try arrives(600))
    for (identity, copies) in try Self.output(kafka, partitions: 4) {
      #expect(Set(copies).count == 1, "\(identity)")
    }
    // One that stops leaves the group at once.
    let third = try Daemon(in: try Workplace(), Self.stream(kafka, more: group))
    #expect(try eventually { try partitions(third).count == 2 }, "\(third.log)")
    #expect(try second.stop().exitCode == 0)
    #expect(try eventually { try partitions(third) == [0, 1, 2, 3] }, "\(third.log)")
    try write(600..<800)
    #expect(try arrives(800))
    #expect(try third.stop().exitCode == 0)
    for partition in 0..<4 {
      #expect(try eventually { try kafka.committed("g", "in", partition) == 800 })
    }
    // The offsets of the group are not enough to go on.
    let text = Self.stream(kafka, more: group).replacing("topic: st,", with: "topic: st2,")
    try kafka.makeTopic("st2", partitions: 4)
    let fourth = try Daemon(in: try Workplace(), text)
    #expect(
      eventually {
        fourth.log.contains(
          "st2/3: expected a state of in/3, since the group has processed it up to offset 800, found none"
        )
      }, "\(fourth.log)")
    #expect(try Self.output(kafka, partitions: 4).count == 4 * 800)
    _ = try fourth.stop()
  }

  @Test func `partition 0 learns γ and β, and all partitions of all processes have them`() throws {
    let kafka = try Self.cluster(partitions: 3)
    func stream(_ partitions: String) -> String {
      Self.stream(kafka, more: ", partitions: \(partitions)")
        .replacing("batch:", with: "parameters: { learn: { optimizer: adam } }\n  batch:")
    }
    func biases(_ daemon: Daemon) throws -> [Double] {
      try daemon.features().compactMap { $0["bias"] as? Double }
    }
    var learner = try Daemon(in: try Workplace(), stream("[0, 1]"))
    let other = try Daemon(in: try Workplace(), stream("[2]"))
    for partition in 0..<3 {
      try kafka.write(Self.rows(0..<64, partition), to: "in", partition)
    }
    #expect(try eventually { try Self.output(kafka, partitions: 3).count == 192 })
    let gradient = #"{"version":0,"weight_grad":[0,0],"bias_grad":[-1,2]}"#
    let refused = try other.ask("POST", "/api/v1/streams/s/gradients", gradient)
    #expect(refused.status == 409)
    #expect(
      refused.body.contains(
        "stream 's' learns γ and β in partition 0, which process \(learner.running.identifier) on host "
      ),
      "\(refused.body)")
    func step(_ daemon: Daemon) throws -> Int {
      let version = try daemon.count("parameters_version")
      let answer = try daemon.ask(
        "POST", "/api/v1/streams/s/gradients",
        gradient.replacing("\"version\":0", with: "\"version\":\(version)"))
      #expect(answer.status == 200, "\(answer.body)")
      return try daemon.count("parameters_version")
    }
    var version = try step(learner)
    // Nobody sends a record.
    func isEverywhere() throws -> Bool {
      try eventually { try other.count("parameters_version") == version }
    }
    #expect(try isEverywhere())
    let learned = try biases(learner)
    #expect(try biases(other) == learned && learned.allSatisfy { abs($0) > 5e-4 })
    // Killed after its state is stored, it goes on with γ, β and the memory of the optimizer.
    learner.running.signal(SIGKILL)
    _ = try learner.end()
    learner = try Daemon(in: try Workplace(), stream("[0, 1]"))
    #expect(try eventually { try learner.count("parameters_version") == version })
    #expect(try biases(learner) == learned)
    version = try step(learner)
    #expect(try isEverywhere())
    // With the memory of the first step, the second one is as long.
    let second = try biases(other)
    #expect(zip(second, learned).allSatisfy { abs($0 - 2 * $1) < 1e-6 }, "\(second) \(learned)")
    // Records of every partition have the new β.
    for partition in 0..<3 {
      try kafka.write(Self.rows(64..<65, partition), to: "in", partition)
    }
    #expect(try eventually { try Self.output(kafka, partitions: 3).count >= 195 })
    #expect(try learner.stop().exitCode == 0)
    #expect(try other.stop().exitCode == 0)
  }

  @Test func `a clean stop commits what the stream has read`() throws {
    let kafka = try Self.cluster(partitions: 2)
    let text = Self.stream(kafka)
      .replacing("topic: out }", with: "topic: out, delivery: exactly_once }")
      // Brokers do not allow a transaction of hours.
      .replacing("max_delay: 1h", with: "max_delay: 60s")
    for part in 0..<2 {
      for partition in 0..<2 {
        try kafka.write(Self.rows(100 * part..<100 * (part + 1), partition), to: "in", partition)
      }
      let daemon = try Daemon(in: try Workplace(), text)
      // The last four records are in an open batch.
      #expect(
        try eventually {
          try Self.output(kafka, partitions: 2).count >= 200 * (part + 1) - 8
        }, "\(daemon.log)")
      #expect(try daemon.stop().exitCode == 0)
      let found = try Self.output(kafka, partitions: 2)
      #expect(found.count == 200 * (part + 1) && found.allSatisfy { $0.value.count == 1 })
    }
  }

  @Test func `start latest keeps the place at which a partition began`() throws {
    let kafka = try Self.cluster(partitions: 1)
    try kafka.write(Self.rows(0..<50, 0), to: "in")
    let first = try Daemon(in: try Workplace(), Self.stream(kafka, more: ", start: latest"))
    #expect(try eventually { try kafka.read("st").count == 2 })
    first.running.signal(SIGKILL)
    _ = try first.end()
    // Nobody reads these when they come.
    try kafka.write(Self.rows(50..<60, 0), to: "in")
    let second = try Daemon(in: try Workplace(), Self.stream(kafka, more: ", start: latest"))
    #expect(try eventually { try kafka.read("out").count == 10 })
    #expect(try Self.output(kafka, partitions: 1).keys.sorted().first == "0-50")
    _ = try second.stop()
  }

  @Test func `check tells a state topic that does not fit, and makes none`() throws {
    let place = try Workplace()
    let kafka = try MockKafka()
    try kafka.makeTopic("in", partitions: 2)
    try kafka.makeTopic("out", partitions: 1)
    try kafka.makeTopic("st", partitions: 1)
    try Daemon.write(Self.stream(kafka), in: place)
    let small = try place.evenkeel("check", "--config", "e.yaml", "--connect")
    #expect(small.exitCode != 0)
    #expect(
      small.errors.contains("st: expected at least the 2 partitions of in, found 1"),
      "\(small.errors)")
  }
}
