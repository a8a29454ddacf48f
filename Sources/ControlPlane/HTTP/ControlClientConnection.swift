internal import Dataflow
internal import Glibc

/// A connection to the control plane and how far its request is.
struct ControlClientConnection {
  enum Phase {
    /// `hasBegun` once a byte of the request has come.
    case reading(hasBegun: Bool)
    /// The answer is being made; `fallback` is sent if it is not there at the deadline.
    case answering(exchange: Int, fallback: HTTPResponse?)
    case writing([UInt8], offset: Int, closes: Bool)
    /// Refused; reads on so that the client gets the answer.
    case lingering(discarded: Int)
  }

  let socket: ControlSocket
  /// The index of the listener that it came by.
  let listener: Int
  var reader: HTTPRequestReader
  var phase = Phase.reading(hasBegun: false)
  /// When the phase ends by itself; nil if it has no end.
  var deadline: Instant?
  var keepsAlive = true
  /// Whether the request is for a header alone.
  var isHead = false
  /// Whether the connection lingers after the answer.
  var lingers = false

  init(_ socket: ControlSocket, listener: Int, limits: HTTPLimits, deadline: Instant) {
    self.socket = socket
    self.listener = listener
    self.deadline = deadline
    reader = HTTPRequestReader(limits: limits)
  }

  /// The events of poll(2) that it waits for.
  var events: CShort {
    switch phase {
    case .reading, .lingering: CShort(POLLIN)
    case .answering: 0
    case .writing: CShort(POLLOUT)
    }
  }

  /// Whether a whole request of it has been read and its answer has not been sent.
  var isUnderWay: Bool {
    switch phase {
    case .answering, .writing: true
    case .reading, .lingering: false
    }
  }

  func awaitsExchange(_ number: Int) -> Bool {
    if case .answering(number, _) = phase { true } else { false }
  }
}
