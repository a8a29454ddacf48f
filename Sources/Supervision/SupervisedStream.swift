internal import BatchNormalization
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
// - No code waits with `lock` held, so the status is available while `queue` opens a file.
// - There is at most one run. `attempt` tells the completion of the current run from older ones.
// - Counters continue from run to run. A run starts from the newest checkpoint.

/// One stream of the daemon. Starts it, starts it again after a failure, stops it, and reports its status.
final class SupervisedStream: @unchecked Sendable {
  // @unchecked because of the first invariant.

  /// The parts of a status that are not counters.
  private struct Shown {
    var state = StreamStatus.State.starting
    var snapshot: StreamSnapshot?
    /// The present run, or the last one, which refuses requests.
    weak var run: StreamRun?
    /// Tells how much waits before each stage of the present run.
    var queues: @Sendable () -> [QueueDepth] = { [] }
    /// The configured settings, with the changes of operators, which last across runs.
    var normalization: NormalizationSettings
    var restarts = 0
    var lastFailure: StreamFailure?
    var warnings: [String] = []
  }

  let definition: StreamDefinition
  let taps = StreamTaps()
  private let directory: String
  private let fileSystem: any FileSystem
  private let threads = StageThreads.shared
  let queue: SerialQueue
  private let logger: Logger
  let metrics = StreamMetrics()
  private let reporter: EventReporter
  private let clock: Clock
  private let lock = Lock()
  private var shown: Shown
  private(set) var run: StreamRun?
  private var attempt = 0
  private var startedAt: Instant
  private var pauseSeconds: Double
  private var parametersVersion: FileStatus?
  private var takesOtherCheckpoints: Bool
  private var isStopping = false
  private var onStopped: [@Sendable () -> Void] = []

  /// - Parameter takesOtherCheckpoints: whether the stream takes the fitting part of a checkpoint with other features
  ///   or settings, as after a reload.
  init(
    _ definition: StreamDefinition, stateDirectory: String, takesOtherCheckpoints: Bool,
    fileSystem: any FileSystem, clock: Clock, webhook: Webhook? = nil, logger: Logger
  ) {
    (self.definition, self.clock) = (definition, clock)
    shown = Shown(normalization: definition.stream.normalization)
    startedAt = clock.now()
    self.takesOtherCheckpoints = takesOtherCheckpoints
    self.fileSystem = fileSystem
    directory = definition.directory(in: stateDirectory)
    pauseSeconds = definition.restart.initialSeconds
    // The queue opens files and reads checkpoints. A disk that hangs stops only the streams that open files on it.
    let paths = definition.source.locations.map(\.path) + [definition.sink.location.path]
    queue = threads.queue(
      of: definition.waitsForBrokers ? .unknown : Disk(of: paths, besides: stateDirectory))
    var logger = logger
    logger[metadataKey: "stream"] = "\(definition.name)"
    self.logger = logger
    reporter = EventReporter(definition, webhook, metrics, logger)
  }

  // MARK: From any thread

  /// Opens source and sink. Calls `completion` when they are open, or when that has failed.
  func start(_ completion: @escaping @Sendable () -> Void) {
    queue.async {
      self.begin()
      completion()
    }
  }

  /// Drains the stream. Calls `completion` when it has ended.
  func stop(_ completion: @escaping @Sendable () -> Void) {
    queue.async {
      self.isStopping = true
      guard let run = self.run else { return completion() }
      self.onStopped.append(completion)
      self.show { $0.state = .draining }
      run.stop()
    }
  }

  func request(_ command: StreamCommand, reply: @escaping CommandReply) {
    // A trainer waits for each answer, and its requests need nothing of the queue.
    if command.isFrequent, let run = lock.withLock({ shown.run }) {
      return run.request(command, reply: metrics.counting(command, reply))
    }
    queue.async {
      let reply = self.metrics.counting(command, reply)
      guard let run = self.run else { return reply(.failure(.notRunning(self.definition.name))) }
      do throws(CommandRefusal) {
        run.request(try command.withSavedState(in: self.directory, self.fileSystem), reply: reply)
      } catch { reply(.failure(error)) }
    }
  }

