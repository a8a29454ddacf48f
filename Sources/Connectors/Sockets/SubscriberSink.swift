internal import Dataflow
internal import Glibc
internal import Records
internal import Storage
internal import Synchronization

// Invariants:
// - A subscriber's queue begins with the prologue and contains whole writes. So a subscriber starts at a boundary,
//   and gets whole writes until it disconnects.
// - With `block`: `pending` is the last write until one subscriber has taken it completely. Subscribers with this
//   write in their queue have `holdsPending`. No queue contains another write.
// - `nextPrologue` is set only while `pending` is the write that changes the prologue.
// - With `dropOldest`: no queue lacks a write that changes the prologue.
// - If a subscriber is not `isWritable`, `epoll` reports when it is again.

/// Writes to every subscriber of a socket; the common part of the sinks `unix` and `tcp`.
///
/// A subscriber gets the prologue, and then every write from the next one on. A subscriber that disconnects, for
/// whatever reason, is removed and never fails the stream.
struct SubscriberSink: ByteSink {
  private struct Subscriber: Sendable {
    let key: Int
    let socket: Descriptor
    var queue: SubscriberQueue
    var isWritable = true
    var holdsPending = false
    /// Since when it takes nothing although bytes wait for it.
    var stuckSince: Instant?
  }

  private static let endpointKey = 0
  /// How long the sink ignores the listening socket after the process has run out of descriptors.
  private static let exhaustedSeconds = 1.0
  private static let eventsAtOnce = 64

  let name: String
  private(set) var droppedWrites = 0
  private let settings: SubscriberSettings
  private let epoll: Epoll
  private let clock: Clock
  /// Nil after `finish`.
  private var endpoint: SubscriberEndpoint?
  /// When the sink looks at the listening socket again, if it ignores it now.
  private var reopening: Instant?
  private var subscribers: [Subscriber] = []
  private var lastKey = endpointKey
  /// Nil until the stream has begun. Until then, subscribers wait in the backlog.
  private var prologue: [UInt8]?
  /// The prologue after the pending write.
  private var nextPrologue: [UInt8]?
  private var epilogue: [UInt8] = []
  private var pending: [UInt8] = []
  private let statistics: ConnectorStatistics

  init(
    name: String, endpoint: SubscriberEndpoint, settings: SubscriberSettings,
    clock: Clock = .system, statistics: ConnectorStatistics = ConnectorStatistics()
  ) throws(FileError) {
    self.name = name
    self.statistics = statistics
    self.endpoint = endpoint
    self.settings = settings
    self.clock = clock
    epoll = try Epoll(path: name)
    if case .listening(let socket) = endpoint {
      try epoll.add(socket.descriptor, key: Self.endpointKey)
    }
  }

  var subscriberCount: Int { subscribers.count }
  /// The bytes that wait in all queues. A write counts once for each queue that contains it.
  var waitingBytes: Int { subscribers.map(\.queue.waitingBytes).reduce(0, +) }

  var attention: Awaiting? { endpoint == nil || prologue == nil ? nil : awaited }

  mutating func begin(
    _ prologue: [UInt8], endingWith epilogue: (any Epilogue)?
  ) throws(FileError) {
    self.epilogue = try streamed(epilogue)
    self.prologue = prologue
  }

