import Foundation
import Glibc
import TestSupport
import Testing

/// Status and commands of the running daemon, as operators use them.
@Suite(.serialized) struct DaemonOperationTests {
  @Test func `a stream that fails backs off longer each time while the others run`() throws {
    let place = try Workplace()
    let daemon = try Daemon(
      in: place,
      DaemonSocketTests.stream() + "\n"
        + """
        lost:
          source: { follow: { path: nowhere/in.csv } }
          format: { csv: { header: true } }
          sink: { file: { path: lost.csv } }
          restart: { initial: 200ms, max: 1s }
        strict:
          source: { unix: { path: strict.sock } }
          format: { csv: { header: true } }
          features: [a, b]
          on_invalid: reject
          on_bad_record: fail
          sink: { file: { path: strict.csv } }
          restart: { initial: 100ms, max: 1s }
        """)
    let subscriber = try Peer(unix: place.path("out.sock"))
    let producer = try Peer(unix: place.path("in.sock"))
    producer.send(Records.header + Records.record(0, 0))
    let strict = try Peer(unix: place.path("strict.sock"))
    strict.send(Records.header + "p0-0,1,2\np0-1,one,2\n")
    #expect(try eventually { try daemon.count("restarts", of: "strict") == 1 })
    #expect(try eventually { try daemon.count("restarts", of: "lost") >= 4 })
    let unready = try daemon.ask("GET", "/readyz")
    #expect(unready.status == 503 && unready.body.contains("'lost'"))
    #expect(try daemon.status(of: "lost", "state", as: String.self) == "backing_off")
    #expect(try daemon.status(of: "lost", "last_error", as: String.self).contains("nowhere"))
    let pauses = daemon.log.split(separator: "\n").filter { $0.contains("stream=lost") }
      .compactMap { line in
        line.split(separator: " ").first { $0.hasPrefix("restartsInSeconds=") }
          .flatMap { Double($0.split(separator: "=")[1]) }
      }
    #expect(pauses.count >= 4 && pauses[0] <= 0.3 && pauses[2] >= 0.6, "\(pauses)")
    #expect(pauses.allSatisfy { $0 <= 1.3 })
    // The others never noticed.
    producer.send(Records.record(0, 1))
    #expect(Records.indices(subscriber.lines(3)) == [0: [0, 1]])
    #expect(try daemon.count("restarts") == 0)
    // A stream that failed runs again once the reason is gone.
    try FileManager.default.createDirectory(
      atPath: place.path("nowhere"), withIntermediateDirectories: true)
    #expect(try eventually { try daemon.ask("GET", "/readyz").status == 200 })
    #expect(try daemon.stop().exitCode == 0)
  }

