import Foundation
import Glibc
import TestSupport
import Testing

/// Starts of the daemon on damaged or foreign state, and an input that goes.
@Suite(.serialized) struct DaemonStateTests {
  private let place: Workplace

  init() throws { place = try Workplace() }

  private func stream(
    source: String = "{ follow: { path: in.csv } }", others: String = ""
  ) -> String {
    """
    s:
      source: \(source)
      format: csv
      features: [x]
      batch: { size: 4\(source.contains("file:") ? "" : ", max_delay: 1h") }
      checkpoint: { every_batches: 1, interval: 1h, keep: 3 }
      restart: { initial: 50ms, max: 200ms }
      compression: off
      sink: { file: { path: out.csv } }
      \(others)
    """
  }

  private func records(_ numbers: Range<Int>) -> String {
    numbers.map { "\($0),\($0 * $0 % 7)\n" }.joined()
  }

  private func expectRecords(_ count: Int, from daemon: Daemon) {
    let isThere = eventually { (try? place.read("out.csv").lineCount) == count + 1 }
    #expect(isThere, "\(daemon.log)")
  }

  private var generations: [String] {
    get throws {
      try FileManager.default.contentsOfDirectory(atPath: place.path("state/s"))
        .filter { $0.hasPrefix("checkpoint-") }.sorted().map { "state/s/" + $0 }
    }
  }

  /// Leaves the state and the output of a daemon that has had 40 records.
  private func leaveState() throws -> [UInt8] {
    try place.write("in.csv", ("n,x\n" + records(0..<40)).utf8)
    let daemon = try Daemon(in: place, stream())
    expectRecords(40, from: daemon)
    #expect(try eventually { try generations.count == 3 && daemon.count("checkpoints") > 10 })
    #expect(try daemon.stop().exitCode == 0)
    return try place.read("out.csv")
  }

