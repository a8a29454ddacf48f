internal import Configuration
internal import Dataflow
internal import Glibc
package import Storage

/// The bounds of a source with connections.
package struct ConnectionLimits: Sendable, Equatable {
  /// The most connections at once. More must wait until one ends.
  package var connections: Int
  /// A connection that sends nothing for this many seconds is closed; nil never closes one.
  package var idleSeconds: Double?
  /// The most connections that wait to be accepted.
  package var backlog: Int

  package init(connections: Int = 200, idleSeconds: Double? = nil, backlog: Int = 128) {
    self.connections = connections
    self.idleSeconds = idleSeconds
    self.backlog = backlog
  }

  /// The settings of every such source.
  static let settings: [any SettingDescription] = [connections, idleTimeout, backlog]

  private static let connections = Setting(
    "connections", .integer(in: 1...100_000), default: ConnectionLimits().connections,
    help: "The most producers at once.")
  private static let idleTimeout = Setting(
    "idle_timeout", .seconds(in: 0.001...31_536_000),
    help: "A producer that sends nothing for this long is disconnected.")
  private static let backlog = Setting(
    "backlog", .integer(in: 1...65_535), default: ConnectionLimits().backlog,
    help: "The most producers that wait to be accepted.")

  init(_ values: SettingValues) {
    connections = values[Self.connections]
    idleSeconds = values[Self.idleTimeout]
    backlog = values[Self.backlog]
  }
}

// Invariants:
// - An open connection is in `connections` and in `epoll`, with its split as the key.
// - The listener is in `epoll` while `listens`. With the maximum of connections, `listens` is false.
// - `ready` may contain keys of connections that are closed already.