  @Test func `a new parameters file takes effect between two batches and a bad one is refused`()
    throws
  {
    let place = try Workplace()
    try place.write("p.safetensors", parameters(weight: [0, 0], bias: [1, 2]))
    let daemon = try Daemon(
      in: place,
      DaemonSocketTests.stream(
        mode: "running",
        "batch: { size: 4, max_delay: 50ms }\nparameters: { file: p.safetensors, watch: true }"))
    let subscriber = try Peer(unix: place.path("out.sock"))
    let producer = try Peer(unix: place.path("in.sock"))
    producer.send(Records.header)
    #expect(subscriber.lines(1).count == 1)
    func batch() -> Set<String> {
      producer.send(Records.text(0, 0..<4))
      return Set(
        subscriber.lines(4).map { $0.split(separator: ",").dropFirst().joined(separator: ",") })
    }
    #expect(batch() == ["1,2"])
    try place.write("new", parameters(weight: [0, 0], bias: [7, 9]))
    rename(place.path("new"), place.path("p.safetensors"))
    #expect(eventually { daemon.log.contains("took new parameters") })
    #expect(batch() == ["7,9"])
    for bad in [parameters(weight: [0, 0], bias: [7, .nan]), parameters(weight: [1], bias: [1])] {
      let refusals = daemon.log.components(separatedBy: "refused new parameters").count
      try place.write("new", bad)
      rename(place.path("new"), place.path("p.safetensors"))
      #expect(
        eventually {
          daemon.log.components(separatedBy: "refused new parameters").count > refusals
        })
      #expect(batch() == ["7,9"])
    }
    #expect(try daemon.status("warnings", as: [String].self).count == 1)
    #expect(try daemon.stop().exitCode == 0)
  }

  @Test func `commands over the control socket take effect`() throws {
    let place = try Workplace()
    let daemon = try Daemon(
      in: place,
      DaemonSocketTests.stream(
        mode: "running",
        "batch: { size: 4, max_delay: 50ms }\ncheckpoint: { interval: 1h }"))
    let subscriber = try Peer(unix: place.path("out.sock"))
    let producer = try Peer(unix: place.path("in.sock"))
    producer.send(Records.header)
    #expect(subscriber.lines(1).count == 1)
    var sent = 0
    func values() throws -> Int? { try daemon.features().first?["values"] as? Int }
    /// Sends a batch, and gives the values that a feature's moments are made of with it.
    func batch() throws -> Int? {
      producer.send(Records.text(0, 0..<4))
      sent += 4
      #expect(subscriber.lines(4).count == 4)
      #expect(
        try eventually {
          try daemon.status("position", as: [String: Any].self)["records"] as? Int == sent
        })
      return try values()
    }
    #expect(try batch() == 4)
    func command(_ method: String, _ name: String, _ body: String? = nil) throws {
      let answer = try daemon.ask(method, "/api/v1/streams/s/\(name)", body)
      #expect(answer.status == 200, "\(name): \(answer.body)")
    }
    try command("POST", "freeze")
    #expect(try daemon.status("frozen", as: Bool.self))
    #expect(try batch() == 4)
    try command("POST", "thaw")
    #expect(try batch() == 8)
    try command("POST", "reset")
    #expect(try values() == 0)
    #expect(try batch() == 4)
    try command("PUT", "mode", #"{"mode": "batch"}"#)
    #expect(try daemon.status("mode", as: String.self) == "batch")
    try command("PUT", "parameters", #"{"weight": [0, 0], "bias": [5, 6]}"#)
    producer.send(Records.text(0, 0..<4))
    #expect(subscriber.lines(4).allSatisfy { $0.hasSuffix(",5,6") })
    try command("POST", "checkpoint")
    let kept = try FileManager.default.contentsOfDirectory(atPath: place.path("state/s"))
      .filter { $0.hasPrefix("checkpoint-") }.sorted()
    let generation = try #require(kept.last?.split { !$0.isNumber }.first.flatMap { Int($0) })
    let saved = try values()
    producer.send(Records.text(0, 0..<4))
    #expect(subscriber.lines(4).count == 4)
    #expect(try eventually { try values() != saved })
    try command("POST", "rollback", #"{"generation": \#(generation)}"#)
    #expect(try values() == saved)
    try command("PUT", "parameters", #"{"weight": [1, 1], "bias": [0, 0]}"#)
    try command("POST", "rollback", #"{"generation": \#(generation), "part": "parameters"}"#)
    producer.send(Records.text(0, 0..<4))
    #expect(subscriber.lines(4).allSatisfy { $0.hasSuffix(",5,6") })
    let gone = try daemon.ask("POST", "/api/v1/streams/s/rollback", #"{"generation": 99}"#)
    #expect(gone.status == 409 && gone.body.contains("expected one that the stream keeps ("))
    let wrong = #"{"generation": 1, "part": "all"}"#
    #expect(try daemon.ask("POST", "/api/v1/streams/s/rollback", wrong).status == 400)
    #expect(try daemon.ask("PUT", "/api/v1/streams/s/mode", #"{"mode": "bath"}"#).status == 400)
    #expect(try daemon.ask("POST", "/api/v1/streams/t/freeze").status == 404)
    #expect(try daemon.stop().exitCode == 0)
  }

  @Test
  func `a stream that starts again after a failure keeps the mode and the freeze it was told`()
    throws
  {
    let place = try Workplace()
    let daemon = try Daemon(
      in: place,
      DaemonSocketTests.stream(
        mode: "running",
        """
        batch: { size: 4, max_delay: 50ms }
        on_invalid: reject
        on_bad_record: fail
        restart: { initial: 50ms, max: 50ms }
        """))
    func command(_ method: String, _ name: String, _ body: String? = nil) throws {
      #expect(try daemon.ask(method, "/api/v1/streams/s/\(name)", body).status == 200)
    }
    let producer = try Peer(unix: place.path("in.sock"))
    producer.send(Records.header)
    try command("POST", "freeze")
    try command("PUT", "mode", #"{"mode": "batch"}"#)
    for failures in 1...2 {
      let producer = try Peer(unix: place.path("in.sock"))
      producer.send(Records.header + "p0-0,1,one\n")
      #expect(try eventually { try daemon.count("restarts") == failures })
      #expect(try eventually { try daemon.status("state", as: String.self) == "running" })
      #expect(try daemon.status("frozen", as: Bool.self))
      #expect(try daemon.status("mode", as: String.self) == "batch")
    }
    #expect(try daemon.stop().exitCode == 0)
  }

  @Test func `a command to a stream that fails before its next batch is refused`() throws {
    let place = try Workplace()
    let daemon = try Daemon(
      in: place,
      DaemonSocketTests.stream(
        """
        batch: { size: 4, max_delay: 60s }
        on_invalid: reject
        on_bad_record: fail
        """))
    // The stream writes the record before the bad one, and fails then.
    let subscriber = try Peer(unix: place.path("out.sock"))
    defer { subscriber.close() }
    let producer = try Peer(unix: place.path("in.sock"))
    producer.send(Records.header + Records.record(0, 0))
    #expect(try eventually { try daemon.count("records_in_flight") == 1 })
    let control = try Peer(unix: place.path("control.sock"))
    control.send(
      "POST /api/v1/streams/s/freeze HTTP/1.1\r\nHost: evenkeel\r\nConnection: close\r\n"
        + "Content-Length: 0\r\n\r\n")
    // It waits for the batch to be cut.
    #expect(!control.isReadable(within: 0.2))
    producer.send("p0-1,1,one\n")
    #expect(String(decoding: control.rest(), as: UTF8.self).hasPrefix("HTTP/1.1 409 "))
    #expect(try eventually { try daemon.count("restarts") == 1 })
    #expect(try !daemon.stop().errors.contains("CONTINUATION MISUSE"))
  }

  @Test func `the service manager hears of readiness, life, and the stop`() throws {
    let place = try Workplace()
    let daemon = try Daemon(
      in: place, DaemonSocketTests.stream(), environment: ["WATCHDOG_USEC": "200000"])
    try daemon.notifications.wait(for: "WATCHDOG=1")
    try daemon.notifications.wait(for: "WATCHDOG=1")
    #expect(daemon.notifications.received.first?.hasPrefix("READY=1") == true)
    #expect(try daemon.stop().exitCode == 0)
    try daemon.notifications.wait(for: "STOPPING=1")
  }

  @Test func `dead letters rotate and are counted, and no log tells what a record holds`() throws {
    let place = try Workplace()
    let daemon = try Daemon(
      in: place,
      DaemonSocketTests.stream(
        """
        batch: { size: 64, max_delay: 50ms }
        on_invalid: reject
        on_bad_record: dead_letter
        dead_letters: { max_size: 8KiB, keep: 2 }
        """), settings: "log: { format: json }")
    let subscriber = try Peer(unix: place.path("out.sock"))
    let producer = try Peer(unix: place.path("in.sock"))
    producer.send(Records.header)
    for index in 0..<300 {
      producer.send(Records.record(0, index) + "bad-\(index),MARKER4711,2.5\n")
    }
    #expect(Records.indices(subscriber.lines(301)) == [0: Array(0..<300)])
    #expect(try eventually { try daemon.count("bad_records") == 300 })
    #expect(try daemon.metric(#"evenkeel_stream_bad_records_total{stream="s"}"#) == 300)
    let finished = try daemon.stop()
    #expect(finished.exitCode == 0)
    let names = try FileManager.default.contentsOfDirectory(atPath: place.path("state/s"))
      .filter { $0.hasPrefix("dead-letters") }
    #expect((2...3).contains(names.count), "\(names)")
    var last = ""
    for name in names {
      let bytes = try place.read("state/s/\(name)")
      #expect(bytes.count <= 8 << 10)
      for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
        let letter = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
        #expect(letter?["stream"] as? String == "s")
        if name == "dead-letters.ndjson" { last = String(line) }
      }
    }
    #expect(last.contains("bad-299"))
    #expect(!finished.errors.contains("MARKER4711"))
    for line in finished.errors.split(separator: "\n") {
      let fields = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
      #expect(fields?["message"] is String && fields?["level"] is String, "\(line)")
    }
  }

  @Test func `a stream that fails for a bad record does not log what it holds`() throws {
    let place = try Workplace()
    let daemon = try Daemon(
      in: place, DaemonSocketTests.stream("on_invalid: reject\non_bad_record: fail"))
    let producer = try Peer(unix: place.path("in.sock"))
    producer.send(Records.header + "bad,MARKER4711,2.5\n")
    #expect(try eventually { try daemon.count("restarts") == 1 })
    let finished = try daemon.stop()
    #expect(finished.errors.contains("record 1"))
    #expect(!finished.errors.contains("MARKER4711"), "\(finished.errors)")
  }

  /// A safetensors file of γ and β.
  private func parameters(weight: [Double], bias: [Double]) -> [UInt8] {
    func entry(_ name: String, _ values: [Double], _ start: Int) -> String {
      let end = start + values.count * 8
      return "\"\(name)\":{\"dtype\":\"F64\",\"shape\":[\(values.count)],"
        + "\"data_offsets\":[\(start),\(end)]}"
    }
    let header = "{\(entry("weight", weight, 0)),\(entry("bias", bias, weight.count * 8))}"
    var bytes = withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian, Array.init)
    bytes += Array(header.utf8)
    for value in weight + bias {
      bytes += withUnsafeBytes(of: value.bitPattern.littleEndian, Array.init)
    }
    return bytes
  }
}
