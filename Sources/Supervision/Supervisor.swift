package import Dataflow
package import Logging
internal import Operators
package import Storage
package import Stream

// Invariants:
// - `streams` and `daemon` are only touched with `lock` held; all other mutable state is only touched on `thread`.
// - A stream in `leaving` is draining. It stays in `streams` until its successor starts; without a successor, until
//   it has ended.
// - A definition in `waiting` starts when no stream in `leaving` has its name or uses one of its locations. So a
//   stream only waits for its own predecessors.
// - No other process holds the state directory.

/// The daemon: all streams of a configuration, each supervised by itself.
package final class Supervisor: StreamSupervision, @unchecked Sendable {
  // @unchecked because of the first invariant.

  private struct Waiting {
    let definition: StreamDefinition
    /// Whether it replaces a running stream in a reload.
    let replaces: Bool
  }

  /// A configuration that is being applied, and the streams for which it still waits.
  private struct Application {
    var names: Set<String>
    let completion: @Sendable (_ isApplied: Bool) -> Void
  }

  private let lock = Lock()
  private let thread: SerialThread
  private let fileSystem: any FileSystem
  private let clock: Clock
  private let logger: Logger
  private let stateDirectory: String
  private let stateLock: StateDirectoryLock
  private var streams: [String: any Supervised] = [:]
  private var daemon = DaemonStatus()
  private var isDraining = false
  private var leaving: [any Supervised] = []
  private var waiting: [String: Waiting] = [:]
  private var applications: [Application] = []
  private var webhook: Webhook?
  private var onStopped: (@Sendable (_ isDrained: Bool) -> Void)?
  private let freedMemory: FreedMemory
  /// Whether a stream was abandoned since the stop began.
  private var hasAbandoned = false

  /// The longest time that a start delays the message that the daemon runs.
  private static let startSeconds = 10.0
  /// How often a drain looks whether the output has a reader. A reader that restarts has this time to come back.
  private static let readerSeconds = 2.0
  /// The longest time that an abandoned stream may take to end.
  private static let abandonSeconds = 2.0
  private static let secondsBetweenLooks = 5.0

  /// Takes the state directory. Starts no stream.
  package init(
    stateDirectory: String, fileSystem: any FileSystem = POSIXFileSystem(), clock: Clock = .system,
    logger: Logger
  ) throws(StreamError) {
    self.stateDirectory = stateDirectory
    self.fileSystem = fileSystem
    self.clock = clock
    self.logger = logger
    do {
      stateLock = try StateDirectoryLock(stateDirectory, in: fileSystem)
    } catch {
      throw StreamError(error)
    }
    do throws(ThreadError) {
      try StageThreads.shared.start()
      thread = try SerialThread(name: "supervisor", clock: clock)
      freedMemory = FreedMemory(on: thread)
    } catch {
      throw .threads(error)
    }
    thread.after(seconds: Self.secondsBetweenLooks) { [weak self] in self?.lookAtStateDirectory() }
  }

  deinit { thread.stop() }

  /// Starts new streams, drains removed and changed ones, and starts the changed ones again with their moments. Does
  /// not touch streams that have not changed.
  ///
  /// Each stream changes by itself; a stream that drains slowly does not delay the others. A stream that takes longer
  /// to drain than a stop may is abandoned. Calls `completion` when all streams have changed, or when a later
  /// configuration has replaced this one. If a stop comes first, calls it with false.
  package func apply(
    _ configuration: DaemonConfiguration,
    completion: @escaping @Sendable (_ isApplied: Bool) -> Void = { _ in }
  ) {
    thread.async { [self] in
      guard onStopped == nil else { return completion(false) }
      let wanted = Dictionary(uniqueKeysWithValues: configuration.streams.map { ($0.name, $0) })
      let present = lock.withLock { streams }
      var names: Set<String> = []
      for (name, stream) in present
      where wanted[name]?.fingerprint != stream.definition.fingerprint {
        names.insert(name)
        if !isLeaving(stream) { drain(stream, within: configuration.shutdownTimeoutSeconds) }
      }
      let overtaken = waiting.keys
      waiting = [:]
      for definition in configuration.streams {
        let current = present[definition.name]
        if let current, !isLeaving(current),
          current.definition.fingerprint == definition.fingerprint
        {
          continue
        }
        waiting[definition.name] = Waiting(definition: definition, replaces: current != nil)
        names.insert(definition.name)
      }
      for name in overtaken where !names.contains(name) { settle(name) }
      if names.isEmpty { return completion(true) }
      applications.append(Application(names: names, completion: completion))
      startWaiting()
    }
  }

  /// Drains every stream within `timeoutSeconds`, and abandons those that take longer. Tells `completion` whether all
  /// were drained.
  package func stop(
    timeoutSeconds: Double, completion: @escaping @Sendable (_ isDrained: Bool) -> Void
  ) {
    lock.withLock { isDraining = true }
    thread.async { [self] in
      waiting = [:]
      onStopped = completion
      for application in applications { application.completion(false) }
      applications = []
      for stream in lock.withLock({ Array(streams.values) }) where !isLeaving(stream) {
        drain(stream, within: timeoutSeconds)
      }
      endIfStopped()
    }
  }

  /// Records the result of an attempt to apply a changed configuration.
  package func noteReload(refusedBecause error: String?) {
    let now = clock.wallSeconds()
    lock.withLock {
      daemon.reloads += 1
      if error != nil { daemon.reloadsRefused += 1 } else { daemon.appliedSeconds = now }
      daemon.lastReload = ReloadReport(error: error, wallSeconds: now)
    }
  }

  /// Records that the first configuration is in force.
  package func noteStart() {
    let now = clock.wallSeconds()
    lock.withLock { daemon.appliedSeconds = now }
  }

  /// Calls `reply` on the supervisor's thread, as a sign that it is alive.
  package func ping(_ reply: @escaping @Sendable () -> Void) { thread.async(reply) }

  // MARK: Changes, on the supervisor's thread

  private func isLeaving(_ stream: any Supervised) -> Bool {
    leaving.contains { $0 === stream }
  }

  private func startWaiting() {
    for (name, entry) in waiting.sorted(by: { $0.key < $1.key }) {
      guard !leaving.contains(where: { $0.definition.isInTheWay(of: entry.definition) }) else {
        continue
      }
      waiting[name] = nil
      let context = SupervisionContext(
        stateDirectory: stateDirectory, fileSystem: fileSystem, clock: clock,
        webhook: webhook(of: entry.definition), logger: logger)
      let stream = context.makeStream(entry.definition, adopts: entry.replaces)
      lock.withLock { streams[name] = stream }
      stream.start { [thread] in thread.async { self.started(stream) } }
      thread.after(seconds: Self.startSeconds) { [self, weak stream] in
        if let stream { started(stream) }
      }
    }
  }

  /// The thread that posts events, made with the first stream that needs it.
  private func webhook(of definition: StreamDefinition) -> Webhook? {
    guard definition.stream.driftWebhook != nil, webhook == nil else { return webhook }
    do throws(ThreadError) {
      webhook = try Webhook(logger: logger)
    } catch {
      logger.error("no event is posted: \(error)")
    }
    return webhook
  }

  private func started(_ stream: any Supervised) {
    let name = stream.definition.name
    if lock.withLock({ streams[name] === stream }), !isLeaving(stream) { settle(name) }
  }

  private func drain(_ stream: any Supervised, within seconds: Double) {
    leaving.append(stream)
    stream.stop { [thread] in thread.async { self.left(stream) } }
    lookForReader(of: stream)
    // Weak, so that a stream that has left is not kept until then.
    thread.after(seconds: seconds) { [self, weak stream] in
      guard let stream, isLeaving(stream) else { return }
      hasAbandoned = hasAbandoned || onStopped != nil
      stream.abandon()
      thread.after(seconds: Self.abandonSeconds) { self.left(stream) }
    }
  }

  /// Ends a draining stream that nobody reads. An absent reader is no failure of the stop.
  private func lookForReader(of stream: any Supervised) {
    thread.after(seconds: Self.readerSeconds) { [self, weak stream] in
      guard let stream, isLeaving(stream) else { return }
      if stream.hasNoReader { return stream.endWithoutReader() }
      lookForReader(of: stream)
    }
  }

  private func left(_ stream: any Supervised) {
    guard isLeaving(stream) else { return }
    leaving.removeAll { $0 === stream }
    freedMemory.returnSoon()
    // A stream that was abandoned may never end by itself, and one that waited for its next start has no run.
    stream.taps.end()
    let name = stream.definition.name
    if waiting[name] == nil {
      lock.withLock { if streams[name] === stream, !isDraining { streams[name] = nil } }
      settle(name)
    }
    startWaiting()
    endIfStopped()
  }

  /// Tells the configurations that wait for this stream that it has changed.
  private func settle(_ name: String) {
    for index in applications.indices { applications[index].names.remove(name) }
    let complete = applications.filter(\.names.isEmpty)
    applications.removeAll(where: \.names.isEmpty)
    for application in complete { application.completion(true) }
  }

  private func endIfStopped() {
    guard let completion = onStopped, leaving.isEmpty else { return }
    stateLock.release()
    completion(!hasAbandoned)
  }

  /// Checks whether somebody removed or replaced the state directory.
  private func lookAtStateDirectory() {
    let isInPlace = stateLock.isInPlace(in: fileSystem)
    let warning =
      "\(stateDirectory): the state directory was removed or replaced: checkpoints may be lost, and "
      + "another daemon can start on it; restart this one"
    let isNew = lock.withLock {
      defer { daemon.warnings = isInPlace ? [] : [warning] }
      return !isInPlace && daemon.warnings.isEmpty && !isDraining
    }
    if isNew { logger.critical("\(warning)") }
    thread.after(seconds: Self.secondsBetweenLooks) { [weak self] in self?.lookAtStateDirectory() }
  }
}

