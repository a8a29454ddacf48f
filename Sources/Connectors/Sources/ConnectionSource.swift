internal import Configuration
internal import Dataflow
internal import Glibc
package import Storage

/// The bounds of a source that takes connections.
package struct ConnectionLimits: Sendable, Equatable {
  /// The most connections at once; more have to wait until one ends.
  package var connections: Int
  /// A connection that sends nothing for so many seconds is closed; nil lets it be.
  package var idleSeconds: Double?
  /// The most connections that wait to be taken.
  package var backlog: Int

  package init(connections: Int = 200, idleSeconds: Double? = nil, backlog: Int = 128) {
    self.connections = connections
    self.idleSeconds = idleSeconds
    self.backlog = backlog
  }

  /// The settings that every such source has.
  static let settings: [any SettingDescription] = [connections, idleTimeout, backlog]

  private static let connections = Setting(
    "connections", .integer(in: 1...100_000), default: ConnectionLimits().connections,
    help: "The most producers at once.")
  private static let idleTimeout = Setting(
    "idle_timeout", .seconds(in: 0.001...31_536_000),
    help: "A producer that sends nothing for this long is disconnected.")
  private static let backlog = Setting(
    "backlog", .integer(in: 1...65_535), default: ConnectionLimits().backlog,
    help: "How many producers may wait to be accepted.")

  init(_ values: SettingValues) {
    connections = values[Self.connections]
    idleSeconds = values[Self.idleTimeout]
    backlog = values[Self.backlog]
  }
}

// Invariants:
// - A connection is in `epoll` and in `connections`, or closed; its split is its key.
// - The listener is in `epoll` while `listens`; with the most connections open, none is taken.
// - `ready` may name connections that are gone.

/// Reads from many producers at once, each connection as a split.
///
/// Connections that are ready are read from in turn, once each. A connection that is reset ends like
/// one that was closed. The source ends only when it is drained.
package struct ConnectionSource: Source {
  /// What epoll reports the listener as; splits count from 0.
  private static let listenerKey = -1
  /// The most connections taken in one turn.
  private static let mostAccepted = 64
  /// How long taking connections rests when there are no descriptors left.
  private static let pauseSeconds = 0.1

  /// What a read says when the peer, or the way to it, is gone.
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
  /// When taking connections is tried again.
  private var pausedUntil: Instant?
  private var isDraining = false
  private var statistics = ConnectorStatistics()

  private struct Connection {
    let descriptor: Descriptor
    var lastReady: Instant
    var hasGiven = false
    /// Bytes that a drain still takes from it; nil while the source is not draining.
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

  /// The same source, counting its producers there.
  func counting(in statistics: ConnectorStatistics) -> ConnectionSource {
    var source = self
    source.statistics = statistics
    statistics.producers.set(connections.count)
    return source
  }

  /// The port that is listened on, where it is one of TCP.
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

  /// Stops listening, and ends each connection after the bytes that have arrived by now.
  ///
  /// The bound is a count of bytes because `shutdown` does not stop a TCP producer on Linux: the
  /// kernel goes on taking what it sends.
  package mutating func drain() -> Bool {
    if listens { stopListening() }
    isDraining = true
    for descriptor in listener.acceptLast(atMost: limits.backlog + 1) {
      // A connection that cannot be watched for lack of memory is closed.
      guard (try? welcome(descriptor)) != nil else { break }
    }
    for (split, connection) in connections {
      connection.descriptor.endReceiving()
      let bytesLeft = connection.descriptor.bytesAtHand
      if bytesLeft == 0 { close(split) } else { connections[split]?.bytesLeft = bytesLeft }
    }
    return true
  }

  // MARK: Connections

  /// Reads from a connection; nil where it gave nothing, possibly since it has ended.
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
      // An end like any other.
    }
    close(split)
    return nil
  }

  /// Closes a connection; its split has ended where there was something of it.
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

  /// Finds out which connections are ready, and ends those that have been silent for too long.
  private mutating func look() throws(FileError) {
    if let until = pausedUntil, clock.now() >= until { pausedUntil = nil }
    try listenAgain()
    // All that are ready, so that none of those that are silent in truth has something to say.
    ready = try epoll.ready(limit: connections.count + 1)[...]
    guard let idleSeconds = limits.idleSeconds else { return }
    let lookedAt = clock.now()
    for split in ready { connections[split]?.lastReady = lookedAt }
    for (split, connection) in connections
    where connection.lastReady + idleSeconds <= lookedAt {
      close(split)
    }
    // There may be room for those that had to wait.
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
