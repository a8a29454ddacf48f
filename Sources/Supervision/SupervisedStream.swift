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
// - `shownParts` is only touched with `lock` held; all other mutable state is only touched on `queue`.
// - No code waits with `lock` held, so the status is available while `queue` opens a file.
// - There is at most one run. `attempt` tells the completion of the current run from older ones.
// - Counters continue from run to run. A run starts from the newest checkpoint.

/// One stream of the daemon, or one partition of it. Starts it, starts it again after a failure, stops it, and reports its
/// status.
final class SupervisedStream: Supervised, @unchecked Sendable {
  // @unchecked because of the first invariant.

  /// The parts of a status that are not counters.
  struct Shown {
    var state = StreamStatus.State.starting
    var snapshot: StreamSnapshot?
    /// The present run, or the last one, which refuses requests.
    weak var run: StreamRun?
    /// Tells how much waits before each stage of the present run.
    var queues: @Sendable () -> [QueueDepth] = { [] }
    /// The configured settings. Those of a whole stream have the changes by users, which last across runs.
    var normalization: NormalizationSettings
    var restarts = 0
    var lastFailure: StreamFailure?
    var warnings: [String] = []
  }

  let definition: StreamDefinition
  let taps: StreamTaps
  /// The partition; nil for a whole stream.
  private let part: StreamPart?
  private let directory: String
  let fileSystem: any FileSystem
  let threads = StageThreads.shared
  let queue: SerialQueue
  let logger: Logger
  let metrics: StreamMetrics
  private let reporter: EventReporter
  let clock: Clock
  private let lock = Lock()
  private var shownParts: Shown
  private(set) var run: StreamRun?
  private(set) var attempt = 0
  private var startedAt: Instant
  private var pauseSeconds: Double
  var parametersVersion: FileStatus?
  private var takesOtherCheckpoints: Bool
  private var isStopping = false
  private var onStopped: [@Sendable () -> Void] = []

  /// - Parameters:
  ///   - takesOtherCheckpoints: whether the stream takes the fitting part of a checkpoint with other features or
  ///     settings, as after a reload.
  ///   - part: the partition; nil for a whole stream.
  ///   - taps: those of the stream that the partition is a part of.
  init(
    _ definition: StreamDefinition, takesOtherCheckpoints: Bool, _ context: SupervisionContext,
    part: StreamPart? = nil, taps: StreamTaps = StreamTaps()
  ) {
    (self.definition, clock) = (definition, context.clock)
    (self.part, self.taps) = (part, taps)
    metrics = StreamMetrics(partition: part?.partition, events: part?.events ?? EventLog())
    shownParts = Shown(normalization: definition.stream.normalization)
    startedAt = clock.now()
    self.takesOtherCheckpoints = takesOtherCheckpoints
    fileSystem = context.fileSystem
    directory =
      part.map { definition.directory(of: $0.partition, in: context.stateDirectory) }
      ?? definition.directory(in: context.stateDirectory)
    pauseSeconds = definition.restart.initialSeconds
    // The queue opens files and reads checkpoints. A disk that hangs stops only the streams that open files on it.
    let paths = definition.source.locations.map(\.path) + [definition.sink.location.path]
    queue = threads.queue(
      of: definition.waitsForBrokers
        ? .unknown : Disk(of: paths, besides: context.stateDirectory))
    var logger = context.logger
    logger[metadataKey: "stream"] = "\(definition.name)"
    if let part { logger[metadataKey: "partition"] = "\(part.partition)" }
    self.logger = logger
    reporter = EventReporter(definition, context.webhook, metrics, logger)
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
    if command.isFrequent, let run = shown.run {
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

  /// The parts of the status that are not counters.
  var shown: Shown { lock.withLock { shownParts } }

  /// Changes the shown parts of the status.
  func show(_ change: (inout Shown) -> Void) {
    lock.withLock { change(&shownParts) }
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
    definition.stream.normalization = shown.normalization
    try refuseSymbolicLinks()
    let attempt = attempt
    let warn: @Sendable (String) -> Void = { [weak self] in
      self?.warn(Catalogue.wordsOfFile($0), in: attempt)
    }
    let context = ConnectorContext(
      fileSystem: fileSystem, clock: clock, statistics: metrics.connectors, warn: warn)
    let plan = StreamPlan(
      definition, directory: directory, adopts: takesOtherCheckpoints, part: part)
    let opened = try OpenedStream(plan, in: context)
    // From here on, the checkpoint contains this.
    takesOtherCheckpoints = false
    parametersVersion = opened.parametersVersion
    let run = try StreamRun(
      opened,
      // There are many live streams, each small. A stream from files has more work.
      threads: definition.source.kind.isLive ? 1 : 2, metrics: metrics, taps: taps, warn: warn,
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
    // The changes of a partition are in its state. Those after it are made again.
    if part == nil { show { $0.normalization = $0.snapshot?.settings ?? $0.normalization } }
    if let failure {
      failed(failure)
    } else {
      show { $0.state = .finished }
      endTaps()
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
      endTaps()
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

  /// Ends the taps of a whole stream. Those of a partition show the others too.
  private func endTaps() {
    if part == nil { taps.end() }
  }

  /// Refuses a symbolic link in the path of the state. Otherwise a user who can write to the state directory could make the
  /// daemon write to any file that the daemon may write to.
  private func refuseSymbolicLinks() throws(StreamError) {
    let above = part == nil ? [] : [parentDirectory(of: directory)]
    for path in above + [directory, directory + "/dead-letters.ndjson"]
    where fileSystem.isSymbolicLink(path) {
      throw .configuration("\(path): expected no symbolic link in the state directory")
    }
  }

  /// Reports a problem that does not stop the stream, once a run as long as it is shown.
  private func warn(_ warning: String, in attempt: Int) {
    queue.async {
      guard attempt == self.attempt, !self.shown.warnings.contains(warning) else { return }
      self.show { $0.warnings = $0.warnings.suffix(9) + [warning] }
      self.logger.warning("\(warning)")
    }
  }
}
