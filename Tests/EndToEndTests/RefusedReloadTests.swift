import Foundation
import Glibc
import TestSupport
import Testing

/// Reloads that change nothing, and stops that lose records: each is told.
@Suite(.serialized) struct RefusedReloadTests {
  private let place: Workplace

  init() throws { place = try Workplace() }

  private func stream(_ name: String, _ setting: String = "momentum: 0.1", sink: String = "unix")
    -> String
  {
    """
    \(name):
      source: { unix: { path: \(name).in } }
      format: csv
      features: [a, b]
      batch: { size: 16, max_delay: 10ms }
      normalize: { mode: running, \(setting) }
      sink: { \(sink): { path: \(name).out } }
      compression: off
    """
  }

  private func reload(_ daemon: Daemon) throws -> Finished {
    try place.evenkeel("reload", "--config", "e.yaml", "--pid", "\(daemon.running.identifier)")
  }

  private func write(_ streams: String, token: String) throws {
    let settings = """
      state_directory: state
      control: { listen: "unix:\(place.path("control.sock"))", token_file: \(token) }
      streams:

      """
    let lines = streams.split(separator: "\n").map { "  \($0)\n" }.joined()
    try place.write("e.yaml", (settings + lines).utf8)
  }

  @Test func `a token that everybody can read refuses the whole reload`() throws {
    try place.write("token", "secret".utf8)
    chmod(place.path("token"), 0o600)
    try write(stream("a"), token: "token")
    let running = try place.start([binary, "run", "--config", "e.yaml"], input: nil)
    defer { _ = try? running.wait() }
    defer { running.signal(SIGKILL) }
    func command() throws -> Finished {
      try place.evenkeel("reload", "--config", "e.yaml", "--pid", "\(running.identifier)")
    }
    #expect(eventually { (try? command())?.exitCode == 0 })
    try write(stream("a") + "\n" + stream("b"), token: "token")
    chmod(place.path("token"), 0o644)
    let refused = try command()
    #expect(refused.exitCode == 78)
    #expect(refused.errors.contains("token"), "\(refused.errors)")
    // Nothing of the configuration was applied.
    #expect((try? Peer(unix: place.path("b.in"))) == nil)
    chmod(place.path("token"), 0o600)
    #expect(try command().exitCode == 0)
    #expect((try? Peer(unix: place.path("b.in"))) != nil)
  }

  @Test func `a reload that needs more descriptors than there are is refused`() throws {
    guard !isSanitized else { return }
    let daemon = try Daemon(in: place, stream("a", sink: "file"), limit: "ulimit -n 100")
    let many = (0..<41).map { stream("s\($0)", sink: "file") }.joined(separator: "\n")
    try Daemon.write(many, in: place)
    let refused = try reload(daemon)
    #expect(refused.exitCode == 78)
    #expect(refused.errors.contains("descriptors"), "\(refused.errors)")
    #expect(refused.errors.contains("the limit is 100"), "\(refused.errors)")
    #expect(try daemon.status(of: "a", "state", as: String.self) == "running")
    #expect(try daemon.ask("GET", "/api/v1/streams/s0").status == 404)
    #expect(try daemon.metric("evenkeel_config_last_reload_successful") == 0)
    #expect(try daemon.stop().exitCode == 0)
    // A start with the same file says the same.
    let started = try place.shell("ulimit -n 100; exec $EVENKEEL run --config e.yaml")
    #expect(started.exitCode == 78)
    #expect(started.errors.contains("the limit is 100"), "\(started.errors)")
  }

