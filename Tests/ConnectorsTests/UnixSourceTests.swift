import Configuration
import Dataflow
import Glibc
import Storage
import Synchronization
import TestSupport
import Testing

@testable import Connectors

extension LiveSourceTests {
  struct UnixSourceTests {
    let folder: SourceFolder

    init() throws { folder = try SourceFolder() }

    private var path: String { folder("in.sock") }

    private func listen(
      _ limits: ConnectionLimits = ConnectionLimits(), capacity: Int = 64 << 10
    ) throws -> SourceDriver {
      SourceDriver(try ConnectionSource(unix: path, limits: limits), capacity: capacity)
    }

    private func listen(
      idleSeconds: Double, connections: Int = 200, at time: ManualClock
    ) throws -> SourceDriver {
      SourceDriver(
        try ConnectionSource(
          ListeningSocket(path: path, mode: 0o600, backlog: 16), name: path,
          limits: ConnectionLimits(connections: connections, idleSeconds: idleSeconds),
          clock: time.clock))
    }

    private func connect() throws -> Producer { try .connected(toPath: path) }

    @Test func `a connection is a run, from its first byte to its close`() throws {
      var source = try listen()
      #expect(source.source.endsAnywhere)
      let producer = try connect()
      #expect(try source.drain() == [])
      #expect(try source.after { producer.write("a\n") } == ["0:a\n"])
      #expect(try source.after { producer.write("b") } == ["0:b"])
      #expect(try source.after { producer.close() } == ["0 ended"])
      let next = try connect()
      #expect(try source.after { next.write("c") } == ["1:c"])
    }

    @Test func `many connections at once each come whole and in order`() throws {
      var random = SeededGenerator()
      var source = try listen(capacity: 700)
      let producers = try (0..<50).map { _ in try connect() }
      // Taken in the order in which they connected: the run is the number of the producer.
      _ = try source.drain()
      var sent = [String](repeating: "", count: producers.count)
      var got = [Int: String]()
      func take(_ log: [String]) {
        for entry in log {
          let parts = entry.split(separator: ":", maxSplits: 1)
          if parts.count == 2, let run = Int(parts[0]) { got[run, default: ""] += parts[1] }
        }
      }
      for step in 0..<2000 {
        let number = Int.random(in: 0..<producers.count, using: &random)
        let text = "\(number)-\(step);" + String(repeating: "x", count: step % 997)
        #expect(producers[number].write(text) == text.utf8.count, "seed \(random.seed)")
        sent[number] += text
        if step % 20 == 0 { take(try source.drain()) }
      }
      for producer in producers { producer.close() }
      let rest = try source.drain()
      take(rest)
      #expect(rest.filter { $0.hasSuffix(" ended") }.count == producers.count)
      for number in producers.indices {
        #expect(got[number] == sent[number], "producer \(number), seed \(random.seed)")
      }
    }

    @Test func `a busy connection leaves every other its turn`() throws {
      var source = try listen(capacity: 1)
      let producers = try (0..<3).map { _ in try connect() }
      #expect(try source.drain() == [])
      for producer in producers { producer.write(String(repeating: "x", count: 100)) }
      var splits: [SplitID] = []
      for _ in 0..<30 {
        if case .data(let split, _) = try source.read().read { splits.append(split) }
      }
      for first in stride(from: 0, to: 30, by: 3) {
        #expect(Set(splits[first..<first + 3]) == [0, 1, 2])
      }
    }

    @Test func `beyond the most connections a producer waits until another ends`() throws {
      var source = try listen(ConnectionLimits(connections: 2))
      let first = try connect()
      let second = try connect()
      let third = try connect()
      for (producer, text) in [(first, "a"), (second, "b"), (third, "c")] { producer.write(text) }
      #expect(Set(try source.drain()) == ["0:a", "1:b"])
      #expect(!source.isReady(), "kept awake by a connection that is not taken")
      #expect(try source.after { first.close() } == ["0 ended", "2:c"])
      source.source.abandon(1)
      let fourth = try connect()
      fourth.write("d")
      #expect(try source.drain() == ["3:d"])
    }

    @Test func `a silent connection is closed, one that speaks is not`() throws {
      let time = ManualClock()
      var source = try listen(idleSeconds: 10, at: time)
      let silent = try connect()
      let mute = try connect()
      let busy = try connect()
      silent.write("once")
      #expect(try source.drain() == ["0:once"])
      #expect(source.awaited?.seconds == 10)
      time.advance(by: 6)
      busy.write("a")
      #expect(try source.drain() == ["2:a"])
      #expect(source.awaited?.seconds == 4)
      time.advance(by: 4)
      #expect(try source.drain() == ["0 ended"])
      #expect(silent.isClosedByPeer())
      #expect(mute.isClosedByPeer())
      #expect(source.awaited?.seconds == 6)
      busy.write("b")
      #expect(try source.drain() == ["2:b"])
    }

