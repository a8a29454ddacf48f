internal import Connectors
internal import Dataflow
internal import Logging
internal import Operators
internal import Records
internal import Storage
internal import Stream
internal import Synchronization

// Invariants:
// - `shown` is only touched with `lock` held; all other mutable state is only touched on `queue`.
// - Each partition starts, fails and starts again by itself. Only a group changes which there are.

/// A stream of the daemon whose partitions run each by itself, since each keeps its state in a topic.
final class PartitionedStream: Supervised, @unchecked Sendable {
  // @unchecked because of the first invariant.

  /// A partition and its runs.
  struct Part {
    let partition: Int
    let stream: SupervisedStream
  }

  struct Shown {
    var parts: [Part] = []
    /// The reason why the partitions are not known yet.
    var failure: StreamFailure?
    var restarts = 0
    var warnings: [String] = []
    var isStopped = false
    /// Whether it is a member of a group, and how often the group changed its partitions.
    var isMember = false
    var rebalances = 0
    /// The states of the partitions and the changes by users; nil before they were read.
    var peers: PeerStates?
  }

  let definition: StreamDefinition
  let taps = StreamTaps()
  let topic: PartitionedTopic
  let context: SupervisionContext
  private let eventLog = EventLog()
  /// Never started. It tells the status while the partitions are not known.
  let blank: SupervisedStream
  private let takesOtherCheckpoints: Bool
  let logger: Logger
  let queue = StageThreads.shared.queue(of: .unknown)
  /// Stores changes by users, and waits for the brokers meanwhile.
  let changeQueue = StageThreads.shared.queue(of: .unknown)
  private let lock = Lock()
  private var shown = Shown()
  private var pauseSeconds: Double
  private(set) var isStopping = false
  var member: KafkaGroup?
  /// The last request to each partition to take something.
  var asked: [Int: AskedState] = [:]

  /// How often it reads the states of other partitions.
  private static let refreshSeconds = 0.1

  /// - Parameter takesOtherCheckpoints: whether the partitions take the fitting part of states with other features or
  ///   settings, as after a reload.
  init(
    _ definition: StreamDefinition, _ topic: PartitionedTopic, takesOtherCheckpoints: Bool,
    _ context: SupervisionContext
  ) {
    self.definition = definition
    self.topic = topic
    self.context = context
    self.takesOtherCheckpoints = takesOtherCheckpoints
    blank = SupervisedStream(definition, takesOtherCheckpoints: takesOtherCheckpoints, context)
    pauseSeconds = definition.restart.initialSeconds
    var logger = context.logger
    logger[metadataKey: "stream"] = "\(definition.name)"
    self.logger = logger
  }

  var parts: [Part] { lock.withLock { shown.parts } }
  var peers: PeerStates? { lock.withLock { shown.peers } }

  func show(_ change: (inout Shown) -> Void) {
    lock.withLock { change(&shown) }
  }

  // MARK: From any thread

  func start(_ completion: @escaping @Sendable () -> Void) {
    queue.async { self.begin(completion) }
  }

  func stop(_ completion: @escaping @Sendable () -> Void) {
    queue.async {
      self.isStopping = true
      let ended: @Sendable () -> Void = {
        self.queue.async {
          self.member?.leave()
          self.show { $0.isStopped = true }
          self.taps.end()
          completion()
        }
      }
      self.forEach(self.parts, { $0.stop($1) }, ended)
    }
  }

  func abandon() {
    for part in parts { part.stream.abandon() }
  }

  var hasNoReader: Bool { parts.contains { $0.stream.hasNoReader } }

  func endWithoutReader() {
    for part in parts where part.stream.hasNoReader { part.stream.endWithoutReader() }
  }

  /// Stores a change that all partitions make, in whichever process. Requests another command of every partition here, or of
  /// the one that makes it for all: the reply tells the first refusal, if there is one.
  func request(_ command: StreamCommand, reply: @escaping CommandReply) {
    if concernsLearner(command) { return requestOfLearner(command, reply: reply) }
    if case .update(let update) = command {
      if update.body is RollbackBody {
        return reply(
          .failure(
            .unfit(
              "stream '\(definition.name)' keeps its state in a topic, which has no earlier one: a rollback needs "
                + "checkpoints in files")))
      }
      if let subject = subject(of: update) {
        return changeAll(update, of: subject, reply: blank.metrics.counting(command, reply))
      }
    }
    let parts = parts
    guard parts.count > 1 else {
      guard let only = parts.first else { return reply(.failure(.notRunning(definition.name))) }
      return only.stream.request(command, reply: reply)
    }
    if case .keys = command {
      return reply(
        .failure(.unfit("stream '\(definition.name)' has keys of its own in each partition")))
    }
    let replies = Replies(parts.count, reply)
    for part in parts { part.stream.request(command) { replies.take($0) } }
  }

