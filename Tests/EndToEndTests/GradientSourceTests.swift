import Foundation
import TestSupport
import Testing

/// Gradients of γ and β that come over a socket or from a topic, beside the records.
@Suite(.serialized) struct GradientSourceTests {
  private static func stream(_ gradients: String) -> String {
    """
    s:
      source: { unix: { path: in.sock } }
      format: { csv: { header: true } }
      features: [a, b]
      batch: { size: 4, max_delay: 50ms }
      normalize: { mode: running }
      parameters: { learn: { optimizer: sgd, learning_rate: 1, gradients: \(gradients) } }
      checkpoint: { interval: 50ms }
      sink: { file: { path: out.csv } }
    """
  }

  /// A step that leaves γ and β alone, so that their version stays 0.
  private static let step = #"{"version":0,"weight_grad":[0,0],"bias_grad":[0,0]}"#

  private func steps(_ daemon: Daemon) throws -> Double {
    let labels = #"{stream="s",change="gradients",result="applied"}"#
    return try daemon.metric("evenkeel_stream_changes_total" + labels) ?? 0
  }

  @Test(arguments: ["{ unix: { path: g.sock } }", "{ unix: { path: g.sock }, format: ndjson }"])
  func `trainers send gradients over a socket, while records come and while none do`(
    gradients: String
  ) throws {
    let place = try Workplace()
    let daemon = try Daemon(in: place, Self.stream(gradients))
    let producer = try Peer(unix: place.path("in.sock"))
    let trainers = [try Peer(unix: place.path("g.sock")), try Peer(unix: place.path("g.sock"))]
    producer.send(Records.header + Records.text(0, 0..<8))
    let count = 300
    for round in 0..<3 {
      for trainer in trainers {
        for _ in 0..<count / 3 { trainer.send(Self.step + "\n") }
      }
      if round == 1 { producer.send(Records.text(0, 8..<80)) }
    }
    #expect(try eventually { try steps(daemon) == Double(2 * count) })
    // A line that is cut off is none; the other connection goes on.
    trainers[0].send(String(Self.step.dropLast(3)))
    trainers[0].close()
    trainers[1].send(#"{"version":0,"weight_grad":[0,0],"bias_grad":[-1,-2]}"# + "\n")
    #expect(try eventually { try daemon.features().map { $0["bias"] as? Double } == [1, 2] })
    #expect(try steps(daemon) == Double(2 * count + 1))
    #expect(try daemon.count("records") == 80)
    #expect(try daemon.stop().exitCode == 0)
    #expect(!place.files.contains("g.sock"))
  }

  @Test func `each gradient of a topic takes part once, also over kills`() throws {
    let place = try Workplace()
    let kafka = try MockKafka()
    try kafka.makeTopic("gradients", partitions: 2)
    let source =
      "{ kafka: { brokers: [\(kafka.addresses.joined(separator: ", "))], topic: gradients } }"
    var random = SeededGenerator()
    var sent = 0
    for kill in 0..<4 {
      let daemon = try Daemon(in: place, Self.stream(source))
      let producer = try Peer(unix: place.path("in.sock"))
      producer.send(Records.header + Records.text(0, 0..<40))
      for _ in 0..<20 {
        try kafka.write([Self.step, Self.step], to: "gradients", sent / 2 % 2)
        sent += 2
        usleep(.random(in: 0...20_000, using: &random))
      }
      guard kill == 3 else {
        // Some of them are in a checkpoint, and others are not.
        #expect(try eventually { try steps(daemon) > 0 })
        daemon.running.signal(SIGKILL)
        _ = try daemon.end()
        continue
      }
      func inspected() throws -> String {
        let shown = try place.shell("$EVENKEEL inspect \"$(ls state/s/*.safetensors | tail -n 1)\"")
        return String(decoding: shown.output, as: UTF8.self)
      }
      #expect(
        try eventually { try inspected().contains("learned in \(sent) steps") },
        "\((try? inspected()) ?? ""), seed \(testSeed)")
      usleep(200_000)
      #expect(try daemon.stop().exitCode == 0)
      #expect(try inspected().contains("learned in \(sent) steps"), "seed \(testSeed)")
    }
  }
}