extension Supervisor {
  package var daemonStatus: DaemonStatus {
    lock.withLock {
      var status = daemon
      status.isDraining = isDraining
      return status
    }
  }

  package func statuses() -> [StreamStatus] {
    lock.withLock { Array(streams.values) }.map(\.status).sorted { $0.name < $1.name }
  }

  package func request(
    _ command: StreamCommand, on stream: String,
    reply: @escaping CommandReply
  ) {
    do throws(CommandRefusal) {
      try find(stream).request(command, reply: reply)
    } catch {
      reply(.failure(error))
    }
  }

  package func tap(
    _ stream: String, _ options: TapOptions, _ receiver: any TapReceiver
  ) throws(CommandRefusal) {
    guard try find(stream).taps.add(receiver, options) else { throw .notRunning(stream) }
  }

  package func unreadiness() -> [String] {
    let (isDraining, warnings) = lock.withLock { (self.isDraining, daemon.warnings) }
    if isDraining { return ["the daemon is draining"] }
    return warnings
      + statuses().compactMap { status in
        switch status.state {
        case .running: status.stall ?? status.driftReason
        case .finished: nil
        case .starting, .draining: "stream '\(status.name)' is \(status.state.rawValue)"
        case .backingOff, .failed:
          "stream '\(status.name)' has failed: \(status.lastError ?? "unknown")"
        }
      }
  }