  var snapshot: StreamSnapshot? { lock.withLock { shown.snapshot } }
  var state: StreamStatus.State { lock.withLock { shown.state } }

  var status: StreamStatus {
    let shown = lock.withLock { self.shown }
    let settings = shown.snapshot?.settings ?? shown.normalization
    return StreamStatus(
      name: definition.name, state: shown.state,
      source: place(definition.source.kind.name, definition.source.location),
      sink: place(definition.sink.kind.name, definition.sink.location), mode: settings.mode,
      isFrozen: settings.isFrozen, stateVersion: shown.snapshot?.stateVersion ?? 0,
      parametersVersion: shown.snapshot?.parametersVersion ?? 0,
      parametersAreFrozen: shown.snapshot?.parametersAreFrozen ?? false,
      parametersFileBytes: shown.snapshot?.parametersFileBytes, events: metrics.events,
      changes: metrics.changes, keys: shown.snapshot?.keys,
      driftAlarms: shown.snapshot?.driftAlarms ?? [], warnsOfDrift: definition.warnsOfDrift,
      position: shown.snapshot?.position ?? StreamPosition(), records: metrics.records,
      batches: metrics.batches, badRecords: metrics.badRecords, bytesIn: metrics.bytesIn,
      bytesOut: metrics.bytesOut, restarts: shown.restarts, checkpoints: metrics.checkpoints,
      recordsInFlight: metrics.recordsInFlight, idleSeconds: metrics.idleSeconds,
      checkpointAgeSeconds: metrics.checkpointAgeSeconds,
      lastError: shown.lastFailure?.text, lastErrorReason: shown.lastFailure?.reason,
      batchLatency: metrics.batchLatency, batchSize: metrics.batchSize,
      warnings: shown.warnings + (shown.snapshot?.featureWarnings ?? []),
      droppedWrites: metrics.droppedWrites, deadLetters: metrics.deadLetters,
      checkpointFailures: metrics.checkpointFailures,
      rateLimitedReads: metrics.rateLimitedReads, priorValues: settings.prior?.values,
      checkpointSeconds: metrics.checkpointSeconds, checkpointBytes: metrics.checkpointBytes,
      connectors: ConnectorStatus(metrics.connectors, at: clock.now()),
      queues: Dictionary(uniqueKeysWithValues: zip(StreamRun.queuedStages, shown.queues())))
  }

  /// Changes the shown parts of the status.
  private func show(_ change: (inout Shown) -> Void) {
    lock.withLock { change(&shown) }
  }

  // MARK: Runs

  private func begin() {
    guard !isStopping, run == nil else { return }
    attempt += 1
    startedAt = clock.now()
    show { $0.state = .starting }
    metrics.beginRun()
    let attempt = attempt
    do {
      let run = try open { failure in
        self.queue.async { self.ended(attempt, failure) }
      }
      self.run = run
      show {
        $0.snapshot = run.snapshot
        $0.queues = { [weak run] in run?.queues ?? [] }
        $0.state = .running
      }
      logger.info("stream runs", metadata: ["attempt": "\(attempt)"])
      run.start()
      show { $0.run = run }
      if definition.parameters?.watches == true { watchParameters(attempt) }
    } catch {
      failed(error)
    }
  }

  private func open(
    completion: @escaping @Sendable ((any Error)?) -> Void
  ) throws(StreamError) -> StreamRun {
    var definition = definition
    definition.stream.normalization = lock.withLock { shown.normalization }
    try refuseSymbolicLinks()
    let context = ConnectorContext(
      fileSystem: fileSystem, clock: clock, statistics: metrics.connectors)
    let plan = StreamPlan(definition, directory: directory, adopts: takesOtherCheckpoints)
    let opened = try OpenedStream(plan, in: context)
    // From here on, the checkpoint contains this.
    takesOtherCheckpoints = false
    parametersVersion = opened.parametersVersion
    let attempt = attempt
    let run = try StreamRun(
      opened,
      // There are many live streams, each small. A stream from files has more work.
      threads: definition.source.kind.isLive ? 1 : 2, metrics: metrics, taps: taps,
      warn: { [weak self] in self?.warn(Catalogue.wordsOfFile($0), in: attempt) },
      report: reporter.report, completion: completion)
    show { $0.warnings = run.warnings }
    for warning in run.warnings {
      logger.error("\(warning)", metadata: ["instead": "\(opened.checkpointPath ?? "none")"])
    }
    return run
  }

