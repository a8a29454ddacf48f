internal import Dataflow
internal import Glibc
internal import Storage

/// How subscribers are come by.
enum SubscriberEndpoint: Sendable {
  /// They connect to us.
  case listening(ListeningSocket)
  /// We connect to the one there is.
  case dialing(Dialer)
}

/// Connects to a server again and again, with pauses that double from 0.1 s up to 5 s.
struct Dialer: Sendable {
  static let pauseSeconds = 0.1...5.0

  private let dial: @Sendable () throws(FileError) -> Descriptor
  private var pause = pauseSeconds.lowerBound
  /// The next try comes no earlier.
  private(set) var nextAttempt = Instant(nanoseconds: 0)

  /// - Parameter dial: begins to connect, without waiting.
  init(_ dial: @escaping @Sendable () throws(FileError) -> Descriptor) {
    self.dial = dial
  }

  /// A connection that is made or under way; nil where it is too early or nobody is there.
  mutating func attempt(at now: Instant) throws(FileError) -> Descriptor? {
    guard now >= nextAttempt else { return nil }
    do throws(FileError) {
      return try dial()
    } catch  where Self.passing.contains(error.errno) {
      lost(at: now)
      return nil
    }
  }

  /// Notes that there is no connection any more.
  mutating func lost(at now: Instant) {
    nextAttempt = now + pause
    pause = min(2 * pause, Self.pauseSeconds.upperBound)
  }

  /// Notes that the server takes what it is sent.
  mutating func succeeded() {
    pause = Self.pauseSeconds.lowerBound
  }

  /// What a server that starts, restarts or is busy looks like; anything else is the operator's.
  private static let passing: Set<CInt> = [
    ECONNREFUSED, ENOENT, EAGAIN, ETIMEDOUT, ECONNRESET, ECONNABORTED, EPIPE, ENETDOWN, ENETUNREACH,
    EHOSTDOWN, EHOSTUNREACH, EADDRNOTAVAIL, EMFILE, ENFILE, ENOBUFS, ENOMEM,
  ]
}

extension Descriptor {
  /// Begins to connect to an address.
  static func dial(_ address: InternetAddress) throws(FileError) -> Descriptor {
    let path = address.description
    let socket = try streamSocket(address.isIPv6 ? AF_INET6 : AF_INET, path: path)
    do throws(FileError) {
      try address.withSocketAddress { pointer, length throws(FileError) in
        _ = try posix(.open, path) { Glibc.connect(socket.number, pointer, length) }
      }
    } catch  where error.errno == EINPROGRESS {
      // It fails or succeeds later, and until then takes no bytes.
    }
    return socket
  }

  /// Connects to the Unix socket at a path.
  static func dial(path: String) throws(FileError) -> Descriptor {
    let socket = try streamSocket(AF_UNIX, path: path)
    try socket.connect(toPath: path)
    return socket
  }

  /// Sends small writes at once, which a TCP socket would else hold back; no other socket does.
  func disableDelay() {
    var on: CInt = 1
    setsockopt(number, CInt(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<CInt>.size))
  }
}
