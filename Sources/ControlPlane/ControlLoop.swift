internal import Dataflow
internal import Glibc
internal import Logging
internal import Synchronization

// Invariants:
// - Everything except `mail` is only touched on the loop's own thread, from `run()` on.
// - A client is in `clients` from its accept until its socket is closed. A higher key is a younger client.
// - A reply to an exchange for which no client waits any more is dropped.

/// Accepts connections and moves bytes for the control plane, on one thread.
///
/// It calls nothing that waits, and takes no lock that a stream holds. So it can answer `/healthz` itself, however
/// busy the streams are. All other requests go to `answer`, which replies through the mailbox.
final class ControlLoop: @unchecked Sendable {
  // @unchecked because of the first invariant.

  let mail: ControlMailbox
  let listeners: [Listener]
  let limits: HTTPLimits
  let clock: Clock
  private let logger: Logger
  private let statistics: ControlStatistics
  let answer: @Sendable (HTTPRequest, ControlReply) -> Void
  /// Has the bounds of bodies looked up, and replies that the request may be read on.
  let lookUp: @Sendable (ControlReply) -> Void
  let admission: BodyAdmission
  var clients: [Int: ControlClientConnection] = [:]
  private var lastClient = 0
  var lastExchange = 0
  /// Descriptors that are kept so that streams cannot take the last ones.
  private var reserve: [ControlSocket] = []
  private var pausedUntil: Instant?

  private static let reservedDescriptors = 16
  /// The descriptors of the mailbox and the reserve.
  static let descriptorCount = 2 + reservedDescriptors
  private static let acceptedInTurn = 64
  private static let pauseSeconds = 0.1
  /// The most bytes that a refused client may still send.
  private static let mostDiscarded = 8 << 20
  /// How long current requests may take after the server was told to stop.
  private static let graceSeconds = 2.0

  init(
    _ listeners: [Listener], limits: HTTPLimits, clock: Clock, logger: Logger,
    statistics: ControlStatistics, admission: BodyAdmission,
    lookUp: @escaping @Sendable (ControlReply) -> Void,
    answer: @escaping @Sendable (HTTPRequest, ControlReply) -> Void
  ) throws(SocketFailure) {
    self.listeners = listeners
    self.limits = limits
    self.clock = clock
    self.logger = logger
    self.statistics = statistics
    self.admission = admission
    self.lookUp = lookUp
    self.answer = answer
    mail = try ControlMailbox()
    refillReserve()
  }

  /// Serves until the mailbox says stop, and then finishes current requests.
  func run() {
    while !mail.isStopping { turn(listens: true, atMost: nil) }
    for listener in listeners { listener.close() }
    for (key, client) in clients where !client.isUnderWay || client.isLive { remove(key) }
    let end = clock.now() + Self.graceSeconds
    while clients.values.contains(where: \.isUnderWay), clock.now() < end {
      turn(listens: false, atMost: end)
    }
    clients = [:]
    reserve = []
  }

  // MARK: One turn

  private func turn(listens: Bool, atMost end: Instant?) {
    let keys = Array(clients.keys)
    let accepts = listens && pausedUntil == nil
    var queries = [pollfd(fd: mail.descriptor, events: CShort(POLLIN), revents: 0)]
    queries += listeners.map {
      pollfd(fd: accepts ? $0.socket.number : -1, events: CShort(POLLIN), revents: 0)
    }
    queries += keys.map {
      pollfd(fd: clients[$0]?.socket.number ?? -1, events: clients[$0]?.events ?? 0, revents: 0)
    }
    guard poll(&queries, nfds_t(queries.count), milliseconds(until: end)) >= 0 else { return }
    takeMail()
    for (key, query) in zip(keys, queries.dropFirst(1 + listeners.count)) where query.revents != 0 {
      serve(key, hasFailed: query.revents & CShort(POLLERR | POLLHUP | POLLNVAL) != 0)
    }
    if accepts {
      for index in listeners.indices where queries[1 + index].revents != 0 { accept(from: index) }
    }
    expire()
  }

  private func milliseconds(until end: Instant?) -> CInt {
    // The answer for the end of a wait comes without a wake.
    let look =
      clients.values.contains(where: \.awaitsFallback)
      ? clock.now() + min(1, limits.changeSeconds / 2) : nil
    let deadlines =
      clients.values.compactMap(\.deadline) + [end, pausedUntil, look].compactMap(\.self)
    guard let next = deadlines.min() else { return -1 }
    return CInt(max(0, min(60_000, (next.seconds(since: clock.now()) * 1000).rounded(.up))))
  }

