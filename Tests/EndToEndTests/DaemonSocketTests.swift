import Dispatch
import Foundation
import Glibc
import TestSupport
import Testing

/// Producers and subscribers of the running daemon.
@Suite(.serialized) struct DaemonSocketTests {
  static func stream(
    source: String = "{ unix: { path: in.sock } }", sink: String = "{ unix: { path: out.sock } }",
    mode: String = "batch", _ rest: String = "batch: { size: 64, max_delay: 50ms }"
  ) -> String {
    """
    s:
      source: \(source)
      format: { csv: { header: true } }
      features: [a, b]
      normalize: { mode: \(mode) }
      sink: \(sink)
      compression: off
      \(rest.replacingOccurrences(of: "\n", with: "\n  "))
    """
  }

  @Test func `two producers' records come out once each and in each one's order`() throws {
    let place = try Workplace()
    let daemon = try Daemon(in: place, Self.stream())
    let subscriber = try Peer(unix: place.path("out.sock"))
    let count = runsFullDose ? 200_000 : 4000
    // One in large frames at level 19, one in a frame of its own that is flushed after each record.
    try place.write("p0.csv", (Records.header + Records.text(0, 0..<count)).utf8)
    let frames = try place.shell("split -n l/3 p0.csv part-; zstd -q -19 part-*; cat part-*.zst")
    let first = try Peer(unix: place.path("in.sock"))
    let second = try Peer(unix: place.path("in.sock"))
    let flushing = FlushingCompressor()
    second.send(flushing.compress(Records.header))
    let sending = DispatchGroup()
    DispatchQueue.global().async(group: sending) { first.send(frames.output) }
    var lines: [String] = []
    for index in 0..<count / 4 {
      second.send(flushing.compress(Records.record(1, index)))
    }
    lines = subscriber.lines(1 + count + count / 4)
    sending.wait()
    let indices = Records.indices(lines)
    #expect(lines.first == "id,a,b")
    #expect(indices[0] == Array(0..<count))
    #expect(indices[1] == Array(0..<count / 4))
    second.send(flushing.compress("", ends: true))
    first.close()
    second.close()
    #expect(try daemon.stop().exitCode == 0)
    #expect(subscriber.rest().isEmpty)
  }

  @Test
  func `a stream from a socket continues its file after a start, unless the columns are others`()
    throws
  {
    let place = try Workplace()
    let stream = Self.stream(sink: "{ file: { path: out.csv } }")
    func run(_ text: String) throws {
      let daemon = try Daemon(in: place, stream)
      let producer = try Peer(unix: place.path("in.sock"))
      producer.send(text)
      producer.close()
      #expect(try eventually { try daemon.count("records") == 3 })
      #expect(try daemon.stop().exitCode == 0)
    }
    try run(Records.header + Records.text(0, 0..<3))
    try run(Records.header + Records.text(0, 3..<6))
    let text = try String(contentsOfFile: place.path("out.csv"), encoding: .utf8)
    #expect(Records.indices(text.split(separator: "\n").map(String.init))[0] == Array(0..<6))
    #expect(text.ranges(of: "id").count == 1)
    try run("id,b,a\n0-6,1,2\n0-7,1,2\n0-8,2,3\n")
    #expect(place.files.filter { $0.hasPrefix("out") }.count == 2)
    let other = try String(contentsOfFile: place.path("out.csv"), encoding: .utf8)
    #expect(other.hasPrefix("id,b,a\n"))
  }

  @Test func `a record is decoded and emitted as soon as its compressor is flushed`() throws {
    let place = try Workplace()
    let daemon = try Daemon(
      in: place,
      Self.stream(mode: "running", "batch: { size: 8, max_delay: 60s }"))
    let subscriber = try Peer(unix: place.path("out.sock"))
    let producer = try Peer(unix: place.path("in.sock"))
    let flushing = FlushingCompressor()
    // The first batch is held: there are no moments before it.
    producer.send(flushing.compress(Records.header + Records.text(0, 0..<8)))
    #expect(subscriber.lines(9).count == 9)
    for index in 8..<28 {
      producer.send(flushing.compress(Records.record(0, index)))
      #expect(subscriber.lines(1).first?.hasPrefix("p0-\(index),") == true)
    }
    #expect(try daemon.stop().exitCode == 0)
  }

