internal import ArgumentParser
internal import ControlPlane
internal import Dataflow
internal import FoundationEssentials
internal import Glibc
internal import Logging
internal import Records
internal import Stream
internal import Supervision

// Invariants:
// - The main thread waits only for signals. It takes no lock that a stream holds and needs no new thread, so it
//   always receives a stop.
// - `inForce` is only touched with `lock` held.

/// Runs the daemon for the service manager: signals, reloads, the control plane.
final class Daemon: @unchecked Sendable {
  // @unchecked because of the second invariant.

  private let configurationFile: String
  private let serviceNotifier: ServiceNotifier
  private let clock: Clock
  /// The descriptors that the process had before it opened any itself.
  private let inheritedDescriptors = SystemNeeds.openDescriptors
  private let lock = Lock()
  private var inForce: DaemonConfiguration
  private let outcome = StopOutcome()

  /// The time after `shutdown_timeout` at which the process ends, even if nothing answers any more.
  private static let graceSeconds = 5.0
  /// The signal with which other threads wake the main thread.
  private static let wakeSignal = SIGURG

  /// Reads the configuration. Starts nothing.
  init(configurationFile: String, clock: Clock = .system) throws {
    self.configurationFile = configurationFile
    self.clock = clock
    serviceNotifier = ServiceNotifier()
    inForce = try Self.load(configurationFile)
  }

  private var configuration: DaemonConfiguration {
    get { lock.withLock { inForce } }
    set { lock.withLock { inForce = newValue } }
  }

  private static func load(_ file: String) throws -> DaemonConfiguration {
    let environment = ProcessInfo.processInfo.environment
    return try DaemonConfiguration.load(file) { environment[$0] }
  }

  /// Runs until a signal stops it.
  func run() throws {
    let signals = SignalWait([SIGTERM, SIGINT, SIGHUP, Self.wakeSignal])
    // Without the signal, a write to a reader that has gone fails only its own stream.
    signal(SIGPIPE, SIG_IGN)
    raiseDescriptorLimit()
    let options = configuration.log
    LoggingSystem.bootstrap { label in
      LineLogHandler(label: label, level: options.level, format: options.format)
    }
    let logger = Logger(label: "evenkeel")
    try SystemNeeds(configuration, inheritedDescriptors: inheritedDescriptors).check()
    let supervisor = try Supervisor(
      stateDirectory: configuration.stateDirectory, clock: clock, logger: logger)
    let reloads = try SerialThread(name: "reloads", clock: clock)
    let control = try configuration.control.settings(configuration.metrics).map { settings in
      try ControlServer(settings, supervision: supervisor, logger: logger, clock: clock)
    }
    try control?.start()
    let main = pthread_self()
    supervisor.apply(configuration) { [self] isApplied in
      guard isApplied else { return }
      let addresses = control?.addresses.map { "\($0)" }.joined(separator: ", ") ?? "off"
      supervisor.noteStart()
      logger.notice(
        "evenkeel runs",
        metadata: [
          "streams": "\(supervisor.statuses().count)", "control": "\(addresses)",
        ])
      serviceNotifier.notify("READY=1\nSTATUS=\(supervisor.statuses().count) streams")
    }
    let watchdog = Watchdog(serviceNotifier, supervisor, clock: clock)
    var stopsAt: Instant?
    while outcome.isDrained == nil {
      let next = [watchdog.nextTurn, stopsAt].compactMap(\.self).min()
      let seconds = next.map { max(0, $0.seconds(since: clock.now())) }
      switch signals.next(within: seconds) {
      case SIGHUP where stopsAt == nil:
        reloads.async { [self] in reload(supervisor, control, logger) }
      case SIGTERM, SIGINT:
        guard stopsAt == nil else { endAtOnce("a second signal", supervisor, logger) }
        stopsAt = clock.now() + (configuration.shutdownTimeoutSeconds + Self.graceSeconds)
        stop(supervisor, logger, wakes: main)
      default: break
      }
      watchdog.turn()
      if let stopsAt, clock.now() >= stopsAt {
        endAtOnce("no answer of the streams", supervisor, logger)
      }
    }
    control?.stop()
    guard outcome.isDrained == true else {
      throw CommandFailure("stopped before everything that was read was emitted", exitCode: 75)
    }
  }

  // MARK: Signals

