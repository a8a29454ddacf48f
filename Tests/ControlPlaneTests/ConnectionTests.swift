import Dispatch
import Foundation
import Glibc
import Logging
import Operators
import TestSupport
import Testing

@testable import ControlPlane
@testable import Stream
@testable import Supervision

@Suite struct ConnectionTests {
  private let fake = FakeSupervision([.made("weather")])

  @Test(arguments: [
    ("\r\n\r\n", 400), ("GET\r\n\r\n", 400), ("GET / HTTP/1.1\r\n\r\n", 400),
    ("GET  / HTTP/1.1\r\nHost: x\r\n\r\n", 400), ("GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505),
    ("GET / FTP/1.1\r\nHost: x\r\n\r\n", 400), ("G\u{1}T / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("GET x HTTP/1.1\r\nHost: x\r\n\r\n", 400), ("GET /\u{7F} HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("GET http://a/ HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400), ("GET / HTTP/1.1\r\nHost\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: x\r\n folded: y\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: x\r\nA: b\nC: d\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n", 413),
    ("GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
    ("\u{16}\u{3}\u{1}\u{0}\u{FF}\r\n\r\n", 400),
  ])
  func `a malformed request is answered and the connection closed`(text: String, status: Int)
    async throws
  {
    try await TestServer.run(fake) { server in
      let answer = try Answer(await server.exchange(text))
      #expect(answer.status == status)
      #expect(answer.headers["connection"] == "close")
      #expect(try answer.json["error"] is String)
      #expect(try await server.request("GET", "/healthz").status == 200)
    }
  }

  @Test func `a header beyond the limit is refused before it has ended`() async throws {
    try await TestServer.run(fake) { server in
      let endless = "GET / HTTP/1.1\r\nHost: x\r\nA: " + String(repeating: "a", count: 100_000)
      #expect(try Answer(await server.exchange(endless)).status == 431)
      let noLine = String(repeating: "a", count: 100_000)
      #expect(try Answer(await server.exchange(noLine)).status == 431)
      let many = (0..<100).map { "h\($0): v\r\n" }.joined()
      let answer = try Answer(
        await server.exchange("GET / HTTP/1.1\r\nHost: x\r\n\(many)\r\n"))
      #expect(answer.status == 431)
    }
  }

  @Test func `a body beyond the limit is refused unread, one at the limit is read`() async throws {
    try await TestServer.run(fake) { server in
      let path = "/api/v1/streams/weather/parameters"
      let over = try await server.request(
        "PUT", path, body: String(repeating: " ", count: 1024 * 1024 + 1), to: server.unix)
      #expect(over.status == 413)
      let overTCP = try await server.request(
        "PUT", path, body: String(repeating: " ", count: 3_000_000))
      #expect(overTCP.status == 413)
      let values = (0..<20_000).map { Double($0) / 7 }
      let numbers = values.map { "\($0)" }.joined(separator: ",")
      var body = "{\"weight\":[\(numbers)],\"bias\":[\(numbers)]}"
      body += String(repeating: " ", count: 1024 * 1024 - body.utf8.count)
      let whole = try await server.request("PUT", path, body: body, to: server.unix)
      #expect(whole.status == 200)
      let commands = fake.withState { state in state.commands.map(\.command) }
      #expect(
        commands
          == [.update(StreamUpdate("parameters", ParametersBody(weight: values, bias: values)))])
    }
  }

  @Test func `a client that waits for leave to send its body gets it`() async throws {
    try await TestServer.run(fake) { server in
      let socket = try await server.connect(to: server.unix)
      let head =
        "PUT /api/v1/streams/weather/mode HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
        + "Content-Type: application/json\r\nContent-Length: 16\r\nConnection: close\r\n\r\n"
      try await socket.write(Data(head.utf8))
      let leave = "HTTP/1.1 100 Continue\r\n\r\n"
      #expect(
        String(decoding: try await socket.read(bytes: leave.utf8.count), as: UTF8.self) == leave)
      try await socket.write(Data(#"{"mode":"batch"}"#.utf8))
      #expect(try Answer(await server.rest(of: socket)).status == 200)
      try socket.close()
    }
  }

  @Test func `requests follow one another on a connection, pipelined and in pieces`() async throws {
    try await TestServer.run(fake) { server in
      let one = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
      let last = "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
      let text = try await server.exchange(one + one + last)
      #expect(text.ranges(of: "HTTP/1.1 200 OK").count == 3)
      let socket = try await server.connect()
      for byte in last.utf8 { try await socket.write(Data([byte])) }
      #expect(try Answer(await server.rest(of: socket)).status == 200)
      try socket.close()
    }
  }

  @Test func `HTTP 1.0 closes unless asked to stay`() async throws {
    try await TestServer.run(fake) { server in
      let text = try await server.exchange("GET /healthz HTTP/1.0\r\n\r\n")
      #expect(try Answer(text).headers["connection"] == "close")
    }
  }

  @Test func `slow and idle clients are let go`() async throws {
    var limits = HTTPLimits()
    limits.requestSeconds = 0.2
    // Long enough for a first byte to come, however busy the machine.
    limits.firstByteSeconds = 2
    try await TestServer.run(fake, limits: limits) { server in
      let slow = try Answer(await server.exchange("GET / HT"))
      #expect(slow.status == 408)
      let body = try Answer(
        await server.exchange("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab"))
      #expect(body.status == 408)
      #expect(try await server.exchange("").isEmpty)
    }
  }

  @Test func `a hundred clients at once are answered`() async throws {
    try await TestServer.run(fake) { server in
      let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
        for index in 0..<100 {
          let address = index % 2 == 0 ? server.tcp : server.unix
          group.addTask { try await server.request("GET", "/metrics", to: address).status }
        }
        return try await group.reduce(into: []) { $0.append($1) }
      }
      #expect(statuses == Array(repeating: 200, count: 100))
    }
  }

  @Test func `silent connections shut nobody out`() async throws {
    var limits = HTTPLimits()
    limits.connections = 4
    try await TestServer.run(fake, limits: limits) { server in
      var silent: [Client] = []
      for _ in 0..<20 { silent.append(try await server.connect()) }
      #expect(try await server.request("GET", "/healthz").status == 200)
      // The newcomers took the places of the oldest.
      #expect(silent[0].peer.isReadable(within: 20))
      #expect(silent[0].peer.rest().isEmpty)
      let metrics = try await server.request("GET", "/metrics").body
      #expect(metrics.contains("evenkeel_control_refused_connections_total 1"))
    }
  }

  @Test func `a connection is refused while all are being answered, and another address is not`()
    async throws
  {
    var limits = HTTPLimits()
    limits.connections = 2
    let fake = FakeSupervision([.made("weather")])
    fake.withState { $0.hangs = true }
    try await TestServer.run(fake, token: "t", limits: limits) { server in
      let change =
        "POST /api/v1/streams/weather/freeze HTTP/1.1\r\nHost: localhost\r\n"
        + "Authorization: Bearer t\r\n\r\n"
      let clients = [try await server.connect(), try await server.connect()]
      for client in clients { try await client.write(Data(change.utf8)) }
      #expect(eventually { fake.withState { $0.commands.count } == 2 })
      #expect(try await server.request("GET", "/healthz").status == 503)
      #expect(try await server.request("GET", "/healthz", to: server.unix).status == 200)
      try clients[0].close()
      var status = 503
      for _ in 0..<1000 where status == 503 {
        usleep(10_000)
        status = try await server.request("GET", "/healthz").status
      }
      #expect(status == 200)
    }
  }

  @Test func `health is answered while a stream keeps every other answer waiting`() async throws {
    let fake = FakeSupervision([.made("weather")])
    let gate = DispatchSemaphore(value: 0)
    try await TestServer.run(fake) { server in
      fake.withState { $0.statusGate = gate }
      let stuck = try await server.connect()
      try await stuck.write(Data("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n".utf8))
      #expect(eventually { fake.withState { $0.isWaiting } })
      #expect(try await server.request("GET", "/healthz").status == 200)
      #expect(!stuck.peer.isReadable(within: 0))
      fake.withState { $0.statusGate = nil }
      gate.signal()
      #expect(String(decoding: try await stuck.read(bytes: 15), as: UTF8.self) == "HTTP/1.1 200 OK")
    }
  }

  @Test func `a flood of connections leaves no descriptors open`() async throws {
    try await TestServer.run(fake) { server in
      func descriptors() throws -> Int {
        try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count
      }
      let before = try descriptors()
      for _ in 0..<2000 { try await server.connect().close() }
      #expect(try await server.request("GET", "/healthz").status == 200)
      // Other suites of this process open files of their own meanwhile.
      #expect(eventually { ((try? descriptors()) ?? .max) < before + 300 })
    }
  }

  @Test func `a server that stops ends idle connections and removes its socket`() async throws {
    var path = ""
    try await TestServer.run(fake) { server in
      if case .unix(let socket) = server.unix { path = socket }
      let attributes = try FileManager.default.attributesOfItem(atPath: path)
      #expect((attributes[.posixPermissions] as? NSNumber)?.intValue == 0o600)
      _ = try await server.connect()
      _ = try await server.connect(to: server.unix)
    }
    #expect(!path.isEmpty && !FileManager.default.fileExists(atPath: path))
  }

  @Test func `a stale socket is replaced, a live one and a file are not`() throws {
    let path = FileManager.default.temporaryDirectory
      .appending(path: "evenkeel-\(UUID().uuidString.prefix(8)).sock").path()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let dead = try ControlSocket.stream(AF_UNIX)
    _ = try dead.bind(to: .unix(path: path))
    let live = try Listener(.unix(path: path))
    #expect(
      throws: ControlError.cannotListen("unix:\(path)", reason: "another process listens there")
    ) {
      try Listener(.unix(path: path))
    }
    live.close()
    #expect(!FileManager.default.fileExists(atPath: path))
    try Data("precious".utf8).write(to: URL(filePath: path))
    #expect(throws: ControlError.self) { try Listener(.unix(path: path)) }
    #expect(try String(contentsOfFile: path, encoding: .utf8) == "precious")
  }

  @Test func `addresses beyond this machine need leave`() throws {
    var settings = ControlSettings(addresses: [.ip4("0.0.0.0", port: 0)], version: "1")
    let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    #expect(throws: ControlError.self) {
      try ControlServer(settings, supervision: fake, logger: logger)
    }
    settings.allowsOtherMachines = true
    #expect(throws: Never.self) { try ControlServer(settings, supervision: fake, logger: logger) }
  }

  @Test(arguments: [
    ("127.0.0.1:9600", "127.0.0.1:9600"), ("localhost:1", "127.0.0.1:1"), ("[::1]:2", "[::1]:2"),
    ("unix:/run/x.sock", "unix:/run/x.sock"), ("0.0.0.0:65535", "0.0.0.0:65535"),
  ])
  func `an address is read`(text: String, expected: String) throws {
    #expect(try ControlAddress(text).description == expected)
  }

  @Test(arguments: [
    "", ":", "9600", "localhost", "localhost:", "localhost:65536", "example.org:80", "::1:80",
    "unix:", "unix:" + String(repeating: "x", count: 108), "[::1]", "[x]:1", "256.0.0.1:1",
  ])
  func `an address that is none is refused`(text: String) {
    #expect(throws: ControlError.self) { try ControlAddress(text) }
  }
}
