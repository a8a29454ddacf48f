import Foundation
import Glibc
import Records
import Storage
import TestSupport
import Testing

/// Disks that are full, read-only or without the input: the stream waits, and loses nothing.
@Suite(.serialized, .timeLimit(.minutes(2))) struct DiskTests {
  /// The configuration of a stream that follows `in`.
  private static func stream(_ output: String) -> String {
    """
    s:
      source: { follow: { path: in } }
      format: csv
      batch: { size: 32, max_delay: 1h }
      on_bad_record: dead_letter
      checkpoint: { every_batches: 4, interval: 1h }
      restart: { initial: 50ms, max: 200ms }
      compression: off
      sink: { file: { path: \(output) } }
    """
  }

  private static func records(_ range: Range<Int>) -> String {
    range.map { $0 % 50 == 7 ? "bad\n" : "\($0),\(Double($0 % 13) / 4)\n" }.joined()
  }

  private func append(_ text: String, to name: String, in place: Workplace) throws {
    let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: place.path(name)))
    try handle.seekToEnd()
    try handle.write(contentsOf: Data(text.utf8))
    try handle.close()
  }

  /// The results of the same stream without a fault.
  private func reference(_ input: [UInt8]) throws -> Delivery {
    let place = try Workplace()
    try place.write("in", input)
    let daemon = try Daemon(in: place, Self.stream("out"))
    try expectOutput(of: "out", holds: good(input), from: daemon)
    #expect(try daemon.stop().exitCode == 0)
    return try Delivery(of: "out", state: "state", in: place)
  }

  private func good(_ input: [UInt8]) -> Int {
    input.lineCount - String(decoding: input, as: UTF8.self).ranges(of: "bad").count
  }

  private func expectOutput(of name: String, holds lines: Int, from daemon: Daemon) throws {
    let isWhole = eventually { (try? daemon.place.read(name).lineCount) == lines }
    #expect(isWhole, "\(daemon.log)")
  }

  /// Expects the results of another run, over a copy of the input.
  private func expect(
    _ found: Delivery, equals expected: Delivery, in place: Workplace, _ output: String
  )
    throws
  {
    #expect(found.text == expected.text)
    #expect(found.deadLetters == expected.deadLetters)
    var (found, expected) = (found.checkpoint, expected.checkpoint)
    #expect(found.output?.byteCount == expected.output?.byteCount)
    #expect(found.deadLetters?.byteCount == expected.deadLetters?.byteCount)
    for key in [\Checkpoint.output, \.deadLetters] {
      found[keyPath: key] = nil
      expected[keyPath: key] = nil
    }
    found.input?.forgetFiles()
    expected.input?.forgetFiles()
    #expect(found == expected)
  }

  @Test(.enabled(if: mayMount), arguments: [["disk"], ["state"], ["disk", "state"]])
  func `a stream waits while a disk is full, and completes when it has room`(full: [String]) throws
  {
    let place = try Workplace()
    let disks = try full.map { try SmallDisk($0, in: place) }
    try? FileManager.default.createDirectory(
      atPath: place.path("disk"), withIntermediateDirectories: true)
    try place.write("in", ("n,x\n" + Self.records(0..<2000)).utf8)
    let daemon = try Daemon(in: place, Self.stream("disk/out"))
    try expectOutput(of: "disk/out", holds: good(try place.read("in")), from: daemon)
    let before = try #require(
      try CheckpointStore.newest(in: place.path("state/s"), of: POSIXFileSystem()))

    for disk in disks { try disk.fill() }
    try append(Self.records(2000..<4000), to: "in", in: place)
    let backsOff = try eventually {
      try daemon.count("restarts") > 2 && daemon.status("state", as: String.self) == "backing_off"
    }
    #expect(backsOff, "\(daemon.log)")
    let error = try daemon.status("last_error", as: String.self)
    #expect(error.contains("No space left on device"), "\(error)")
    #expect(try daemon.ask("GET", "/readyz").status == 503)
    let during = try #require(
      try CheckpointStore.newest(in: place.path("state/s"), of: POSIXFileSystem()))
    #expect(during.skipped.isEmpty)
    if full.contains("state") { #expect(during == before) }

    for disk in disks { try disk.makeRoom() }
    try expectOutput(of: "disk/out", holds: good(try place.read("in")), from: daemon)
    #expect(try eventually { try daemon.ask("GET", "/readyz").status == 200 }, "\(daemon.log)")
    #expect(try daemon.stop().exitCode == 0)
    try expect(
      Delivery(of: "disk/out", state: "state", in: place), equals: reference(place.read("in")),
      in: place, "disk/out")
  }

  @Test(.enabled(if: mayMount))
  func `a state directory that becomes read-only stops the stream until it is writable`() throws {
    let place = try Workplace()
    try place.write("in", ("n,x\n" + Self.records(0..<1000)).utf8)
    let daemon = try Daemon(in: place, Self.stream("out"))
    try expectOutput(of: "out", holds: good(try place.read("in")), from: daemon)
    // Between two checkpoints the stream has no open file in it.
    let mounted = try place.shell(
      "mount --bind state/s state/s && mount -o remount,bind,ro state/s")
    defer { _ = try? place.shell("umount -l state/s") }
    #expect(mounted.exitCode == 0, "\(mounted.errors)")
    try append(Self.records(1000..<3000), to: "in", in: place)
    let backsOff = eventually {
      let error = try? daemon.status("last_error", as: String.self)
      return error?.contains("Read-only file system") == true
    }
    #expect(backsOff, "\(daemon.log)")
    #expect(try place.shell("umount -l state/s").exitCode == 0)
    try expectOutput(of: "out", holds: good(try place.read("in")), from: daemon)
    #expect(try daemon.stop().exitCode == 0)
    try expect(
      Delivery(of: "out", state: "state", in: place), equals: reference(place.read("in")),
      in: place, "out")
  }

  @Test func `a stream waits for a missing input while others run`() throws {
    let place = try Workplace()
    try place.write("in", ("n,x\n" + Self.records(0..<100)).utf8)
    let absent = """

      absent:
        source: { file: { path: later } }
        format: csv
        restart: { initial: 50ms, max: 200ms }
        compression: off
        sink: { file: { path: absent } }
      """
    let daemon = try Daemon(in: place, Self.stream("out") + absent)
    let backsOff = try eventually { try daemon.count("restarts", of: "absent") > 1 }
    #expect(backsOff, "\(daemon.log)")
    let error = try daemon.status(of: "absent", "last_error", as: String.self)
    #expect(error.contains("No such file or directory"), "\(error)")
    try expectOutput(of: "out", holds: good(try place.read("in")), from: daemon)
    try place.write("later", "a\n1\n2\n".utf8)
    try expectOutput(of: "absent", holds: 3, from: daemon)
    let finished = try daemon.stop()
    #expect(finished.exitCode == 0, "\(finished.errors)")
  }

  @Test func `a closed standard output stops only the stream that writes to it`() throws {
    let place = try Workplace()
    try place.write("in", ("n,x\n" + Self.records(0..<30_000)).utf8)
    // The text is larger than a pipe.
    let printed = """

      printed:
        source: { file: { path: in } }
        format: csv
        on_bad_record: skip
        compression: off
        sink: stdout
      """
    try Daemon.write(Self.stream("out") + printed, in: place)
    let script = "mkfifo p; head -c 1 < p & exec '\(binary)' run --config e.yaml > p"
    let running = try place.start(["/bin/sh", "-c", script], input: nil)
    let tellsWhy = eventually {
      let log = try? String(contentsOfFile: running.errors, encoding: .utf8)
      return log?.contains("cannot write") == true && log?.contains("Broken pipe") == true
    }
    let lines = good(try place.read("in"))
    let isWhole = eventually { (try? place.read("out").lineCount) == lines }
    running.signal(SIGTERM)
    let finished = try running.wait()
    #expect(tellsWhy && isWhole, "\(finished.errors)")
    #expect(finished.exitCode == 0, "\(finished.errors)")
  }

  @Test func `a daemon without free descriptors waits, and goes on when it has them`() throws {
    let place = try Workplace()
    try place.write("in", ("n,x\n" + Self.records(0..<1000)).utf8)
    let daemon = try Daemon(in: place, Self.stream("out"))
    try expectOutput(of: "out", holds: good(try place.read("in")), from: daemon)
    // Open files stay open. No other file can be opened, the next checkpoint included.
    let limit = "prlimit --pid \(daemon.running.identifier) --nofile="
    #expect(try place.shell(limit + "3:").exitCode == 0)
    try append(Self.records(1000..<3000), to: "in", in: place)
    #expect(eventually { daemon.log.contains("Too many open files") }, "\(daemon.log)")
    #expect(try place.shell(limit + "1024:").exitCode == 0)
    try expectOutput(of: "out", holds: good(try place.read("in")), from: daemon)
    #expect(try daemon.stop().exitCode == 0)
    try expect(
      Delivery(of: "out", state: "state", in: place), equals: reference(place.read("in")),
      in: place, "out")
  }
}