  /// Applies the changed file completely or not at all. If the file is bad, logs why and changes nothing.
  private func reload(_ supervisor: Supervisor, _ control: ControlServer?, _ logger: Logger) {
    serviceNotifier.notifyReloading(clock)
    let changed: DaemonConfiguration
    do {
      changed = try Self.load(configurationFile)
      for (key, isSame) in [
        ("state_directory", changed.stateDirectory == configuration.stateDirectory),
        ("control", changed.control == configuration.control),
      ] where !isSame {
        throw StreamError.configuration("\(key): a change needs a restart")
      }
      try SystemNeeds(changed, inheritedDescriptors: inheritedDescriptors)
        .check(after: SystemNeeds(configuration, inheritedDescriptors: inheritedDescriptors))
      try supervisor.check(changed)
      // The last that can fail: a good token is in force at once.
      try control?.reloadToken()
    } catch {
      let reason = printable(CommandFailure(error).message)
      logger.error("configuration refused, all streams continue with the old one: \(reason)")
      supervisor.noteReload(refusedBecause: reason)
      return serviceNotifier.notify("READY=1\nSTATUS=\(statusLine(supervisor))")
    }
    configuration = changed
    supervisor.apply(changed) { [self] isApplied in
      guard isApplied else {
        let reason = "the daemon stopped before the configuration was applied"
        logger.warning("\(reason)")
        return supervisor.noteReload(refusedBecause: reason)
      }
      logger.notice("configuration applied", metadata: ["streams": "\(changed.streams.count)"])
      supervisor.noteReload(refusedBecause: nil)
      serviceNotifier.notify("READY=1\nSTATUS=\(changed.streams.count) streams")
    }
  }

  private func stop(_ supervisor: Supervisor, _ logger: Logger, wakes main: pthread_t) {
    logger.notice("draining")
    serviceNotifier.notify("STOPPING=1\nSTATUS=draining")
    supervisor.stop(timeoutSeconds: configuration.shutdownTimeoutSeconds) { [outcome] isDrained in
      if isDrained {
        logger.notice("drained")
      } else {
        logger.error("stopped before everything was drained")
      }
      outcome.isDrained = isDrained
      pthread_kill(main, Self.wakeSignal)
    }
  }

  /// Ends the process although streams still drain. Tells how many records each of them drops.
  private func endAtOnce(_ cause: String, _ supervisor: Supervisor, _ logger: Logger) -> Never {
    logger.error("ended by \(cause) before everything was drained")
    for stream in supervisor.statuses() where stream.recordsInFlight > 0 {
      logger.error(
        "dropped records that were read and not emitted; the next start reads them again from files, those of a socket, a FIFO or a pipe are lost",
        metadata: ["stream": "\(stream.name)", "records": "\(stream.recordsInFlight)"])
    }
    _exit(75)
  }
}

/// The result of stopping the streams.
private final class StopOutcome: @unchecked Sendable {
  // @unchecked because `drained` is only touched with `lock` held.
  private let lock = Lock()
  private var drained: Bool?

  /// Nil until the streams have ended.
  var isDrained: Bool? {
    get { lock.withLock { drained } }
    set { lock.withLock { drained = newValue } }
  }
}

/// Regularly tells the service manager that the supervisor answers, if the manager has a watchdog.
private final class Watchdog {
  private let notifier: ServiceNotifier
  private let supervisor: Supervisor
  private let clock: Clock
  private let seconds: Double
  private let answer = SupervisorAnswer()
  /// The time of the next sign of life; nil without a watchdog.
  private(set) var nextTurn: Instant?

  init(_ notifier: ServiceNotifier, _ supervisor: Supervisor, clock: Clock) {
    self.notifier = notifier
    self.supervisor = supervisor
    self.clock = clock
    // Three signs within the time that the manager allows, so that one may be late.
    seconds = (notifier.watchdogSeconds ?? 0) / 3
    nextTurn = notifier.watchdogSeconds.map { _ in clock.now() }
  }

  func turn() {
    guard let due = nextTurn, clock.now() >= due else { return }
    nextTurn = clock.now() + seconds
    // The manager expects READY first.
    if answer.take(), supervisor.daemonStatus.appliedSeconds != nil {
      notifier.notify("WATCHDOG=1\nSTATUS=\(statusLine(supervisor))")
    }
    supervisor.ping { [answer] in answer.give() }
  }
}

/// Whether the supervisor has answered since the last call.
private final class SupervisorAnswer: @unchecked Sendable {
  // @unchecked because `isThere` is only touched with `lock` held.
  private let lock = Lock()
  private var isThere = true

  func give() { lock.withLock { isThere = true } }

  func take() -> Bool {
    lock.withLock {
      defer { isThere = false }
      return isThere
    }
  }
}

/// One line for `systemctl status`. It contains a refused reload until a reload succeeds.
private func statusLine(_ supervisor: Supervisor) -> String {
  let running = supervisor.statuses().count { $0.state == .running }
  let status = supervisor.daemonStatus
  if let error = status.lastReload?.error {
    let first = error.split(separator: "\n").first.map(String.init) ?? ""
    return "configuration refused, \(running) streams continue with the old one: \(first)"
  }
  return (["\(running) streams running"] + status.warnings).joined(separator: "; ")
}

extension ControlOptions {
  /// The settings of the control server; nil if it is off.
  func settings(_ metrics: MetricsOptions) throws -> ControlSettings? {
    guard !listen.isEmpty else { return nil }
    var settings = ControlSettings(
      addresses: try addresses, tokenFile: tokenFile, version: Evenkeel.configuration.version)
    settings.featureMetrics =
      switch metrics.perFeature {
      case nil: .automatic
      case true?: .all
      case false?: FeatureMetrics.none
      }
    return settings
  }

  /// The addresses of the control server; none if it is off.
  var addresses: [ControlAddress] {
    get throws { try listen.map { try ControlAddress("\($0)") } }
  }
}
