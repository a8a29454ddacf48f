internal import Dataflow
internal import Glibc

/// A connection to the control plane, and the state of its request.
struct ControlClientConnection {
  enum Phase {
    /// `hasBegun` after the first byte of the request.
    case reading(hasBegun: Bool)
    /// The answer is being made. `fallback` is sent if there is none at the deadline.
    case answering(exchange: Int, fallback: (@Sendable () -> HTTPResponse)?)
    case writing([UInt8], offset: Int, closes: Bool)
    /// The answer goes on until its body ends or the client goes.
    case live(exchange: Int, LiveAnswer)
    /// Refused. The connection reads further bytes, so that the client gets the answer.
    case lingering(discarded: Int)
  }

  let socket: ControlSocket
  /// The index of its listener.
  let listener: Int
  var reader: HTTPRequestReader
  var phase = Phase.reading(hasBegun: false)
  /// The end of the phase; nil for none.
  var deadline: Instant?
  var keepsAlive = true
  /// Whether the request only asks for a header.
  var isHead = false
  /// Whether the streams were looked at for the bound of the request's body.
  var hasLooked = false
  /// Whether the connection lingers after the answer.
  var lingers = false

  init(_ socket: ControlSocket, listener: Int, limits: HTTPLimits, deadline: Instant) {
    self.socket = socket
    self.listener = listener
    self.deadline = deadline
    reader = HTTPRequestReader(limits: limits)
  }

  /// The events of poll(2) for which it waits.
  var events: CShort {
    switch phase {
    case .reading, .lingering: CShort(POLLIN)
    case .answering: 0
    case .writing: CShort(POLLOUT)
    case .live(_, let answer): CShort(answer.isWaiting ? POLLIN | POLLOUT : POLLIN)
    }
  }

  /// Whether a whole request has been read and its answer has not been sent.
  var isUnderWay: Bool {
    switch phase {
    case .answering, .writing, .live: true
    case .reading, .lingering: false
    }
  }

  /// Whether the loop does not know yet how long to wait for the answer.
  var awaitsFallback: Bool {
    if case .answering(_, nil) = phase { true } else { false }
  }

  /// Whether its answer goes on.
  var isLive: Bool { if case .live = phase { true } else { false } }

  func awaitsExchange(_ number: Int) -> Bool {
    switch phase {
    case .answering(number, _), .live(number, _): true
    case .answering, .live, .reading, .writing, .lingering: false
    }
  }
}