  @Test func `a batch is cut by time where its records do not come`() throws {
    let place = try Workplace()
    let daemon = try Daemon(
      in: place, Self.stream("batch: { size: 1000, max_delay: 300ms }"))
    let subscriber = try Peer(unix: place.path("out.sock"))
    let producer = try Peer(unix: place.path("in.sock"))
    producer.send(Records.header)
    #expect(subscriber.lines(1) == ["id,a,b"])
    let start = ContinuousClock.now
    producer.send(Records.text(0, 0..<3))
    #expect(Records.indices(subscriber.lines(3)) == [0: [0, 1, 2]])
    #expect(ContinuousClock.now - start >= .milliseconds(290))
    #expect(try eventually { try daemon.count("batches") == 1 })
    #expect(try daemon.stop().exitCode == 0)
  }

  @Test func `a producer that dies in mid-record harms nobody`() throws {
    let place = try Workplace()
    let daemon = try Daemon(in: place, Self.stream())
    let subscriber = try Peer(unix: place.path("out.sock"))
    let steady = try Peer(unix: place.path("in.sock"))
    steady.send(Records.header + Records.text(0, 0..<10))
    for producer in 1...5 {
      let dying = try Peer(unix: place.path("in.sock"))
      dying.send(Records.header + Records.text(producer, 0..<3) + "p\(producer)-3,1.")
      dying.close()
    }
    let torn = try Peer(unix: place.path("in.sock"))
    // A frame without its end: what was flushed counts, the rest never came.
    let frame = FlushingCompressor().compress(Records.header + Records.text(6, 0..<3))
    torn.send(frame + [0xFF])
    torn.close()
    #expect(try eventually { try daemon.count("bad_records") >= 5 })
    steady.send(Records.text(0, 10..<20))
    let indices = Records.indices(subscriber.lines(1 + 20 + 18))
    #expect(indices[0] == Array(0..<20))
    for producer in 1...6 { #expect(indices[producer] == [0, 1, 2]) }
    #expect(try daemon.status("state", as: String.self) == "running")
    #expect(try daemon.count("restarts") == 0)
    #expect(try daemon.stop().exitCode == 0)
  }

  @Test func `a record torn by a dying producer is kept in the dead letters`() throws {
    let place = try Workplace()
    let daemon = try Daemon(in: place, Self.stream("on_bad_record: dead_letter"))
    let subscriber = try Peer(unix: place.path("out.sock"))
    let dying = try Peer(unix: place.path("in.sock"))
    dying.send(Records.header + Records.text(1, 0..<3) + "p1-3,1.")
    dying.close()
    #expect(try eventually { try daemon.count("dead_letters") == 1 })
    #expect(subscriber.lines(4).count == 4)
    #expect(try daemon.stop().exitCode == 0)
    let letters = String(decoding: try place.read("state/s/dead-letters.ndjson"), as: UTF8.self)
    #expect(letters.contains("\"text\":\"p1-3,1.\""), "\(letters)")
  }

  @Test func `a producer of garbage is closed and counted and the others go on`() throws {
    let place = try Workplace()
    let daemon = try Daemon(in: place, Self.stream())
    let subscriber = try Peer(unix: place.path("out.sock"))
    let steady = try Peer(unix: place.path("in.sock"))
    steady.send(Records.header + Records.record(0, 0))
    #expect(subscriber.lines(2).count == 2)
    // A zstd frame that is none, and another header.
    let frame = [0x28, 0xB5, 0x2F, 0xFD] + [UInt8](repeating: 0xFF, count: 100)
    for garbage in [frame, Array("x,y\n1,2\n".utf8)] {
      let wild = try Peer(unix: place.path("in.sock"))
      wild.send(garbage)
      #expect(wild.rest().isEmpty)
    }
    #expect(try eventually { try daemon.count("bad_records") == 2 })
    var warnings: [String] = []
    // They are shown after they were counted.
    let areShown = try eventually {
      warnings = try daemon.status("warnings", as: [String].self)
      return warnings.count == 2
    }
    #expect(areShown, "\(warnings)")
    #expect(warnings.first?.contains("zstd frame") == true, "\(warnings)")
    #expect(warnings.last?.contains("found 'x', 'y'") == true, "\(warnings)")
    steady.send(Records.record(0, 1))
    #expect(Records.indices(subscriber.lines(1)) == [0: [1]])
    #expect(try daemon.count("restarts") == 0)
    #expect(try daemon.stop().exitCode == 0)
  }

  @Test func `a producer that lacks the features is told once, and its header is kept`() throws {
    let place = try Workplace()
    let stream = Self.stream(
      "batch: { size: 64, max_delay: 50ms }\non_bad_record: dead_letter"
    ).replacingOccurrences(of: "features: [a, b]", with: "features: [tmep]")
    let daemon = try Daemon(in: place, stream)
    for _ in 0..<3 {
      let producer = try Peer(unix: place.path("in.sock"))
      producer.send("temp,k\n1,2\n3,4\n")
      #expect(producer.rest().isEmpty)
    }
    #expect(try eventually { try daemon.count("bad_records") == 3 })
    let warnings = try daemon.status("warnings", as: [String].self)
    #expect(warnings.count == 1, "\(warnings)")
    #expect(warnings.first?.contains("did you mean 'temp'?") == true, "\(warnings)")
    let stopped = try daemon.stop()
    #expect(stopped.errors.contains("are dropped: expected a column that 'tmep' matches"))
    let letters = String(decoding: try place.read("state/s/dead-letters.ndjson"), as: UTF8.self)
    #expect(
      letters.split(separator: "\n").filter { $0.contains("\"text\":\"temp,k\\n\"") }.count == 3,
      "\(letters)")
  }

