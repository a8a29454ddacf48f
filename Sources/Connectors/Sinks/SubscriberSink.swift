internal import Dataflow
internal import Glibc
internal import Storage
internal import Synchronization

// Invariants:
// - A subscriber's queue begins with the prologue and holds whole writes, so that what it reads begins
//   at a boundary and has none cut but by its own end.
// - Blocking: `pending` is the last write until one subscriber has taken it whole; those that have it
//   in their queue are marked `holdsPending`. No other write is in any queue.
// - A subscriber that is not `isWritable` is reported by `epoll` when it is again.

/// Writes to every subscriber of a socket; the common part of the sinks `unix` and `tcp`.
///
/// A subscriber gets the prologue, then every write from the next one on. One that goes, however it
/// goes, is forgotten, and never fails the stream.
struct SubscriberSink: ByteSink {
  private struct Subscriber: Sendable {
    let key: Int
    let socket: Descriptor
    var queue: SubscriberQueue
    var isWritable = true
    var holdsPending = false
  }

  private static let doorKey = 0
  /// How long the listening socket is left alone when the process has run out of descriptors.
  private static let exhaustedSeconds = 1.0
  private static let eventsAtOnce = 64

  let name: String
  private(set) var droppedWrites = 0
  private let settings: SubscriberSettings
  private let epoll: Epoll
  private let clock: Clock
  /// Nil once finished.
  private var door: SubscriberEndpoint?
  /// When the listening socket is looked at again, where it is left alone.
  private var reopening: Instant?
  private var subscribers: [Subscriber] = []
  private var lastKey = doorKey
  /// Nil until the stream has begun; subscribers are left in the backlog until then.
  private var prologue: [UInt8]?
  private var pending: [UInt8] = []
  private let statistics: ConnectorStatistics

  init(
    name: String, door: SubscriberEndpoint, settings: SubscriberSettings,
    clock: Clock = .system, statistics: ConnectorStatistics = ConnectorStatistics()
  ) throws(FileError) {
    self.name = name
    self.statistics = statistics
    self.door = door
    self.settings = settings
    self.clock = clock
    epoll = try Epoll(path: name)
    if case .listening(let socket) = door { try epoll.add(socket.descriptor, key: Self.doorKey) }
  }

  var subscriberCount: Int { subscribers.count }
  /// What waits in all queues together, in bytes, each write counted as often as it waits.
  var waitingBytes: Int { subscribers.map(\.queue.waitingBytes).reduce(0, +) }

  var attention: Awaiting? { door == nil || prologue == nil ? nil : awaited }

  mutating func begin(_ prologue: [UInt8]) throws(FileError) {
    self.prologue = prologue
  }

  mutating func write(_ bytes: [UInt8]) throws(FileError) {
    guard !bytes.isEmpty else { return }
    try noticeEvents()
    switch settings.whenFull {
    case .block:
      pending = bytes
      offerPending()
    case .dropOldest:
      if subscribers.isEmpty { droppedWrites += 1 }
      for index in subscribers.indices {
        droppedWrites += subscribers[index].queue.append(bytes)
      }
    }
  }

  mutating func push() throws(FileError) -> Awaiting? {
    guard door != nil, prologue != nil else { return nil }
    try noticeEvents()
    sendQueued()
    defer {
      statistics.subscribers.set(subscribers.count)
      statistics.subscriberLag.set(subscribers.map(\.queue.unsentBytes).max() ?? 0)
    }
    guard settings.whenFull == .block else { return nil }
    // Those that had it are gone: whoever is left gets it. Each turn but the last loses a subscriber.
    while !pending.isEmpty, !subscribers.isEmpty, !subscribers.contains(where: \.holdsPending) {
      offerPending()
      sendQueued()
    }
    let isDone = pending.isEmpty && subscribers.allSatisfy(\.queue.isEmpty)
    return isDone ? nil : awaited
  }

  mutating func finish() throws(FileError) {
    _ = try push()
    for subscriber in subscribers {
      if settings.whenFull == .dropOldest { droppedWrites += subscriber.queue.writeCount }
      _ = shutdown(subscriber.socket.number, CInt(SHUT_WR))
    }
    subscribers = []
    pending = []
    door = nil
  }