    @Test func `the place of a connection that never spoke is given to the next`() throws {
      let time = ManualClock()
      var source = try listen(idleSeconds: 10, connections: 1, at: time)
      let mute = try connect()
      let next = try connect()
      next.write("a")
      #expect(try source.drain() == [])
      #expect(!source.isReady())
      time.advance(by: 10)
      #expect(try source.drain() == [])
      #expect(mute.isClosedByPeer())
      #expect(source.isReady(within: 5))
      #expect(try source.drain() == ["1:a"])
    }

    @Test func `bytes that came while nobody read are no silence`() throws {
      let time = ManualClock()
      var source = try listen(idleSeconds: 10, at: time)
      let producers = try [connect(), connect(), connect()]
      #expect(try source.drain() == [])
      for producer in producers { producer.write("kept") }
      time.advance(by: 100)
      #expect(try source.drain() == ["0:kept", "1:kept", "2:kept"])
    }

    @Test func `abandoning a run closes its connection and disturbs no other`() throws {
      var source = try listen()
      let bad = try connect()
      let good = try connect()
      bad.write("bad")
      #expect(try source.drain() == ["0:bad"])
      bad.write("more")
      source.source.abandon(0)
      #expect(bad.isClosedByPeer())
      #expect(bad.write("x") == -1)
      good.write("good")
      #expect(try source.drain() == ["1:good"])
      source.source.abandon(0)
      source.source.abandon(77)
    }

    @Test func `a connection that says nothing is no run`() throws {
      var source = try listen()
      let producer = try connect()
      #expect(try source.drain() == [])
      producer.close()
      #expect(try source.drain() == [])
      #expect(!source.isReady())
    }

    @Test func `the socket's file has the permissions asked for and goes with the source`() throws {
      for mode: mode_t in [0o600, 0o666, 0o660] {
        let source = try ConnectionSource(unix: path, mode: mode)
        var status = stat()
        #expect(lstat(path, &status) == 0)
        #expect(status.st_mode == S_IFSOCK | mode)
        #expect(source.port == nil)
        withExtendedLifetime(source) {}
      }
      #expect(!folder.exists("in.sock"))
    }

    @Test func `the socket file of a process that is gone is replaced`() throws {
      // A copy of the file keeps its name when the socket is gone.
      var old: ConnectionSource? = try ConnectionSource(unix: folder("old.sock"))
      try folder.rename("old.sock", to: "in.sock")
      withExtendedLifetime(old) {}
      old = nil
      #expect(folder.exists("in.sock"))
      var source = try listen()
      let producer = try connect()
      producer.write("a")
      #expect(try source.drain() == ["0:a"])
    }

    @Test func `a path where somebody listens is refused`() throws {
      var source = try listen()
      #expect(throws: FileError(operation: .open, path: path, errno: EADDRINUSE)) {
        _ = try listen()
      }
      let producer = try connect()
      producer.write("still here")
      // The look whether somebody listens was connection 0, which said nothing.
      #expect(try source.drain() == ["1:still here"])
    }

    @Test func `a file that is no socket is refused and stays`() throws {
      try folder.write("precious", to: "in.sock")
      #expect(throws: FileError(operation: .open, path: path, errno: ENOTSOCK)) {
        _ = try listen()
      }
      #expect(folder.exists("in.sock"))
    }

    @Test func `a path too long for a socket is refused`() throws {
      let path = folder(String(repeating: "x", count: 108))
      #expect(throws: FileError(operation: .open, path: path, errno: ENAMETOOLONG)) {
        _ = try ConnectionSource(unix: path)
      }
    }

    @Test func `another's file of the same name is left when the source goes`() throws {
      var source: SourceDriver? = try listen()
      try folder.remove("in.sock")
      try folder.write("another's", to: "in.sock")
      withExtendedLifetime(source) {}
      source = nil
      #expect(folder.exists("in.sock"))
    }

    @Test(arguments: [("0600", 0o600), ("660", 0o660), ("0777", 0o777), ("0", 0)])
    func `permissions are read as octal digits`(text: String, mode: UInt32) {
      #expect((try? SettingType<UInt32>.permissions.parse([text])) == mode)
    }

    @Test(arguments: ["", "0800", "1777", "rw-rw----", "+600", "-1", "0o600", "6 0"])
    func `a text that is not a mode is refused`(text: String) {
      #expect((try? SettingType<UInt32>.permissions.parse([text])) == nil)
    }
  }
}
