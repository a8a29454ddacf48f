import Dispatch
import Foundation
import Glibc
import Synchronization
import TestSupport
import Testing

/// Stops, restarts and reloads of the running daemon under load.
@Suite(.serialized) struct DaemonReloadTests {
  @Test func `a stop drains what was written before it and keeps the final moments`() throws {
    let place = try Workplace()
    let stream = DaemonSocketTests.stream(
      mode: "running", "batch: { size: 64, max_delay: 60s }\ncheckpoint: { interval: 1h }")
    var daemon = try Daemon(in: place, stream)
    var records = 0
    for round in 0..<3 {
      let subscriber = try Peer(unix: place.path("out.sock"))
      let producers = try (0..<3).map { _ in try Peer(unix: place.path("in.sock")) }
      for (index, producer) in producers.enumerated() {
        producer.send(Records.header + Records.text(index, 0..<500))
      }
      records += 1500
      // At once: most of it is still in the sockets.
      let finished = try daemon.stop()
      #expect(finished.exitCode == 0, "\(finished.errors)")
      let lines = String(decoding: subscriber.rest(), as: UTF8.self).split(separator: "\n")
      #expect(Records.indices(lines) == [0: Array(0..<500), 1: Array(0..<500), 2: Array(0..<500)])
      #expect(try kept(place, "a").values == records, "round \(round)")
      if round < 2 { daemon = try Daemon(in: place, stream) }
    }
    #expect(try kept(place, "b").mean > 0)
  }

  @Test func `a stop gives up after its timeout if nobody reads the output`() throws {
    let place = try Workplace()
    let daemon = try Daemon(
      in: place, DaemonSocketTests.stream(), settings: "shutdown_timeout: 500ms")
    let producer = try Peer(unix: place.path("in.sock"))
    producer.send(Records.header + Records.text(0, 0..<100))
    #expect(try eventually { try daemon.count("records_in_flight") == 100 })
    let queues = try daemon.status("queue_bytes", as: [String: Int].self)
    #expect(Set(queues.keys) == ["operate", "encode", "emit"])
    let start = ContinuousClock.now
    let finished = try daemon.stop(SIGINT)
    // The default timeout is 20 s.
    #expect(ContinuousClock.now - start < .seconds(19))
    #expect(finished.exitCode == 75)
    #expect(finished.errors.contains("stopped before everything was drained"))
  }