  private func ended(_ attempt: Int, _ failure: (any Error)?) {
    guard attempt == self.attempt, run != nil else { return }
    run = nil
    show { $0.normalization = $0.snapshot?.settings ?? $0.normalization }
    if let failure {
      failed(failure)
    } else {
      show { $0.state = .finished }
      taps.end()
      logger.info("stream has ended", metadata: ["records": "\(metrics.records)"])
    }
    for completion in onStopped { completion() }
    onStopped = []
  }

  /// Reports a failure. Unless a restart does not help, starts the stream again after a pause that doubles.
  private func failed(_ failure: any Error) {
    let failure = StreamFailure(failure)
    show { $0.lastFailure = failure }
    logger.debug("\(failure.text)")
    guard !failure.isPermanent, !isStopping else {
      show { $0.state = .failed }
      taps.end()
      logger.log(level: failure.isPermanent ? .critical : .error, "\(failure.textForLog)")
      return
    }
    if clock.now().seconds(since: startedAt) >= definition.restart.resetAfterSeconds {
      pauseSeconds = definition.restart.initialSeconds
    }
    // Jitter, so that streams that failed at the same time do not restart at the same time.
    let pause = pauseSeconds * Double.random(in: 0.75...1.25)
    pauseSeconds = min(2 * pauseSeconds, definition.restart.maxSeconds)
    show {
      $0.state = .backingOff
      $0.restarts += 1
    }
    logger.error(
      "\(failure.textForLog)", metadata: ["restartsInSeconds": "\((pause * 10).rounded() / 10)"])
    threads.run(on: queue, afterSeconds: pause) { [weak self] in self?.begin() }
  }

  /// Refuses a symbolic link in the path of the state. Otherwise a user who can write to the state directory could make the
  /// daemon write to any file that the daemon may write to.
  private func refuseSymbolicLinks() throws(StreamError) {
    for path in [directory, directory + "/dead-letters.ndjson"]
    where fileSystem.isSymbolicLink(path) {
      throw .configuration("\(path): expected no symbolic link in the state directory")
    }
  }

  /// Reports a problem that does not stop the stream.
  private func warn(_ warning: String, in attempt: Int) {
    queue.async {
      guard attempt == self.attempt else { return }
      self.show { $0.warnings = $0.warnings.suffix(9) + [warning] }
      self.logger.warning("\(warning)")
    }
  }

  // MARK: γ and β

  /// Takes a new parameters file between two batches. Refuses a bad one, and keeps the old parameters.
  private func watchParameters(_ attempt: Int) {
    threads.run(on: queue, afterSeconds: 1) { [weak self] in
      guard let self, attempt == self.attempt, run != nil else { return }
      takeNewParameters()
      watchParameters(attempt)
    }
  }

  private func takeNewParameters() {
    guard let file = definition.parameters?.file,
      let version = try? fileSystem.status(of: file), version != parametersVersion
    else { return }
    parametersVersion = version
    let parameters: Parameters
    do {
      parameters = try ParametersFile.read(file, in: fileSystem)
    } catch {
      return refused("\(error)")
    }
    let update = StreamUpdate("parameters", ParametersBody(parameters))
    run?.request(.update(update)) { result in
      self.queue.async {
        switch result {
        case .success:
          self.show { $0.warnings = [] }
          self.logger.notice("took new parameters", metadata: ["file": "\(file)"])
        // The next run reads the file itself.
        case .failure(.notRunning): break
        case .failure(let refusal): self.refused("\(file): \(refusal)")
        }
      }
    }
  }

  private func refused(_ reason: String) {
    let warning = "refused new parameters, the old stay: \(reason)"
    show { $0.warnings = [warning] }
    logger.error("\(warning)")
  }
}

/// A source or a sink in the form that is shown.
private func place(_ kind: String, _ location: ConnectorLocation) -> String {
  location.text.map { "\(kind):\($0)" } ?? kind
}
