import Foundation
import Glibc
import TestSupport
import Testing

/// Files and FIFOs of the running daemon.
@Suite(.serialized) struct DaemonFileTests {
  @Test func `rotated files are complete and put together they are the uninterrupted output`()
    throws
  {
    let place = try Workplace()
    let rows = runsFullDose ? 400_000 : 20_000
    _ = try place.evenkeel(
      "generate", "--rows", "\(rows)", "--features", "8", "--format", "csv", "-o", "in.csv")
    let expected = try place.evenkeel(
      "normalize", "in.csv", "--no-compress", "--mode", "running", "--batch-size", "256")
    let daemon = try Daemon(
      in: place,
      """
      s:
        source: { file: { path: in.csv } }
        format: { csv: { header: true } }
        batch: { size: 256 }
        normalize: { mode: running }
        sink: { file: { path: out.csv.zst, rotate: { size: 16KiB } } }
        compression: { level: 1 }
      """)
    #expect(try eventually { try daemon.status("state", as: String.self) == "finished" })
    #expect(try daemon.stop().exitCode == 0)
    let files = place.files.filter { $0.hasPrefix("out") }
    #expect(files.count > 3, "\(files)")
    // Each is a file of its own, with the header.
    var records = 0
    var text = ""
    let names = files.filter { $0 != "out.csv.zst" }.sorted() + ["out.csv.zst"]
    for name in names {
      let one = try place.shell("zstd -dc '\(name)'")
      #expect(one.exitCode == 0)
      let lines = String(decoding: one.output, as: UTF8.self).split(separator: "\n")
      if text.isEmpty { text = lines[0] + "\n" }
      #expect(lines.first.map { $0 + "\n" } == text.split(separator: "\n").first.map { $0 + "\n" })
      records += lines.count - 1
      text += lines.dropFirst().joined(separator: "\n") + "\n"
    }
    #expect(records == rows)
    #expect(text == String(decoding: expected.output, as: UTF8.self))
  }

  @Test func `a stream with a limit of its rate waits, and reads everything`() throws {
    let place = try Workplace()
    try place.write("in.csv", (Records.header + Records.text(1, 0..<40_000)).utf8)
    let daemon = try Daemon(
      in: place,
      """
      s:
        source: { file: { path: in.csv } }
        format: { csv: { header: true } }
        features: [a, b]
        sink: { file: { path: out.csv } }
        compression: off
        limits: { rate: { records: 20000 } }
      """)
    #expect(try eventually { try daemon.status("state", as: String.self) == "finished" })
    #expect(try daemon.count("rate_limited_reads") > 0)
    #expect(try daemon.count("records") == 40_000)
    #expect(try daemon.stop().exitCode == 0)
  }

  @Test func `files of a directory are read as they are complete and each once`() throws {
    let place = try Workplace()
    try FileManager.default.createDirectory(
      atPath: place.path("drop"), withIntermediateDirectories: true)
    try place.write("drop/1.csv", (Records.header + Records.text(1, 0..<10)).utf8)
    let daemon = try Daemon(in: place, stream(source: "{ directory: { path: drop } }"))
    let subscriber = try Peer(unix: place.path("out.sock"))
    #expect(Records.indices(subscriber.lines(11)) == [1: Array(0..<10)])
    // One that is moved in, one that takes its time, one that is compressed.
    try place.write("2.csv", (Records.header + Records.text(2, 0..<10)).utf8)
    rename(place.path("2.csv"), place.path("drop/2.csv"))
    #expect(Records.indices(subscriber.lines(10)) == [2: Array(0..<10)])
    let slow = try #require(fopen(place.path("drop/3.csv"), "w"))
    fputs(Records.header + Records.text(3, 0..<5), slow)
    fflush(slow)
    #expect(!subscriber.isReadable(within: 0.3))
    fputs(Records.text(3, 5..<10), slow)
    fclose(slow)
    #expect(Records.indices(subscriber.lines(10)) == [3: Array(0..<10)])
    try place.write("4.csv", (Records.header + Records.text(4, 0..<10)).utf8)
    _ = try place.shell("zstd -q 4.csv && mv 4.csv.zst drop/")
    #expect(Records.indices(subscriber.lines(10)) == [4: Array(0..<10)])
    // A new time of change makes none of them new.
    _ = try place.shell("touch drop/1.csv; cat drop/2.csv > /dev/null")
    #expect(!subscriber.isReadable(within: 0.3))
    #expect(try daemon.stop().exitCode == 0)
    #expect(subscriber.rest().isEmpty)
  }