  @Test func `100 reloads under load lose and double nothing`() throws {
    let place = try Workplace()
    func configuration(_ number: Int) -> String {
      named("steady", "momentum: 0.1") + "\n" + named("changing", "momentum: 0.\(1 + number % 8)")
    }
    let daemon = try Daemon(in: place, configuration(0))
    let load = Load()
    let running = DispatchGroup()
    for name in ["steady", "changing"] {
      let input = place.path(name + ".in")
      let output = place.path(name + ".out")
      let works: [@Sendable () -> Void] = [
        { load.subscribe(name, to: output) }, { load.produce(name, to: input) },
      ]
      for work in works {
        running.enter()
        Thread.detachNewThread {
          work()
          running.leave()
        }
      }
    }
    #expect(eventually { load.received("steady") > 50 && load.received("changing") > 50 })
    for number in 1...100 {
      if number.isMultiple(of: 2) {
        try place.write("e.yaml", Array("streams:\n  steady:\n    sauce: {}\n".utf8))
      } else {
        try Daemon.write(configuration(number), in: place)
      }
      daemon.running.signal(SIGHUP)
      try daemon.notifications.wait(
        for: number.isMultiple(of: 2) ? "STATUS=configuration refused*" : "STATUS=2 streams")
      #expect(try daemon.ask("GET", "/healthz").status == 200)
      usleep(5000)
    }
    load.stop()
    #expect(
      eventually { load.received("steady") >= load.sent("steady") }
        && eventually { load.received("changing") >= load.sent("changing") })
    // The one that nothing changed was never stopped, the other each time.
    let log = daemon.log
    #expect(log.components(separatedBy: "stream runs").count - 1 == 2 + 50)
    #expect(log.components(separatedBy: "stream has ended").count - 1 == 50)
    #expect(log.components(separatedBy: "e.yaml:3:5").count - 1 == 50)
    #expect(log.contains("sauce") && log.contains("source"))
    #expect(daemon.notifications.received.count { $0.contains("RELOADING=1") } == 100)
    #expect(daemon.notifications.received.contains { $0.contains("MONOTONIC_USEC=") })
    let finished = try daemon.stop()
    #expect(finished.exitCode == 0)
    running.wait()
    for name in ["steady", "changing"] {
      #expect(load.sent(name) > 100, "\(name)")
      #expect(load.indices(name) == Array(0..<load.sent(name)), "\(name)")
      #expect(try kept(place, "a", of: name).values == load.sent(name), "\(name)")
    }
  }

  @Test func `a producer that finds nobody closes no descriptor but its own`() throws {
    let place = try Workplace()
    let path = place.path("nobody")
    let closedByOthers = Atomic(0)
    // The second close of one number closes a descriptor that another thread has opened meanwhile.
    DispatchQueue.concurrentPerform(iterations: 4) { index in
      for _ in 0..<20_000 {
        if index.isMultiple(of: 2) {
          _ = try? Peer(unix: path)
        } else {
          let descriptor = open("/dev/null", O_RDONLY | O_CLOEXEC)
          sched_yield()
          if close(descriptor) != 0 { closedByOthers.add(1, ordering: .relaxed) }
        }
      }
    }
    #expect(closedByOthers.load(ordering: .relaxed) == 0)
  }

  @Test(arguments: [false, true])
  func `a changed stream keeps the moments of the features that stay`(restarts: Bool) throws {
    let place = try Workplace()
    func stream(_ features: String) -> String {
      let momentum = features == "[a]" ? "0.1" : "0.2"
      return DaemonSocketTests.stream(mode: "running", "batch: { size: 4, max_delay: 50ms }")
        .replacingOccurrences(of: "[a, b]", with: features)
        .replacingOccurrences(of: "mode: running", with: "mode: running, momentum: \(momentum)")
    }
    var daemon = try Daemon(in: place, stream("[a]"))
    let text = Records.header + Records.text(0, 0..<8)
    for features in ["[a]", "[a, b]"] {
      if features != "[a]" {
        try Daemon.write(stream(features), in: place)
        daemon.running.signal(SIGHUP)
        try daemon.notifications.wait(for: "STATUS=1 streams")
        if restarts {
          // No record has come under the new settings; that they were taken is known all the same.
          #expect(try daemon.stop().exitCode == 0)
          daemon = try Daemon(in: place, stream(features))
        }
      }
      let subscriber = try Peer(unix: place.path("out.sock"))
      let producer = try Peer(unix: place.path("in.sock"))
      producer.send(text)
      #expect(subscriber.lines(9).count == 9)
    }
    #expect(
      try eventually {
        try daemon.features().map { $0["values"] as? Int } == [16, 8]
      })
    #expect(try daemon.stop().exitCode == 0)
  }

  @Test func `records before an idle time are saved once within the interval`() throws {
    let place = try Workplace()
    let daemon = try Daemon(
      in: place,
      DaemonSocketTests.stream(
        "batch: { size: 4, max_delay: 50ms }\ncheckpoint: { interval: 500ms, keep: 100 }"))
    let subscriber = try Peer(unix: place.path("out.sock"))
    let producer = try Peer(unix: place.path("in.sock"))
    // Two batches at once: none comes at whose cut the second would be kept.
    producer.send(Records.header + Records.text(0, 0..<8))
    #expect(subscriber.lines(9).count == 9)
    #expect(
      try eventually { try daemon.count("checkpoints") > 0 && kept(place, "a").values == 8 })
    func checkpoints() throws -> Int {
      try FileManager.default.contentsOfDirectory(atPath: place.path("state/s"))
        .count { $0.hasPrefix("checkpoint-") }
    }
    let count = try checkpoints()
    // A change by an operator is kept at once, because the source could not give it again.
    #expect(try daemon.ask("POST", "/api/v1/streams/s/reset").status == 200)
    #expect(try eventually { try kept(place, "a").values == 0 })
    // More than two intervals. A slow machine may hide a mistake in that time; it cannot make one.
    usleep(1_200_000)
    #expect(try checkpoints() == count + 1)
    #expect(try daemon.stop().exitCode == 0)
  }

  @Test func `a second daemon on the same state directory is told to come later`() throws {
    let place = try Workplace()
    let daemon = try Daemon(in: place, DaemonSocketTests.stream())
    let second = try place.evenkeel("run", "--config", "e.yaml")
    #expect(second.exitCode == 75)
    #expect(second.errors.split(separator: "\n").count == 1)
    #expect(second.errors.contains("state") && second.errors.hasPrefix("evenkeel: "))
    #expect(try daemon.count("records") == 0)
    #expect(try daemon.stop().exitCode == 0)
  }

  @Test func `a stream that drains slowly holds up no other in a reload`() throws {
    let place = try Workplace()
    func configuration(_ setting: String) -> String {
      // The output of `stuck` has no reader, so it drains until it is given up.
      named("stuck", setting) + "\n"
        + named("free", setting)
        .replacingOccurrences(of: "{ unix: { path: free.out } }", with: "{ file: { path: out } }")
    }
    let daemon = try Daemon(
      in: place, configuration("momentum: 0.1"), settings: "shutdown_timeout: 60s")
    for name in ["stuck", "free"] {
      try Peer(unix: place.path(name + ".in")).send(Records.header + Records.text(0, 0..<10))
    }
    #expect(try eventually { try daemon.count("records_in_flight", of: "stuck") == 10 })
    #expect(try eventually { try daemon.count("records", of: "free") == 10 })
    try Daemon.write(configuration("momentum: 0.2"), settings: "shutdown_timeout: 60s", in: place)
    daemon.running.signal(SIGHUP)
    #expect(eventually { daemon.log.components(separatedBy: "stream runs").count - 1 == 3 })
    #expect(try daemon.status(of: "stuck", "state", as: String.self) == "draining")
    #expect(eventually { (try? Peer(unix: place.path("free.in"))) != nil })
    // A stop is heard meanwhile, and a second one ends the process.
    daemon.running.signal(SIGTERM)
    #expect(eventually { daemon.log.contains("notice draining") })
    #expect(try daemon.stop().exitCode == 75)
  }

  @Test func `a stream may take the place of one that leaves`() throws {
    let place = try Workplace()
    let daemon = try Daemon(in: place, named("old", "momentum: 0.1"))
    try Daemon.write(
      named("old", "momentum: 0.1").replacingOccurrences(of: "old:", with: "new:"), in: place)
    daemon.running.signal(SIGHUP)
    try daemon.notifications.wait(for: "STATUS=1 streams")
    #expect(try daemon.status(of: "new", "state", as: String.self) == "running")
    #expect(try daemon.count("restarts", of: "new") == 0)
    #expect(try daemon.ask("GET", "/api/v1/streams/old").status == 404)
    #expect(try daemon.stop().exitCode == 0)
  }

  @Test func `a FIFO at the configuration's path is refused, and signals are still heard`() throws {
    let place = try Workplace()
    let daemon = try Daemon(in: place, DaemonSocketTests.stream())
    try FileManager.default.removeItem(atPath: place.path("e.yaml"))
    #expect(mkfifo(place.path("e.yaml"), 0o600) == 0)
    daemon.running.signal(SIGHUP)
    try daemon.notifications.wait(for: "STATUS=configuration refused*")
    #expect(daemon.log.contains("e.yaml: expected a regular file, found a FIFO"))
    #expect(try daemon.stop().exitCode == 0)
    let second = try place.evenkeel("run", "--config", "e.yaml")
    #expect(second.exitCode == 78)
  }

  @Test func `the reload command tells how the reload ended`() throws {
    let place = try Workplace()
    let daemon = try Daemon(in: place, named("a", "momentum: 0.1"))
    func reload() throws -> Finished {
      try place.evenkeel("reload", "--config", "e.yaml", "--pid", "\(daemon.running.identifier)")
    }
    try Daemon.write(named("b", "momentum: 0.1"), in: place)
    #expect(try reload().exitCode == 0)
    #expect(try daemon.status(of: "b", "state", as: String.self) == "running")
    // One that reads well and is refused all the same.
    let text = String(decoding: try place.read("e.yaml"), as: UTF8.self)
    try place.write(
      "e.yaml", Array(text.replacingOccurrences(of: ": state\n", with: ": other\n").utf8))
    let refused = try reload()
    #expect(refused.exitCode == 78)
    #expect(refused.errors.contains("state_directory: a change needs a restart"))
    try place.write("e.yaml", Array("sauce: 1\n".utf8))
    let wrong = try reload()
    #expect(wrong.exitCode == 78)
    #expect(wrong.errors.contains("e.yaml:1:1"))
    // The command has read the error itself. The daemon refuses the file a moment later.
    let refusals = #"evenkeel_config_reloads_total{outcome="refused"}"#
    #expect(try eventually { try daemon.metric(refusals) == 2 })
    #expect(try daemon.metric("evenkeel_config_last_reload_successful") == 0)
    #expect(try daemon.stop().exitCode == 0)
  }

  // Under a sanitizer the memory is not known.
  @Test(.enabled(if: !isSanitized))
  func `the memory of streams that a reload removed goes back to the system`() throws {
    let place = try Workplace()
    let daemon = try Daemon(in: place, named("s0", "momentum: 0.1"))
    func reload(to count: Int) throws -> Int {
      let streams = (0..<count).map { named("s\($0)", "momentum: 0.1") }.joined(separator: "\n")
      try Daemon.write(streams, in: place)
      daemon.running.signal(SIGHUP)
      try daemon.notifications.wait(for: "STATUS=\(count) streams")
      return try daemon.memory("VmRSS")
    }
    let few = try daemon.memory("VmRSS")
    let many = try reload(to: 150)
    #expect(many > few + 4 << 20)
    _ = try reload(to: 1)
    #expect(try eventually { try daemon.memory("VmRSS") < (few + many) / 2 })
    #expect(try daemon.stop().exitCode == 0)
  }

  @Test func `a refused reload is seen until one succeeds`() throws {
    let place = try Workplace()
    let daemon = try Daemon(
      in: place, DaemonSocketTests.stream(), environment: ["WATCHDOG_USEC": "300000"])
    #expect(try daemon.metric("evenkeel_config_last_reload_successful") == 1)
    let good = try place.read("e.yaml")
    try place.write("e.yaml", Array("sauce: 1\n".utf8))
    daemon.running.signal(SIGHUP)
    try daemon.notifications.wait(for: "STATUS=configuration refused*")
    #expect(try daemon.metric("evenkeel_config_last_reload_successful") == 0)
    #expect(try daemon.metric(#"evenkeel_config_reloads_total{outcome="refused"}"#) == 1)
    #expect(try daemon.ask("GET", "/api/v1/daemon").body.contains("e.yaml:1:1"))
    // Also in the status of a later sign of life.
    try daemon.notifications.wait(for: "WATCHDOG=1")
    try daemon.notifications.wait(for: "STATUS=configuration refused*")
    try place.write("e.yaml", good)
    daemon.running.signal(SIGHUP)
    try daemon.notifications.wait(for: "STATUS=1 streams")
    #expect(try daemon.metric("evenkeel_config_last_reload_successful") == 1)
    #expect(try daemon.stop().exitCode == 0)
  }

  private func named(_ name: String, _ setting: String) -> String {
    """
    \(name):
      source: { unix: { path: \(name).in } }
      format: { csv: { header: true } }
      features: [a, b]
      batch: { size: 16, max_delay: 10ms }
      normalize: { mode: running, \(setting) }
      sink: { unix: { path: \(name).out } }
      compression: off
    """
  }

  /// The moments of a feature in the newest checkpoint.
  private func kept(
    _ place: Workplace, _ feature: String, of stream: String = "s"
  ) throws -> (values: Int, mean: Double) {
    let names = try FileManager.default.contentsOfDirectory(atPath: place.path("state/\(stream)"))
    let newest = try #require(names.filter { $0.hasPrefix("checkpoint-") }.max())
    let inspected = try place.evenkeel("inspect", "state/\(stream)/\(newest)", "--json")
    let json = try JSONSerialization.jsonObject(with: Data(inspected.output)) as? [String: Any]
    let features = json?["features"] as? [[String: Any]]
    let found = try #require(features?.first { $0["name"] as? String == feature })
    let moments = try #require(found["moments"] as? [String: Any])
    return (try #require(moments["weight"] as? Int), try #require(moments["mean"] as? Double))
  }
}