  @Test func `TCP carries the same, compressed both ways`() throws {
    let place = try Workplace()
    let (input, output) = try (freePort(), freePort())
    let stream = Self.stream(
      source: "{ tcp: { address: \"127.0.0.1:\(input)\" } }",
      sink: "{ tcp: { address: \"127.0.0.1:\(output)\" } }")
    let daemon = try Daemon(
      in: place,
      stream.replacingOccurrences(of: "compression: off", with: "compression: { level: 3 }"))
    let subscriber = try Peer(port: output)
    let producers = try (0..<2).map { _ in try Peer(port: input) }
    try place.write("p0.csv", (Records.header + Records.text(0, 0..<5000)).utf8)
    producers[0].send(try place.shell("zstd -q -19 -c p0.csv").output)
    producers[1].send(Records.header + Records.text(1, 0..<500))
    #expect(try eventually { try daemon.count("records") == 5500 })
    for producer in producers { producer.close() }
    #expect(try daemon.stop().exitCode == 0)
    try place.write("out.zst", subscriber.rest())
    let text = String(decoding: try place.shell("zstd -dc out.zst").output, as: UTF8.self)
    #expect(text.hasPrefix(Records.header))
    let indices = Records.indices(text.split(separator: "\n"))
    #expect(indices == [0: Array(0..<5000), 1: Array(0..<500)])
  }

  @Test func `200 connections feed one stream`() throws {
    let place = try Workplace()
    let daemon = try Daemon(in: place, Self.stream())
    let subscriber = try Peer(unix: place.path("out.sock"))
    let producers = try (0..<200).map { _ in try Peer(unix: place.path("in.sock")) }
    for round in 0..<5 {
      for (index, producer) in producers.enumerated() {
        producer.send((round == 0 ? Records.header : "") + Records.record(index, round))
      }
    }
    let indices = Records.indices(subscriber.lines(1001))
    #expect(indices.count == 200)
    #expect(indices.values.allSatisfy { $0 == [0, 1, 2, 3, 4] })
    #expect(try daemon.stop().exitCode == 0)
  }

