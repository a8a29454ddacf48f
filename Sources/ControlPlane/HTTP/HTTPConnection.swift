internal import FlyingSocks
internal import FoundationEssentials
internal import Glibc

/// Sizes in bytes and times in seconds that a client cannot exceed.
struct HTTPLimits: Sendable {
  var headBytes = 16 * 1024
  var bodyBytes = 1024 * 1024
  /// Between two requests of a connection.
  var idleSeconds = 60.0
  /// From the first byte of a request to its last.
  var requestSeconds = 10.0
  /// To take a whole answer.
  var responseSeconds = 30.0
  var connections = 256
}

/// One client: requests are read, answered and, on a connection kept open, followed by the next.
///
/// FlyingFox's own server bounds neither a header nor the time to send one, reads a body of any
/// length to its end before it answers, and closes on malformed requests without a word; so its
/// sockets alone are used here.
struct HTTPConnection {
  let socket: AsyncSocket
  let limits: HTTPLimits
  /// Read and not yet consumed.
  private var buffer: [UInt8] = []

  init(_ socket: AsyncSocket, limits: HTTPLimits) {
    self.socket = socket
    self.limits = limits
  }

  /// The next request, or nil where the client has gone.
  ///
  /// - Throws: `HTTPFault` for what must be answered and the connection closed.
  mutating func nextRequest(overUnixSocket: Bool) async throws -> HTTPRequest? {
    if buffer.isEmpty {
      guard try await fill(within: limits.idleSeconds) else { return nil }
    }
    let deadline = ContinuousClock.now + .seconds(limits.requestSeconds)
    guard let head = try await readHead(until: deadline) else { return nil }
    guard head.contentLength <= limits.bodyBytes else {
      throw HTTPFault(413, "expected a body of at most \(limits.bodyBytes) bytes")
    }
    if head.expectsContinue, buffer.count < head.contentLength {
      try await write(Array("HTTP/1.1 100 Continue\r\n\r\n".utf8))
    }
    while buffer.count < head.contentLength {
      guard try await fill(before: deadline) else { return nil }
    }
    let body = Array(buffer[..<head.contentLength])
    buffer.removeFirst(head.contentLength)
    return HTTPRequest(head: head, body: body, isOverUnixSocket: overUnixSocket)
  }

  /// Sends an answer; of a HEAD request only its header.
  func send(_ response: HTTPResponse, withBody: Bool, closes: Bool) async throws {
    try await write(response.head(closes: closes) + (withBody ? response.body : []))
  }

  /// Closes after a refusal: a client that still sends would otherwise lose the answer to a reset.
  func closeAfterRefusal() async {
    shutdown(socket.socket.file.rawValue, Int32(SHUT_WR))
    let socket = socket
    try? await withDeadline(seconds: 1) {
      var discarded = 0
      while discarded < 8 << 20 { discarded += try await socket.read(atMost: 4096).count }
    }
  }

  private mutating func readHead(until deadline: ContinuousClock.Instant) async throws
    -> HTTPRequestHead?
  {
    var searched = 0
    while true {
      if let end = headEnd(from: searched) {
        guard end <= limits.headBytes else { break }
        let head = try HTTPRequestHead(parsing: buffer[..<end])
        buffer.removeFirst(end + 4)
        return head
      }
      searched = max(0, buffer.count - 3)
      guard buffer.count <= limits.headBytes else { break }
      guard try await fill(before: deadline) else { return nil }
    }
    throw HTTPFault(431, "expected a header of at most \(limits.headBytes) bytes")
  }

  /// The index of the CRLF CRLF that ends the head.
  private func headEnd(from start: Int) -> Int? {
    guard buffer.count >= start + 4 else { return nil }
    return (start...(buffer.count - 4)).first {
      buffer[$0] == 13 && buffer[$0 + 1] == 10 && buffer[$0 + 2] == 13 && buffer[$0 + 3] == 10
    }
  }

  private mutating func fill(before deadline: ContinuousClock.Instant) async throws -> Bool {
    let left = (deadline - .now) / .seconds(1)
    do {
      guard left > 0 else { throw DeadlineExceeded() }
      return try await fill(within: left)
    } catch is DeadlineExceeded {
      throw HTTPFault(408, "the request did not come within \(limits.requestSeconds) s")
    }
  }

  /// Reads what is there; false at the end of the connection.
  private mutating func fill(within seconds: Double) async throws -> Bool {
    let socket = socket
    do {
      buffer += try await withDeadline(seconds: seconds) { try await socket.read(atMost: 4096) }
      return true
    } catch SocketError.disconnected {
      return false
    }
  }

  private func write(_ bytes: [UInt8]) async throws {
    let socket = socket
    try await withDeadline(seconds: limits.responseSeconds) { try await socket.write(Data(bytes)) }
  }
}