/// Producers and subscribers that come back when they are cut off, and what they saw.
private final class Load: @unchecked Sendable {
  // @unchecked because everything mutable is only touched with `lock` held.
  private let lock = NSLock()
  private var isStopped = false
  private var sentCounts: [String: Int] = [:]
  private var lines: [String: [String]] = [:]

  func stop() { lock.withLock { isStopped = true } }
  func sent(_ name: String) -> Int { lock.withLock { sentCounts[name] ?? 0 } }
  func received(_ name: String) -> Int { lock.withLock { lines[name]?.count ?? 0 } }
  func indices(_ name: String) -> [Int] {
    Records.indices(lock.withLock { lines[name] ?? [] })[0] ?? []
  }

  /// Sends records, each until it is taken whole: what a Unix socket refused was never read.
  func produce(_ name: String, to path: String) {
    var index = 0
    while true {
      guard let peer = try? Peer(unix: path) else {
        if lock.withLock({ isStopped }) { break }
        usleep(500)
        continue
      }
      guard peer.send(Records.header) == Records.header.utf8.count else { continue }
      while true {
        if lock.withLock({ isStopped }) { return }
        let record = Records.record(0, index)
        guard peer.send(record) == record.utf8.count else { break }
        index += 1
        lock.withLock { sentCounts[name] = index }
        usleep(200)
      }
    }
  }

  /// Reads until the daemon is gone.
  func subscribe(_ name: String, to path: String) {
    while true {
      guard let peer = try? Peer(unix: path) else {
        if lock.withLock({ isStopped }) { return }
        usleep(500)
        continue
      }
      while true {
        guard let line = peer.lines(1).first else { break }
        if line.hasPrefix("p") { lock.withLock { lines[name, default: []].append(line) } }
      }
    }
  }
}
