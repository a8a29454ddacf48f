import Foundation
import Glibc
import TestSupport
import Testing

/// The end of `evenkeel tap` when its stream goes.
@Suite struct TapEndTests {
  private let place: Workplace

  init() throws { place = try Workplace() }

  private var url: String { "unix:\(place.path("control.sock"))" }

  private func live(_ name: String, size: Int) -> String {
    """
    \(name):
      source: { unix: { path: \(name).sock } }
      format: csv
      features: [x]
      batch: { size: \(size), max_delay: 20ms }
      normalize: { mode: running, frozen: true, clip: off, epsilon: 1e-12 }
      sink: { file: { path: \(name).csv } }
      compression: off

    """
  }

  private let late = """
    late:
      source: { file: { path: late.csv } }
      format: csv
      features: [x]
      restart: { initial: 50ms, max: 50ms }
      sink: { file: { path: out.csv } }

    """

  /// Starts a tap, and waits until the daemon shows it the stream.
  private func tap(_ stream: String, of daemon: Daemon, _ options: String...) throws -> Running {
    let begun = "GET /api/v1/streams/\(stream)/tap: 200"
    let before = daemon.log.components(separatedBy: begun).count
    let running = try place.start(
      [binary, "tap", stream, "--url", url] + options, input: nil)
    #expect(eventually { daemon.log.components(separatedBy: begun).count > before })
    return running
  }

  private func send(to stream: String) throws {
    let producer = try Peer(unix: place.path("\(stream).sock"))
    producer.send("k,x\na,1\nb,2\n")
    producer.close()
  }

  /// A tap that the daemon has ended tells so in one line.
  private func expectEnded(_ tap: Running, _ stream: String) throws -> String {
    let ended = try tap.wait()
    #expect(ended.exitCode == 69)
    #expect(
      ended.errors
        == "evenkeel: the daemon has ended the tap: stream '\(stream)' has ended or was replaced, "
        + "or the daemon stops\n")
    return String(decoding: ended.output, as: UTF8.self)
  }

  @Test func `a reload ends the tap of a stream that it replaces, and no other`() throws {
    let daemon = try Daemon(in: place, live("kept", size: 2) + live("changed", size: 2))
    let kept = try tap("kept", of: daemon, "--limit", "2")
    let changed = try tap("changed", of: daemon)
    try Daemon.write(live("kept", size: 2) + live("changed", size: 4), in: place)
    daemon.running.signal(SIGHUP)
    #expect(try expectEnded(changed, "changed") == "")
    // The next tap shows the stream that came.
    #expect(eventually { daemon.log.components(separatedBy: "stream runs").count - 1 == 3 })
    let again = try tap("changed", of: daemon, "--limit", "2")
    for (running, stream) in [(again, "changed"), (kept, "kept")] {
      try send(to: stream)
      let finished = try running.wait()
      #expect(finished.exitCode == 0)
      #expect(finished.errors == "")
      let lines = String(decoding: finished.output, as: UTF8.self).split(separator: "\n")
      #expect(lines.filter { $0.hasPrefix("  in") } == ["  in   a,1", "  in   b,2"])
    }
    #expect(try daemon.stop().exitCode == 0)
  }

  @Test func `a tap that waits for a stream shows it to its end, and no tap of it begins later`()
    throws
  {
    let daemon = try Daemon(in: place, late)
    let waiting = try tap("late", of: daemon)
    try place.write("late.csv.new", "k,x\na,1\nb,2\nc,4\n".utf8)
    rename(place.path("late.csv.new"), place.path("late.csv"))
    let shown = try expectEnded(waiting, "late").split(separator: "\n")
    #expect(shown.filter { $0.hasPrefix("  in") } == ["  in   a,1", "  in   b,2", "  in   c,4"])
    let after = try place.evenkeel("tap", "late", "--url", url)
    #expect(after.exitCode == 69)
    #expect(after.errors.contains("stream 'late' does not run"))
    #expect(try daemon.stop().exitCode == 0)
  }

  @Test func `a reload ends the tap of a stream that has failed and is gone`() throws {
    let daemon = try Daemon(in: place, live("kept", size: 2) + late)
    let waiting = try tap("late", of: daemon)
    try Daemon.write(live("kept", size: 2), in: place)
    daemon.running.signal(SIGHUP)
    #expect(try expectEnded(waiting, "late") == "")
    #expect(try daemon.stop().exitCode == 0)
  }
}