/// Reads from many producers at once. Each connection is a split.
///
/// The source reads from ready connections in turn, one read each. A connection that is reset ends like one that is
/// closed. The source ends only after `drain`.
package struct ConnectionSource: Source {
  /// The key of the listener in epoll. Splits count from 0.
  private static let listenerKey = -1
  /// The most connections that are accepted in one turn.
  private static let mostAccepted = 64
  /// The pause before the source accepts again, after the descriptors have run out.
  private static let pauseSeconds = 0.1

  /// The errors of a read that mean that the peer, or the way to it, is gone.
  private static let lostPeer: Set<Int32> = [
    ECONNRESET, EPIPE, ETIMEDOUT, ECONNABORTED, ENETDOWN, ENETRESET, ENETUNREACH, EHOSTDOWN,
    EHOSTUNREACH,
  ]

  package let name: String
  package let size: Int? = nil
  package let endsAnywhere = true
  private let listener: ListeningSocket
  private let limits: ConnectionLimits
  private let epoll: Epoll
  private let clock: Clock
  private var connections: [Int: Connection] = [:]
  private var ready: ArraySlice<Int> = []
  private var ended: [SplitID] = []
  private var nextSplit: SplitID = 0
  private var listens = true
  /// When the source accepts connections again.
  private var pausedUntil: Instant?
  private var isDraining = false
  private var statistics = ConnectorStatistics()

  private struct Connection {
    let descriptor: Descriptor
    var lastReady: Instant
    var hasGiven = false
    /// The bytes that `drain` still reads from the connection; nil before `drain`.
    var bytesLeft: Int?
  }

  init(
    _ listener: ListeningSocket, name: String, limits: ConnectionLimits, clock: Clock
  ) throws(FileError) {
    self.listener = listener
    self.name = name
    self.limits = limits
    self.clock = clock
    epoll = try Epoll(path: listener.descriptor.path)
    try epoll.add(listener.descriptor, key: Self.listenerKey)
  }

  /// The same source. It counts its producers in `statistics`.
  func counting(in statistics: ConnectorStatistics) -> ConnectionSource {
    var source = self
    source.statistics = statistics
    statistics.producers.set(connections.count)
    return source
  }

  /// The port, if the source listens on TCP.
  package var port: Int? { listener.localAddress.map { Int($0.port) } }

  package mutating func read(
    into buffer: UnsafeMutableRawBufferPointer
  ) throws(FileError) -> SourceEvent {
    while true {
      if let split = ended.popLast() { return .ended(split) }
      guard let key = ready.popFirst() else {
        try look()
        if ready.isEmpty, ended.isEmpty { return isDraining ? .end : .idle(awaited) }
        continue
      }
      if key == Self.listenerKey {
        if !isDraining { try acceptConnections() }
      } else if let count = try read(key, into: buffer) {
        return .data(key, .bytes(count))
      }
    }
  }

  /// Closes the connection.
  package mutating func abandon(_ split: SplitID) {
    close(split)
    ended.removeAll { $0 == split }
  }

  /// Stops listening. Each connection ends after the bytes that have arrived by now.
  ///
  /// The end is a number of bytes because on Linux `shutdown` does not stop a TCP producer: the kernel accepts more
  /// bytes.
  package mutating func drain() -> Bool {
    if listens { stopListening() }
    isDraining = true
    for descriptor in listener.acceptLast(atMost: limits.backlog + 1) {
      // Without memory to watch the connection, it is closed.
      guard (try? welcome(descriptor)) != nil else { break }
    }
    for (split, connection) in connections {
      connection.descriptor.endReceiving()
      let bytesLeft = connection.descriptor.readableBytes
      if bytesLeft == 0 { close(split) } else { connections[split]?.bytesLeft = bytesLeft }
    }
    return true
  }

  // MARK: Connections

  /// Reads from a connection. Returns nil if there were no bytes; the connection may have ended.
  private mutating func read(
    _ split: SplitID, into buffer: UnsafeMutableRawBufferPointer
  ) throws(FileError) -> Int? {
    guard let connection = connections[split] else { return nil }
    do throws(FileError) {
      let bytesLeft = connection.bytesLeft ?? .max
      let part = UnsafeMutableRawBufferPointer(rebasing: buffer.prefix(bytesLeft))
      guard let count = try connection.descriptor.read(into: part) else { return nil }
      if count > 0 {
        connections[split]?.hasGiven = true
        if connection.bytesLeft != nil { connections[split]?.bytesLeft = bytesLeft - count }
        if count == bytesLeft { close(split) }
        return count
      }
    } catch  where Self.lostPeer.contains(error.errno) {
      // The end of the connection, like any other.
    }
    close(split)
    return nil
  }

  /// Closes a connection. Its split ends if it has given bytes.
  private mutating func close(_ split: SplitID) {
    guard let connection = connections.removeValue(forKey: split) else { return }
    epoll.remove(connection.descriptor)
    statistics.producers.set(connections.count)
    if connection.hasGiven { ended.append(split) }
  }

  private mutating func acceptConnections() throws(FileError) {
    for _ in 0..<Self.mostAccepted {
      guard connections.count < limits.connections else { return stopListening() }
      switch try listener.accept() {
      case .connection(let descriptor):
        try welcome(descriptor)
      case .nothing: return
      case .exhausted:
        pausedUntil = clock.now() + Self.pauseSeconds
        return stopListening()
      }
    }
  }

  private mutating func welcome(_ descriptor: Descriptor) throws(FileError) {
    try epoll.add(descriptor, key: nextSplit)
    connections[nextSplit] = Connection(descriptor: descriptor, lastReady: clock.now())
    nextSplit += 1
    statistics.producers.set(connections.count)
  }

  private mutating func stopListening() {
    epoll.remove(listener.descriptor)
    listens = false
  }

  private mutating func listenAgain() throws(FileError) {
    guard !isDraining, !listens, pausedUntil == nil, connections.count < limits.connections else {
      return
    }
    try epoll.add(listener.descriptor, key: Self.listenerKey)
    listens = true
  }

  // MARK: Readiness

  /// Finds the connections that are ready, and closes those that were silent for too long.
  private mutating func look() throws(FileError) {
    if let until = pausedUntil, clock.now() >= until { pausedUntil = nil }
    try listenAgain()
    // Asks for all ready connections, so that every other connection is really silent.
    ready = try epoll.ready(limit: connections.count + 1)[...]
    guard let idleSeconds = limits.idleSeconds else { return }
    let lookedAt = clock.now()
    for split in ready { connections[split]?.lastReady = lookedAt }
    for (split, connection) in connections
    where connection.lastReady + idleSeconds <= lookedAt {
      close(split)
    }
    // Connections that wait may be accepted now.
    try listenAgain()
  }

  private var awaited: Awaiting {
    let idleEnd = limits.idleSeconds.flatMap { seconds in
      connections.values.map(\.lastReady).min().map { $0 + seconds }
    }
    let deadline = [idleEnd, pausedUntil].compactMap(\.self).min()
    let seconds = deadline.map { max(0, $0.seconds(since: clock.now())) }
    return Awaiting(
      .readable(descriptor: epoll.number), seconds: seconds)
  }
}

extension ConnectionSource {
  /// Listens on a socket of the service manager. Its unit sets the address and the permissions.
  init(
    activated name: String, among sockets: ActivatedSockets = .inherited, limits: ConnectionLimits,
    clock: Clock = .system
  ) throws(FileError) {
    let listener = try ListeningSocket(activated: name, among: sockets)
    try self.init(listener, name: name, limits: limits, clock: clock)
  }

  /// Opens the socket of the service manager with this name; without a name, the one that `listen` makes.
  static func factory(
    activated name: String?, _ limits: ConnectionLimits,
    or listen: @escaping @Sendable (Clock) throws(FileError) -> ConnectionSource
  ) -> SourceFactory {
    { context throws(FileError) in
      let source =
        if let name {
          try ConnectionSource(activated: name, limits: limits, clock: context.clock)
        } else {
          try listen(context.clock)
        }
      return source.counting(in: context.statistics)
    }
  }
}