  @Test func `classes that the moments so far are not of refuse the reload`() throws {
    let daemon = try Daemon(in: place, stream("a", "half_life: { records: 100 }", sink: "file"))
    let producer = try Peer(unix: place.path("a.in"))
    producer.send(Records.header + Records.text(0, 0..<20))
    #expect(try eventually { try daemon.count("records", of: "a") == 20 })
    let classes = stream("a", "half_life: { records: 100 }, weight: { class: c }", sink: "file")
    try Daemon.write(classes, in: place)
    let refused = try reload(daemon)
    #expect(refused.exitCode == 78)
    #expect(
      refused.errors.contains(
        "streams.a: weight.class: expected the moments of classes beside those of feature 'a', found none: "
      ),
      "\(refused.errors)")
    #expect(!refused.errors.contains("--"), "\(refused.errors)")
    #expect(try daemon.status(of: "a", "state", as: String.self) == "running")
    #expect(try daemon.ask("POST", "/api/v1/streams/a/checkpoint").status == 200)
    producer.close()
    #expect(try daemon.stop().exitCode == 0)
    // So does `check`, when a checkpoint has the moments.
    let checked = try place.evenkeel("check", "--config", "e.yaml", "--connect")
    #expect(checked.exitCode == 78)
    #expect(
      checked.errors.contains("weight.class: expected the moments of classes"), "\(checked.errors)")
    #expect(checked.errors.lineCount == 1 && !checked.errors.contains("--"), "\(checked.errors)")
  }

  @Test func `a reload that a stop overtakes is not told as applied`() throws {
    let daemon = try Daemon(in: place, stream("a"), settings: "shutdown_timeout: 60s")
    // It connects and takes nothing, so that a drain waits for it.
    let reader = try Peer(unix: place.path("a.out"))
    defer { reader.close() }
    let producer = try Peer(unix: place.path("a.in"))
    fill(producer)
    #expect(try eventually { try daemon.count("records_in_flight", of: "a") > 0 })
    try Daemon.write(
      stream("a", "momentum: 0.2"), settings: "shutdown_timeout: 60s", in: place)
    let command = try place.start(
      [binary, "reload", "--config", "e.yaml", "--pid", "\(daemon.running.identifier)"], input: nil)
    #expect(
      try eventually { try daemon.status(of: "a", "state", as: String.self) == "draining" })
    daemon.running.signal(SIGTERM)
    #expect(eventually { daemon.log.contains("notice draining") })
    let reloaded = try command.wait()
    #expect(reloaded.exitCode == 69)
    #expect(
      reloaded.errors == "evenkeel: the daemon stopped before the configuration was applied\n")
    #expect(!daemon.log.contains("configuration applied"))
    #expect(try daemon.ask("GET", "/api/v1/daemon").body.contains(#""applied":false"#))
    // A second signal does not wait, and tells what it costs.
    let finished = try daemon.stop()
    #expect(finished.exitCode == 75)
    let lost = finished.errors.split(separator: "\n").filter { $0.contains("dropped records") }
    #expect(lost.count == 1, "\(finished.errors)")
    #expect(lost.first?.contains("stream=a") == true, "\(lost)")
    let count = lost.first?.split(separator: " ").first { $0.hasPrefix("records=") }
    #expect((count?.dropFirst("records=".count)).flatMap { Int($0) } ?? 0 > 0, "\(lost)")
    #expect(finished.errors.contains("a second signal"))
  }

  @Test func `a reload of a daemon that is killed meanwhile is not told as applied`() throws {
    let daemon = try Daemon(in: place, stream("a"), settings: "shutdown_timeout: 60s")
    let reader = try Peer(unix: place.path("a.out"))
    defer { reader.close() }
    fill(try Peer(unix: place.path("a.in")))
    #expect(try eventually { try daemon.count("records_in_flight", of: "a") > 0 })
    try Daemon.write(
      stream("a", "momentum: 0.2"), settings: "shutdown_timeout: 60s", in: place)
    let command = try place.start(
      [binary, "reload", "--config", "e.yaml", "--pid", "\(daemon.running.identifier)"], input: nil)
    #expect(
      try eventually { try daemon.status(of: "a", "state", as: String.self) == "draining" })
    _ = try daemon.stop(SIGKILL)
    #expect(try command.wait().exitCode == 69)
  }

  /// Sends records until nobody takes more.
  private func fill(_ producer: Peer) {
    let record = Records.text(0, 0..<2000)
    producer.send(Records.header)
    // The sockets and the stream together hold a few megabytes.
    Thread.detachNewThread { for _ in 0..<1000 where producer.send(record) == 0 { return } }
  }
}