  @Test func `a growing file is followed across its rotation`() throws {
    let place = try Workplace()
    try place.write("live.csv", (Records.header + Records.text(0, 0..<3)).utf8)
    let daemon = try Daemon(in: place, stream(source: "{ follow: { path: live.csv } }"))
    let subscriber = try Peer(unix: place.path("out.sock"))
    #expect(Records.indices(subscriber.lines(4)) == [0: [0, 1, 2]])
    func append(_ text: String, to name: String) throws {
      let file = try #require(fopen(place.path(name), "a"))
      fputs(text, file)
      fclose(file)
    }
    try append(Records.text(0, 3..<6), to: "live.csv")
    #expect(Records.indices(subscriber.lines(3)) == [0: [3, 4, 5]])
    rename(place.path("live.csv"), place.path("live.csv.1"))
    // The writer notices later than we do.
    try append(Records.text(0, 6..<8), to: "live.csv.1")
    #expect(Records.indices(subscriber.lines(2)) == [0: [6, 7]])
    try append(Records.header + Records.text(0, 8..<10), to: "live.csv")
    #expect(Records.indices(subscriber.lines(2)) == [0: [8, 9]])
    #expect(try daemon.stop().exitCode == 0)
    #expect(subscriber.rest().isEmpty)
  }

  @Test func `FIFOs at both ends outlive those who write and read`() throws {
    let place = try Workplace()
    let daemon = try Daemon(
      in: place,
      stream(
        source: "{ fifo: { path: in.fifo, create: true } }",
        sink: "{ fifo: { path: out.fifo, create: true } }"))
    for round in 0..<3 {
      let reading = try place.start(["timeout", "60", "head", "-n", "6", "out.fifo"], input: nil)
      try place.write("piece.csv", (Records.header + Records.text(round, 0..<5)).utf8)
      #expect(try place.shell("timeout 60 cat piece.csv > in.fifo").exitCode == 0)
      let output = String(decoding: try reading.wait().output, as: UTF8.self)
      #expect(output.hasPrefix(Records.header), "round \(round)")
      // The daemon cannot tell a reader from the next one if both have the FIFO open.
      #expect(eventually { !daemon.hasOpen("out.fifo") })
      #expect(Records.indices(output.split(separator: "\n")) == [round: Array(0..<5)])
    }
    #expect(try eventually { try daemon.count("records") == 15 })
    #expect(try daemon.stop().exitCode == 0)
  }

  @Test func `500 streams run in one process`() throws {
    let place = try Workplace()
    let count = 500
    for directory in ["in", "out"] {
      try FileManager.default.createDirectory(
        atPath: place.path(directory), withIntermediateDirectories: true)
    }
    let streams = (0..<count).map { index in
      """
      s\(index):
        source: { unix: { path: in/\(index) } }
        format: { csv: { header: true } }
        features: [a, b]
        normalize: { mode: running }
        sink: { file: { path: out/\(index).csv } }
        compression: off
      """
    }
    let empty = try Daemon(
      in: place,
      "s: { source: { unix: { path: in/e } }, "
        + "format: { csv: {} }, sink: { file: { path: out/e } } }")
    let floor = try empty.memory("VmRSS")
    #expect(try empty.stop().exitCode == 0)
    let daemon = try Daemon(in: place, streams.joined(separator: "\n"))
    #expect(try daemon.ask("GET", "/readyz").status == 200)
    var producers: [Peer] = []
    for index in 0..<count {
      let producer = try Peer(unix: place.path("in/\(index)"))
      producer.send(Records.header + Records.record(index, 0))
      producers.append(producer)
    }
    #expect(
      try eventually {
        try (0..<count).allSatisfy { try !place.read("out/\($0).csv").isEmpty }
      })
    #expect(try daemon.threadCount() <= ThreadTests.most)
    let perStream = (try daemon.memory("VmRSS") - floor) / count
    print("500 streams: \(perStream / 1024) KiB a stream, \(daemon.descriptorCount) descriptors")
    // A window, a read and a compressor's worth; what grows beyond is a leak or a buffer too many.
    #expect(perStream < 1 << 20)
    #expect(try daemon.stop().exitCode == 0)
    for index in 0..<count {
      let lines = String(decoding: try place.read("out/\(index).csv"), as: UTF8.self)
        .split(separator: "\n")
      #expect(lines.first == "id,a,b" && Records.indices(lines) == [index: [0]])
    }
  }

  private func stream(source: String, sink: String = "{ unix: { path: out.sock } }") -> String {
    DaemonSocketTests.stream(source: source, sink: sink)
  }
}