  var status: StreamStatus {
    let shown = lock.withLock { self.shown }
    var status = StreamStatus(
      of: shown.parts.map { ($0.partition, $0.stream.status) }, or: blank.status)
    status.restarts += shown.restarts
    if shown.isMember { status.rebalances = shown.rebalances }
    if definition.viewAheadSeconds != nil { status.viewAgeSeconds = shown.peers?.age }
    status.changes.merge(blank.metrics.changes, uniquingKeysWith: +)
    status.control = control(of: shown)
    status.warnings = shown.warnings + status.warnings
    if shown.parts.isEmpty {
      if let failure = shown.failure {
        status.state = .backingOff
        (status.lastError, status.lastErrorReason) = (failure.text, failure.reason)
      }
      if shown.isMember { (status.state, status.partitions) = (.running, []) }
      if shown.isStopped { status.state = .finished }
    }
    return status
  }

  var features: [FeatureStatus] {
    StreamSnapshot.features(of: snapshots)
  }

  var snapshots: [StreamSnapshot] { parts.compactMap(\.stream.snapshot) }

  var drift: [DriftAlarm] {
    parts.flatMap { part in part.stream.drift.map { $0.of(partition: part.partition) } }
  }

  func events(after number: Int) -> [LoggedEvent] { eventLog.events(after: number) }

  // MARK: On the queue

  /// Asks the brokers for the partitions. Starts each, or joins the group that gives them.
  private func begin(_ completion: @escaping @Sendable () -> Void) {
    guard !isStopping, parts.isEmpty, member == nil else { return completion() }
    do throws(StreamError) {
      let found = try find()
      show {
        $0.failure = nil
        $0.warnings = found.warnings
        $0.isMember = member != nil
      }
      guard member == nil else {
        completion()
        return lookAtGroup()
      }
      start(found.partitions, completion)
    } catch {
      failed(error)
      completion()
    }
  }

  var connector: ConnectorContext {
    ConnectorContext(fileSystem: context.fileSystem, clock: context.clock)
  }

  /// Finds the partitions, reads the changes by users and the states of others, and joins the group.
  private func find() throws(StreamError) -> PartitionedTopic.Found {
    let connector = connector
    do throws(FileError) {
      let found = try topic.find(in: connector)
      for warning in found.warnings { logger.warning("\(warning)") }
      let peers = try PeerStates(
        topic, of: definition.stream, aheadSeconds: definition.viewAheadSeconds, in: connector)
      show { $0.peers = peers }
      tellChanges(of: peers)
      refreshPeers()
      member = try topic.join(in: connector)
      return found
    } catch {
      throw error.isMissing ? .inputMissing(error) : .inputOutput(error)
    }
  }

  /// Takes the states that other members, or other partitions, have written, and the changes by users.
  private func refreshPeers() {
    guard let peers, !isStopping else { return }
    var pause = Self.refreshSeconds
    do throws(FileError) {
      for warning in try peers.refresh() { logger.warning("\(warning)") }
      spread(peers)
    } catch {
      // The moments, γ and β of the others stay as they are, and grow old. Changes by users wait.
      logger.warning("\(error)")
      pause = definition.restart.maxSeconds
    }
    StageThreads.shared.run(on: queue, afterSeconds: pause) { [weak self, weak peers] in
      guard let self, let peers, peers === self.peers else { return }
      self.refreshPeers()
    }
  }

  func start(_ partitions: [Int], _ completion: @escaping @Sendable () -> Void = {}) {
    // A partition that comes back is claimed again, by an owner that is newer than the last one.
    let owner = StateOwner.make(context.clock)
    let new = partitions.map { partition in
      Part(
        partition: partition,
        stream: SupervisedStream(
          definition, takesOtherCheckpoints: takesOtherCheckpoints, context,
          part: StreamPart(partition, owner, peers: peers, events: eventLog, member: member),
          taps: taps))
    }
    for partition in partitions { asked[partition] = nil }
    show { $0.parts = ($0.parts + new).sorted { $0.partition < $1.partition } }
    forEach(new, { $0.start($1) }, completion)
  }

  /// Tries again after a pause that doubles.
  func failed(_ error: StreamError) {
    let failure = StreamFailure(error)
    let pause = pauseSeconds
    pauseSeconds = min(2 * pauseSeconds, definition.restart.maxSeconds)
    show {
      $0.failure = failure
      $0.restarts += 1
    }
    logger.error("\(failure.textForLog)", metadata: ["restartsInSeconds": "\(pause)"])
    StageThreads.shared.run(on: queue, afterSeconds: pause) { [weak self] in self?.begin {} }
  }

  /// Does something with partitions, and calls `completion` when all have done it.
  func forEach(
    _ parts: [Part], _ body: (SupervisedStream, @escaping @Sendable () -> Void) -> Void,
    _ completion: @escaping @Sendable () -> Void
  ) {
    guard !parts.isEmpty else { return completion() }
    let countdown = Countdown(parts.count, completion)
    for part in parts { body(part.stream) { countdown.count() } }
  }
}
