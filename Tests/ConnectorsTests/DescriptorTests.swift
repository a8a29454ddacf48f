import Dataflow
import Foundation
import Glibc
import Storage
import Testing

@testable import Connectors

extension LiveSourceTests {
  /// Descriptors of the whole process. Each test runs in a process of its own.
  struct DescriptorTests {
    private static func openDescriptors() -> Int {
      (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count) ?? -1
    }

    @Test func `every source closes all its descriptors`() async {
      await #expect(processExitsWith: .success) {
        let folder = try SourceFolder()
        func useEverySource() throws {
          try folder.write("a", to: "log")
          var follow = SourceDriver(try FollowSource(folder("log"), start: .beginning, in: .real()))
          _ = try follow.drain()
          try folder.rename("log", to: "log.1")
          try folder.write("b", to: "log")
          _ = try follow.drain()
          var directory = SourceDriver(try DirectorySource(folder.path, in: .real()))
          _ = try directory.drain()
          var fifo = SourceDriver(try FIFOSource(folder("fifo"), create: true))
          for _ in 0..<3 {
            try Producer.writing(folder("fifo")).write("x")
            _ = try fifo.drain()
          }
          var unix = SourceDriver(try ConnectionSource(unix: folder("sock")))
          let producers = try (0..<9).map { _ in try Producer.connected(toPath: folder("sock")) }
          for producer in producers { producer.write("x") }
          _ = try unix.drain()
          producers[0].close()
          unix.source.abandon(1)
          _ = try unix.drain()
          #expect(throws: FileError.self) { _ = try ConnectionSource(unix: folder("sock")) }
          #expect(throws: FileError.self) { _ = try ConnectionSource(unix: folder("log")) }
          #expect(throws: FileError.self) { _ = try FIFOSource(folder("log"), create: true) }
          let tcp = try ConnectionSource(tcp: "127.0.0.1:0")
          #expect(throws: FileError.self) {
            _ = try ConnectionSource(tcp: "127.0.0.1:\(tcp.port ?? 0)")
          }
          try folder.remove("log.1")
        }
        try useEverySource()
        let before = Self.openDescriptors()
        for _ in 0..<5 { try useEverySource() }
        let after = Self.openDescriptors()
        exit(after == before ? EXIT_SUCCESS : EXIT_FAILURE)
      }
    }

    @Test func `a source without free descriptors accepts connections later and does not fail`()
      async
    {
      await #expect(processExitsWith: .success) {
        let folder = try SourceFolder()
        var source = SourceDriver(try ConnectionSource(unix: folder("sock")))
        let first = try Producer.connected(toPath: folder("sock"))
        first.write("a")
        demand(try source.drain() == ["0:a"])
        let second = try Producer.connected(toPath: folder("sock"))
        second.write("b")
        var fillers: [CInt] = []
        while case let filler = dup(STDERR_FILENO), filler >= 0 { fillers.append(filler) }
        demand(try source.drain() == [])
        demand(!source.isReady(), "kept awake")
        guard let seconds = source.awaited?.seconds else { exit(EXIT_FAILURE) }
        demand(seconds > 0 && seconds <= 0.1)
        first.write("c")
        demand(try source.drain() == ["0:c"])
        for filler in fillers { close(filler) }
        demand(try source.drain(until: ["1:b"]) == ["1:b"])
        demand(source.awaited?.seconds == nil)
        exit(EXIT_SUCCESS)
      }
    }

    @Test func `a socket of the service manager is found by its name`() {
      func sockets(_ variables: [String: String]) -> ActivatedSockets {
        ActivatedSockets(processIdentifier: 42, variable: { variables[$0] })
      }
      let passed = sockets(
        ["LISTEN_PID": "42", "LISTEN_FDS": "3", "LISTEN_FDNAMES": "weather:api:weather"])
      #expect(passed.descriptor(named: "weather") == 3)
      #expect(passed.descriptor(named: "api") == 4)
      #expect(passed.descriptor(named: "other") == nil)
      let unnamed = sockets(["LISTEN_PID": "42", "LISTEN_FDS": "2", "LISTEN_FDNAMES": "a"])
      #expect(unnamed.descriptor(named: "unknown") == 4)
      for wrong in [
        ["LISTEN_PID": "41", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "weather"],
        ["LISTEN_FDS": "1", "LISTEN_FDNAMES": "weather"],
        ["LISTEN_PID": "42", "LISTEN_FDS": "-1", "LISTEN_FDNAMES": "weather"],
        ["LISTEN_PID": "42", "LISTEN_FDS": "0", "LISTEN_FDNAMES": "weather"],
      ] {
        #expect(sockets(wrong).descriptor(named: "weather") == nil)
      }
    }

    @Test func `sources listen on a socket of the service manager one after another`() throws {
      let folder = try SourceFolder()
      let listener = try ListeningSocket(path: folder("sock"), mode: 0o600, backlog: 5)
      let sockets = passed(listener.descriptor)
      for _ in 0..<2 {
        var source = SourceDriver(
          try ConnectionSource(activated: "weather", among: sockets, limits: ConnectionLimits()))
        let producer = try Producer.connected(toPath: folder("sock"))
        producer.write("a")
        #expect(try source.drain() == ["0:a"])
      }
      #expect(folder.exists("sock"), "the file is the service manager's")
    }

    @Test func `a passed descriptor that does not listen is refused`() throws {
      let socket = try Descriptor.streamSocket(AF_UNIX, path: "test")
      #expect(throws: FileError(operation: .open, path: "systemd socket weather", errno: EINVAL)) {
        _ = try ConnectionSource(
          activated: "weather", among: passed(socket), limits: ConnectionLimits())
      }
    }

    private func passed(_ descriptor: Descriptor) -> ActivatedSockets {
      let variables = ["LISTEN_PID": "1", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "weather"]
      return ActivatedSockets(processIdentifier: 1, firstDescriptor: descriptor.number) {
        variables[$0]
      }
    }

    @Test func `a socket that was not passed is an error`() {
      #expect(
        throws: FileError(operation: .open, path: "systemd socket weather", errno: ENOENT)
      ) {
        _ = try ConnectionSource(activated: "weather", limits: ConnectionLimits())
      }
    }
  }
}

/// Ends the process unless `condition` holds.
private func demand(_ condition: Bool, _ message: String = "") {
  precondition(condition, message)
}
