internal import Configuration
internal import Dataflow
internal import Glibc
internal import Storage

/// The way in which a sink gets its subscribers.
enum SubscriberEndpoint: Sendable {
  /// They connect to this socket.
  case listening(ListeningSocket)
  /// The sink connects to a server, its only subscriber.
  case dialing(Dialer)
}

extension SubscriberSink {
  /// How many subscribers may wait to be accepted.
  static let backlog = 256

  /// Opens the socket of the service manager with this name; without a name, the endpoint at `place`.
  static func factory(
    _ values: SettingValues, activated name: String?, or place: String,
    _ endpoint: @escaping @Sendable () throws(FileError) -> SubscriberEndpoint
  ) -> SinkFactory {
    let settings = SubscriberSettings(values)
    return { context throws(FileError) in
      let endpoint: SubscriberEndpoint =
        if let name { .listening(try ListeningSocket(activated: name)) } else { try endpoint() }
      return try SubscriberSink(
        name: name ?? place, endpoint: endpoint, settings: settings, clock: context.clock,
        statistics: context.statistics)
    }
  }
}

/// Connects to a server, and again when the connection is lost, with pauses that double from 0.1 s up to 5 s.
struct Dialer: Sendable {
  static let pauseSeconds = 0.1...5.0

  private let dial: @Sendable () throws(FileError) -> Descriptor
  private var pause = pauseSeconds.lowerBound
  /// The earliest time of the next attempt.
  private(set) var nextAttempt = Instant(nanoseconds: 0)

  /// - Parameter dial: starts to connect, without waiting.
  init(_ dial: @escaping @Sendable () throws(FileError) -> Descriptor) {
    self.dial = dial
  }

  /// A connection that is open or opening. Nil if it is too early, or if no server is there.
  mutating func attempt(at now: Instant) throws(FileError) -> Descriptor? {
    guard now >= nextAttempt else { return nil }
    do throws(FileError) {
      return try dial()
    } catch  where Self.passing.contains(error.errno) {
      lost(at: now)
      return nil
    }
  }

  /// Records that the connection is lost.
  mutating func lost(at now: Instant) {
    nextAttempt = now + pause
    pause = min(2 * pause, Self.pauseSeconds.upperBound)
  }

  /// Records that the server has taken bytes.
  mutating func succeeded() {
    pause = Self.pauseSeconds.lowerBound
  }

  /// The errors of a server that starts, restarts or is busy. The operator must mend all others.
  private static let passing: Set<CInt> = [
    ECONNREFUSED, ENOENT, EAGAIN, ETIMEDOUT, ECONNRESET, ECONNABORTED, EPIPE, ENETDOWN, ENETUNREACH,
    EHOSTDOWN, EHOSTUNREACH, EADDRNOTAVAIL, EMFILE, ENFILE, ENOBUFS, ENOMEM,
  ]
}

extension Descriptor {
  /// Starts to connect to an address.
  static func dial(_ address: InternetAddress) throws(FileError) -> Descriptor {
    let path = address.description
    let socket = try streamSocket(address.isIPv6 ? AF_INET6 : AF_INET, path: path)
    do throws(FileError) {
      try address.withSocketAddress { pointer, length throws(FileError) in
        _ = try posix(.open, path) { Glibc.connect(socket.number, pointer, length) }
      }
    } catch  where error.errno == EINPROGRESS {
      // The connection opens or fails later. Until then it takes no bytes.
    }
    return socket
  }

  /// Connects to the Unix socket at a path.
  static func dial(path: String) throws(FileError) -> Descriptor {
    let socket = try streamSocket(AF_UNIX, path: path)
    try socket.connect(toPath: path)
    return socket
  }

  /// Makes a TCP socket send small writes at once. Has no effect on other sockets.
  func disableDelay() {
    var on: CInt = 1
    setsockopt(number, CInt(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<CInt>.size))
  }
}
