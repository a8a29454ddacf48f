import Foundation
import TestSupport
import Testing

/// The wall clock is put forward and back while the daemon runs; `make chaos` does more of it.
@Suite(.serialized) struct DaemonClockTests {
  @Test(.disabled(if: isSanitized, "a sanitizer must be the first library"))
  func `a daemon sleeps whatever the wall clock says`() throws {
    let place = try Workplace()
    let library = try place.shell(
      "gcc -shared -fPIC -o clock.so '\(repositoryFile("Tests/Chaos/clock.c"))'")
    #expect(library.exitCode == 0, "\(library.errors)")
    // The clock of the process shows a year less than that of the kernel: a wait by the wall clock is over at once.
    try place.write("clock", withUnsafeBytes(of: Int64(-365 * 86_400).littleEndian, Array.init))
    let daemon = try Daemon(
      in: place, DaemonSocketTests.stream(),
      environment: [
        "LD_PRELOAD": place.path("clock.so"), "EVENKEEL_CLOCK": place.path("clock"),
      ])
    func processorSeconds() throws -> Double {
      let line = try daemon.ask("GET", "/metrics").body.split(separator: "\n")
        .first { $0.hasPrefix("process_cpu_seconds_total ") }
      return try #require(line.flatMap { Double($0.split(separator: " ")[1]) })
    }
    let before = try processorSeconds()
    Thread.sleep(forTimeInterval: 2)
    let used = try processorSeconds() - before
    #expect(used < 0.5, "\(used) s of 2")
    #expect(try daemon.stop().exitCode == 0)
  }
}
