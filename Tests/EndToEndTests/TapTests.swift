import Foundation
import Glibc
import TestSupport
import Testing

/// `evenkeel tap` on a running daemon.
@Suite struct TapTests {
  private let place: Workplace
  private let daemon: Daemon

  init() throws {
    place = try Workplace()
    daemon = try Daemon(
      in: place,
      """
      live:
        source: { unix: { path: in.sock } }
        format: csv
        features: [x]
        batch: { size: 4, max_delay: 20ms }
        normalize: { mode: running, frozen: true, clip: off, epsilon: 1e-12 }
        on_bad_record: dead_letter
        sink: { unix: { path: out.sock, when_full: drop_oldest } }
        compression: off
      """)
  }

  private var url: String { "unix:\(place.path("control.sock"))" }

  /// Starts a tap and sends records until it has ended, because nothing tells when it has begun.
  private func tap(_ arguments: String..., sending text: String = "k,x\na,1\nb,2\n") throws
    -> Finished
  {
    let running = try place.start([binary, "tap", "live", "--url", url] + arguments, input: nil)
    while !hasEnded(running) {
      let producer = try Peer(unix: place.path("in.sock"))
      producer.send(text)
      producer.close()
      usleep(20_000)
    }
    return try running.wait()
  }

  private func hasEnded(_ running: Running) -> Bool {
    var info = siginfo_t()
    waitid(P_PID, id_t(running.identifier), &info, WEXITED | WNOHANG | WNOWAIT)
    return info.si_signo != 0
  }

  @Test func `records are shown side by side, and the limit ends the tap`() throws {
    let finished = try tap("--limit", "2")
    #expect(finished.exitCode == 0)
    #expect(finished.errors == "")
    let lines = String(decoding: finished.output, as: UTF8.self).split(separator: "\n")
    #expect(lines.count == 6)
    #expect(lines[0].hasPrefix("record "))
    let pairs = [["  in   a,1", "  out  a,1"], ["  in   b,2", "  out  b,2"]]
    #expect(pairs.contains([String(lines[1]), String(lines[2])]))
    #expect(pairs.contains([String(lines[4]), String(lines[5])]))
    #expect(try daemon.stop().exitCode == 0)
  }

  @Test func `JSON is one object a line`() throws {
    // A slow tap leaves out records, perhaps all of a kind.
    var kinds: Set<String> = []
    let hasBoth = try eventually {
      let finished = try tap(
        "--limit", "2", "--format", "json", sending: "k,x\na\u{1B}[2J,1\nb\u{202E},no\n")
      #expect(finished.exitCode == 0 && !finished.output.contains(0x1B))
      for line in String(decoding: finished.output, as: UTF8.self).split(separator: "\n") {
        let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
        kinds.insert(try #require(object?["kind"] as? String))
      }
      return kinds.count > 1
    }
    #expect(hasBoth && kinds == ["record", "rejected"])
  }

  // A daemon of its own: a tap also shows records that an earlier one has not seen.
  @Test func `nothing in a record steers the terminal`() throws {
    let expected = [
      #"  in   a\u{1B}[2J,1"#, "rejected in.sock: record ", #"found 'no\u{1B}'"#,
    ]
    var shown = ""
    let hasAll = try eventually {
      let text = try tap("--limit", "4", sending: "k,x\na\u{1B}[2J,1\nb,no\u{1B}\n")
      #expect(!text.output.contains(0x1B))
      shown += String(decoding: text.output, as: UTF8.self)
      return expected.allSatisfy { shown.contains($0) }
    }
    #expect(hasAll, "\(shown)")
  }

  @Test func `SIGINT and a closed pipe end the tap with exit code 0`() throws {
    let running = try place.start([binary, "tap", "live", "--url", url], input: nil)
    // The signal must not come before the program has its handler.
    #expect(eventually { daemon.log.contains("tap") })
    running.signal(SIGINT)
    #expect(try running.wait().exitCode == 0)
    // No record comes: the end of the pipe alone ends the tap.
    let piped = try place.shell("{ $EVENKEEL tap live --url '\(url)'; echo $? >&2; } | true")
    #expect(piped.errors == "0\n")
  }

  @Test func `a daemon that stops, an unknown stream and no daemon have an exit code of their own`()
    throws
  {
    let unknown = try place.evenkeel("tap", "other", "--url", url)
    #expect(unknown.exitCode == 69)
    #expect(
      unknown.errors.hasSuffix("control.sock: refused: no stream 'other'\n"), "\(unknown.errors)")
    let running = try place.start([binary, "tap", "live", "--url", url], input: nil)
    // A sample has come, so the answer before it has too. The log tells the tap earlier.
    let output = URL(fileURLWithPath: running.output)
    let isTapped = try eventually {
      let producer = try Peer(unix: place.path("in.sock"))
      producer.send("k,x\na,1\n")
      producer.close()
      return try !Data(contentsOf: output).isEmpty
    }
    #expect(isTapped)
    #expect(try daemon.stop().exitCode == 0)
    let ended = try running.wait()
    #expect(ended.exitCode == 69)
    #expect(ended.errors.contains("the daemon has ended the tap"))
    #expect(try place.evenkeel("tap", "live", "--url", url).exitCode == 69)
    #expect(try place.evenkeel("tap", "live", "--rate", "0").exitCode == 64)
    #expect(try place.evenkeel("tap", "live", "--limit", "0").exitCode == 64)
  }
}
