import Foundation
import Operators
import Testing

@testable import ControlPlane
@testable import Stream
@testable import Supervision

/// γ and β that come as a safetensors file. The files are made by hand, as the format's description says.
struct ParametersFileTests {
  private static let path = "/api/v1/streams/weather/parameters"
  private let fake = FakeSupervision([.made("weather")])

  /// A file with a header of JSON and data.
  private static func file(_ header: String, _ data: [Double], length: Int? = nil) -> Data {
    func littleEndian(_ word: UInt64) -> [UInt8] {
      (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) }
    }
    let start = littleEndian(UInt64(length ?? header.utf8.count))
    return Data(start + Array(header.utf8) + data.flatMap { littleEndian($0.bitPattern) })
  }

  private static func header(
    _ count: Int, metadata: String = "", type: String = "F64", bias: String = "bias"
  ) -> String {
    let size = count * 8
    return
      #"{\#(metadata)"weight":{"dtype":"\#(type)","shape":[\#(count)],"data_offsets":[0,\#(size)]},"#
      + #""\#(bias)":{"dtype":"F64","shape":[\#(count)],"data_offsets":[\#(size),\#(2 * size)]}}"#
  }

  private static let good = file(header(2), [1.5, -2, 0.25, 1e-3])

  /// Puts bytes as a file.
  private func put(
    _ bytes: Data, query: String = "", type: String = "application/octet-stream",
    length: Int? = nil, fields: [String] = [], to address: ControlAddress, of server: TestServer
  ) async throws -> Answer {
    let head =
      [
        "PUT \(Self.path)\(query) HTTP/1.1", "Host: localhost", "Connection: close",
        "Content-Type: \(type)", "Content-Length: \(length ?? bytes.count)",
      ] + fields
    let text = head.map { $0 + "\r\n" }.joined() + "\r\n"
    return try Answer(await server.exchange(Data(text.utf8) + bytes, to: address))
  }

  private var commands: [StreamCommand] { fake.withState { $0.commands.map(\.command) } }

  @Test func `a file replaces γ and β, by order or by name, for any version or one`() async throws {
    let names = #""__metadata__":{"evenkeel.features":"[\"wind\",\"te\\\"mp\"]"},"#
    try await TestServer.run(fake) { server in
      let plain = try await put(Self.good, to: server.unix, of: server)
      #expect(plain.status == 200)
      let named = Self.file(Self.header(2, metadata: names), [1.5, -2, 0.25, 1e-3])
      let query = "?if_version=41"
      #expect(try await put(named, query: query, to: server.unix, of: server).status == 200)
      #expect(
        commands == [
          .update(
            StreamUpdate(
              "parameters", ParametersBody(weight: [1.5, -2], bias: [0.25, 1e-3]))),
          .update(
            StreamUpdate(
              "parameters",
              ParametersBody(
                weight: [1.5, -2], bias: [0.25, 1e-3], features: ["wind", "te\"mp"],
                ifVersion: 41))),
        ])
    }
  }

  private static let broken: [(String, Data, String)] = [
    ("no file", Data("no".utf8), "expected a safetensors file of 8 bytes or more"),
    ("JSON", Data(#"{"weight":[1],"bias":[2]}"#.utf8), "found JSON"),
    ("cut off", good.dropLast(3), "expected data_offsets that rise within the 29 bytes of data"),
    ("more", good + Data([0]), "expected 32 bytes as the header says, found 33"),
    (
      "a header of a huge length", file(header(2), [1, 2, 3, 4], length: .max),
      "expected a safetensors header of at most"
    ),
    (
      "a header that is longer than the file", file(header(2), [1], length: 9999),
      "expected 9999 bytes as its length says"
    ),
    ("a torn header", file("{\"weight\":", []), "header"),
    (
      "another type", file(header(2, type: "C64"), [1, 2, 3, 4]),
      "tensor 'weight': expected numbers [d]"
    ),
    ("no such type", file(header(2, type: "F65"), [1, 2, 3, 4]), "expected a dtype"),
    (
      "no bias", file(header(2, bias: "beta"), [1, 2, 3, 4]),
      "tensor 'bias': expected numbers [2], found nothing"
    ),
    (
      "NaN", file(header(2), [1, .nan, 3, 4]),
      "weight of feature 'f1': expected a finite number, found nan"
    ),
    (
      "infinity", file(header(2), [1, 2, 3, -.infinity]),
      "bias of feature 'f1': expected a finite number"
    ),
    (
      "a name twice",
      file(
        header(2, metadata: #""__metadata__":{"evenkeel.features":"[\"a\",\"a\"]"},"#),
        [1, 2, 3, 4]),
      "expected feature names that differ"
    ),
    (
      "names that are none",
      file(header(2, metadata: #""__metadata__":{"evenkeel.features":"a, b"},"#), [1, 2, 3, 4]),
      "evenkeel.features: expected an array of names"
    ),
    (
      "fewer names",
      file(header(2, metadata: #""__metadata__":{"evenkeel.features":"[\"a\"]"},"#), [1, 2, 3, 4]),
      "weight: expected 1 number, one for each feature, found 2"
    ),
  ]

  @Test(arguments: broken)
  func `a file that is none changes nothing, and is told in one line`(
    what: String, bytes: Data, reason: String
  ) async throws {
    try await TestServer.run(fake) { server in
      let answer = try await put(bytes, to: server.unix, of: server)
      #expect(answer.status == 400, "\(what)")
      let error = try #require(try answer.json["error"] as? String)
      #expect(error.hasPrefix("the safetensors file: ") && error.contains(reason), "\(error)")
      #expect(!error.contains("\n") && commands.isEmpty)
    }
  }

  @Test func `a wrong Content-Length, type or query is refused`() async throws {
    var limits = HTTPLimits()
    limits.requestSeconds = 0.5
    try await TestServer.run(fake, limits: limits) { server in
      // The server takes the first bytes of a file for all of it, or waits for those that never come.
      let short = try await put(Self.good, length: Self.good.count - 8, to: server.unix, of: server)
      #expect(short.status == 400)
      let long = try await put(Self.good, length: Self.good.count + 8, to: server.unix, of: server)
      #expect(long.status == 408)
      let text = try await put(Self.good, type: "text/plain", to: server.unix, of: server)
      #expect(text.status == 415)
      #expect(
        try text.json["error"] as? String
          == "expected Content-Type: application/json or application/octet-stream")
      for query in ["?version=1", "?if_version=", "?if_version=x", "?if_version=1&if_version=2"] {
        let answer = try await put(Self.good, query: query, to: server.unix, of: server)
        #expect(answer.status == 400, "\(query)")
      }
      // JSON has a member for it. A query that nobody reads would let a stale client through.
      let json = try await server.request(
        "PUT", Self.path + "?if_version=1", body: #"{"weight":[1],"bias":[0]}"#, to: server.unix)
      #expect(json.status == 400)
      // Other changes take no file.
      let mode = try await server.request(
        "PUT", "/api/v1/streams/weather/mode",
        headers: ["Content-Type": "application/octet-stream"], body: #"{"mode":"batch"}"#,
        to: server.unix)
      #expect(mode.status == 415)
      #expect(commands.isEmpty)
    }
  }

  // MARK: Large files

  /// A stream of so many features, and a file for them that is larger than other bodies.
  private func wide(_ count: Int) -> (names: [String], weight: [Double], file: Data) {
    let names = (0..<count).map { "feature \($0)" }
    let json = "[" + names.map { #"\"\#($0)\""# }.joined(separator: ",") + "]"
    let weight = (0..<count).map { Double($0) + 0.5 }
    let file = Self.file(
      Self.header(count, metadata: #""__metadata__":{"evenkeel.features":"\#(json)"},"#),
      weight + weight)
    fake.withState {
      $0.statuses[0].parametersFileBytes = ParametersBody.mostFileBytes(for: names)
    }
    return (names, weight, file)
  }

  @Test func `a file may be as large as the features of its stream need`() async throws {
    let (names, weight, file) = wide(40_000)
    #expect(file.count > HTTPLimits().bodyBytes)
    try await TestServer.run(fake, token: "secret") { server in
      let unix = try await put(file, to: server.unix, of: server)
      #expect(unix.status == 200)
      #expect(
        commands == [
          .update(
            StreamUpdate(
              "parameters", ParametersBody(weight: weight, bias: weight, features: names)))
        ])
      let token = ["Authorization: Bearer secret"]
      #expect(try await put(file, fields: token, to: server.tcp, of: server).status == 200)
      #expect(commands.count == 2)
    }
  }

  @Test func `a larger body is read from those who may make changes, for that route alone`()
    async throws
  {
    let (_, _, file) = wide(40_000)
    let most = try #require(fake.withState { $0.statuses[0].parametersFileBytes })
    try await TestServer.run(fake, token: "secret") { server in
      // Nothing is read of those that are refused: the answer comes without their body.
      let without = try await put(Data(), length: file.count, to: server.tcp, of: server)
      #expect(without.status == 401)
      let host = try await put(
        Data(), length: file.count, fields: ["Origin: http://evil.example"], to: server.tcp,
        of: server)
      #expect(host.status == 403)
      let over = try await put(Data(), length: most + 1, to: server.unix, of: server)
      #expect(over.status == 413)
      #expect(try over.json["error"] as? String == "expected a body of at most \(most) bytes")
      let json = try await put(
        Data(), type: "application/json", length: file.count, to: server.unix, of: server)
      #expect(json.status == 413)
      let other = try Answer(
        await server.exchange(
          "PUT /api/v1/streams/none/parameters HTTP/1.1\r\nHost: localhost\r\n"
            + "Content-Type: application/octet-stream\r\nContent-Length: \(file.count)\r\n\r\n",
          to: server.unix))
      #expect(other.status == 413)
      #expect(commands.isEmpty)
    }
  }

  @Test func `a file is taken as soon as its stream has begun`() async throws {
    let (_, _, file) = wide(40_000)
    let most = fake.withState { $0.statuses[0].parametersFileBytes }
    fake.withState { $0.statuses[0].parametersFileBytes = nil }
    try await TestServer.run(fake) { server in
      let early = try await put(file, to: server.unix, of: server)
      #expect(early.status == 503)
      #expect(
        try early.json["error"] as? String
          == "stream 'weather' has not begun, so that its features are not known; send the file again"
      )
      // Nobody waits for the next look at the streams, which comes once a second.
      fake.withState { $0.statuses[0].parametersFileBytes = most }
      #expect(try await put(file, to: server.unix, of: server).status == 200)
      #expect(commands.count == 1)
    }
  }

  @Test func `one large body is read at a time`() async throws {
    let (_, _, file) = wide(40_000)
    try await TestServer.run(fake) { server in
      let first = try await server.connect(to: server.unix)
      let head =
        "PUT \(Self.path) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nExpect: 100-continue\r\n"
        + "Content-Type: application/octet-stream\r\nContent-Length: \(file.count)\r\n\r\n"
      try await first.write(Data(head.utf8))
      // With the leave, the server has read the head.
      let leave = Array("HTTP/1.1 100 Continue\r\n\r\n".utf8)
      #expect(try await first.read(bytes: leave.count) == leave)
      let second = try await put(file, to: server.unix, of: server)
      #expect(second.status == 503)
      try await first.write(file)
      #expect(try Answer(await server.rest(of: first)).status == 200)
      try first.close()
      #expect(try await put(file, to: server.unix, of: server).status == 200)
      #expect(commands.count == 2)
    }
  }

  @Test func `a file fits however much the names of its features are escaped`() throws {
    // Each quote takes four bytes in JSON within JSON, and a control character seven.
    let names = (0..<3000).map { String(repeating: "\"", count: 20) + "\u{1}\($0)" }
    let escaped = names.map {
      #"\""# + $0.replacing("\"", with: #"\\\""#).replacing("\u{1}", with: #"\\u0001"#) + #"\""#
    }
    let json = "[" + escaped.joined(separator: ", ") + "]"
    let file = Self.file(
      Self.header(names.count, metadata: #""__metadata__":{"evenkeel.features":"\#(json)"},"#),
      Array(repeating: 1, count: 2 * names.count))
    #expect(try ParametersBody(file: Array(file), ifVersion: nil).features == names)
    #expect(file.count < ParametersBody.mostFileBytes(for: names))
  }
}