  private var awaited: Awaiting {
    var deadline = reopening
    if case .dialing(let dialer) = door, subscribers.isEmpty { deadline = dialer.nextAttempt }
    return Awaiting(
      .readable(descriptor: epoll.number),
      seconds: deadline.map { max(0, $0.seconds(since: clock.now())) })
  }

  private mutating func offerPending() {
    for index in subscribers.indices {
      _ = subscribers[index].queue.append(pending)
      subscribers[index].holdsPending = true
    }
  }

  /// Takes in who has come, who has gone, and who reads again.
  private mutating func noticeEvents() throws(FileError) {
    while true {
      let keys = try epoll.ready(limit: Self.eventsAtOnce)
      for key in keys where key != Self.doorKey { notice(key) }
      if keys.contains(Self.doorKey) { try acceptAll() }
      if keys.count < Self.eventsAtOnce { break }
    }
    switch door {
    case .listening(let socket):
      guard let time = reopening, clock.now() >= time else { break }
      reopening = nil
      try epoll.add(socket.descriptor, key: Self.doorKey)
      try acceptAll()
    case .dialing(var dialer):
      guard subscribers.isEmpty else { break }
      let socket = try dialer.attempt(at: clock.now())
      door = .dialing(dialer)
      if let socket { try welcome(socket) }
    case nil: break
    }
  }

  private mutating func notice(_ key: Int) {
    guard let index = subscribers.firstIndex(where: { $0.key == key }) else { return }
    subscribers[index].isWritable = true
    // A server that closes its direction has closed; a subscriber that does so may still read.
    let half = if case .dialing = door { true } else { false }
    if subscribers[index].socket.isHungUp(half: half) { forget(index) }
  }

  private mutating func acceptAll() throws(FileError) {
    guard case .listening(let socket) = door else { return }
    while true {
      switch try socket.accept() {
      case .connection(let connection):
        // Turned away by being closed: to be left in the backlog would look like a silent stream.
        if subscribers.count < settings.limit {
          try welcome(connection)
        } else {
          statistics.refusedConnections.add(1, ordering: .relaxed)
        }
      case .nothing: return
      case .exhausted:
        // It stays readable, and would be reported for ever.
        epoll.remove(socket.descriptor)
        reopening = clock.now() + Self.exhaustedSeconds
        return
      }
    }
  }

  private mutating func welcome(_ socket: Descriptor) throws(FileError) {
    lastKey += 1
    socket.disableDelay()
    try epoll.addOnce(socket, key: lastKey)
    let limit = settings.whenFull == .block ? .max : settings.queueByteLimit
    subscribers.append(
      Subscriber(
        key: lastKey, socket: socket,
        queue: SubscriberQueue(prologue: prologue ?? [], byteLimit: limit)))
  }

  private mutating func forget(_ index: Int) {
    let subscriber = subscribers.remove(at: index)
    guard case .dialing(var dialer) = door else { return }
    dialer.lost(at: clock.now())
    door = .dialing(dialer)
    if settings.whenFull == .dropOldest { droppedWrites += subscriber.queue.writeCount }
  }

  /// Sends to each subscriber what it takes now.
  private mutating func sendQueued() {
    // From the last to the first, so that those that go do not move those to come.
    for index in subscribers.indices.reversed() {
      while subscribers[index].isWritable, !subscribers[index].queue.isEmpty {
        guard send(to: index) else { break }
      }
    }
  }

  /// Sends some; false where the subscriber is gone.
  private mutating func send(to index: Int) -> Bool {
    let socket = subscribers[index].socket
    let sent: Int?
    do throws(FileError) {
      sent = try sendSome(subscribers[index].queue.unsent, to: socket.number, path: name)
    } catch {
      forget(index)
      return false
    }
    guard let count = sent else {
      subscribers[index].isWritable = false
      return true
    }
    subscribers[index].queue.advance(by: count)
    if case .dialing(var dialer) = door {
      dialer.succeeded()
      door = .dialing(dialer)
    }
    if subscribers[index].queue.isEmpty, subscribers[index].holdsPending { delivered() }
    return true
  }

  /// Notes that a subscriber has taken the write that was pending.
  private mutating func delivered() {
    pending = []
    for index in subscribers.indices { subscribers[index].holdsPending = false }
  }
}