  func find(_ name: String) throws(CommandRefusal) -> any Supervised {
    guard let stream = lock.withLock({ streams[name] }) else { throw .noSuchStream(name) }
    return stream
  }
}

extension StreamStatus {
  /// A subscriber that takes nothing for so many seconds makes the daemon unready.
  private static let stallSeconds = 10.0

  /// The reason why the stream does not move; nil if it does.
  fileprivate var stall: String? {
    guard let seconds = connectors.stalledSeconds, seconds >= Self.stallSeconds else { return nil }
    return "stream '\(name)' waits for a subscriber that has taken nothing for \(Int(seconds)) s"
  }
}

extension StreamStatus {
  /// The reason that drift gives against readiness; nil without drift, and without the action `warn`.
  fileprivate var driftReason: String? {
    guard warnsOfDrift, let first = driftAlarms.first else { return nil }
    let more = driftAlarms.count > 1 ? ", and \(driftAlarms.count - 1) more" : ""
    return "stream '\(name)' drifts: \(first)\(more)"
  }
}

extension StreamDefinition {
  /// Whether drift makes the daemon unready.
  var warnsOfDrift: Bool { stream.driftActions.contains(.warn) }

  /// Whether this stream must end before the other starts: it has the same name, or uses one of its locations.
  fileprivate func isInTheWay(of other: StreamDefinition) -> Bool {
    let places = [source.location.claim, sink.location.claim].compactMap(\.self)
    return name == other.name
      || places.contains { [other.source.location.claim, other.sink.location.claim].contains($0) }
  }
}