  private func expire() {
    let now = clock.now()
    if let until = pausedUntil, until <= now { pausedUntil = nil }
    for (key, client) in clients {
      guard let deadline = client.deadline, deadline <= now else { continue }
      switch client.phase {
      case .reading(hasBegun: true):
        refuse(HTTPFault(408, "the request did not come within \(limits.requestSeconds) s"), key)
      case .answering(_, let fallback?):
        send(fallback(), to: key, closes: !client.keepsAlive)
      case .reading, .answering, .writing, .live, .lingering: remove(key)
      }
    }
  }

  private func takeMail() {
    for letter in mail.take() {
      guard
        let (key, client) = clients.first(where: { $0.value.awaitsExchange(letter.exchange) })
      else {
        if case .live(_, let body) = letter.content { body.close() }
        continue
      }
      switch letter.content {
      case .answer(let make):
        send(make(), to: key, closes: !client.keepsAlive || mail.isStopping)
      case .readOn:
        clients[key]?.phase = .reading(hasBegun: true)
        clients[key]?.deadline = clock.now() + limits.requestSeconds
        takeRequest(key)
      case .fallback(let make):
        clients[key]?.phase = .answering(exchange: letter.exchange, fallback: make)
        clients[key]?.deadline = clock.now() + limits.changeSeconds
      case .live(let response, let body): begin(response, body, letter.exchange, key)
      case .more(let bytes): goOn(key, with: bytes)
      case .end: goOn(key, isLast: true)
      }
    }
  }

  // MARK: Connections

  private func accept(from index: Int) {
    for _ in 0..<Self.acceptedInTurn {
      switch listeners[index].socket.accept() {
      case .connection(let socket): welcome(socket, from: index)
      case .nothing: return
      case .exhausted:
        // Takes a descriptor from the reserve; without one, from the client that has been idle longest.
        if reserve.popLast() == nil, !evict(where: { _ in true }) {
          pausedUntil = clock.now() + Self.pauseSeconds
          return
        }
      }
    }
  }

  private func welcome(_ socket: ControlSocket, from index: Int) {
    statistics.accepted.add(1, ordering: .relaxed)
    // A new client replaces a silent one, so silent clients cannot keep others out.
    guard
      clients.values.count(where: { $0.listener == index }) < limits.connections
        || evict(where: { $0.listener == index })
    else {
      statistics.refused.add(1, ordering: .relaxed)
      var discarded: [UInt8] = []
      _ = socket.read(atMost: 4096, into: &discarded)
      let busy = HTTPResponse(HTTPFault(503, "too many connections"))
      _ = socket.write(busy.head(closes: true) + busy.body, from: 0)
      return
    }
    lastClient += 1
    clients[lastClient] = ControlClientConnection(
      socket, listener: index, limits: limits,
      deadline: clock.now() + limits.firstByteSeconds)
    // Most clients send at once, so they are answered in this turn.
    serve(lastClient, hasFailed: false)
  }

  /// Closes a client that waits for no answer: the oldest silent one, otherwise the oldest.
  private func evict(where isCandidate: (ControlClientConnection) -> Bool) -> Bool {
    let idle = clients.filter { !$0.value.isUnderWay && isCandidate($0.value) }
    let silent = idle.filter { !$0.value.reader.isUnderWay }
    guard let key = (silent.isEmpty ? idle : silent).keys.min() else { return false }
    statistics.refused.add(1, ordering: .relaxed)
    remove(key)
    return true
  }

  func remove(_ key: Int) {
    if case .live(_, let answer) = clients[key]?.phase { answer.body.close() }
    clients[key] = nil
    refillReserve()
  }

  private func refillReserve() {
    while reserve.count < Self.reservedDescriptors {
      let copy = fcntl(mail.descriptor, F_DUPFD_CLOEXEC, 0)
      guard copy >= 0 else { return }
      reserve.append(ControlSocket(adopting: copy))
    }
  }

  // MARK: One client

  private func serve(_ key: Int, hasFailed: Bool) {
    guard let client = clients[key] else { return }
    switch client.phase {
    case .reading: read(key)
    case .writing: write(key)
    case .answering: if hasFailed { remove(key) }
    case .live: serveLive(key, hasFailed: hasFailed)
    case .lingering(let discarded):
      var bytes: [UInt8] = []
      switch client.socket.read(atMost: 64 << 10, into: &bytes) {
      case .bytes(let count) where discarded + count < Self.mostDiscarded:
        clients[key]?.phase = .lingering(discarded: discarded + count)
      case .waits: return
      case .bytes, .ended: remove(key)
      }
    }
  }

  private func read(_ key: Int) {
    guard let socket = clients[key]?.socket else { return }
    let wasUnderWay = clients[key]?.reader.isUnderWay == true
    switch clients[key]?.reader.receive(from: socket) {
    case .waits, nil: return
    case .ended: return remove(key)
    case .bytes:
      if !wasUnderWay {
        clients[key]?.phase = .reading(hasBegun: true)
        clients[key]?.deadline = clock.now() + limits.requestSeconds
      }
      takeRequest(key)
    }
  }
}