  mutating func changePrologue(to prologue: [UInt8]) {
    if pending.isEmpty {
      self.prologue = prologue
      for index in subscribers.indices { subscribers[index].queue.noteChange() }
    } else {
      nextPrologue = prologue
    }
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
      for index in subscribers.indices.reversed() {
        droppedWrites += subscribers[index].queue.append(bytes)
        // It could not read the records that follow. When it connects again, it gets the prologue in force.
        if subscribers[index].queue.lacksChange { forget(index) }
      }
    }
  }

  mutating func push() throws(FileError) -> Awaiting? {
    guard endpoint != nil, prologue != nil else { return nil }
    try noticeEvents()
    sendQueued()
    defer {
      statistics.subscribers.set(subscribers.count)
      statistics.subscriberLag.set(subscribers.map(\.queue.unsentBytes).max() ?? 0)
    }
    guard settings.whenFull == .block else { return nil }
    disconnectStuck()
    // The subscribers with the write have disconnected, so offer it to the others. Each turn but the last loses one.
    while !pending.isEmpty, !subscribers.isEmpty, !subscribers.contains(where: \.holdsPending) {
      offerPending()
      sendQueued()
    }
    let isDone = pending.isEmpty && subscribers.allSatisfy(\.queue.isEmpty)
    statistics.hasNoReader.store(subscribers.isEmpty && !isDone, ordering: .relaxed)
    let stalledSince = subscribers.compactMap(\.stuckSince).min()
    statistics.stalledSince.set(stalledSince.map { Int(clamping: $0.nanoseconds) })
    return isDone ? nil : awaited
  }

  mutating func end() throws(FileError) {
    for index in subscribers.indices { _ = subscribers[index].queue.append(epilogue) }
  }

  mutating func finish() throws(FileError) {
    _ = try push()
    for subscriber in subscribers {
      if settings.whenFull == .dropOldest { droppedWrites += subscriber.queue.writeCount }
      _ = shutdown(subscriber.socket.number, CInt(SHUT_WR))
    }
    subscribers = []
    pending = []
    endpoint = nil
  }

  private var awaited: Awaiting {
    var deadline = reopening
    if case .dialing(let dialer) = endpoint, subscribers.isEmpty { deadline = dialer.nextAttempt }
    if settings.whenFull == .block, let stuck = subscribers.compactMap(\.stuckSince).min() {
      let end = stuck + settings.blockTimeoutSeconds
      deadline = deadline.map { min($0, end) } ?? end
    }
    return Awaiting(
      .readable(descriptor: epoll.number),
      seconds: deadline.map { max(0, $0.seconds(since: clock.now())) })
  }

  /// Disconnects the subscribers that have taken nothing for too long, so that they do not stop the stream for ever.
  private mutating func disconnectStuck() {
    let now = clock.now()
    for index in subscribers.indices.reversed() {
      guard let since = subscribers[index].stuckSince,
        now >= since + settings.blockTimeoutSeconds
      else { continue }
      statistics.subscriberTimeouts.add(1, ordering: .relaxed)
      forget(index)
    }
  }

  private mutating func offerPending() {
    for index in subscribers.indices {
      _ = subscribers[index].queue.append(pending)
      subscribers[index].holdsPending = true
    }
  }

  /// Handles subscribers that connect, disconnect, or can be written to again.
  private mutating func noticeEvents() throws(FileError) {
    while true {
      let keys = try epoll.ready(limit: Self.eventsAtOnce)
      for key in keys where key != Self.endpointKey { notice(key) }
      if keys.contains(Self.endpointKey) { try acceptAll() }
      if keys.count < Self.eventsAtOnce { break }
    }
    switch endpoint {
    case .listening(let socket):
      guard let time = reopening, clock.now() >= time else { break }
      reopening = nil
      try epoll.add(socket.descriptor, key: Self.endpointKey)
      try acceptAll()
    case .dialing(var dialer):
      guard subscribers.isEmpty else { break }
      let socket = try dialer.attempt(at: clock.now())
      endpoint = .dialing(dialer)
      if let socket { try welcome(socket) }
    case nil: break
    }
  }

  private mutating func notice(_ key: Int) {
    guard let index = subscribers.firstIndex(where: { $0.key == key }) else { return }
    subscribers[index].isWritable = true
    // A server that closes its direction has closed the connection. A subscriber may do so and still read.
    let half = if case .dialing = endpoint { true } else { false }
    if subscribers[index].socket.isHungUp(half: half) { forget(index) }
  }

  private mutating func acceptAll() throws(FileError) {
    guard case .listening(let socket) = endpoint else { return }
    while true {
      switch try socket.accept() {
      case .connection(let connection):
        // Closes the connection at once. In the backlog it would look like a silent stream.
        if subscribers.count < settings.limit {
          try welcome(connection)
        } else {
          statistics.refusedConnections.add(1, ordering: .relaxed)
        }
      case .nothing: return
      case .exhausted:
        // The socket stays readable, so epoll would report it again and again.
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
    var subscriber = Subscriber(
      key: lastKey, socket: socket,
      queue: SubscriberQueue(prologue: prologue ?? [], byteLimit: limit))
    if nextPrologue != nil {
      // The records after the pending write need its change.
      _ = subscriber.queue.append(pending)
      subscriber.holdsPending = true
    }
    subscribers.append(subscriber)
  }

  private mutating func forget(_ index: Int) {
    let subscriber = subscribers.remove(at: index)
    guard case .dialing(var dialer) = endpoint else { return }
    dialer.lost(at: clock.now())
    endpoint = .dialing(dialer)
    if settings.whenFull == .dropOldest { droppedWrites += subscriber.queue.writeCount }
  }

  /// Sends to each subscriber as much as it takes now.
  private mutating func sendQueued() {
    // From the last to the first, because `send` may remove a subscriber.
    for index in subscribers.indices.reversed() {
      while subscribers[index].isWritable, !subscribers[index].queue.isEmpty {
        guard send(to: index) else { break }
      }
    }
  }

  /// Sends some bytes. Returns false if the subscriber has disconnected.
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
      if subscribers[index].stuckSince == nil { subscribers[index].stuckSince = clock.now() }
      return true
    }
    subscribers[index].stuckSince = nil
    subscribers[index].queue.advance(by: count)
    if case .dialing(var dialer) = endpoint {
      dialer.succeeded()
      endpoint = .dialing(dialer)
    }
    if subscribers[index].queue.isEmpty, subscribers[index].holdsPending { delivered() }
    return true
  }

  /// Records that a subscriber has taken the pending write.
  private mutating func delivered() {
    pending = []
    if let next = nextPrologue.take() { prologue = next }
    for index in subscribers.indices { subscribers[index].holdsPending = false }
  }
}
