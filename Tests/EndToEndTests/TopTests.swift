import TestSupport
import Testing

/// `evenkeel top` on a terminal of 80 columns, and on one that is none.
@Suite struct TopTests {
  @Test func `the table and its notes fit 80 columns`() throws {
    let place = try Workplace()
    let names = ["weather", "a-stream-with-a-name-that-is-much-too-long-for-a-table"]
    let streams = names.enumerated().map { index, name in
      """
      \(name):
        source: { unix: { path: \(index).sock } }
        format: { csv: {} }
        sink: { file: { path: nowhere/\(index).csv } }
      """
    }
    let daemon = try Daemon(in: place, streams.joined(separator: "\n"))
    #expect(try eventually { try daemon.status(of: names[0], "last_error", as: String.self) != "" })
    let url = "unix:\(place.path("control.sock"))"
    let once = try place.evenkeel("top", "--once", "--url", url)
    #expect(once.exitCode == 0)
    let shown = String(decoding: once.output, as: UTF8.self).split(separator: "\n")
    #expect(shown.contains { $0.hasPrefix("STREAM") && $0.hasSuffix("RESTARTS") })
    #expect(shown.contains { $0.hasPrefix("a-stream-") && $0.contains("…") })
    #expect(shown.contains { $0.hasPrefix("weather: error: ") })
    #expect(shown.allSatisfy { $0.count <= 80 || !$0.contains(" ") }, "\(shown)")
    for environment in ["TERM=dumb", "TERM=xterm NO_COLOR=1"] {
      // script(1) gives the command a terminal.
      let watched = try place.shell(
        "\(environment) timeout 2 script -qec \"$EVENKEEL top --interval 0.2 --url '\(url)'\" /dev/null"
      )
      let text = String(decoding: watched.output, as: UTF8.self)
      #expect(text.ranges(of: "STREAM").count > 1)
      #expect(!text.contains("\u{1B}"))
    }
    #expect(try daemon.stop().exitCode == 0)
  }

  @Test func `a daemon that is not there is told as such`() throws {
    let place = try Workplace()
    let refused = try place.evenkeel("top", "--once", "--url", "http://127.0.0.1:1")
    #expect(refused.exitCode == 69)
    #expect(refused.errors.lowercased().contains("connection refused"))
  }
}