  @Test func `a subscriber that never reads slows its producer within bounded memory`() throws {
    let place = try Workplace()
    let daemon = try Daemon(
      in: place, Self.stream("batch: { size: 256, max_delay: 50ms }"))
    let subscriber = try Peer(unix: place.path("out.sock"))
    let producer = try Peer(unix: place.path("in.sock"))
    producer.send(Records.header)
    #expect(subscriber.lines(1).count == 1)
    let idle = try daemon.memory("VmRSS")
    // docs/ARCHITECTURE.md: 2 + 3 units in the channels and one in each of three stages, with their
    // text, columns and spans (16 + 24 bytes beside a text of 20) and their 256 KiB of text at most,
    // a window of 256 KiB, a read of 128 KiB, the batches after them and the sockets' own buffers.
    let unit = 3 * (256 << 10)
    let bound = 8 * unit + (4 << 20)
    let text = Array(Records.text(0, 0..<1000).utf8)
    let taken = producer.flood(text, atMost: 8 * bound, patience: 1)
    #expect(taken < bound, "\(taken) bytes were taken")
    let grown = try daemon.memory("VmHWM") - idle
    #expect(grown < bound, "\(grown) bytes more")
    #expect(try daemon.status("state", as: String.self) == "running")
    // Once it reads, all comes.
    let records = taken / text.count * 1000
    let lines = subscriber.lines(records)
    #expect(lines.count == records)
    #expect(try daemon.stop().exitCode == 0)
  }

  @Test func `writes are dropped and counted for a subscriber that never reads where asked`() throws
  {
    let place = try Workplace()
    let sink = "{ unix: { path: out.sock, when_full: drop_oldest, queue: 64KiB } }"
    let daemon = try Daemon(in: place, Self.stream(sink: sink))
    let subscriber = try Peer(unix: place.path("out.sock"))
    let producer = try Peer(unix: place.path("in.sock"))
    producer.send(Records.header)
    #expect(subscriber.lines(1).count == 1)
    let text = Array(Records.text(0, 0..<1000).utf8)
    let taken = producer.flood(text, atMost: 100 * text.count, patience: 20)
    #expect(taken == 100 * text.count)
    #expect(try eventually { try daemon.count("records") == 100_000 })
    let dropped = try daemon.metric(#"evenkeel_stream_dropped_writes_total{stream="s"}"#)
    #expect(try #require(dropped) > 0)
    #expect(try daemon.count("dropped_writes") > 0)
    #expect(try daemon.stop().exitCode == 0)
    // The lines that came are whole records; only the end of the daemon may have cut the last.
    let text2 = String(decoding: subscriber.rest(), as: UTF8.self)
    let lines = text2.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
    #expect(lines.allSatisfy { $0.split(separator: ",").count == 3 })
    #expect(lines.count < 100_000)
  }

  @Test func `a socket of the service manager is listened on`() throws {
    let place = try Workplace()
    let listener = Glibc.socket(
      AF_UNIX, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
    defer { close(listener) }
    try withUnixAddress(place.path("given.sock")) { #expect(bind(listener, $0, $1) == 0) }
    #expect(listen(listener, 8) == 0)
    // It may write before the daemon is there.
    let producer = try Peer(unix: place.path("given.sock"))
    producer.send(Records.header + Records.text(0, 0..<5))
    let daemon = try Daemon(
      in: place, Self.stream(source: "{ unix: { systemd: activated } }"), socket: listener)
    let subscriber = try Peer(unix: place.path("out.sock"))
    #expect(Records.indices(subscriber.lines(6)) == [0: Array(0..<5)])
    #expect(try daemon.stop().exitCode == 0)
    #expect(FileManager.default.fileExists(atPath: place.path("given.sock")))
  }

  private func freePort() throws -> UInt16 {
    let number = Glibc.socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
    defer { close(number) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let status = withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(number, $0, length) == 0 ? getsockname(number, $0, &length) : -1
      }
    }
    try #require(status == 0)
    return UInt16(bigEndian: address.sin_port)
  }
}
