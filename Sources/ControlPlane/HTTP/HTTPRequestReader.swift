/// The limits for clients: sizes in bytes and times in seconds.
struct HTTPLimits: Sendable {
  var headBytes = 16 * 1024
  /// The most bytes of a body, unless the server allows a request more.
  var bodyBytes = 1024 * 1024
  /// From the connection to the first byte of its first request.
  var firstByteSeconds = 5.0
  /// Between two requests of a connection.
  var idleSeconds = 60.0
  /// From the first byte of a request to its last.
  var requestSeconds = 10.0
  /// The time for the client to take a whole answer.
  var responseSeconds = 30.0
  /// The time for the client to read a refusal.
  var lingerSeconds = 1.0
  /// The time for a change to take effect, before the answer says that it is pending.
  var changeSeconds = 10.0
  /// The most connections at once, for each listening address.
  var connections = 128
}

/// Builds the requests of one connection from its bytes.
struct HTTPRequestReader {
  /// The state of the next request.
  enum Step {
    case request(HTTPRequestHead, body: [UInt8])
    /// More bytes are needed. If `asksForLeave`, the client waits for a permission to send its body.
    case needsMore(asksForLeave: Bool)
    /// It is not known yet how large the body may be. The next call asks again.
    case awaitsBound
  }

  private let limits: HTTPLimits
  private var searched = 0
  private var head: HTTPRequestHead?
  private var hasAskedForLeave = false
  /// Whether the server has allowed the body of the request to be larger than others.
  private(set) var takesLargeBody = false
  /// The bytes that were received and not consumed.
  private var buffer: [UInt8] = []

  init(limits: HTTPLimits) {
    self.limits = limits
  }

  /// Whether a part of a request has come.
  var isUnderWay: Bool { head != nil || !buffer.isEmpty }

  mutating func receive(from socket: ControlSocket) -> ControlSocket.Transfer {
    socket.read(atMost: 16 << 10, into: &buffer)
  }

  /// Takes the next request out of the buffer, if it is complete.
  ///
  /// - Parameter mostBytes: called for a request with a body above `bodyBytes`: the most bytes that it may have, nil if
  ///   they are not known yet.
  /// - Throws: `HTTPFault` for a fault that must be answered before the connection is closed.
  mutating func next(
    allowing mostBytes: (HTTPRequestHead) throws(HTTPFault) -> Int?
  ) throws(HTTPFault) -> Step {
    if head == nil { head = try takeHead() }
    guard let head else { return .needsMore(asksForLeave: false) }
    if head.contentLength > limits.bodyBytes, !takesLargeBody {
      guard let allowed = try mostBytes(head) else { return .awaitsBound }
      let most = max(limits.bodyBytes, allowed)
      guard head.contentLength <= most else {
        throw HTTPFault(413, "expected a body of at most \(most) bytes")
      }
      takesLargeBody = true
    }
    guard buffer.count >= head.contentLength else {
      defer { hasAskedForLeave = true }
      return .needsMore(asksForLeave: head.expectsContinue && !hasAskedForLeave)
    }
    let body = Array(buffer[..<head.contentLength])
    buffer.removeFirst(head.contentLength)
    (self.head, searched) = (nil, 0)
    (hasAskedForLeave, takesLargeBody) = (false, false)
    return .request(head, body: body)
  }

  private mutating func takeHead() throws(HTTPFault) -> HTTPRequestHead? {
    if let end = headEnd(from: searched) {
      if end <= limits.headBytes {
        let head = try HTTPRequestHead(parsing: buffer[..<end])
        buffer.removeFirst(end + 4)
        return head
      }
    } else {
      searched = max(0, buffer.count - 3)
      if buffer.count <= limits.headBytes { return nil }
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
}
