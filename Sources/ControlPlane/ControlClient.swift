internal import FlyingFox
internal import FlyingSocks
internal import FoundationEssentials

/// Asks a running daemon over its control plane.
package struct ControlClient: Sendable {
  package let address: ControlAddress

  private static let timeoutSeconds = 5.0

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

  private static func streams(from address: ControlAddress) async throws -> StreamsView {
    var client = HTTPClient()
    let request = FlyingFox.HTTPRequest(
      method: .GET, version: .http11, path: "/api/v1/streams", query: [],
      headers: [.host: "localhost", .connection: "close"], body: Data())
    let system = try address.systemAddress()
    let response = try await client.sendHTTPRequest(request, to: system)
    guard response.statusCode == .ok else { throw UnexpectedStatus(code: response.statusCode.code) }
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return try decoder.decode(StreamsView.self, from: try await response.bodyData)
  }
}

private struct UnexpectedStatus: Error, CustomStringConvertible {
  var code: Int
  var description: String { "status \(code)" }
}
