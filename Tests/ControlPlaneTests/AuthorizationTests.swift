import Foundation
import Testing

@testable import ControlPlane

@Suite struct AuthorizationTests {
  private let fake = FakeSupervision([.made("weather")])
  private let path = "/api/v1/streams/weather/freeze"

  @Test func `over TCP without a token file every change is refused`() async throws {
    try await TestServer.run(fake) { server in
      let plain = try await server.request("POST", path)
      #expect(plain.status == 403)
      let guess = try await server.request("POST", path, headers: ["Authorization": "Bearer x"])
      #expect(guess.status == 403)
      #expect(fake.withState { $0.commands.isEmpty })
    }
  }

  @Test(arguments: [
    ("Bearer s3cret", 200), ("bearer s3cret", 200), ("", 401), ("Bearer", 401),
    ("Bearer s3cre", 401), ("Bearer s3crets", 401), ("Bearer S3cret", 401), ("Basic s3cret", 401),
    ("Bearer s3cret s3cret", 401), ("s3cret", 401),
  ])
  func `over TCP the token decides`(authorization: String, status: Int) async throws {
    try await TestServer.run(fake, token: "  s3cret ") { server in
      let answer = try await server.request("POST", path, headers: ["Authorization": authorization])
      #expect(answer.status == status)
      #expect((answer.headers["www-authenticate"] != nil) == (status == 401))
      #expect(!answer.body.contains("s3cret"))
      #expect(fake.withState { $0.commands.count } == (status == 200 ? 1 : 0))
    }
  }

  @Test(arguments: [
    ("localhost", "", 200), ("localhost:9600", "http://localhost:9600", 200),
    ("127.0.0.1:80", "http://127.0.0.1", 200), ("[::1]:9600", "http://[::1]:9600", 200),
    ("evil.example", "", 403), ("127.0.0.1.evil.example", "", 403), ("localhost.evil", "", 403),
    ("localhost", "http://evil.example", 403), ("localhost", "null", 403),
    ("localhost", "http://localhost.evil.example", 403), ("[::2]", "", 403),
    ("localhost:x", "", 403), ("localhost@evil", "", 403),
  ])
  func `over TCP neither a rebound name nor another site's page may read or change`(
    host: String, origin: String, status: Int
  ) async throws {
    try await TestServer.run(fake, token: "t") { server in
      let answer = try await server.request(
        "POST", path, headers: ["Authorization": "Bearer t", "Host": host, "Origin": origin])
      #expect(answer.status == status)
      // A rebound name could otherwise read everything.
      for path in ["/", "/metrics", "/readyz", "/api/v1/streams", "/api/v1/daemon"] {
        let read = try await server.request("GET", path, headers: ["Host": host, "Origin": origin])
        #expect(read.status == status, "\(path)")
      }
      let health = try await server.request(
        "GET", "/healthz", headers: ["Host": host, "Origin": origin])
      #expect(health.status == 200)
    }
  }

  @Test(arguments: [(0o600, true), (0o640, true), (0o644, false), (0o602, false)])
  func `a token that every user can read or write is refused`(mode: Int, isTaken: Bool)
    async throws
  {
    try await TestServer.run(fake, token: "t") { server in
      let file = try #require(server.tokenFile)
      try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: file)
      if isTaken {
        try server.server.reloadToken()
      } else {
        #expect(throws: ControlError.openToken(path: file)) { try server.server.reloadToken() }
      }
    }
  }

  @Test func `over the Unix socket changes need no token`() async throws {
    try await TestServer.run(fake, token: "t") { server in
      let answer = try await server.request("POST", path, to: server.unix)
      #expect(answer.status == 200)
    }
  }

  @Test func `reading needs no token`() async throws {
    try await TestServer.run(fake, token: "t") { server in
      let answer = try await server.request("GET", "/api/v1/streams")
      #expect(answer.status == 200)
    }
  }

  @Test func `a reload takes the new token and keeps the old one over a bad file`() async throws {
    try await TestServer.run(fake, token: "old") { server in
      let file = try #require(server.tokenFile)
      func status(_ token: String) async throws -> Int {
        try await server.request("POST", path, headers: ["Authorization": "Bearer \(token)"]).status
      }
      try Data("new".utf8).write(to: URL(filePath: file))
      #expect(try await status("new") == 401)
      try server.server.reloadToken()
      #expect(try await status("new") == 200)
      #expect(try await status("old") == 401)
      for bad in ["", " \n", "two words", String(repeating: "x", count: 5000), "\u{1}"] {
        try Data(bad.utf8).write(to: URL(filePath: file))
        #expect(throws: ControlError.self) { try server.server.reloadToken() }
      }
      try FileManager.default.removeItem(atPath: file)
      #expect(throws: ControlError.self) { try server.server.reloadToken() }
      #expect(try await status("new") == 200)
    }
  }

  @Test func `a token equals itself alone`() {
    let token = BearerToken("abc")
    #expect(token.matches("abc"))
    for other in ["", "a", "ab", "abd", "abcd", "abcabc", "ABC", "xbc"] {
      #expect(!token.matches(other), "\(other)")
    }
  }

  @Test(arguments: [
    ("127.0.0.1", true), ("127.255.0.9:1", true), ("LOCALHOST", true), ("[::1]", true),
    ("", false), ("0.0.0.0", false), ("127.1", false), ("127.0.0.256", false), ("[::1]x", false),
    ("::1", false), ("localhost:", false), ("localhost:99999", false), ("[::1", false),
    ("127.0.0.1:80:80", false), ("128.0.0.1", false),
  ])
  func `an authority is loopback or not`(authority: String, expected: Bool) {
    #expect(isLoopback(authority: authority) == expected)
  }
}
