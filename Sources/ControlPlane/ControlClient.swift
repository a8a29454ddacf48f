internal import FoundationEssentials

/// Sends requests to the control plane of a running daemon. Each call waits for the answer.
package struct ControlClient: Sendable {
  package let address: ControlAddress

  static let timeoutSeconds = 5.0
  private static let maxAnswerBytes = 64 << 20

  package init(_ address: ControlAddress) {
    self.address = address
  }

  /// Parses `http://HOST:PORT` with a numeric HOST or `localhost`, or `unix:PATH`.
  ///
  /// - Throws: `ControlError.address`.
  package init(url: String) throws(ControlError) {
    var rest = url[...]
    if rest.hasPrefix("http://") {
      rest = rest.dropFirst("http://".count)
      if rest.hasSuffix("/") { rest.removeLast() }
    } else if !rest.hasPrefix("unix:") {
      throw .address(url, expected: "http://HOST:PORT or unix:PATH")
    }
    self.init(try ControlAddress(String(rest)))
  }

  /// All streams.
  ///
  /// - Throws: `ControlError.noAnswer` or `.refused`.
  package func streams() throws(ControlError) -> StreamsView { try get("/api/v1/streams") }

  /// The daemon as a whole.
  ///
  /// - Throws: `ControlError.noAnswer` or `.refused`.
  package func daemon() throws(ControlError) -> DaemonView { try get("/api/v1/daemon") }

  private func get<Answer: Decodable>(_ path: String) throws(ControlError) -> Answer {
    do {
      let answer = try exchange(
        "GET \(path) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
      guard let headEnd = answer.firstRange(of: Array("\r\n\r\n".utf8)) else {
        throw UnexpectedAnswer(description: "no HTTP answer")
      }
      // HTTP/1.1 200 OK
      let status = answer.prefix { $0 != 0x0D }.split(separator: 0x20).dropFirst().first ?? []
      guard status.elementsEqual("200".utf8) else {
        throw ControlError.refused(
          "\(address)", reason: "status \(String(decoding: status, as: UTF8.self))")
      }
      let decoder = JSONDecoder()
      decoder.keyDecodingStrategy = .convertFromSnakeCase
      return try decoder.decode(Answer.self, from: Data(answer[headEnd.upperBound...]))
    } catch let error as ControlError {
      throw error
    } catch {
      throw .noAnswer("\(address)", reason: "\(error)")
    }
  }

  /// Sends a request on a connection of its own, which waits for the answer.
  func send(_ request: String) throws -> ControlSocket {
    let socket = try ControlSocket.stream(address.family, waits: true)
    try socket.limitWaits(seconds: Self.timeoutSeconds)
    try socket.connect(to: address)
    let bytes = Array(request.utf8)
    var sent = 0
    while sent < bytes.count, case .bytes(let count) = socket.write(bytes, from: sent) {
      sent += count
    }
    return socket
  }

  /// Sends a request and reads until the daemon closes the connection.
  private func exchange(_ request: String) throws -> [UInt8] {
    let socket = try send(request)
    var answer: [UInt8] = []
    while answer.count <= Self.maxAnswerBytes {
      switch socket.read(atMost: 64 << 10, into: &answer) {
      case .bytes: continue
      case .ended: return answer
      case .waits: throw UnexpectedAnswer(description: "timed out")
      }
    }
    throw UnexpectedAnswer(description: "more than \(Self.maxAnswerBytes) bytes")
  }
}

struct UnexpectedAnswer: Error, CustomStringConvertible {
  var description: String
}