  @Test func `a damaged checkpoint is passed over for the one before, with an error and a warning`()
    throws
  {
    let output = try leaveState()
    let newest = try #require(try generations.last)
    try place.write(newest, place.read(newest).dropLast(7))
    let daemon = try Daemon(in: place, stream())
    expectRecords(40, from: daemon)
    #expect(
      daemon.log.contains("error skipped a damaged checkpoint: \(newest): "), "\(daemon.log)")
    let warnings = try daemon.status("warnings", as: [String].self)
    #expect(warnings.count == 1 && warnings[0].contains(newest), "\(warnings)")
    #expect(try daemon.status("state", as: String.self) == "running")
    #expect(try daemon.stop().exitCode == 0)
    #expect(try place.read("out.csv") == output)
  }

  @Test func `if no checkpoint is intact, the stream does not start`() throws {
    let output = try leaveState()
    for generation in try generations { try place.write(generation, [0]) }
    let daemon = try Daemon(in: place, stream())
    #expect(try eventually { try daemon.count("restarts") > 1 }, "\(daemon.log)")
    let error = try daemon.status("last_error", as: String.self)
    #expect(error.hasPrefix("state/s: no checkpoint is intact: "), "\(error)")
    #expect(try daemon.stop().exitCode == 0)
    #expect(try place.read("out.csv") == output)
  }

  @Test func `a checkpoint of other settings stops the stream, with the difference`() throws {
    let output = try leaveState()
    let other = "normalize: { momentum: 0.5 }"
    let daemon = try Daemon(in: place, stream(others: other))
    // Nothing is compared before the input has shown its features.
    let hasFailed = try eventually { try daemon.status("state", as: String.self) == "failed" }
    #expect(hasFailed, "\(daemon.log)")
    let error = try daemon.status("last_error", as: String.self)
    #expect(
      error.contains(
        "the checkpoint does not fit: settings: momentum: expected 0.5, found half_life 1700.0 records"
      ),
      "\(error)")
    #expect(try daemon.stop().exitCode == 0)
    #expect(try place.read("out.csv") == output)
  }

  @Test func `a file that was cut is refused until it is whole again`() throws {
    let source = "{ file: { path: in.csv } }"
    // Its last record is bad, so that it is never done with.
    let whole = Array(("n,x\n" + records(0..<40) + "bad\n").utf8)
    try place.write("in.csv", whole)
    func write(_ bytes: some Sequence<UInt8>) throws {
      try place.write("new", bytes)
      #expect(try place.shell("cat new > in.csv").exitCode == 0)
    }
    let daemon = try Daemon(in: place, stream(source: source))
    expectRecords(40, from: daemon)
    try write(whole.prefix(60))
    let isRefused = eventually {
      let error = try? daemon.status("last_error", as: String.self)
      return error?.hasPrefix(
        "s: the input has changed since the checkpoint was taken: expected byte ") == true
    }
    #expect(isRefused, "\(daemon.log)")
    try write(whole.dropLast(4) + Array(records(40..<44).utf8))
    expectRecords(44, from: daemon)
    #expect(try daemon.stop().exitCode == 0)
  }

  @Test(arguments: [("path: out.csv", "path: out2.csv"), ("compression: off", "compression: {}")])
  func `another output begins at the next record, and each record is in one file`(
    before: String, after: String
  ) throws {
    func add(_ numbers: Range<Int>) throws {
      try place.write("added.csv", records(numbers).utf8)
      #expect(try place.shell("cat added.csv >> in.csv").exitCode == 0)
    }
    /// The content of a file, compressed or not.
    func lines(_ name: String) throws -> [String] {
      let text = String(decoding: try place.shell("zstd -dcf \(name)").output, as: UTF8.self)
      return text.split(separator: "\n").map { String($0.prefix { $0 != "," }) }
    }
    func lines(_ numbers: Range<Int>) -> [String] { ["n"] + numbers.map(String.init) }
    let newOutput = after == "path: out2.csv" ? "out2.csv" : "out.csv"
    try place.write("out2.csv", Array("somebody's\n".utf8))
    try place.write("in.csv", ("n,x\n" + records(0..<8)).utf8)
    var daemon = try Daemon(in: place, stream())
    expectRecords(8, from: daemon)
    let changed = stream().replacingOccurrences(of: before, with: after)
    try Daemon.write(changed, in: place)
    daemon.running.signal(SIGHUP)
    try daemon.notifications.wait(for: "STATUS=1 streams")
    try add(8..<16)
    #expect(try eventually { try lines(newOutput) == lines(8..<16) }, "\(daemon.log)")
    // The newest checkpoint is lost with the power: what is behind the one before comes again.
    _ = try daemon.stop(SIGKILL)
    for name in try generations.dropFirst(2) { unlink(place.path(name)) }
    daemon = try Daemon(in: place, changed)
    try add(16..<20)
    #expect(try eventually { try lines(newOutput) == lines(8..<20) }, "\(daemon.log)")
    #expect(try daemon.stop().exitCode == 0)
    let others = place.files.filter { $0.hasPrefix("out") && $0 != newOutput }
    let found = try others.map { try lines($0) }
    #expect(found.filter { $0 == lines(0..<8) }.count == 1, "\(others): \(found)")
    #expect(found.filter { $0 == ["somebody's"] }.count == 1, "\(others): \(found)")
    #expect(found.count == 2, "\(others): \(found)")
  }

  @Test func `a directory that goes is waited for`() throws {
    func make(_ name: String, _ numbers: Range<Int>) throws {
      try FileManager.default.createDirectory(
        atPath: place.path("drop"), withIntermediateDirectories: true)
      try place.write("new", ("n,x\n" + records(numbers)).utf8)
      try FileManager.default.moveItem(atPath: place.path("new"), toPath: place.path(name))
    }
    try make("drop/1.csv", 0..<8)
    let daemon = try Daemon(in: place, stream(source: "{ directory: { path: drop } }"))
    expectRecords(8, from: daemon)
    try FileManager.default.removeItem(atPath: place.path("drop"))
    #expect(try eventually { try daemon.count("restarts") > 1 }, "\(daemon.log)")
    let error = try daemon.status("last_error", as: String.self)
    #expect(error.contains("No such file or directory"), "\(error)")
    try make("drop/2.csv", 8..<16)
    expectRecords(16, from: daemon)
    #expect(try daemon.stop().exitCode == 0)
  }

  @Test(arguments: ["state/s", "state/s/dead-letters.ndjson"])
  func `a symbolic link in the state directory is not followed`(path: String) throws {
    try FileManager.default.createDirectory(
      atPath: place.path((path as NSString).deletingLastPathComponent),
      withIntermediateDirectories: true)
    try FileManager.default.createDirectory(
      atPath: place.path("elsewhere"), withIntermediateDirectories: true)
    symlink(place.path("elsewhere"), place.path(path))
    try place.write("in.csv", ("n,x\n" + records(0..<8)).utf8)
    let daemon = try Daemon(in: place, stream())
    #expect(try eventually { try daemon.status("state", as: String.self) == "failed" })
    let error = try daemon.status("last_error", as: String.self)
    #expect(error.contains("expected no symbolic link"), "\(error)")
    #expect(try daemon.stop().exitCode == 0)
    #expect(try FileManager.default.contentsOfDirectory(atPath: place.path("elsewhere")).isEmpty)
  }

  @Test func `a lock that is a symbolic link is not followed`() throws {
    try FileManager.default.createDirectory(
      atPath: place.path("state"), withIntermediateDirectories: true)
    symlink(place.path("victim"), place.path("state/lock"))
    try Daemon.write(stream(), in: place)
    let finished = try place.evenkeel("run", "--config", "e.yaml")
    #expect(finished.exitCode != 0)
    #expect(!place.files.contains("victim"))
  }

  @Test func `a state directory that is removed is noticed`() throws {
    try place.write("in.csv", ("n,x\n" + records(0..<8)).utf8)
    let daemon = try Daemon(in: place, stream())
    expectRecords(8, from: daemon)
    #expect(try daemon.ask("GET", "/readyz").status == 200)
    // Moved, because the daemon may be writing a checkpoint into it.
    try FileManager.default.moveItem(atPath: place.path("state"), toPath: place.path("gone"))
    #expect(
      try eventually {
        try daemon.ask("GET", "/readyz").body.contains("state directory was removed")
      })
    #expect(try daemon.metric("evenkeel_daemon_warnings") == 1)
    #expect(daemon.log.contains("state directory was removed"))
  }
}
