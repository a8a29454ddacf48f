import BatchNormalization
import Codecs
import Dataflow
import Foundation
import Records
import TestSupport
import Testing

@testable import ControlPlane
@testable import Stream
@testable import Supervision

/// `GET /api/v1/streams/NAME/tap`, with a stream that the test plays.
@Suite struct TapRouteTests {
  private let fake = FakeSupervision([.made("weather")])
  private let path = "/api/v1/streams/weather/tap"

  private var taps: StreamTaps { fake.withState { $0.taps } }

  private func record(_ number: Int, text: String? = nil) -> TappedRecord {
    TappedRecord(
      record: number, features: ["a", "b"], input: [0.1, .nan], inputPrecision: .float64,
      output: [1.0 / 3, 2], outputPrecision: .float32, inputText: text, outputText: text)
  }

  /// Waits for the tap of a request, so that nothing that the test shows is lost.
  private func waitForTap() { #expect(eventually { wanted > 0 }) }

  private var wanted: Int { taps.wantedRecords(at: ManualClock().clock.now()) }

  @Test func `samples come as lines until the limit, and the connection ends`() async throws {
    try await TestServer.run(fake) { server in
      let client = try await server.connect(to: server.unix)
      try await client.write(
        Data("GET \(path)?limit=3&rate=50 HTTP/1.1\r\nHost: localhost\r\n\r\n".utf8))
      waitForTap()
      #expect(wanted == 3)
      let text = "x\u{1B}[2J\u{202E},\"1\""
      taps.show([record(1, text: text)])
      let fault = RecordFault(expected: "a number", found: "'no'")
      taps.show(
        [
          RejectedRecord(
            split: "s", record: 2, byteOffset: 9, fault: fault, bytes: Array("y,no\r\n".utf8))
        ], at: ManualClock().clock.now())
      taps.show([record(3), record(4)])
      let answer = try Answer(await server.rest(of: client))
      #expect(answer.status == 200)
      #expect(answer.headers["content-type"] == "application/x-ndjson")
      #expect(answer.headers["connection"] == "close")
      #expect(answer.headers["content-length"] == nil)
      #expect(
        answer.body == #"""
          {"features":["a","b"],"in":[0.1,null],"in_text":"x\u001b[2J\u202e,\"1\"","kind":"record","out":[0.33333334,2],"out_text":"x\u001b[2J\u202e,\"1\"","record":1}
          {"byte_offset":9,"expected":"a number","found":"'no'","in_text":"y,no","kind":"rejected","record":2,"split":"s"}
          {"features":["a","b"],"in":[0.1,null],"kind":"record","out":[0.33333334,2],"record":3}

          """#)
      #expect(wanted == 0)
    }
  }

  @Test func `a client that goes ends its tap`() async throws {
    try await TestServer.run(fake) { server in
      let client = try await server.connect(to: server.unix)
      try await client.write(Data("GET \(path) HTTP/1.1\r\nHost: localhost\r\n\r\n".utf8))
      waitForTap()
      try client.close()
      #expect(eventually { wanted == 0 })
    }
  }

  @Test func `a client that takes nothing loses samples, bounded memory holds the rest`()
    async throws
  {
    try await TestServer.run(fake) { server in
      let client = try await server.connect(to: server.unix)
      try await client.write(Data("GET \(path)?rate=100 HTTP/1.1\r\nHost: localhost\r\n\r\n".utf8))
      waitForTap()
      let clock = ManualClock()
      let large = String(repeating: "x", count: 16 << 10)
      let count = 1000
      for number in 1...count {
        clock.advance(by: 1)
        _ = taps.wantedRecords(at: clock.clock.now())
        taps.show([record(number, text: large)])
      }
      taps.end()
      let lines = try Answer(await server.rest(of: client)).body.split(separator: "\n")
      // 1 MiB waits, and the socket holds some.
      #expect((10..<200).contains(lines.count))
      #expect(try TapLine(json: Array(lines[0].utf8)).record == 1)
    }
  }

  @Test func `lost samples are told before the next one`() async throws {
    try await TestServer.run(fake) { server in
      let client = try await server.connect(to: server.unix)
      try await client.write(Data("GET \(path)?rate=100 HTTP/1.1\r\nHost: localhost\r\n\r\n".utf8))
      waitForTap()
      let clock = ManualClock()
      let large = String(repeating: "x", count: 16 << 10)
      func show(_ numbers: ClosedRange<Int>) {
        for number in numbers {
          clock.advance(by: 1)
          _ = taps.wantedRecords(at: clock.clock.now())
          taps.show([record(number, text: large)])
        }
      }
      show(1...300)
      var found: [TapLine] = []
      var rest: [UInt8] = []
      var isBody = false
      while !found.contains(where: { $0.kind == .lost }) {
        rest += try await client.read(bytes: 1)
        if !isBody {
          isBody = rest.suffix(4) == Array("\r\n\r\n".utf8)[...]
          if isBody { rest = [] }
        } else if rest.last == 0x0A {
          found.append(try TapLine(json: rest))
          rest = []
          show(found.count + 300...found.count + 300)
        }
      }
      let lost = try #require(found.last?.samples)
      #expect(lost > 100)
      #expect(found.dropLast().allSatisfy { $0.kind == .record })
    }
  }

  @Test func `wrong requests and an unknown stream are refused`() async throws {
    try await TestServer.run(fake) { server in
      for (query, word) in [
        ("?rate=0", "rate: expected"), ("?rate=x", "rate: expected"),
        ("?limit=0", "limit: expected"),
        ("?limit=2&limit=3", "found it twice"), ("?every=2", "expected rate or limit"),
      ] {
        let answer = try await server.request("GET", path + query, to: server.unix)
        #expect(answer.status == 400)
        #expect((try answer.json["error"] as? String)?.contains(word) == true)
      }
      #expect(
        try await server.request("GET", "/api/v1/streams/other/tap", to: server.unix).status == 404)
      #expect(try await server.request("POST", path, to: server.unix).status == 405)
      #expect(try await server.request("HEAD", path, to: server.unix).status == 405)
      taps.end()
      let ended = try await server.request("GET", path, to: server.unix)
      #expect(ended.status == 409)
    }
  }

  @Test func `a refused tap takes no place of others`() async throws {
    try await TestServer.run(fake) { server in
      for _ in 0...ControlAnswers.mostBodies {
        let answer = try await server.request("GET", "/api/v1/streams/other/tap", to: server.unix)
        #expect(answer.status == 404)
      }
    }
  }

  @Test func `over TCP a tap needs the token, as it shows records`() async throws {
    try await TestServer.run(fake) { server in
      let answer = try await server.request("GET", path)
      #expect(answer.status == 403)
      #expect(answer.body.contains("taps over TCP need control.token_file"))
    }
    try await TestServer.run(fake, token: "secret") { server in
      #expect(try await server.request("GET", path).status == 401)
      let client = try await server.connect()
      try await client.write(
        Data(
          "GET \(path) HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer secret\r\n\r\n".utf8))
      waitForTap()
      try client.close()
    }
  }

  @Test func `the number of taps is bounded, and one that has ended makes room`() async throws {
    try await TestServer.run(fake) { server in
      var clients: [Client] = []
      for _ in 0..<ControlAnswers.mostBodies {
        let client = try await server.connect(to: server.unix)
        try await client.write(Data("GET \(path) HTTP/1.1\r\nHost: localhost\r\n\r\n".utf8))
        #expect(String(decoding: try await client.read(bytes: 12), as: UTF8.self) == "HTTP/1.1 200")
        clients.append(client)
      }
      #expect(try await server.request("GET", path, to: server.unix).status == 503)
      #expect(try await server.request("GET", "/healthz", to: server.unix).status == 200)
      try clients[0].close()
      var status = 503
      while status == 503 {
        let client = try await server.connect(to: server.unix)
        try await client.write(Data("GET \(path) HTTP/1.1\r\nHost: localhost\r\n\r\n".utf8))
        let line = String(decoding: try await client.read(bytes: 12), as: UTF8.self)
        status = Int(line.suffix(3)) ?? 0
        clients.append(client)
      }
      #expect(status == 200)
      for client in clients { try? client.close() }
    }
  }

  @Test func `a stop of the server ends its taps at once`() async throws {
    try await TestServer.run(fake) { server in
      let client = try await server.connect(to: server.unix)
      try await client.write(Data("GET \(path) HTTP/1.1\r\nHost: localhost\r\n\r\n".utf8))
      #expect(String(decoding: try await client.read(bytes: 12), as: UTF8.self) == "HTTP/1.1 200")
      server.server.stop()
      // Returns only when the connection has ended.
      _ = await server.rest(of: client)
      #expect(wanted == 0)
    }
  }
}
