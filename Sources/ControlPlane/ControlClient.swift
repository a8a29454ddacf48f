internal import FlyingSocks
internal import FoundationEssentials

/// Asks a running daemon over its control plane.
package struct ControlClient: Sendable {
  package let address: ControlAddress

  private static let timeoutSeconds = 5.0
  private static let maxAnswerBytes = 64 << 20

  /// Reads `http://HOST:PORT` with a numeric HOST or `localhost`, or `unix:PATH`.
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
    address = try ControlAddress(String(rest))
  }

  /// All streams.
  ///
  /// - Throws: `ControlError.noAnswer`.
  package func streams() async throws(ControlError) -> StreamsView {
    let address = address
    do {
      return try await withDeadline(seconds: Self.timeoutSeconds) {
        try await Self.streams(from: address)
      }
    } catch {
      throw .noAnswer("\(address)", reason: systemReason(error))
    }
  }

  // FlyingFox has a client, but with it comes libcurl, which Swift's static libraries do not hold.
  private static func streams(from address: ControlAddress) async throws -> StreamsView {
    let socket = try await AsyncSocket.connected(to: address.systemAddress())
    defer { try? socket.close() }
    let request = "GET /api/v1/streams HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    try await socket.write(Data(request.utf8))
    let answer = try await rest(of: socket)
    guard let headEnd = answer.firstRange(of: Array("\r\n\r\n".utf8)) else {
      throw UnexpectedAnswer(description: "no HTTP answer")
    }
    // HTTP/1.1 200 OK
    let status = answer.prefix { $0 != 0x0D }.split(separator: 0x20).dropFirst().first ?? []
    guard status.elementsEqual("200".utf8) else {
      throw UnexpectedAnswer(description: "status \(String(decoding: status, as: UTF8.self))")
    }
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return try decoder.decode(StreamsView.self, from: Data(answer[headEnd.upperBound...]))
  }

  /// What comes until the daemon closes the connection.
  private static func rest(of socket: AsyncSocket) async throws -> [UInt8] {
    var bytes: [UInt8] = []
    do {
      while bytes.count <= maxAnswerBytes { bytes += try await socket.read(atMost: 64 << 10) }
    } catch SocketError.disconnected {
      return bytes
    }
    throw UnexpectedAnswer(description: "more than \(maxAnswerBytes) bytes")
  }
}

private struct UnexpectedAnswer: Error, CustomStringConvertible {
  var description: String
}
