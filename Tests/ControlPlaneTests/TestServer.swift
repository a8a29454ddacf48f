import Foundation
import Logging
import TestSupport
import Testing

@testable import ControlPlane

/// An answer as it came over the wire.
struct Answer {
  var status: Int
  var headers: [String: String]
  var body: String

  init(_ text: String) throws {
    let parts = text.split(separator: "\r\n\r\n", maxSplits: 1, omittingEmptySubsequences: false)
    let lines = try #require(parts.first).split(separator: "\r\n")
    let words = try #require(lines.first, "no answer").split(separator: " ")
    status = try #require(words.count > 1 ? Int(words[1]) : nil)
    headers = [:]
    for line in lines.dropFirst() {
      let field = line.split(separator: ":", maxSplits: 1)
      headers[field[0].lowercased()] = field[1].trimmingCharacters(in: .whitespaces)
    }
    body = parts.count > 1 ? String(parts[1]) : ""
  }

  var json: [String: Any] {
    get throws {
      let value = try JSONSerialization.jsonObject(with: Data(body.utf8))
      return try #require(value as? [String: Any])
    }
  }
}

/// A running server and requests to it.
struct TestServer {
  let server: ControlServer
  let tokenFile: String?

  /// Runs a server over TCP and a Unix socket while the body runs; it must stop in order.
  static func run(
    _ supervision: FakeSupervision, token: String? = nil, limits: HTTPLimits = HTTPLimits(),
    featureMetrics: FeatureMetrics = .automatic,
    _ body: (TestServer) async throws -> Void
  ) async throws {
    let directory = FileManager.default.temporaryDirectory
      .appending(path: "evenkeel-control-\(UUID().uuidString.prefix(8))")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: directory) }
    var settings = ControlSettings(
      addresses: [
        .ip4("127.0.0.1", port: 0), .unix(path: directory.appending(path: "c.sock").path()),
      ], version: "1.2.3")
    if let token {
      let file = directory.appending(path: "token").path()
      try Data("\(token)\n".utf8).write(to: URL(filePath: file))
      try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: file)
      settings.tokenFile = file
    }
    settings.featureMetrics = featureMetrics
    let server = try ControlServer(
      settings, supervision: supervision,
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
      limits: limits)
    try server.start()
    defer { server.stop() }
    try await body(TestServer(server: server, tokenFile: settings.tokenFile))
  }

  var tcp: ControlAddress { server.addresses[0] }
  var unix: ControlAddress { server.addresses[1] }

  /// One request on a connection of its own.
  func request(
    _ method: String, _ path: String, headers: [String: String] = [:], body: String = "",
    to address: ControlAddress? = nil
  ) async throws -> Answer {
    var fields = ["Host": "localhost", "Connection": "close"].merging(headers) { $1 }
    if !body.isEmpty {
      fields["Content-Length"] = "\(body.utf8.count)"
      fields["Content-Type"] = fields["Content-Type"] ?? "application/json"
    }
    let head = fields.filter { !$0.value.isEmpty }.map { "\($0.key): \($0.value)\r\n" }.joined()
    return try Answer(
      await exchange("\(method) \(path) HTTP/1.1\r\n\(head)\r\n\(body)", to: address))
  }

  /// Sends bytes and reads until the server closes.
  func exchange(_ text: String, to address: ControlAddress? = nil) async throws -> String {
    try await exchange(Data(text.utf8), to: address)
  }

  func exchange(_ bytes: Data, to address: ControlAddress? = nil) async throws -> String {
    let socket = try await connect(to: address)
    defer { try? socket.close() }
    // A server that refuses early closes before all is sent.
    try? await socket.write(bytes)
    return await rest(of: socket)
  }

  func connect(to address: ControlAddress? = nil) async throws -> Client {
    switch address ?? tcp {
    case .unix(let path): Client(try Peer(unix: path))
    case .ip4(_, let port), .ip6(_, let port): Client(try Peer(port: port))
    }
  }

  func rest(of client: Client) async -> String {
    String(decoding: client.peer.rest(), as: UTF8.self)
  }
}

/// A connection of a test to the server.
final class Client: @unchecked Sendable {
  // @unchecked because a test uses it from one task at a time.
  let peer: Peer
  private var unread: [UInt8] = []

  init(_ peer: Peer) { self.peer = peer }

  func write(_ data: Data) async throws { peer.send(Array(data)) }

  func read(bytes count: Int) async throws -> [UInt8] {
    while unread.count < count, let more = peer.receive(), !more.isEmpty { unread += more }
    defer { unread.removeFirst(min(count, unread.count)) }
    return Array(unread.prefix(count))
  }

  func close() throws { peer.close() }
}
